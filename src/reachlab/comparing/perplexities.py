"""Runs that models have scored, side by side: each run's answers under each model."""

from collections.abc import Callable

from reachlab.boundary.perplexity import PerplexityMatrix
from reachlab.measures.config import PerplexityConfig
from reachlab.measures.surprise import read_perplexities
from reachlab.pairing.matching import remarks_on
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore


def compare_perplexities(config: PerplexityConfig, say: Callable[[str], None]) -> PerplexityMatrix:
    """The perplexity of every run's answers under every model that has scored them all.

    Raises:
        ReachlabError: a run that cannot be read, or that nobody has scored.
    """
    stores = [SampleStore(RunFolder(run)) for run in config.runs]
    matrix = read_perplexities(stores, resamples=config.resamples, level=config.level, seed=config.seed)
    for said in remarks_on(stores, matrix.writers):
        say(said)
    return matrix
