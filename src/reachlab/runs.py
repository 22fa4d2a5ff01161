"""A run is a folder: `run.json` says what it is, `metrics.jsonl` what happened, `samples/part-*.parquet` what was
drawn.

Nothing here is ever half written: a file gets a temporary name, is fsynced, and is renamed into place. Paths may be any
fsspec URL (``s3://...``); object stores put whole objects, which is the same promise.
"""

import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import fsspec

from reachlab.errors import ReachlabError
from reachlab.locks import locked, locked_remotely
from reachlab.provenance import provenance
from reachlab.storable import encoded, parse_json, storable

TEMPORARY = re.compile(r"\..+\.(?:(?P<host>[^.]*)-(?P<process>\d+)-)?[0-9a-f]{8}\.tmp")
"""What a file is called until it is whole: who writes it stands in the name."""
SITTING = "sitting"
"""What a line of `metrics.jsonl` calls the number of the sitting that its step was taken in; the first is not said."""
ABANDONED_S = 3600.0
"""A temporary file that nobody has written to for so long is nobody's any more, whoever's it was."""


class RunFolder:
    """One run's folder, on a local disk or behind any fsspec URL."""

    def __init__(self, path: str | Path):
        """Nothing is read or made yet.

        Raises:
            ReachlabError: a URL of a kind that nothing here can open.
        """
        self.url = str(path)
        self.fs, self.path = open_url(self.url)
        self.is_local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))
        self.claimed = False

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The folder's own name, which stands for the run in tables and pictures."""
        return str(self.path).rstrip("/").rsplit("/", 1)[-1]

    def file(self, name: str) -> str:
        """The path of a file of the run."""
        return f"{self.path}/{name}"

    def exists(self, name: str = "") -> bool:
        """Whether the run (or a file of it) is there."""
        return bool(self.fs.exists(self.file(name) if name else self.path))

    def glob(self, pattern: str) -> list[str]:
        """Paths of the run's files that match a glob pattern, in name order."""
        # The folder's own name may hold what a pattern gives a meaning, such as brackets.
        return sorted(str(p) for p in self.fs.glob(f"{glob.escape(self.path)}/{pattern}"))

    def write(self, name: str, data: bytes | str) -> None:
        """Put a whole file in place, or nothing; text as UTF-8.

        Raises:
            ReachlabError: the disk is full or the folder cannot be written; what was stored before is untouched. Or the
                run was claimed, and somebody has taken its folder away since: it is not made anew.
        """
        final, content = self.file(name), encoded(data) if isinstance(data, str) else data
        if self.claimed:
            self.check_there()
        if self.is_local:
            write_atomically(Path(final), content)
            return
        try:
            self.fs.pipe_file(final, content)
        except OSError as error:
            raise ReachlabError(f"{self.url}/{name}: not written: {error.strerror or error}") from error

    def write_lines(self, name: str, lines: Iterable[bytes]) -> None:
        """Put a whole file of lines in place, or nothing; they are never all in memory.

        Raises:
            ReachlabError: as of `write`; what comes out of `lines` passes through.
        """
        with tempfile.TemporaryFile() as kept:
            kept.writelines(lines)
            kept.seek(0)
            if self.claimed:
                self.check_there()
            if self.is_local:
                write_atomically(Path(self.file(name)), kept)
                return
            try:
                with self.fs.open(self.file(name), "wb") as file:
                    shutil.copyfileobj(kept, file)
            except OSError as error:
                raise ReachlabError(f"{self.url}/{name}: not written: {error.strerror or error}") from error

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one JSON object of the run.

        Raises:
            ReachlabError: it is not there or not readable, or no JSON object.
        """
        document = parse_json(self.read(name), self.file(name))
        if not isinstance(document, dict):
            raise ReachlabError(f"{self.file(name)}: not a JSON object")
        for part in ("config", "facts", "provenance") if name == "run.json" else ():
            if not isinstance(document.get(part, {}), dict):
                raise ReachlabError(f"{self.file(name)}: {part} is not a JSON object")
        return document

    def read(self, name: str) -> bytes:
        """The whole of a file of the run.

        Raises:
            ReachlabError: it is not there or not readable.
        """
        try:
            return bytes(self.fs.cat_file(self.file(name)))
        except FileNotFoundError as error:
            raise ReachlabError(f"{self.url}: not a run folder (no {name})") from error
        except OSError as error:
            raise ReachlabError(f"{self.file(name)}: not readable: {error.strerror or error}") from error

    def lock(self) -> AbstractContextManager[None]:
        """Held by whoever reads a file of the run, changes it and puts it back; others wait.

        Raises:
            ReachlabError: on entering: the folder cannot be written.
        """
        return locked(Path(self.path)) if self.is_local else locked_remotely(self.fs, self.path)

    def check_free(self) -> None:
        """Refuse a folder that is neither a run's nor new: what lies there is somebody else's. Hidden files alone, such
        as .gitkeep, are nothing.

        Raises:
            ReachlabError: such a folder, or no folder at all.
        """
        if not self.url:
            raise ReachlabError("--out is empty: name a folder, e.g. runs/base")
        if self.exists("run.json"):
            return
        if self.glob("samples/*.parquet") or self.exists("metrics.jsonl"):
            raise ReachlabError(f"{self.url} holds results but no run.json; give another --out")
        try:
            there = [name for path in self.fs.ls(self.path, detail=False) if not (name := _base(path)).startswith(".")]
        except FileNotFoundError:
            return
        except OSError as error:
            raise ReachlabError(f"{self.url}: not a folder to write to: {error.strerror or error}") from error
        if there and not self.fs.isdir(self.path):
            raise ReachlabError(f"{self.url}: a file; --out is a folder")
        if there:
            raise ReachlabError(
                f"{self.url} is no run's folder and not empty (it holds {min(there)}); give another --out"
            )

    def make(self) -> None:
        """Have the folder on the disk; one that was claimed is there, or gone for good."""
        if self.is_local and not self.claimed:
            try:
                Path(self.path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ReachlabError(f"{self.url}: no folder to write to: {error.strerror or error}") from error

    def check_there(self) -> None:
        """Notice that the folder of a run that goes on has been taken away.

        Raises:
            ReachlabError: its run.json is gone.
        """
        if not self.exists("run.json"):
            raise ReachlabError(f"{self.url}: its run.json is gone while the run goes on; was the folder moved?")

    def sweep(self) -> None:
        """Clear away what writers left that were killed in the middle of a file. A living one's file stays."""
        if self.is_local:
            for file in [*Path(self.path).glob(".*.tmp"), *Path(self.path).glob("samples/.*.tmp")]:
                if file.is_file() and _is_abandoned(file):
                    with contextlib.suppress(OSError):
                        file.unlink()

    def claim(self, kind: str, config: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
        """Make this folder the run of `config`, or check that it already is.

        `config` is everything the result depends on; `facts` are worth keeping but may differ when a run goes on.

        Raises:
            ReachlabError: the folder holds a run with another configuration; the message shows the difference. Or it is
                somebody else's, or cannot be written.
        """
        mine = json.loads(json.dumps(storable({"kind": kind, "config": config})))
        if self.exists("run.json"):
            theirs = self.read_json("run.json")
            changed = list(differences({k: theirs.get(k) for k in mine}, mine))
            if changed:
                own = any(change.startswith("plugins.") for change in changed)
                raise ReachlabError(
                    f"{self.url} holds a run with another configuration: {'; '.join(changed)}"
                    f"{' (the code behind --plugin, or of that package, has changed)' if own else ''}. "
                    "Give the same settings to go on with it, or another --out; or start afresh: "
                    f"{'rm -r ' + shlex.quote(self.url) if self.is_local else 'delete the folder'}"
                )
            self.sweep()
            self.claimed = True
            return
        self.check_free()
        document = {**mine, "facts": storable(facts or {}), "provenance": provenance()}
        self.write("run.json", json.dumps(document, indent=2, sort_keys=True) + "\n")
        self.claimed = True

    def kept(self) -> dict[int, str]:
        """Paths of the checkpoints that a training run kept on its way, by step, in order."""
        paths = map(os.path.dirname, self.glob("checkpoints/step-*/config.json"))
        return dict(sorted((step, path) for path in paths if (step := training_step(path)) is not None))

    def metrics(self, *, foreign: bool = False) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a torn last line (the process was killed, or is writing it) is left out. Where
        `foreign` lines may stand among them, as in a picture of what there is, so are all that are no step's.

        Raises:
            ReachlabError: any other line that is no training step's.
        """
        if not self.exists("metrics.jsonl"):
            return []
        rows: list[dict[str, Any]] = []
        *lines, last = self.read("metrics.jsonl").split(b"\n")
        for number, line in enumerate([*lines, last], 1):
            if (row := _metrics_row(line)) is not None:
                rows.append(row)
                continue
            torn = number > len(lines) and (line.startswith(b"{") or not line.strip(b"\0"))
            if line.strip() and not torn and not foreign:
                short = line.decode(errors="replace").strip()[:40]
                raise ReachlabError(f"{self.file('metrics.jsonl')}: line {number} is no training step's: {short!r}")
        return rows


def _metrics_row(line: bytes) -> dict[str, Any] | None:
    """A line of `metrics.jsonl`, if it is one."""
    try:
        row = parse_json(line, "")
    except ReachlabError:
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


def sittings(rows: Iterable[Mapping[str, Any]]) -> int:
    """In how many sittings the steps of these lines were taken: a killed run that goes on has one more."""
    found = (row.get(SITTING) for row in rows)
    return max((n for n in found if type(n) is int), default=1)


def kept_at(step: int) -> str:
    """Where in a training run's folder the checkpoint of a step is kept."""
    return f"checkpoints/step-{step:06}"


def training_step(path: str | Path) -> int | None:
    """The training step of a checkpoint that was kept on the way, read off its folder's name; None for any other."""
    match = re.fullmatch(r"step-(\d{6,})", Path(path).name)
    return int(match[1]) if match else None


def open_url(url: str) -> tuple[Any, str]:
    """The file system behind a path or URL, and the path there.

    Raises:
        ReachlabError: nothing here opens URLs of this kind.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError, OSError) as error:
        raise ReachlabError(f"{url!r}: no folder or file that can be opened ({_first_line(error)})") from error
    return fs, str(path)


def check_page(out: str | Path) -> None:
    """Refuse to write a page where something else lies: only an older page is replaced.

    Raises:
        ReachlabError: no path of this machine, a folder, or a file that is no HTML.
    """
    path = Path(out)
    if not str(out) or "://" in str(out):
        raise ReachlabError(f"--out {str(out)!r}: a file of this machine is wanted, e.g. report.html")
    try:
        if path.is_dir():
            raise ReachlabError(f"{path}: a folder; --out is a file, e.g. {path / 'report.html'}")
        begins = _beginning(path)
        if not next(folder for folder in path.absolute().parents if folder.exists()).is_dir():
            raise ReachlabError(f"{path}: no file can be here, for what is above it is no folder")
    except (OSError, ValueError) as error:
        raise ReachlabError(f"{path}: not readable: {getattr(error, 'strerror', None) or error}") from error
    if begins and not begins.startswith((b"<!doctype html", b"<html")):
        raise ReachlabError(f"{path}: there is a file already, and it is no page; give another --out")


def _beginning(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(4096).lstrip().lower()


def write_atomically(path: Path, data: bytes | IO[bytes]) -> None:
    """Write `data`, or what a file holds, under a temporary name, fsync, rename into place, fsync the folder.

    Raises:
        ReachlabError: the disk is full or the folder cannot be written; what was stored before is untouched.
    """
    who = f"{socket.gethostname().replace('.', '_')}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    temporary = path.with_name(f".{path.name}.{who}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                shutil.copyfileobj(data, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
        raise ReachlabError(f"{path}: not written: {getattr(error, 'strerror', None) or error}") from error


def _is_abandoned(file: Path) -> bool:
    """Whether a temporary file's writer is dead: he was a process of this machine that is gone, or nobody has written
    to it for long."""
    match = TEMPORARY.fullmatch(file.name)
    if match is None:
        return False
    with contextlib.suppress(FileNotFoundError):
        if match["host"] == socket.gethostname().replace(".", "_"):
            try:
                os.kill(int(match["process"]), 0)
            except ProcessLookupError:
                return True
            except (PermissionError, OverflowError):
                return False
        return time.time() - file.stat().st_mtime > ABANDONED_S
    return False


def _base(path: str) -> str:
    return str(path).rstrip("/").rpartition("/")[2]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Say in words where two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    elif old != new:
        yield f"{where.removeprefix('config.')} was {json.dumps(old)}, now {json.dumps(new)}"
