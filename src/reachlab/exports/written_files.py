"""A file that appears whole or not at all, and only where nothing else lies."""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from reachlab.errors import ReachlabError
from reachlab.runs import sync_folder


@contextmanager
def whole_file(path: str) -> Iterator[Path]:
    """Where to write a file; it gets its name when all is written.

    Raises:
        ReachlabError: it cannot be written there; what lay there is untouched.
    """
    fs, inner = _opened(path)
    try:
        if _is_local(fs):
            with _beside(Path(inner)) as temporary:
                yield temporary
            return
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / "file"
            yield temporary
            with temporary.open("rb") as source, fs.open(inner, "wb") as target:
                shutil.copyfileobj(source, target)
    except OSError as error:
        raise ReachlabError(f"{path}: not written: {error.strerror or error}") from error


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.tmp")
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
        sync_folder(final.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_free(path: str, run_id: str, id_of: Callable[[str], str | None]) -> None:
    """See that nothing lies at `path`, or an earlier export of the same run; `id_of` reads the run's id in a file.

    Raises:
        ReachlabError: something else.
    """
    fs, inner = _opened(path)
    if not fs.exists(inner):
        return
    if fs.isdir(inner):
        raise ReachlabError(f"{path}: a folder; --out is a file")
    other_id = id_of(path)
    if other_id != run_id:
        what = "no export of a run" if other_id is None else "an export of another run"
        raise ReachlabError(f"{path}: there already, and {what}; give another --out, or delete it")


def _opened(path: str) -> tuple[Any, str]:
    try:
        fs, inner = fsspec.core.url_to_fs(path)
    except (OSError, ValueError, ImportError) as error:  # ValueError: a scheme that fsspec does not know
        raise ReachlabError(f"{path}: not to be written to: {str(error).splitlines()[0]}") from error
    return fs, str(inner)


def _is_local(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
