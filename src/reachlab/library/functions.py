"""A command as a Python function: its options as keyword arguments that ``help()``, an editor and a type checker show.

    @takes(SampleConfig, command="sample")
    def sample(model, task, *, out=None, **options): ...

In place of ``**options`` the signature that `inspect` shows has every option of the configuration, with its default,
and the docstring what each means, in numpy's sections: what a function says of a parameter itself comes first.
"""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, ParamSpec, TypeVar

from reachlab.extras import naming_extras
from reachlab.library.border import border, in_python
from reachlab.library.keywords import Keyword, keywords_of, shown_type

P = ParamSpec("P")
T = TypeVar("T")
WIDTH = 100
PARAMETERS = "Parameters\n----------\n"


def takes(config: type, *, without: Iterable[str] = ()) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function show the options of a configuration as its keywords.

    Args:
        config: what the function builds of its ``**options``.
        without: options that it does not take.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = {name: keyword for name, keyword in keywords_of(config).items() if name not in set(without)}
        call = bordered(function)
        signature = _signature(function, known)
        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = _documented(inspect.getdoc(function) or "", signature, known)
        return call

    return decorate


def bordered(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose errors are those that a library's user catches (`border.py`)."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with border(), naming_extras(f"reachlab.{function.__name__}"):
            return function(*args, **kwargs)

    return call


def _signature(function: Callable[..., Any], known: Mapping[str, Keyword]) -> inspect.Signature:
    """The function's own parameters, and in place of ``**options`` those of the configuration."""
    own = inspect.signature(function)
    explicit = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = {p.name for p in explicit}
    further = [
        inspect.Parameter(
            keyword.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if keyword.required else keyword.default,
            annotation=keyword.kind,
        )
        for keyword in known.values()
        if keyword.name not in names
    ]
    return own.replace(parameters=[*explicit, *further])


def _documented(said: str, signature: inspect.Signature, known: Mapping[str, Keyword]) -> str:
    """A docstring with every parameter in it."""
    before, found, after = said.partition(PARAMETERS)
    if found:
        own, end, rest = after.partition("\n\n")
        after = rest if end else ""
    else:
        before, own = said, ""
        if match := re.search(r"^\w+\n-{3,}$", said, re.MULTILINE):
            before, after = said[: match.start()], said[match.start() :]
    told = {re.split(r"\W", entry, maxsplit=1)[0]: entry.rstrip() for entry in re.split(r"\n(?=\w)", own) if entry}
    entries = [
        told[p.name] if p.name in told else _entry(p, known[p.name])
        for p in signature.parameters.values()
        if p.name in told or p.name in known
    ]
    return f"{before.rstrip()}\n\n{PARAMETERS}" + "\n".join(entries) + f"\n\n{after.lstrip()}".rstrip() + "\n"


def _entry(parameter: inspect.Parameter, keyword: Keyword) -> str:
    """A parameter as numpy's docstrings have it."""
    given = parameter.default is not inspect.Parameter.empty
    default = f", default={parameter.default!r}" if given and parameter.default not in (None, ()) else ""
    optional = ", optional" if given and not default else ""
    lines = textwrap.wrap(in_python(keyword.says), WIDTH, break_long_words=False, break_on_hyphens=False)
    kind = keyword.kind if keyword.names is None else Literal[tuple(keyword.names())]
    head = f"{keyword.name} : {shown_type(kind)}{default}{optional}"
    return "\n".join([head, *(f"    {line}" for line in lines)])
