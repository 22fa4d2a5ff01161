"""A hash of a model's files, and a memory of it: 15 GB are not read again at every start.

What is remembered stands under the model's folder and holds for exactly the files that were hashed: their names, sizes,
inodes, and the times of their last change (ctime too, which a copy that keeps mtime cannot set). A file that changed in
the last two seconds before it was read is remembered by nobody: it could change again within one tick of the clock, at
equal size, and look the same (git calls such entries racy). Links are followed, as the hub's cache has them.

The memory is a file a model in the user's cache folder, put there whole. Where it cannot be read or written, or is
torn, the files are hashed, and nothing fails.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from reachlab.errors import ReachlabError
from reachlab.progress import track
from reachlab.runs import write_atomically

BLOCK = 1 << 24
WORTH_REMEMBERING = 1 << 26
"""Bytes from which a hash is kept: fewer are read in a tenth of a second."""
WORTH_SHOWING = 1 << 29
"""Bytes from which progress is shown."""
RACY_S = 2.0
"""A file that changed so shortly before it was read may have changed again unseen."""

Signature = list[list[str | int]]


def hash_files(folder: Path, files: Sequence[Path], *, rehash: bool = False) -> str:
    """A hash of these files' names and contents, in this order; remembered under `folder` where they are large.

    `rehash` reads them whatever is remembered.

    Raises:
        ReachlabError: a file that cannot be read, or one that changes while it is read.
    """
    try:
        signature = _signature(files)
        large = sum(int(row[1]) for row in signature) >= WORTH_REMEMBERING
        place = _place(folder)
        if large and not rehash and (remembered := _recall(place, signature)):
            return remembered
        began = time.time()
        digest = _read(folder, files, sum(int(row[1]) for row in signature))
        if _signature(files) != signature:
            raise ReachlabError(f"{folder}: its files change while they are read; wait until they are written")
    except OSError as error:
        raise ReachlabError(f"{folder}: not readable: {error.strerror or error}") from error
    youngest = max((max(int(row[2]), int(row[3])) for row in signature), default=0) / 1e9
    if large and place and began - youngest >= RACY_S:
        document = {"folder": str(folder.resolve()), "files": signature, "hash": digest}
        with contextlib.suppress(ReachlabError):  # read-only or full: then it is hashed again next time
            write_atomically(place, json.dumps(document).encode())
    return digest


def _read(folder: Path, files: Sequence[Path], size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with contextlib.ExitStack() as stack:
        advance = stack.enter_context(track(f"hash {folder.name} (MB)", size >> 20)) if size >= WORTH_SHOWING else None
        read = 0
        for file in files:
            digest.update(file.name.encode())
            with file.open("rb") as handle:
                while block := handle.read(BLOCK):
                    digest.update(block)
                    before, read = read, read + len(block)
                    if advance is not None:
                        advance((read >> 20) - (before >> 20))
    return digest.hexdigest()


def _signature(files: Sequence[Path]) -> Signature:
    """What tells a file from itself after a change: name, size, times of change, inode."""
    rows: Signature = []
    for file in files:
        stat = file.stat()
        rows.append([file.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino])
    return rows


def _place(folder: Path) -> Path | None:
    name = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=16).hexdigest()
    cache = cache_folder()
    return cache / "hashes" / f"{name}.json" if cache else None


def _recall(place: Path | None, signature: Signature) -> str | None:
    if place is None:
        return None
    try:
        kept = json.loads(place.read_bytes())
        digest = kept["hash"] if kept["files"] == signature else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) else None


def cache_folder() -> Path | None:
    """Where Reachlab keeps what it can do without: in XDG_CACHE_HOME, or ~/.cache; None for a user without a home."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "reachlab"
