"""pass^k: the chance that k samples drawn without replacement, c of n correct, are all correct.

pass^k = C(c, k) / C(n, k) = Π_{i<k} (c−i) / (n−i), which is unbiased for p^k. Where pass@k asks whether a model can,
pass^k asks whether it can be relied on: the two start at the same pass@1 and part from there.

Source: Yao et al. 2024, *τ-bench: A Benchmark for Tool-Agent-User Interaction in Real-World Domains* (arXiv
2406.12045).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reachlab.boundary.passk import checked, none_right


def pass_hat_k(n_P: ArrayLike, c_P: ArrayLike, ks: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Estimate pass^k per problem, as a (P, K) table; its mean over problems is the curve.

    k samples are all correct where none of the n − c wrong ones is among them. Nothing overflows at any n, and k > c
    gives exactly 0. The work is O(max k) for each distinct pair (n, c).

    Args:
        n_P: scored samples of each problem; problems may differ. Where sampling stopped once enough were correct, n and
            c have no unbiased pass^k (see `stopping`).
        c_P: correct ones among them.
        ks: the values of k, at least 1, in any order.

    Raises:
        ReachlabError: k > n or k < 1, or c outside [0, n]; the message names the problem's position.
    """
    n_P, c_P, ks = checked("pass^k", n_P, c_P, ks)
    return none_right(n_P, n_P - c_P, ks)
