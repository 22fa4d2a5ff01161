"""One writer at a time: what reads a file of a run, changes it and puts it back holds the run's lock meanwhile.

On a local disk (and on NFS) that is `flock` on the file ``.lock``: the system lets go of it when its holder dies,
however that comes. An object store has no locks. There each who wants in puts an object of his own,
``.lock-<when>-<who>``, and looks: where he sees another's he takes his own away and comes again later, so two are never
inside together where a listing shows what was put before (S3, GCS and Azure do). Who is killed inside leaves his object
behind; it counts for `STALE_S` seconds, far longer than a part takes to rewrite.
"""

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from reachlab.errors import ReachlabError

STALE_S = 600.0
WAIT_S = 0.2


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder on a local disk; wait for whoever has it.

    Raises:
        ReachlabError: the folder is gone or cannot be written, or its file system knows no locks.
    """
    file = path / ".lock"
    try:
        handle = _hold(file)
    except OSError as error:
        raise ReachlabError(f"{file}: no lock to be had: {error.strerror or error}") from error
    try:
        yield
    finally:
        # Taken away while it is held: whoever waits for it finds that it is no file's any more, and opens another.
        with contextlib.suppress(OSError):
            file.unlink()
        os.close(handle)


def _hold(file: Path) -> int:
    while True:
        handle = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _same(handle, file):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _same(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def locked_remotely(fs: Any, path: str) -> Iterator[None]:
    """Hold the lock of a folder behind a URL; wait for whoever has it.

    Raises:
        ReachlabError: it cannot be written or listed.
    """
    who, rng = uuid.uuid4().hex, Random(uuid.uuid4().int)
    while True:
        mine = f"{path}/.lock-{time.time():.0f}-{who}"
        try:
            fs.pipe_file(mine, b"")
            fs.invalidate_cache(path)
            others = [p for p in fs.glob(f"{path}/.lock-*") if not p.endswith(who) and _fresh(p)]
        except OSError as error:
            raise ReachlabError(f"{path}: no lock to be had: {error.strerror or error}") from error
        if not others:
            break
        _drop(fs, mine)
        time.sleep(WAIT_S * (1 + rng.random()))
    try:
        yield
    finally:
        _drop(fs, mine)


def _fresh(lock: str) -> bool:
    when = lock.rpartition("/")[2].split("-")[1]
    return not when.isdigit() or time.time() - int(when) < STALE_S


def _drop(fs: Any, lock: str) -> None:
    with contextlib.suppress(OSError):
        fs.rm(lock)
