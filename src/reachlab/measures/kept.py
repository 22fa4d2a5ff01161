"""Problems kept, grown and shrunk against the base, and their ratios (`boundary/support.py`).

SRR = kept / (kept + shrunk), NDR = grown / (kept + grown), SDS their harmonic mean, NSCR = (grown − shrunk) / (kept +
grown + shrunk). Source: Wu et al. 2025, *The Invisible Leash* (arXiv 2507.14843).
"""

from collections.abc import Iterator, Sequence

from reachlab.boundary.comparison import Findings
from reachlab.boundary.support import Share, Support, support
from reachlab.measures.measure import Computed, Measure, Missing, PagePart, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table

COLUMNS = ("kept", "grown", "shrunk", "out of both", "SRR", "NDR", "SDS", "NSCR")


def supports_of(comparison: Findings) -> tuple[Support, ...]:
    """The support of every model but the base."""
    return tuple(support(pair.name, pair.coverage, comparison.level) for pair in comparison.pairs)


def support_rows(supports: Sequence[Support], between: str = " ") -> Iterator[tuple[str, tuple[str, ...]]]:
    """A row a model: its name, and a cell a column; `between` stands between a ratio and its interval."""
    for found in supports:
        counts = (f"{count:,}" for count in (found.kept, found.grown, found.shrunk, found.out))
        shares = (_share(share, between) for share in (found.retention, found.discovery))
        score = "–" if found.score is None else f"{found.score:.3f}"
        change = "–" if found.change is None else f"{found.change + 0.0:+.3f}".replace("-", "−")
        yield found.name, (*counts, *shares, score, change)


def _share(share: Share | None, between: str) -> str:
    return "–" if share is None else f"{share.value:.3f}{between}{share.low:.2f}–{share.high:.2f}"


def kept(run: MeasuredRun) -> Computed:
    """The row of a model that is compared with a base."""
    if run.shared is None or run.shared.pair is None:
        return Missing()
    found = support(run.name, run.shared.pair.coverage, run.intervals.level)
    return Result(tables=(Table("Against the base", COLUMNS, tuple(support_rows([found]))),), document=found.to_dict())


KEPT = Measure(
    name="support",
    title="Kept, grown, shrunk",
    caption="How many problems both solve (kept), the model alone (grown) and the base alone (shrunk), and the ratios "
    "of these.",
    source="arXiv 2507.14843",
    compute=kept,
    unit="count",
    compared=True,
    part=PagePart(
        id="support",
        heading="Kept, grown, shrunk",
        lead="Kept: solved by both; grown: by the model alone; shrunk: by the base alone. SRR is how much of what the "
        "base solves is kept, NDR how much of what the model solves is new, SDS their harmonic mean, NSCR the net "
        "growth of what either solves (The Invisible Leash, arXiv 2507.14843). All of it is of the samples that were "
        "drawn.",
    ),
)
