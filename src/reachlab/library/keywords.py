"""Flat keyword arguments to a nested configuration: a command's options, with underscores for their dashes.

    build(RLConfig, {"model": "runs/base", "task": "countdown", "rollouts": 64, "lr": 1e-5})

is the configuration that ``reachlab rl --model runs/base --task countdown --rollouts 64 --lr 1e-5`` has. None means
what is usual. Values are checked here, as nobody types them: a wrong one is one line that names the keyword.
"""

import difflib
import functools
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from reachlab.commands.options import bare, said
from reachlab.commands.words import default_of
from reachlab.errors import InvalidArgumentError, UnknownKeywordError
from reachlab.library.border import in_python, level_outside
from reachlab.option_names import GOES, RENAMED_OPTIONS

Config = TypeVar("Config")
WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text or a path", bool: "True or False"}
SHOWN = 60
"""Characters of a wrong value that an error shows."""


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """One keyword argument; `path` are the fields that lead to it from the outermost configuration."""

    name: str
    path: tuple[str, ...]
    kind: Any
    default: Any
    says: str
    names: Callable[[], Sequence[str]] | None = None
    """The names that it may be, where they are known by now alone."""

    @property
    def required(self) -> bool:
        """Whether a caller has to give it."""
        return self.default is MISSING


@functools.cache
def keywords_of(config: Any) -> Mapping[str, Keyword]:
    """Every option of a configuration by the name of its keyword, in the order of the fields."""
    return {keyword.name: keyword for keyword in _keywords(config, (), MISSING)}


def _keywords(config: type, path: tuple[str, ...], usual: Any) -> Iterable[Keyword]:
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):
        kind, notes = bare(hints[field.name])
        default = default_of(field) if usual is MISSING else getattr(usual, field.name)
        if is_dataclass(kind):
            inner = kind if isinstance(kind, type) else type(kind)
            yield from _keywords(inner, (*path, field.name), default)
            continue
        given = next((name for note in notes if (name := getattr(note, "name", None))), None)
        name = (given or field.name).replace("-", "_")
        names = next((found for note in notes if callable(found := getattr(note, "names", None))), None)
        place = (*path, field.name)
        yield Keyword(name=name, path=place, kind=kind, default=default, says=said(config, field.name), names=names)


def build(config: type[Config], given: Mapping[str, Any], *, function: str, command: str = "") -> Config:
    """The configuration that keyword arguments say; what is not given, or None, is as usual.

    Args:
        config: a dataclass, with others inside.
        given: the keyword arguments.
        function: whose they are, for messages.
        command: the command of the same words, whose old names of options still work.

    Raises:
        UnknownKeywordError: a keyword that there is not, or one that is needed and missing.
        InvalidArgumentError: a value that it cannot have.
        ReachlabError: as the configuration says.
    """
    known = keywords_of(cast(Any, config))
    given = _present(given, command)
    for name in given:
        if name not in known:
            raise UnknownKeywordError(f"{function}: there is no keyword {name!r}{nearest(name, known)}")
    nested: dict[str, Any] = {}
    for name, keyword in known.items():
        value = given.get(name)
        if value is None:
            if keyword.required:
                raise UnknownKeywordError(f"{function}: {name} is needed: {in_python(_first_sentence(keyword.says))}")
            continue
        inner = nested
        for field in keyword.path[:-1]:
            inner = inner.setdefault(field, {})
        kind = keyword.kind if keyword.names is None else Literal[tuple(keyword.names())]
        inner[keyword.path[-1]] = converted(value, kind, f"{function}: {name}")
    made: Config = _made(config, nested, MISSING)
    return made


def _made(config: type[Any], values: Mapping[str, Any], usual: Any) -> Any:
    """A configuration of nested values."""
    hints = get_type_hints(config, include_extras=True)
    found = dict(values)
    for field in fields(config):
        kind, _ = bare(hints[field.name])
        if is_dataclass(kind) and (field.name in values or default_of(field) is MISSING):
            default = default_of(field) if usual is MISSING else getattr(usual, field.name)
            inner = (kind if isinstance(kind, type) else type(kind)) if default is MISSING else type(default)
            found[field.name] = _made(inner, values.get(field.name, {}), default)
    return config(**found) if usual is MISSING else replace(usual, **found)


