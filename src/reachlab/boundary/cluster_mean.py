"""Problems that belong together: made from one template, on one text, of one source. What is drawn is the cluster.

A mean over P problems in G clusters is a ratio, Σ_g w_g S_g / Σ_g w_g m_g, with S_g the sum over a cluster's m_g
problems and w_g how often it was drawn. Its influence values are S_g − mean · m_g. Without clusters every problem is
one of its own, and all of this is the plain mean.

A cluster's part of the variance goes with m_g², so that (Σ m²)² / Σ m⁴ clusters of one size would know it as well; that
many, less one, are the degrees of freedom of Student's quantile.

Source: Cameron, Gelbach and Miller 2008, *Bootstrap-Based Improvements for Inference with Clustered Errors*; for
evaluations Miller 2024 (arXiv 2411.00640), section 2.2; clusters that count, Carter, Schnepel and Steigerwald 2017.
"""

from collections.abc import Sequence

import numpy as np

from reachlab.boundary.bootstrap import Floats, Weights
from reachlab.boundary.outcomes import Ints
from reachlab.errors import ReachlabError


class Clusters:
    """Which cluster each of P problems is in.

    Args:
        problems: P.
        labels: each problem's cluster; None puts each problem into one of its own.

    Raises:
        ReachlabError: fewer labels or more than problems, or one cluster only.
    """

    def __init__(self, problems: int, labels: Sequence[str] | None = None):
        self.problems = problems
        self.of_P: Ints = np.arange(problems)
        if labels is not None:
            if len(labels) != problems:
                raise ReachlabError(f"clusters: {len(labels)} labels for {problems} problems")
            self.of_P = np.unique(np.array(labels, object).astype(str), return_inverse=True)[1].reshape(-1)
            if problems > 1 and self.of_P.max() == 0:
                raise ReachlabError("clusters: all problems are in one cluster, and from one nothing can be told")
        self.size_G = np.bincount(self.of_P).astype(np.float64)
        self.count = len(self.size_G)
        self.degrees: float = (self.size_G**2).sum() ** 2 / (self.size_G**4).sum() - 1
        """Of freedom: G − 1 for clusters of one size, fewer where a few large ones are most of the variance."""
        self.single = self.count == problems

    def sums(self, values_PK: Floats) -> Floats:
        """The sum over each cluster's problems: (G, K)."""
        if self.single and labels_in_order(self.of_P):
            return values_PK
        order_P = self.of_P.argsort(kind="stable")
        starts_G = np.searchsorted(self.of_P[order_P], np.arange(self.count))
        found: Floats = np.add.reduceat(values_PK[order_P], starts_G, axis=0)
        return found

    def by_problem(self, weights_BG: Weights) -> Weights:
        """How often each problem is drawn: (B, P)."""
        return weights_BG if self.single and labels_in_order(self.of_P) else weights_BG[:, self.of_P]

    def drawn(self, weights_BG: Weights) -> Weights:
        """How many problems each resample holds, which its sums are divided by: (B,)."""
        found: Weights = weights_BG @ self.size_G.astype(np.float32)
        return found


def labels_in_order(of_P: Ints) -> bool:
    """Whether problem p is in cluster p."""
    return bool((of_P == np.arange(len(of_P))).all())
