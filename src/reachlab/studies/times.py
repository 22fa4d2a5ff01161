"""How long each stage of a study took, over all the sittings it took: a killed study goes on, and so does its clock.

`stages.json` in the study's folder has, by stage, the seconds of each time it was started, the process's starting up
included. It is written while a stage runs, so that a study that is killed loses a quarter of a minute of it.
"""

import json
import time
from pathlib import Path

from reachlab.errors import ReachlabError
from reachlab.progress import LOG_EVERY_S
from reachlab.runs import write_atomically
from reachlab.storable import parse_json

FILE = "stages.json"


class StageTimes:
    """The clock of a study's stages; `folder` is the study's."""

    def __init__(self, folder: str | Path):
        """Go on from what was kept; a file that cannot be read is none."""
        self.file = Path(folder) / FILE
        self.sittings: dict[str, list[float]] = _kept(self.file)
        self._written = time.monotonic()

    def begin(self, stage: str) -> None:
        """A stage is started, for the first time or again."""
        self.sittings.setdefault(stage, []).append(0.0)

    def tick(self, stage: str, seconds: float) -> None:
        """It has run for so long in this sitting; kept on the disk now and then."""
        self.sittings[stage][-1] = seconds
        if time.monotonic() - self._written >= LOG_EVERY_S:
            self._write()

    def end(self, stage: str, seconds: float, worked: bool) -> None:
        """It has ended or was stopped. One that did not have to work was done already, which is no sitting."""
        self.sittings[stage][-1] = seconds
        if not worked:
            self.sittings[stage].pop()
        self._write()

    def total(self, stage: str) -> float:
        """Seconds over all sittings."""
        return sum(self.sittings[stage])

    def words(self, stage: str) -> str:
        """The total, and how many sittings it took where there were several."""
        several = len(self.sittings[stage])
        if not several:
            return "done before times were kept"
        return f"{self.total(stage):.0f} s" + (f" in {several} sittings" if several > 1 else "")

    def _write(self) -> None:
        self._written = time.monotonic()
        kept = {stage: [round(seconds, 1) for seconds in found] for stage, found in self.sittings.items()}
        write_atomically(self.file, (json.dumps(kept, indent=2) + "\n").encode())


def _kept(file: Path) -> dict[str, list[float]]:
    try:
        found = parse_json(file.read_bytes(), str(file))
    except (OSError, ReachlabError):
        return {}
    listed = found.items() if isinstance(found, dict) else ()
    return {
        stage: [float(s) for s in seconds if isinstance(s, int | float)]
        for stage, seconds in listed
        if isinstance(seconds, list)
    }
