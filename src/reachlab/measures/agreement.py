"""Two ways to the same number: what a sampler said of its answers while it drew them, and what their texts score.

Where the judge is the model that wrote, `logprob` and `logprob:NAME` are the same sum, computed token by token with a
cache and all at once without. Where they differ there is a fault in one of them, another precision, or another cut: a
text does not say into which tokens it was cut when it was drawn.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from reachlab.measures.surprise import LOGPROB, RETOKENISED, TOKENS
from reachlab.store.samples import SampleStore

APART = 0.01
"""Nats a token: answers that differ by more have other tokens, or were computed in another precision."""


@dataclass(frozen=True, kw_only=True)
class ScoreAgreement:
    """Of the answers that a judge has scored and wrote.

    ``compared`` answers have the tokens that were drawn; their log-probabilities differ by ``mean`` and at most by
    ``highest`` nats a token, and by more than `APART` in ``apart`` of them. ``retokenised`` answers have others: of a
    run that does not say which it drew (an earlier day's), another number of them. ``open_ended`` answers stopped in a
    run with stop strings: what ended them is not stored.
    """

    compared: int
    mean: float
    highest: float
    apart: int
    retokenised: int
    open_ended: int

    def words(self) -> str:
        """In a sentence."""
        said = "no answer to compare with the sampler's own log-probabilities"
        if self.compared:
            said = (
                f"the sampler's own log-probabilities differ by {self.mean:.1e} nats a token on average and "
                f"{self.highest:.1e} at most, over {self.compared:,} answers"
            )
            said += f" ({self.apart:,} by more than {APART})" if self.apart else ""
        said += f"; {self.retokenised:,} have other tokens than were drawn" if self.retokenised else ""
        said += f"; of {self.open_ended:,} a stop string or the end of text was the end" if self.open_ended else ""
        return said


def agreement(store: SampleStore, judge: str, open_ended: bool) -> ScoreAgreement | None:
    """How the scores of a run's own writer agree with its sampler's; None where no answer has both.

    Args:
        store: the run.
        judge: the name under which its own model has scored it.
        open_ended: it was drawn with stop strings.
    """
    columns = ("tokens", "logprob", "finish", "engine", f"{LOGPROB}{judge}", f"{TOKENS}{judge}")
    table = store.read([*columns, f"{RETOKENISED}{judge}"])
    if not {*columns} <= {*table.column_names}:
        return None
    ours, theirs = table[f"{LOGPROB}{judge}"], table["logprob"]
    table = table.filter(
        pc.and_(pc.is_valid(ours), pc.and_(pc.is_valid(theirs), pc.equal(table["engine"], "transformers")))
    )
    if not len(table):
        return None
    stopped_N = pc.equal(table["finish"], "stop").to_numpy() & open_ended
    tokens_N = table[f"{TOKENS}{judge}"].to_numpy()
    other_N = table["tokens"].to_numpy() != tokens_N
    if (known := f"{RETOKENISED}{judge}") in table.column_names:
        other_N |= table[known].fill_null(False).to_numpy()
    other_N &= ~stopped_N
    same_N = ~stopped_N & ~other_N
    difference_N = np.abs(table[f"{LOGPROB}{judge}"].to_numpy().astype(np.float64) - table["logprob"].to_numpy())
    difference_N = difference_N[same_N] / tokens_N[same_N]
    compared = len(difference_N)
    return ScoreAgreement(
        compared=compared,
        mean=float(difference_N.mean()) if compared else 0.0,
        highest=float(difference_N.max()) if compared else 0.0,
        apart=int((difference_N > APART).sum()),
        retokenised=int(other_N.sum()),
        open_ended=int(stopped_N.sum()),
    )
