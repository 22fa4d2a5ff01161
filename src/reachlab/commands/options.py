"""What a command takes, read off its configuration: every option with its words, its value, its default.

A configuration is a dataclass with a docstring a field, dataclasses inside it among them, and tyro turns it into the
command line. `help.py` shows the same fields in its own order and words; `tests/cli/test_help.py` holds both together.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from reachlab.choices import OneOf

POSITIONAL = get_args(tyro.conf.Positional[int])[1:]
APPEND = get_args(tyro.conf.UseAppendAction[int])[1:]
WORDS = {int: "INT", float: "NUMBER", str: "TEXT"}


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a command, or a word that stands by itself."""

    name: str
    """The field."""
    owner: str
    """The class of the configuration that it is a field of."""
    words: tuple[str, ...]
    """What is typed, ``("--model",)``; a word that stands by itself has none."""
    value: str
    """What follows, ``{train,test}`` or ``INT``; nothing behind a flag."""
    says: str
    """What it means."""
    required: bool
    default: str
    """As a user would type it; nothing where the default is none, empty or off."""

    @property
    def typed(self) -> str:
        """``--model TEXT``."""
        return " ".join(part for part in (", ".join(self.words), self.value) if part)


def options_of(config: type, usual: Any = MISSING) -> Iterator[Option]:
    """Every option of a configuration, in the order of its fields; what is inside stands where its field does.

    Args:
        config: a dataclass.
        usual: what its fields are where nothing is said, if that is not their own default.
    """
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):
        kind, notes = bare(hints[field.name])
        default = _default(field) if usual is MISSING else getattr(usual, field.name)
        if is_dataclass(kind):
            yield from options_of(kind if isinstance(kind, type) else type(kind), default)
            continue
        name = next((n for note in notes if (n := getattr(note, "name", None))), None) or field.name.replace("_", "-")
        alone = any(note in POSITIONAL for note in notes)
        many = any(note in APPEND for note in notes)
        flag = kind is bool
        yield Option(
            name=field.name,
            owner=config.__name__,
            words=() if alone else (f"--{name}", f"--no-{name}") if flag and default else (f"--{name}",),
            value="" if flag else _alone(name, kind, default) if alone else _value(kind, notes, many=many),
            says=said(config, field.name),
            required=default is MISSING,
            default="on" if flag and default else _shown(default),
        )


def configuration(command: Callable[..., None]) -> type:
    """What a command is given: the type of its one parameter."""
    kind, _ = bare(get_type_hints(command, include_extras=True)["config"])
    assert isinstance(kind, type)
    return kind


def bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without what is noted beside it, and that."""
    return (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _value(kind: Any, notes: Sequence[Any] = (), *, many: bool = False) -> str:
    """What stands behind an option, in words."""
    if (listed := next((note for note in notes if isinstance(note, OneOf)), None)) is not None:
        return "{" + ",".join(listed.names()) + "}"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_value(one) for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if get_origin(kind) is tuple:
        inside = get_args(kind)
        if Ellipsis not in inside:
            return " ".join(map(_value, inside))
        one = _value(inside[0])
        return f"{one} (again for more)" if many else f"{one} [{one} ...]"
    return WORDS[kind]


def _alone(name: str, kind: Any, default: Any) -> str:
    """A word that stands by itself, as a usage line has it: ``RUN``, ``[TASK]``, ``RUN [RUN ...]``."""
    word = name.upper().removesuffix("S") if get_origin(kind) is tuple else name.upper()
    if get_origin(kind) is tuple:
        return f"{word} [{word} ...]"
    return word if default is MISSING else f"[{word}]"


def _shown(default: Any) -> str:
    if default is MISSING or default is None or default is False or default in ("", ()):
        return ""
    if isinstance(default, tuple):
        return " ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in default)
    return f"{default:g}" if isinstance(default, float) else str(default)


@functools.cache
def _docstrings(config: type) -> dict[str, str]:
    """The docstring of each field that a class itself has."""
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(found, ast.ClassDef)
    said = {}
    for field, after in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            said[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return said


def said(config: type, name: str) -> str:
    """What a field means: its docstring; where a class only gives another default, that of the class above it."""
    return next((said for c in config.__mro__ if is_dataclass(c) and (said := _docstrings(c).get(name))), "")
