"""`--help`: what a command does, its options under plain headings, everyday ones first, and commands to copy.

tyro reads the command line; this only shows it (`options.py`, `headings.py`).
"""

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from reachlab.cli.headings import CLASSES, EVERYDAY, FAMILIES, HEADINGS, LAST, ORDER
from reachlab.cli.options import Option, configuration, options_of

Command = Callable[..., None]
ASKED = ("-h", "--help")
WIDEST = 110
COLUMN = 26
"""Where an option's words are shorter than this, its meaning begins on the same line."""
BASICS = (
    "A model is a folder (a transformers checkpoint, or a finished training run) or ORG/NAME[@REVISION] of the hub.",
    "A run is a folder, named by --out. The same command again does only what is missing. To start afresh, give "
    "another --out, or delete the folder (rm -r runs/NAME): nothing of a run is kept elsewhere.",
    "Tables and pages call a run as its folder is called, or as you say: reachlab compare base=runs/a rl=runs/b",
)


def overview(commands: Mapping[str, Command | str]) -> str:
    """What `reachlab --help` says.

    Args:
        commands: each command, or what is said of it.
    """
    lines = [
        "usage: reachlab COMMAND ...",
        "",
        "Measure what a training stage added to a language model: sample, compare, train.",
    ]
    grouped = {name for _, names in FAMILIES for name in names}
    others = tuple(name for name in commands if name not in grouped)
    for heading, names in (*FAMILIES, *([("More", others)] if others else [])):
        lines += ["", _bold(heading)]
        for name in (name for name in names if name in commands):
            what = commands[name]
            lines += _row(name, first_sentence(what if isinstance(what, str) else _docstring(what)), 14)
    lines += ["", _bold("Models and runs")]
    for line in BASICS:
        lines += textwrap.wrap(line, _width() - 2, initial_indent="  ", subsequent_indent="  ")
    lines += ["", "`reachlab COMMAND --help` has a command's options and examples; docs/tour.md shows all of them."]
    return "\n".join(lines)


def help_of(name: str, command: Command) -> str:
    """What ``reachlab NAME --help`` says."""
    return _page(name, _docstring(command), configuration(command))


def help_of_study(name: str, config: type, examples: Sequence[str]) -> str:
    """What ``reachlab study NAME --help`` says; a study's configuration says what it is for."""
    said = inspect.getdoc(config) or ""
    return _page(f"study {name}", "\n\n".join([said, *(f"Example: {line}" for line in examples)]), config)


def help_of_group(name: str, said: str, inside: Mapping[str, str]) -> str:
    """What a command says that is several: what each is for."""
    lines = [f"usage: reachlab {name} {{{','.join(inside)}}} ...", "", *_paragraphs(said), "", _bold("Which there are")]
    for one, what in inside.items():
        lines += _row(one, first_sentence(what), 14)
    lines += ["", f"`reachlab {name} {next(iter(inside))} --help` has the options of one."]
    return "\n".join([*lines, *_examples(said)])


def examples_of(said: str) -> list[str]:
    """The commands that a docstring shows, a line each."""
    paragraphs = re.split(r"\n\s*\n", said)
    return [" ".join(p.split()).removeprefix("Example: ") for p in paragraphs if p.lstrip().startswith("Example: ")]


def first_sentence(said: str) -> str:
    """The first sentence, without its full stop."""
    first = re.split(r"\n\s*\n", said.strip(), maxsplit=1)[0]
    return re.split(r"\.\s+(?=[A-Z`])", " ".join(first.split()), maxsplit=1)[0].removesuffix(".")


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
        " ".join(["usage: reachlab", name, *alone, *needed, "[options]"]), _width(), subsequent_indent=" " * 8
    )
    lines += ["", *_paragraphs(said)]
    for heading, options in grouped.items():
        lines += ["", _bold(heading)]
        for option in options:
            lines += _row(option.typed, _meaning(option), COLUMN)
    return "\n".join([*lines, *_examples(said)])


def _meaning(option: Option) -> str:
    if option.required and option.words:
        return f"{option.says} (needed)"
    # A 0 that stands for something else is explained already.
    told = not option.default or (option.default == "0" and re.search(r"\b0\b", option.says))
    return option.says if told else f"{option.says} (default: {option.default})"


def _row(left: str, right: str, column: int) -> Iterator[str]:
    """A term and its meaning beside it, or below where the term is long."""
    lines = textwrap.wrap(right, _width() - column - 2, break_on_hyphens=False, break_long_words=False) or [""]
    if len(left) <= column - 2:
        yield f"  {left.ljust(column)}{lines.pop(0)}".rstrip()
    else:
        yield from textwrap.wrap(left, _width() - 2, initial_indent="  ", subsequent_indent="      ")
    yield from (" " * (column + 2) + line for line in lines)


def _paragraphs(said: str) -> Iterator[str]:
    """A docstring's paragraphs but for its examples, wrapped."""
    texts = [p for p in re.split(r"\n\s*\n", said.strip()) if not p.lstrip().startswith("Example: ")]
    for number, text in enumerate(texts):
        if number:
            yield ""
        yield from textwrap.wrap(" ".join(text.split()), _width())


def _examples(said: str) -> list[str]:
    """The commands, one a line and whole, so that they can be copied."""
    found = examples_of(said)
    return ["", _bold("Examples"), *(f"  {line}" for line in found)] if found else []


def _docstring(command: Command) -> str:
    return inspect.getdoc(command) or ""


def _width() -> int:
    return max(60, min(shutil.get_terminal_size().columns, WIDEST))


def _bold(heading: str) -> str:
    return f"\033[1m{heading}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else heading
