"""A run is a folder: `run.json` says what it is, `metrics.jsonl` what happened, `samples/part-*.parquet` what was
drawn.

Nothing here is ever half written: a file gets a temporary name, is fsynced, and is renamed into place. Paths may be any
fsspec URL (``s3://...``); object stores put whole objects, which is the same promise.
"""

import contextlib
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import fsspec

from reachlab.errors import ReachlabError

PACKAGES = (
    "reachlab",
    "torch",
    "transformers",
    "numpy",
    "numba",
    "pyarrow",
    "sympy",
    "latex2sympy2-extended",
    "reasoning-gym",
)


class RunFolder:
    """One run's folder, on a local disk or behind any fsspec URL."""

    def __init__(self, path: str | Path):
        self.url = str(path)
        self.fs, self.path = fsspec.core.url_to_fs(self.url)
        self.is_local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

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

    def write(self, name: str, data: bytes) -> None:
        """Put a whole file in place, or nothing.

        Raises:
            ReachlabError: the disk is full or the folder cannot be written; what was stored before is untouched.
        """
        final = self.file(name)
        if self.is_local:
            write_atomically(Path(final), data)
            return
        try:
            self.fs.pipe_file(final, data)
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
            if self.is_local:
                write_atomically(Path(self.file(name)), kept)
                return
            try:
                with self.fs.open(self.file(name), "wb") as file:
                    shutil.copyfileobj(kept, file)
            except OSError as error:
                raise ReachlabError(f"{self.url}/{name}: not written: {error.strerror or error}") from error

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one JSON object of the run."""
        try:
            found = json.loads(self.fs.cat_file(self.file(name)))
        except FileNotFoundError as error:
            raise ReachlabError(f"{self.url}: not a run folder (no {name})") from error
        except OSError as error:
            raise ReachlabError(f"{self.file(name)}: not readable: {error.strerror or error}") from error
        except json.JSONDecodeError as error:
            raise ReachlabError(f"{self.file(name)}: line {error.lineno}: not JSON ({error.msg})") from error
        except UnicodeDecodeError as error:
            raise ReachlabError(f"{self.file(name)}: not UTF-8 at byte {error.start}") from error
        if not isinstance(found, dict):
            raise ReachlabError(f"{self.file(name)}: not a JSON object")
        return found

    def claim(self, kind: str, config: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
        """Make this folder the run of `config`, or check that it already is.

        `config` is everything the result depends on; `facts` are worth keeping but may differ when a run goes on.

        Raises:
            ReachlabError: the folder holds a run with another configuration; the message shows the difference.
        """
        mine = json.loads(json.dumps({"kind": kind, "config": config}))
        if self.exists("run.json"):
            theirs = self.read_json("run.json")
            changed = list(differences({k: theirs.get(k) for k in mine}, mine))
            if changed:
                raise ReachlabError(
                    f"{self.url} holds a run with another configuration: {'; '.join(changed)}. "
                    "Give the same settings to go on with it, or another --out"
                )
            return
        if self.glob("samples/*.parquet") or self.exists("metrics.jsonl"):
            raise ReachlabError(f"{self.url} holds results but no run.json; give another --out")
        document = {**mine, "facts": dict(facts or {}), "provenance": provenance()}
        self.write("run.json", (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())

    def kept(self) -> dict[int, str]:
        """Paths of the checkpoints that a training run kept on its way, by step, in order."""
        paths = map(os.path.dirname, self.glob("checkpoints/step-*/config.json"))
        return dict(sorted((step, path) for path in paths if (step := training_step(path)) is not None))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a torn last line (the process was killed) is left out."""
        if not self.exists("metrics.jsonl"):
            return []
        rows = []
        for line in self.fs.cat_file(self.file("metrics.jsonl")).decode().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return rows


def kept_at(step: int) -> str:
    """Where in a training run's folder the checkpoint of a step is kept."""
    return f"checkpoints/step-{step:06}"


def training_step(path: str | Path) -> int | None:
    """The training step of a checkpoint that was kept on the way, read off its folder's name; None for any other."""
    found = re.fullmatch(r"step-(\d{6,})", Path(path).name)
    return int(found[1]) if found else None


def write_atomically(path: Path, data: bytes | IO[bytes]) -> None:
    """Write `data`, or what a file holds, under a temporary name, fsync, rename into place, fsync the folder."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
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
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ReachlabError(f"{path}: not written: {error.strerror or error}") from error


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


@cache
def provenance() -> dict[str, Any]:
    """What ran: package versions, interpreter, platform, git commit of the code and whether its tree was dirty."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **_git(Path(__file__).parent),
    }


def _git(folder: Path) -> dict[str, Any]:
    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "HEAD")
    return {
        "commit": commit,
        "dirty": bool(ask("status", "--porcelain", "--untracked-files=no")) if commit else None,
    }
