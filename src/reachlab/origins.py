"""Who made a choice that is not ours: an installed package, or a file."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError


class PluginError(ReachlabError):
    """Somebody else's choice that cannot be had; the message says whose."""


class PluginWarning(UserWarning):
    """The same, where the rest goes on without it."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Who made a choice. `module` holds it; `package` and its `version` where an installed one names it."""

    module: str
    package: str = ""
    version: str = ""
    found: Any = field(default=None, compare=False, repr=False)
    """What was registered: its hash counts where it is in no file."""

    @property
    def file(self) -> str:
        """The file of its module; nothing where it has none (a notebook), or is not imported yet."""
        found = getattr(sys.modules.get(self.module), "__file__", None)
        return str(Path(found).resolve()) if isinstance(found, str) and Path(found).is_file() else ""

    def __str__(self) -> str:
        if self.package:
            return f"package {' '.join(filter(None, (self.package, self.version)))}"
        return self.file or ("this session" if self.module == "__main__" else f"module {self.module}")


@dataclass(frozen=True, kw_only=True)
class Added:
    """One more choice of a list: `load` gives the object, which `place` names as ``module:name``."""

    name: str
    place: str
    origin: Maker
    load: Callable[[], Any]
    about: str = ""

    def is_same(self, other: "Added") -> bool:
        """Whether it is the same code as another: a file may be imported under two names."""
        mine, theirs = (one.origin.file or one.origin.module for one in (self, other))
        return self.place == other.place or (mine, self.place.partition(":")[2]) == (
            theirs,
            other.place.partition(":")[2],
        )


def first_line(found: Any) -> str:
    """The first line of an object's own docstring, without its full stop."""
    said = inspect.getdoc(found) if isinstance(found, type) or callable(found) else ""
    return (said or "").partition("\n")[0].removesuffix(".")
