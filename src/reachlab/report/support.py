"""The support table: problems kept, grown and shrunk against the base, and their ratios; for page and terminal."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from reachlab.boundary.compare import Comparison
from reachlab.boundary.support import Share, Support, support

COLUMNS = ("kept", "grown", "shrunk", "out of both", "SRR", "NDR", "SDS", "NSCR")
HOW_TO_READ = (
    "Kept: solved by both; grown: by the model alone; shrunk: by the base alone. SRR is how much of what the base "
    "solves is kept, NDR how much of what the model solves is new, SDS their harmonic mean, NSCR the net growth of "
    "what either solves (The Invisible Leash, arXiv 2507.14843). All of it is of the samples that were drawn."
)


def supports_of(comparison: Comparison) -> tuple[Support, ...]:
    """The support table of every model but the base."""
    return tuple(support(pair.name, pair.coverage, comparison.level) for pair in comparison.pairs)


def support_rows(supports: Sequence[Support], between: str = " ") -> Iterator[tuple[str, tuple[str, ...]]]:
    """A row a model: its name, and a cell a column; `between` stands between a ratio and its interval."""
    for found in supports:
        counts = (f"{count:,}" for count in (found.kept, found.grown, found.shrunk, found.out))
        shares = (_share(share, between) for share in (found.retention, found.discovery))
        score = "–" if found.score is None else f"{found.score:.3f}"
        change = "–" if found.change is None else f"{found.change + 0.0:+.3f}".replace("-", "−")
        yield found.name, (*counts, *shares, score, change)


def support_table(supports: Sequence[Support]) -> Table:
    """For a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("support", min_width=8, overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right", overflow="fold")
    for name, cells in support_rows(supports, "\n"):
        table.add_row(escape(name), *cells)
    return table


def _share(share: Share | None, between: str) -> str:
    return "–" if share is None else f"{share.value:.3f}{between}{share.low:.2f}–{share.high:.2f}"
