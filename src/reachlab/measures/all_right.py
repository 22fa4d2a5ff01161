"""pass^k = C(c, k) / C(n, k): the chance that all of k samples are right, the mean over problems (`boundary/allk.py`).

Source: Yao et al. 2024, *τ-bench* (arXiv 2406.12045).
"""

from reachlab.boundary.allk import pass_hat_k
from reachlab.boundary.curve import Curve
from reachlab.measures.measure import FigureLook, Measure
from reachlab.measures.measured_run import MeasuredRun


def all_right(run: MeasuredRun) -> Curve:
    """pass^k."""
    ks = run.ks()
    return run.curve(pass_hat_k(run.n_P, run.c_P, ks), ks)


ALL_RIGHT = Measure(
    name="all_right",
    title="All of k right",
    row="pass^k, all right",
    look=FigureLook(axis="pass^k"),
    caption="pass^k: the chance that all of k samples are right, which is what a user who asks k times can rely on.",
    source="arXiv 2406.12045",
    compute=all_right,
)
