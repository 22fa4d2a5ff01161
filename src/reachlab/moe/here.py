"""What belongs to one pass of one thread, kept where no other thread sees it.

A layer is shared by all threads that pass the model side by side; what its router said in one pass is for its experts
in the same pass alone. Between the two lies the model's own code, which hands nothing of ours on, so it waits in the
thread. A copied or pickled model takes none of it along.
"""

import threading
from typing import Any

from torch import Tensor

from reachlab.moe.signals import Routing


class Here(threading.local):
    """The base: attributes are a thread's own. `__init__` is called once for every thread that comes."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Here":
        return type(self)()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class Visit(Here):
    """A thread at one layer."""

    def __init__(self) -> None:
        self.routing: Routing | None = None
        """What the router said, until the experts have answered."""
        self.visiting = False
        """Whether experts are asked by a method, and not by the model."""


class Pass(Here):
    """A thread in one model."""

    def __init__(self) -> None:
        self.differentiated = False
        """Whether the model was called with gradients on: reentrant checkpointing turns them off for the layers."""
        self.mask: Tensor | None = None


class Turns:
    """A lock that copies and pickles as a new one: whoever adds up in place waits for the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Turns":
        return Turns()

    def __reduce__(self) -> tuple[Any, ...]:
        return Turns, ()
