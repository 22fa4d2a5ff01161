"""`reachlab COMMAND --help`: what it does, its options under plain headings, everyday ones first, commands to copy.

tyro reads the command line; this only shows it (`options.py`, `headings.py`).
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

from reachlab.cli.headings import CLASSES, EVERYDAY, HEADINGS, LAST, ORDER
from reachlab.cli.help import PLUGIN, bold, example_lines, paragraphs, row, width
from reachlab.commands.options import Option, configuration, options_of

COLUMN = 26
"""Where an option's words are shorter than this, its meaning begins on the same line."""


def help_of(name: str, command: Callable[..., None]) -> str:
    """What ``reachlab NAME --help`` says."""
    return _page(name, inspect.getdoc(command) or "", configuration(command))


def help_of_study(name: str, config: type, examples: Sequence[str]) -> str:
    """What ``reachlab study NAME --help`` says; a study's configuration says what it is for."""
    said = inspect.getdoc(config) or ""
    return _page(f"study {name}", "\n\n".join([said, *(f"Example: {line}" for line in examples)]), config)


def sections(name: str, options: Iterable[Option]) -> dict[str, list[Option]]:
    """Options by heading, everyday ones first."""
    everyday = EVERYDAY.get(name)
    found: dict[str, list[Option]] = {"Options": []}
    for option in options:
        heading = HEADINGS.get(option.owner, {}).get(option.name) or CLASSES.get(option.owner, "Further options")
        if option.name in (everyday or ()) or (everyday is None and option.owner not in CLASSES):
            heading = "Options"
        found.setdefault(heading, []).append(option)
    if everyday is not None:
        found["Options"].sort(key=lambda option: everyday.index(option.name))
    first = ("Options", *ORDER)
    between = [heading for heading in found if heading not in (*first, *LAST)]
    return {heading: found[heading] for heading in (*first, *between, *LAST) if heading in found}


def _page(name: str, said: str, config: type) -> str:
    grouped = sections(name, options_of(config))
    everything = [option for options in grouped.values() for option in options]
    alone = [option.value for option in everything if not option.words]
    needed = [option.typed for option in everything if option.words and option.required]
    lines = textwrap.wrap(
        " ".join(["usage: reachlab", name, *alone, *needed, "[options]"]), width(), subsequent_indent=" " * 8
    )
    lines += ["", *paragraphs(said)]
    for heading, options in grouped.items():
        lines += ["", bold(heading)]
        for option in options:
            lines += row(option.typed, _meaning(option), COLUMN)
    lines += ["", *textwrap.wrap(PLUGIN, width())]
    return "\n".join([*lines, *example_lines(said)])


def _meaning(option: Option) -> str:
    if option.required and option.words:
        return f"{option.says} (needed)"
    # A 0 that stands for something else is explained already.
    told = not option.default or (option.default == "0" and re.search(r"\b0\b", option.says))
    return option.says if told else f"{option.says} (default: {option.default})"
