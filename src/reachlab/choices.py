"""A room's list of what can be chosen: names, and where each one's object is; an object is imported when asked for.

    RULES: Choices[Rule] = Choices("rule", {"percentile": "reachlab.rl.rules.percentile:PERCENTILE"})

So a command line knows all names without importing torch, and one more choice is one file and one line. Others' choices
stand behind ours: what `register` was told (`registering.py`), and entry points of installed packages, which are read
when a name is not ours or the list is shown. The name of a choice as a type, for a configuration's field, is made of
the list (`one_of`).
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Annotated, Any, TypeVar, cast
from warnings import warn

from reachlab.errors import ReachlabError
from reachlab.extras import THIS, naming_extras
from reachlab.origins import Added, Maker, PluginError, PluginWarning, first_line

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PREFIX = "reachlab."
"""Groups of entry points are called so, and as the choices of a list are: ``reachlab.rules``."""


def imported(place: str, what: str = THIS) -> Any:
    """What ``module:name`` names; `what` begins the sentence that says which package it lacks.

    Example:
        >>> imported("math:pi")
        3.141592653589793
    """
    module, _, name = place.partition(":")
    with naming_extras(what):
        return getattr(import_module(module), name)


class Choices(Mapping[str, T_co]):
    """Objects by name, in the order in which a command line shows them."""

    def __init__(
        self,
        kind: str,
        places: Mapping[str, Any],
        *,
        unknown: str = "",
        adopt: str = "",
        about: Mapping[str, str] | None = None,
        reserved: Collection[str] = (),
        ours_alone: bool = False,
    ):
        """A list.

        Args:
            kind: what a choice of it is called, with ``_`` for a space; `register.KIND` and the entry points
                ``reachlab.KINDs`` add to it.
            places: ours by name: ``module:name``, or the object itself.
            unknown: begins what is said of a name that is not in the list.
            adopt: ``module:function``, called with a name and what others give under it; it returns what the list
                holds, or raises a ReachlabError that says what was wanted.
            about: a line about each of ours, for who lists them.
            reserved: names that are ours though they are not in the list.
            ours_alone: nobody else adds to it.
        """
        self.kind = kind
        self.unknown = unknown or f"there is no {self.said}"
        self.places = dict(places)
        self._reserved = frozenset(reserved)
        self._ours_alone = ours_alone
        self._about = dict(about or {})
        self._adopt = adopt
        self._trying: dict[str, Any] = {}
        self.registered: dict[str, Added] = {}
        """What `register` was told, by name."""

    @property
    def said(self) -> str:
        """What a choice of it is called in a sentence."""
        return self.kind.replace("_", " ")

    @property
    def group(self) -> str:
        """The group of entry points that add to it."""
        return f"{PREFIX}{self.kind.removesuffix('y') + 'ies' if self.kind.endswith('y') else self.kind + 's'}"

    # -- others' choices ----------------------------------------------------------------------------------------------

    def add(self, added: Added) -> None:
        """Have one more choice, which somebody registers; the same one again takes its place.

        Raises:
            ReachlabError: the name is ours, or another's.
        """
        if not added.name or not added.name.isprintable() or set(added.name) & set(" ,=:"):
            raise ReachlabError(f"{self.said} {added.name!r}: a name is a word without spaces, commas, = and :")
        if added.name in self._reserved | self.places.keys():
            raise ReachlabError(f"{self.said} {added.name!r} is Reachlab's own; {added.origin} needs another name")
        before = self.registered.get(added.name)
        if before is not None and not before.is_same(added):
            raise ReachlabError(
                f"{self.said} {added.name!r} is registered twice: by {before.origin} and by {added.origin}"
            )
        self.registered[added.name] = added

    def origin(self, name: str) -> Maker | None:
        """Who made the choice; None where it is ours."""
        added = None if name in self.places else self._others().get(name)
        return None if added is None else added.origin

    def about(self, name: str) -> str:
        """A line about a choice; nothing where nobody says one.

        Raises:
            PluginError: it cannot be imported.
        """
        if name in self.places:
            return self._about.get(name, "")
        added = self._others()[name]
        found = self._load(added)
        told = self.registered.get(name)
        return added.about or (told.about if told is not None else "") or first_line(found)

    def working(self) -> Iterator[tuple[str, T_co]]:
        """All of them with their names. Of others' choices that cannot be imported a line is said, and they are left
        out."""
        for name in self:
            try:
                yield name, self[name]
            except PluginError as error:
                warn(str(error), PluginWarning, stacklevel=2)

    def _others(self) -> dict[str, Added]:
        """Others' choices by name, without those of installed packages whose name is ours."""
        found = dict(self.registered)
        for name, those in () if self._ours_alone else _entries(self.group).items():
            if name in self._reserved | self.places.keys():
                warn(
                    f"{self.said} {name!r} is Reachlab's own; the one of {those[0].origin} is left out",
                    PluginWarning,
                    stacklevel=2,
                )
                continue
            told = self.registered.get(name)
            rivals = [one for one in those if told is None or not _one_package(told.origin.module, one.origin.module)]
            if not rivals or (told is None and len(rivals) == 1):
                found[name] = those[0]  # a package may register what it names, and is said as its maker
            else:
                makers = {str(one.origin) for one in (*rivals, *([] if told is None else [told]))}
                found[name] = _clash(self.said, rivals[0], sorted(makers))
        return found

    def _load(self, added: Added) -> T_co:
        found = self._known(added, added.load())
        return cast(T_co, imported(self._adopt)(added.name, found) if self._adopt else found)

    def _known(self, added: Added, found: Any) -> Any:
        """What an entry point names; where its own package registers more under the name (a reward's range), that."""
        told = self.registered.get(added.name)
        return told.load() if told is not None and _one_package(told.origin.module, added.origin.module) else found

    # -- a mapping ----------------------------------------------------------------------------------------------------

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
            ReachlabError: there is none of that name, it needs a package that is not installed, or it is another's and
                cannot be imported.
        """
        if name in self._trying:
            return cast(T_co, self._trying[name])
        if name in self.places:
            place = self.places[name]
            return cast(T_co, imported(place) if isinstance(place, str) else place)
        others = self._others()
        if name not in others:
            raise ReachlabError(f"{self.unknown} {name!r}; choose one of {', '.join([*self.places, *others])}")
        return self._load(others[name])

    def __contains__(self, name: object) -> bool:
        return name in self.places or name in self._trying or name in self.registered or name in self._others()

    def __iter__(self) -> Iterator[str]:
        yield from self.places
        yield from self._others()

    def __len__(self) -> int:
        return len(self.places) + len(self._others())


def _one_package(module: str, other: str) -> bool:
    """Whether two modules are of the same package, which may name again what one of its modules defines. A package of
    the first level without a file is several distributions' (`acme.tasks` and `acme.rules`)."""
    root = module.partition(".")[0]
    shared = getattr(sys.modules.get(root), "__file__", None) is not None and root != "__main__"
    return module == other or (shared and root == other.partition(".")[0])


