"""A room's list of what can be chosen: names, and where each one's object is; an object is imported when asked for.

    RULES: Choices[Rule] = Choices("down-sampling: no rule", {"percentile": "reachlab.rl.rules.percentile:PERCENTILE"})

So a command line knows all names without importing torch, and one more choice is one file and one line. The name of the
choices as a type, for a configuration's field, is made of the list (``Literal[tuple(RULES)]``).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar, cast

from reachlab.errors import ReachlabError

T_co = TypeVar("T_co", covariant=True)


def imported(place: str) -> Any:
    """What ``module:name`` names.

    Example:
        >>> imported("math:pi")
        3.141592653589793
    """
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


class Choices(Mapping[str, T_co]):
    """Objects by name, in the order in which a command line shows them."""

    def __init__(self, unknown: str, places: Mapping[str, str]):
        """`unknown` begins what is said of a name that is not in the list; `places` are ``module:name``."""
        self.unknown = unknown
        self.places = dict(places)
        self._trying: dict[str, Any] = {}

    @contextmanager
    def trying(self, found: Any) -> Iterator[str]:
        """A name for an object that is not in the list, for as long as it is tried out (`checks/`)."""
        name = f"{getattr(found, '__name__', 'choice')} (tried)"
        self._trying[name] = found
        try:
            yield name
        finally:
            del self._trying[name]

    def __getitem__(self, name: str) -> T_co:
        """The object.

        Raises:
            ReachlabError: there is none of that name.
        """
        if name in self._trying:
            return cast(T_co, self._trying[name])
        if name not in self.places:
            raise ReachlabError(f"{self.unknown} {name!r}; choose one of {', '.join(self.places)}")
        return cast(T_co, imported(self.places[name]))

    def __contains__(self, name: object) -> bool:
        return name in self.places or name in self._trying

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