def _present(given: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The arguments under the names of today; an old one is said."""
    renamed = {
        old.removeprefix("--").replace("-", "_"): new.removeprefix("--").replace("-", "_")
        for old, new in RENAMED_OPTIONS.get(command, {}).items()
    }
    found = dict[str, Any]()
    for name, value in given.items():
        new = renamed.get(name, name)
        if new != name:
            warnings.warn(f"{name} is called {new} now; {GOES}", FutureWarning, stacklevel=level_outside())
        if new in found:
            raise UnknownKeywordError(f"{new} is given twice, once by its old name")
        found[new] = value
    return found


def nearest(name: str, known: Iterable[str]) -> str:
    """What a caller may have meant by a keyword that there is not, for the end of a message."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "; help() of the function lists them"


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".")


# -- values ---------------------------------------------------------------------------------------------------------


def converted(value: Any, kind: Any, place: str) -> Any:
    """A value as the configuration holds it: tuples for lists, floats for whole numbers, text for paths.

    Raises:
        InvalidArgumentError: another kind of value, or one that cannot be chosen; `place` names it.
    """
    try:
        return _converted(value, kind)
    except (TypeError, ValueError):
        shown = repr(value)
        shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
        near = difflib.get_close_matches(value, _choices(kind), n=1, cutoff=0.6) if isinstance(value, str) else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidArgumentError(f"{place}={shown} must be {wanted(kind)}{hint}") from None


def wanted(kind: Any) -> str:
    """What values of a kind are, in words."""
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(wanted(one) for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is tuple:
        inside = get_args(kind)
        if Ellipsis in inside:
            return f"a list, each {wanted(inside[0])}"
        return f"{len(inside)} values, each {wanted(inside[0])}"
    return WORDS[kind]


def shown_type(kind: Any) -> str:
    """A kind as a docstring names it: ``int``, ``{'train', 'test'}``, ``list of str``."""
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(shown_type(one) for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is Literal:
        return "{" + ", ".join(map(repr, get_args(kind))) + "}"
    if get_origin(kind) is tuple:
        inside = get_args(kind)
        if Ellipsis in inside:
            return f"list of {shown_type(inside[0])}"
        return f"({', '.join(map(shown_type, inside))})"
    return str(kind.__name__)


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(one) for one in get_args(kind)]
    return [choice for one in get_args(kind) for choice in _choices(one)]


def _converted(value: Any, kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return _one_of(value, [one for one in get_args(kind) if one is not NoneType])
    if get_origin(kind) is Literal:
        if not isinstance(value, str) or value not in get_args(kind):
            raise ValueError
        return value
    if get_origin(kind) is tuple:
        return _tuple(value, get_args(kind))
    return _single(value, kind)


def _one_of(value: Any, kinds: Iterable[Any]) -> Any:
    for kind in kinds:
        try:
            return _converted(value, kind)
        except (TypeError, ValueError):
            continue
    raise ValueError


def _tuple(value: Any, inside: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list of any sort; where there may be any number, a single value is a list of one."""
    single = isinstance(value, str | os.PathLike | int | float | np.number)
    if not single and (isinstance(value, Mapping | set | frozenset | bytes) or not isinstance(value, Iterable)):
        raise TypeError
    values = [value] if single else list(value)
    if Ellipsis in inside:
        return tuple(_converted(one, inside[0]) for one in values)
    if len(values) != len(inside):
        raise ValueError
    return tuple(_converted(one, kind) for one, kind in zip(values, inside, strict=True))


def _single(value: Any, kind: Any) -> Any:
    truth = isinstance(value, bool | np.bool_)
    if kind is bool and truth:
        return bool(value)
    if kind is int and isinstance(value, int | np.integer) and not truth:
        return int(value)
    if kind is float and isinstance(value, int | float | np.integer | np.floating) and not truth:
        return float(value)
    if kind is str and isinstance(value, str | os.PathLike):
        return str(os.fspath(value)) if not isinstance(value, str) else str(value)
    raise TypeError
