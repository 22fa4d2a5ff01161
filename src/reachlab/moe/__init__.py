"""Dense gradients for the routers of sparse mixtures of experts (Default MoE, arXiv 2504.12463).

What is offered here is imported when it is asked for: the command line reads the list of methods without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reachlab.moe.densifying import Densified, densified, densify, undensify
    from reachlab.moe.storage import restore, save, saved

__all__ = ["Densified", "densified", "densify", "restore", "save", "saved", "undensify"]

PLACES = {
    **dict.fromkeys(("Densified", "densified", "densify", "undensify"), "reachlab.moe.densifying"),
    **dict.fromkeys(("restore", "save", "saved"), "reachlab.moe.storage"),
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
