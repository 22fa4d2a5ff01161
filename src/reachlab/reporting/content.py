"""A page before it is a file: its text, and the blocks that its scripts open.

In a file the blocks stand behind the text, each in a script element. A page that a server shows has none of them: its
scripts ask for a block by name when they need it (`assets/live.js`).
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plotly.offline import get_plotlyjs

from reachlab.reporting.blocks import packed
from reachlab.reporting.entries import Entry


@dataclass(frozen=True, kw_only=True)
class Served:
    """A page for a server: `version` says which state of the runs it shows; pages of one `shape` have the same parts,
    and one becomes the other while it is read. `trainings` are models of which there are training curves and no
    samples."""

    version: str
    shape: str
    trainings: Sequence[Entry] = ()


@dataclass(frozen=True, kw_only=True)
class Content:
    """`html` is the page, with its blocks if it is a file's; `blocks` has them by name, packed. `entries` are its
    models, the base first, and `doubtful` their samples with a verdict to look at, by problem."""

    html: str
    blocks: Mapping[str, str]
    entries: Sequence[Entry]
    doubtful: Sequence[Mapping[str, int]]


@functools.cache
def plotly() -> str:
    """The library that draws, packed; it takes longer to pack than all else of a small page."""
    return packed(get_plotlyjs())