def _clash(said: str, one: Added, makers: list[str]) -> Added:
    """What stands for a name that several claim: nobody's, until one of them goes."""

    def refuse() -> Any:
        raise PluginError(f"{said} {one.name!r} is claimed by {' and by '.join(makers)}; uninstall all but one")

    return Added(name=one.name, place="", origin=one.origin, load=refuse, about=f"claimed by {' and by '.join(makers)}")


def _entries(group: str) -> dict[str, list[Added]]:
    """What installed packages add to a list, by name."""
    found: dict[str, list[Added]] = {}
    for added in installed().get(group, ()):
        found.setdefault(added.name, []).append(added)
    return found


@cache
def installed() -> dict[str, list[Added]]:
    """The entry points of installed packages that are for us, by group; read once, and none of them is imported."""
    from importlib.metadata import entry_points

    found: dict[str, list[Added]] = {}
    every = entry_points()
    for point in (point for group in every.groups if group.startswith(PREFIX) for point in every.select(group=group)):
        package = point.dist.name if point.dist else point.module
        origin = Maker(module=point.module, package=package, version=point.dist.version if point.dist else "")
        found.setdefault(point.group, []).append(
            Added(name=point.name, place=f"{point.module}:{point.attr}", origin=origin, load=_loader(point, origin))
        )
    return found


def _loader(point: Any, origin: Maker) -> Callable[[], Any]:
    def load() -> Any:
        try:
            return point.load()
        except (Exception, SystemExit) as error:  # importing it runs the package's code
            raise PluginError(
                f"{point.group} {point.name!r} of {origin} cannot be imported: {type(error).__name__}: {error}"
            ) from error

    return load


def one_of(choices: Choices[Any], *more: str, where: Callable[[Any], bool] | None = None) -> Any:
    """The type of a configuration's field that is a name of a list, for the command line: text of which tyro takes only
    names. Entry points are read where a name is not ours.

    Args:
        choices: the list.
        more: names beside the list's, which come first.
        where: which of its objects are meant; None is all.
    """
    from tyro.constructors import PrimitiveConstructorSpec

    def taken(words: list[str]) -> str:
        (name,) = words
        if name not in more and (name not in choices or not (where is None or where(choices[name]))):
            raise ValueError(f"{choices.unknown} {name!r}; choose one of {', '.join(names())}")
        return name

    def names() -> tuple[str, ...]:
        chosen = choices if where is None else (name for name, found in choices.working() if where(found))
        return (*more, *chosen)

    spec = PrimitiveConstructorSpec(
        nargs=1,
        metavar=choices.kind.upper(),
        instance_from_str=taken,
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
    )
    return Annotated[str, spec, OneOf(names)]


class OneOf:
    """Beside a type: the names that it stands for, which `--help` shows."""

    def __init__(self, names: Callable[[], tuple[str, ...]]):
        self.names = names


def caller(depth: int) -> str:
    """The name of the module whose code called, so many calls up."""
    return str(sys._getframe(depth + 1).f_globals.get("__name__", "__main__"))


def a_function(name: str, found: Any) -> Any:
    """What can be called, as others give it.

    Raises:
        ReachlabError: it cannot.
    """
    if not callable(found):
        raise ReachlabError(f"{name!r} is a {type(found).__name__}; a function is wanted")
    return found


def a_class(name: str, found: Any, base: type[T], *, of: str, named: bool = False) -> type[T]:
    """A class derived from `base`, as others give it.

    Args:
        name: what it is registered as.
        found: what they give.
        base: what it has to be derived from.
        of: what it is called in a sentence.
        named: whether it says its own name, which has to be the same.

    Raises:
        ReachlabError: it is something else.
    """
    if not (isinstance(found, type) and issubclass(found, base)):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        wanted = f"{base.__module__}.{base.__name__}"
        raise ReachlabError(f"{of} {name!r} is {what}; a class derived from {wanted} is wanted")
    if named and (own := getattr(found, "name", None)) != name:
        raise ReachlabError(f"{of} {name!r}: its class says name = {own!r}; let it say {name!r}")
    return found
