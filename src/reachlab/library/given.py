"""What stands for a run or a model in an argument: a path, a URL, a name of the hub, or an object that has one."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reachlab.commands.words import words_of
from reachlab.errors import InvalidArgumentError
from reachlab.library.border import remark
from reachlab.runs import RunFolder

BESIDE = "-model"
"""What the folder of a model that was given as an object is called, behind the name of the run."""


def path_of(given: Any, name: str) -> str:
    """A path or a URL as text.

    Raises:
        InvalidArgumentError: nothing that names one; `name` is what the argument is called.
    """
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        if isinstance(path, str) and path:
            return path
    raise InvalidArgumentError(f"{name}={_short(given)} must be a path, a URL or a run")


def out_of(out: Any, function: str, example: str) -> str:
    """The folder or file that a function writes: it has to be said, for work must not be lost with a temporary one.

    Raises:
        InvalidArgumentError: none is said.
    """
    if out is None:
        raise InvalidArgumentError(f"{function}: out is needed: where the result is kept, e.g. out={example!r}")
    return path_of(out, "out")


def run_folder(out: Any, function: str, model: Any, config: Callable[[], Any]) -> str:
    """The folder of a run: the one that is said, or one below runs/ that the same call finds again, which is told.

    Args:
        out: what is said, or None.
        function: whose run it is.
        model: what it is made from; one in memory has no name that a later call could find.
        config: makes the configuration of all else that makes it another run. What is said as it is usual, or in
            another type (1 and 1.0), is the same call.

    Raises:
        InvalidArgumentError: None, and a model in memory.
    """
    if out is not None:
        return path_of(out, "out")
    if not isinstance(model, str | os.PathLike):
        return out_of(out, function, f"runs/{function}")
    made = config()
    try:
        asked = list(words_of(made, function))
    except ValueError:  # what no command line can say
        asked = [repr(made)]
    said = json.dumps([os.fspath(model), asked])
    folder = f"runs/{function}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    remark(f"{function}: kept in {folder}, where the same call goes on; out=... names another folder")
    return folder


def model_of(model: Any, out: str = "") -> str:
    """A model as the commands name it.

    A pair of a transformers model and its tokenizer is saved beside `out`, and hashed there as any folder is; the same
    weights again are found there.

    Raises:
        InvalidArgumentError: no model, a model without its tokenizer, or one for which there is no `out`.
        ReachlabError: another model lies there already.
    """
    if isinstance(model, str | os.PathLike):
        return path_of(model, "model")
    pair = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
    if not all(hasattr(one, "save_pretrained") for one in pair if one is not None) or pair[0] is None:
        raise InvalidArgumentError(
            f"model={_short(model)} must be a folder, ORG/NAME of the hub, or (model, tokenizer)"
        )
    if pair[1] is None:
        raise InvalidArgumentError("a model in memory comes with its tokenizer: give (model, tokenizer)")
    if not out or not RunFolder(out).is_local:
        raise InvalidArgumentError(
            "a model in memory is saved beside `out`, and there is no such folder; save it first"
        )
    return _saved(pair[0], pair[1], Path(f"{out.rstrip('/')}{BESIDE}"))


def _saved(model: Any, tokenizer: Any, folder: Path) -> str:
    """Keep a model in a folder, once."""
    from reachlab.models.checkpoint import save_model
    from reachlab.models.checkpoint_files import hash_model

    if not folder.exists():
        save_model(folder, model, tokenizer)
        return str(folder)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        save_model(scratch / "model", model, tokenizer)
        if hash_model(str(scratch / "model")) != hash_model(str(folder)):
            raise InvalidArgumentError(f"{folder}: another model lies there; give another out, or delete the folder")
    finally:
        shutil.rmtree(scratch)
    return str(folder)


def _short(value: Any) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
