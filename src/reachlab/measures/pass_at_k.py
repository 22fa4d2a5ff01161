"""pass@k = 1 − C(n−c, k) / C(n, k): the chance that at least one of k samples is right, the mean over problems.

Source: Chen et al. 2021, *Evaluating Large Language Models Trained on Code* (arXiv 2107.03374); of samples drawn
adaptively `boundary/stopping.py`. The page has it first and by itself (`reporting/figures/of_samples.py`).
"""

from reachlab.boundary.curve import Curve
from reachlab.boundary.outcomes import Outcomes
from reachlab.measures.measure import Measure
from reachlab.measures.measured_run import MeasuredRun


def passing(run: MeasuredRun, outcomes: Outcomes) -> Curve:
    """pass@k of the problems that have scored samples."""
    scored = outcomes.select([p for p, n in zip(outcomes.problem_ids, outcomes.n_P, strict=True) if n])
    ks = run.ks(scored.largest_k)
    return run.curve(scored.pass_at_k(ks), ks)


PASS_AT_K = Measure(
    name="pass",
    title="pass@k",
    caption="The chance that at least one of k samples is right.",
    source="arXiv 2107.03374",
    compute=lambda run: passing(run, run.outcomes),
    part=None,
)
