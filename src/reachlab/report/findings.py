"""All that runs of samples say beyond the comparison of their curves, gathered once for the page and for scripts.

Cover@τ and the extrapolation are of the problems that the compared models share. The evidence (chains, votes, copies,
luck) and the perplexities are of each run as it lies there.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from reachlab.boundary.comparison import Comparison
from reachlab.boundary.cover import Cover, CoverDifference, cover, cover_difference
from reachlab.boundary.extrapolation import Extrapolation, extrapolate
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.perplexity import PerplexityMatrix
from reachlab.boundary.support import Support
from reachlab.measures.answers import EntropyDifference, entropy_difference
from reachlab.measures.evidence import Evidence, read_evidence
from reachlab.measures.perplexities import judges_of, read_perplexities
from reachlab.report.entries import Entry
from reachlab.report.support import supports_of

BEYOND = 16
"""How many times the samples drawn an extrapolation goes."""
FEWEST = 8
"""With fewer samples of a problem there is nothing to extrapolate from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """A tuple has a place a model, the base first. None: there is no data for it."""

    covers: tuple[Cover | None, ...]
    cover_differences: tuple[CoverDifference | None, ...]
    """Each model's Cover@τ less the base's, which has none itself."""
    extrapolations: tuple[Extrapolation | None, ...]
    evidence: tuple[Evidence, ...]
    entropy_differences: tuple[EntropyDifference | None, ...]
    """Each model's answer-level entropy less the base's, which has none itself."""
    supports: tuple[Support | None, ...]
    """Each model's problems kept, grown and shrunk against the base, which has none itself."""
    perplexities: PerplexityMatrix | None

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON."""
        return {
            "cover": [found and _plain(asdict(found)) for found in self.covers],
            "cover_difference": [found and _plain(asdict(found)) for found in self.cover_differences],
            "extrapolation": [found and _plain(asdict(found)) for found in self.extrapolations],
            "evidence": [found.to_dict() for found in self.evidence],
            "answer_entropy_difference": [found and _plain(asdict(found)) for found in self.entropy_differences],
            "support": [found and found.to_dict() for found in self.supports],
            "perplexity": self.perplexities and self.perplexities.to_dict(),
        }


def gather(comparison: Comparison, entries: Sequence[Entry]) -> Findings:
    """Read all of it, with the comparison's level, resamples and seed.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    settings: dict[str, Any] = {"level": comparison.level, "seed": comparison.seed}
    resampled = settings | {"resamples": comparison.resamples}
    stores = [e.store for e in entries]
    # Samples of several runs are not of one chance a problem, which is what is extrapolated.
    extrapolations = tuple(_extrapolation(e.outcomes, settings) if len(e.model.runs) == 1 else None for e in entries)
    fits = [found.fits if found else () for found in extrapolations]

    def moved(i: int) -> CoverDifference | None:
        base, other = entries[0].outcomes, entries[i].outcomes
        if i == 0 or base.stopping is not None or other.stopping is not None:
            return None
        return cover_difference(base, other, fits=(fits[0], fits[i]), **resampled)

    evidence = tuple(read_evidence(store, **resampled) for store in stores)

    def narrowed(i: int) -> EntropyDifference | None:
        base, other = evidence[0].answers, evidence[i].answers
        if i == 0 or base is None or other is None:
            return None
        return entropy_difference(entries[i].name, base, other, comparison.problem_ids, **resampled)

    return Findings(
        covers=tuple(
            cover(e.outcomes, fits=own, **resampled) if e.outcomes.stopping is None else None
            for e, own in zip(entries, fits, strict=True)
        ),
        cover_differences=tuple(map(moved, range(len(entries)))),
        extrapolations=extrapolations,
        evidence=evidence,
        entropy_differences=tuple(map(narrowed, range(len(entries)))),
        supports=(None, *supports_of(comparison)),
        perplexities=read_perplexities(stores, **resampled) if any(map(judges_of, stores)) else None,
    )


def _extrapolation(outcomes: Outcomes, settings: dict[str, Any]) -> Extrapolation | None:
    n = outcomes.largest_k
    if n < FEWEST:
        return None
    octaves = np.arange((BEYOND * n).bit_length())
    return extrapolate(outcomes, np.union1d(2**octaves, [n, BEYOND * n]), **settings)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value
