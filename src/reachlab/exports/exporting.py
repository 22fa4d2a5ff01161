"""`reachlab export`: a run in one of the formats (`WRITERS`)."""

from collections.abc import Callable
from dataclasses import dataclass

from reachlab.exports import WRITERS
from reachlab.exports.config import ExportConfig
from reachlab.exports.sample_rows import SampleRows
from reachlab.runs import RunFolder


@dataclass(frozen=True)
class Exported:
    """What was written."""

    run: str
    files: tuple[str, ...]
    samples: int
    problems: int

    def words(self) -> str:
        """In a line."""
        return f"{', '.join(self.files)}: {self.samples:,} samples of {self.problems:,} problems from {self.run}"


def export_run(config: ExportConfig, progress: Callable[[int, int], None] = lambda done, total: None) -> Exported:
    """Write a run; `progress` is told how many samples are written, and how many there are.

    Raises:
        ReachlabError: not a run of samples, or a file that cannot be written.
    """
    rows = SampleRows(RunFolder(config.run))
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress(done, rows.samples)

    files = WRITERS[config.kind()](rows, config, advance)
    return Exported(config.run, tuple(files), rows.samples, len(rows.problems.number))
