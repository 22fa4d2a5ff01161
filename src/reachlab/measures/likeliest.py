"""best@k: how often the sample with the highest log-probability among k is right (`boundary/bestof.py`).

By Σ log P of the whole text, and by its mean per token, which favours no short answers. Source: Nakano et al. 2021,
*WebGPT* (arXiv 2112.09332), appendix I; Chen et al. 2021 (arXiv 2107.03374), section 3.3, who rank by the mean.
"""

import numpy as np

from reachlab.boundary.bestof import best_of_k
from reachlab.boundary.bootstrap import Floats
from reachlab.measures.measure import Computed, FigureLook, Measure, Missing
from reachlab.measures.measured_run import MeasuredRun


def likeliest(run: MeasuredRun, *, per_token: bool) -> Computed:
    """best@k of a run that stores log-probabilities."""
    if missing := run.table["logprob"].null_count:
        return Missing(f"{missing:,} samples have no log-probability")
    score_N: Floats = run.table["logprob"].to_numpy().astype(np.float64)
    if per_token:
        score_N = score_N / np.maximum(run.table["tokens"].to_numpy(), 1)
    ks = run.ks()
    return run.curve(best_of_k(run.row_N, score_N, run.right_N, len(run.n_P), ks), ks)


BY_WHOLE_TEXT = Measure(
    name="best_of.logprob",
    title="Best of k by the whole text's log-probability",
    row="best@k, likeliest text",
    caption="best@k: how often the one of k samples is right whose whole text its model finds likeliest.",
    source="arXiv 2112.09332",
    compute=lambda run: likeliest(run, per_token=False),
    part=None,
)
PER_TOKEN = Measure(
    name="best_of.logprob_per_token",
    title="Best of k by log-probability per token",
    row="best@k, likeliest a token",
    caption="best@k: how often the one of k samples is right that its model finds likeliest per token, so that short "
    "ones have no advantage.",
    source="arXiv 2112.09332",
    look=FigureLook(axis="best@k"),
    compute=lambda run: likeliest(run, per_token=True),
)
