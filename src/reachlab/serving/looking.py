"""What lies on the disk of a run, found by names, sizes and times, and without reading its samples.

A run that is being drawn or trained is in any state: not there, without samples, with a last line of `metrics.jsonl`
that is half written. None of these is an error here; each has its words.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from reachlab.errors import ReachlabError
from reachlab.reporting.lineage import ancestors
from reachlab.runs import RunFolder
from reachlab.store.parts import opened

TAIL = 1 << 16
"""Bytes of the end of `metrics.jsonl` among which its last whole line is looked for."""
TRAINED = ("pretrain", "distill", "rl")

Kind = Literal["gone", "empty", "samples", "training"]


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """A run at one moment: `done` of `planned` samples (steps, where it `trains`), when it last `changed`, and
    `missing`, what is waited for. `mark` differs when anything does that a page shows; `stamps` are of its parts."""

    folder: RunFolder
    kind: Kind
    trains: bool = False
    done: int = 0
    planned: int | None = None
    changed: float | None = None
    missing: str = ""
    mark: str = ""
    stamps: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether all is there that was planned."""
        return self.planned is not None and self.done >= self.planned

    def to_dict(self) -> dict[str, Any]:
        """As the page's script reads it."""
        unit = "steps" if self.trains else "samples"
        shown = {"name": self.folder.name, "kind": self.kind, "unit": unit, "done": self.done, "planned": self.planned}
        return shown | {"changed": self.changed, "finished": self.finished, "missing": self.missing}


class Looker:
    """Looks at runs again and again; how many samples a part holds is read once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], int] = {}

    def look(self, folder: RunFolder) -> RunStanding:
        """Where a run stands."""
        with contextlib.suppress(Exception):
            folder.fs.invalidate_cache()  # of a listing that an object store gave before
        if not folder.exists("run.json"):
            there = folder.exists()
            missing = "it has no run.json yet" if there else "there is no such folder yet"
            return RunStanding(folder=folder, kind="gone", missing=missing, mark=f"gone {there}")
        try:
            document = folder.read_json("run.json")
        except ReachlabError as error:
            return RunStanding(folder=folder, kind="gone", missing=str(error), mark=str(error))
        if document.get("kind") in TRAINED or (folder.exists("metrics.jsonl") and not folder.exists("problems.jsonl")):
            return self._training(folder, document)
        return self._samples(folder, document)

    def _training(self, folder: RunFolder, document: Mapping[str, Any]) -> RunStanding:
        stamp, changed = _stamp(folder, "metrics.jsonl")
        step = last_step(folder)
        config = document.get("config") or {}
        loop = config.get("loop")
        planned = (loop if isinstance(loop, dict) else config).get("steps")
        return RunStanding(
            folder=folder,
            kind="empty" if step is None else "training",
            trains=True,
            done=step or 0,
            planned=planned if type(planned) is int else None,
            changed=changed,
            missing="" if step is not None else "its first step is not done yet",
            mark=stamp,
        )

    def _samples(self, folder: RunFolder, document: Mapping[str, Any]) -> RunStanding:
        stamps, changed = _parts(folder)
        listed, _ = _stamp(folder, "problems.jsonl")
        behind = [_stamp(training.folder, "metrics.jsonl")[0] for training in ancestors(dict(document), folder)]
        missing = "its problems are not listed yet" if not listed else "it holds no sample yet"
        config = document.get("config") or {}
        samples, problems = config.get("samples", ""), config.get("problems", "")
        fixed = isinstance(samples, int) and isinstance(problems, int) and not config.get("adaptive")
        ready = bool(listed and stamps)
        return RunStanding(
            folder=folder,
            kind="samples" if ready else "empty",
            done=sum(self._count(folder, part, stamp) for part, stamp in stamps.items()),
            planned=int(samples) * int(problems) if fixed else None,
            changed=changed,
            missing="" if ready else missing,
            mark=hashlib.blake2b(json.dumps([listed, stamps, behind]).encode(), digest_size=8).hexdigest(),
            stamps=stamps,
        )

    def _count(self, folder: RunFolder, part: str, stamp: str) -> int:
        if (part, stamp) not in self._rows:
            try:
                with opened(folder.fs, part) as found:
                    self._rows[part, stamp] = found.parquet.metadata.num_rows
            except ReachlabError:  # who compares the runs says what is wrong with it
                return 0
        return self._rows[part, stamp]


def last_step(folder: RunFolder) -> int | None:
    """The step of the last whole line of `metrics.jsonl`; None where there is none."""
    path = folder.file("metrics.jsonl")
    try:
        with folder.fs.open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            lines = file.read().split(b"\n")
    except (OSError, ValueError):
        return None
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and type(row.get("step")) is int:
                return int(row["step"])
    return None


def _parts(folder: RunFolder) -> tuple[dict[str, str], float | None]:
    """The parts with what tells each one's state, and when the newest came."""
    try:
        found: Sequence[Mapping[str, Any]] = folder.fs.ls(folder.file("samples"), detail=True)
    except OSError:
        return {}, None
    parts = [one for one in found if _is_part(str(one["name"]))]
    times = [time for one in parts if (time := _time(one)) is not None]
    return {str(one["name"]): _state(one) for one in sorted(parts, key=lambda one: str(one["name"]))}, max(
        times, default=None
    )


def _is_part(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("part-") and name.endswith(".parquet")


def _stamp(folder: RunFolder, name: str) -> tuple[str, float | None]:
    """What tells a file's state, and when it changed; nothing of one that is not there."""
    try:
        found = folder.fs.info(folder.file(name))
    except OSError:
        return "", None
    return _state(found), _time(found)


def _state(found: Mapping[str, Any]) -> str:
    return f"{found.get('size')} {found.get('ETag') or found.get('etag') or _time(found)} {found.get('ino', '')}"


def _time(found: Mapping[str, Any]) -> float | None:
    time = found.get("mtime") or found.get("LastModified") or found.get("last_modified") or found.get("updated")
    if isinstance(time, datetime):
        return time.timestamp()
    return float(time) if isinstance(time, int | float) else None
