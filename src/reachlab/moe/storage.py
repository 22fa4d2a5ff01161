"""A densified model's state beside its checkpoint: one file that no other program looks at.

    save(model, folder)        routers.state: every layer's state (Ê ...), the method and its options
    restore(model, folder)     densify as it was, with the state

The checkpoint itself holds nothing of it, so plain `from_pretrained` loads the rest without a word.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.densifying import Densified, densified, densify, make_method
from reachlab.moe.files import FILE, FORMER, find_state


def save(model: nn.Module, folder: str | Path) -> Path:
    """Write a densified model's state into a checkpoint's folder; returns the file. One of an earlier version goes.

    Args:
        model: densified.
        folder: the checkpoint's.

    Raises:
        ReachlabError: the model has not been densified.
    """
    dense = densified(model)
    if dense is None:
        raise ReachlabError("this model has not been densified: there is no router state to save")
    path = Path(folder) / FILE
    # One entry: safetensors writes several in an order of chance, and the same state is to hash alike.
    how = {"densified": json.dumps({"method": dense.method, "options": dense.options})}
    save_file({name: t.contiguous().cpu() for name, t in dense.state().items()}, path, metadata=how)
    (path.parent / FORMER).unlink(missing_ok=True)
    return path


def saved(folder: str | Path) -> tuple[str, dict[str, Any]] | None:
    """The method and options of the state in a checkpoint's folder; None where there is none.

    Raises:
        ReachlabError: a damaged file, or two.
    """
    path = find_state(folder)
    return _read(path)[:2] if path else None


def restore(model: nn.Module, folder: str | Path) -> Densified:
    """Densify a model as it was when `save` wrote its state, and take the state over.

    A model that has been densified already keeps its method and options, and takes over the state.

    Args:
        model: the checkpoint's, loaded anew.
        folder: the checkpoint's.

    Raises:
        ReachlabError: no state in the folder, two, a damaged one, or another model's.
    """
    path = find_state(folder)
    if path is None:
        raise ReachlabError(f"{folder}: no {FILE} here: this checkpoint's model was not densified")
    method, options, state = _read(path)
    dense = densified(model)
    fresh = dense is None
    dense = dense or densify(model, method, **options)
    try:
        dense.load(state)
    except ReachlabError as error:
        if fresh:
            dense.detach()
        raise ReachlabError(f"{path}: {error}") from error
    return dense


def changes_the_function(folder: str | Path) -> bool:
    """Whether the state in a checkpoint's folder is of a method that also acts outside training.

    Raises:
        ReachlabError: a damaged file, or two.
    """
    path = find_state(folder)
    if path is None:
        return False
    method, options, state = _read(path)
    return make_method(method, options).acts_with(state)


def _read(path: Path) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            how = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if "densified" not in how:  # an earlier version's, whatever it is called by now
            return how["method"], _options(json.loads(how["options"])), state
        said = json.loads(how["densified"])
        return said["method"], _options(said["options"]), state
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise ReachlabError(f"{path}: not a densified model's router state ({error})") from error


def _options(options: Any) -> dict[str, Any]:
    if not isinstance(options, dict):
        raise ValueError("options")
    return options
