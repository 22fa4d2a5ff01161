"""Support: of the problems that a base solves in its samples, which a model keeps, and which it adds.

With the four sets of `coverage` as P kept (both solved), E grown (the model alone), S shrunk (the base alone) and O out
of both models' samples, the paper's ratios are

    retention  SRR  = P / (P + S)                      of what the base solves, how much is kept
    discovery  NDR  = E / (P + E)                      of what the model solves, how much is new
    score      SDS  = 2 SRR NDR / (SRR + NDR)          their harmonic mean
    change     NSCR = (E − S) / (P + E + S)            the net growth of what either solves

Each is of the samples that were drawn: what neither model said is not out of reach, and chance alone moves problems
that are seldom solved from one set to another, so that two equal models keep less than all and discover some. SRR and
NDR have Jeffreys' interval of a share; it is over problems, and knows nothing of that chance.

Sources: Wu et al. 2025, *The Invisible Leash* (arXiv 2507.14843), definition 3.3, who count right completions, one a
problem, as here; the interval, Brown, Cai & DasGupta 2001, *Interval Estimation for a Binomial Proportion*.
"""

from dataclasses import asdict, dataclass
from typing import Any

from scipy.special import betaincinv

from reachlab.boundary.coverage import Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How many problems are in each set, and the ratios; one whose problems there are none of is None."""

    name: str
    kept: int
    grown: int
    shrunk: int
    out: int
    retention: Share | None
    discovery: Share | None
    score: float | None
    change: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def support(name: str, sets: Coverage, level: float = 0.95) -> Support:
    """The support table of a model against its base."""
    kept, grown, shrunk = len(sets.both), len(sets.gained), len(sets.lost)
    retention, discovery = _share(kept, shrunk, level), _share(grown, kept, level)
    score = None
    if retention is not None and discovery is not None:
        total = retention.value + discovery.value
        score = 2 * retention.value * discovery.value / total if total else 0.0
    return Support(
        name=name,
        kept=kept,
        grown=grown,
        shrunk=shrunk,
        out=len(sets.neither),
        retention=retention,
        discovery=discovery,
        score=score,
        change=(grown - shrunk) / (kept + grown + shrunk) if kept + grown + shrunk else None,
    )


def _share(some: int, others: int, level: float) -> Share | None:
    """some / (some + others), with Jeffreys' interval, which reaches to the end where all or none are."""
    if not some + others:
        return None
    tail = (1 - level) / 2
    return Share(
        value=some / (some + others),
        low=float(betaincinv(some + 0.5, others + 0.5, tail)) if some else 0.0,
        high=float(betaincinv(some + 0.5, others + 0.5, 1 - tail)) if others else 1.0,
    )
