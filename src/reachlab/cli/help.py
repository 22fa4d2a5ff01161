"""`reachlab --help`: which commands there are; and how lines of any help are laid out (`pages.py` has a command's own).

What a command says of itself is read off its source: to import what all of them take would take longer than to read.
"""

import ast
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from reachlab.cli.headings import FAMILIES

ASKED = ("-h", "--help")
WIDEST = 110
PLUGIN = "Any command also takes --plugin FILE.py or MODULE: it imports choices of your own first (docs/extend.md)."
BASICS = (
    "A model is a folder (a transformers checkpoint, or a finished training run) or ORG/NAME[@REVISION] of the hub.",
    "A run is a folder, named by --out. The same command again does only what is missing. To start afresh, give "
    "another --out, or delete the folder (rm -r runs/NAME): nothing of a run is kept elsewhere.",
    PLUGIN,
    "Tables and pages call a run as its folder is called, or as you say: reachlab compare base=runs/a rl=runs/b",
)


def overview(commands: Mapping[str, str]) -> str:
    """What `reachlab --help` says.

    Args:
        commands: what each command says of itself.
    """
    lines = [
        "usage: reachlab COMMAND ...",
        "",
        "Measure what a training stage added to a language model: sample, compare, train.",
    ]
    grouped = {name for _, names in FAMILIES for name in names}
    others = tuple(name for name in commands if name not in grouped)
    for heading, names in (*FAMILIES, *([("More", others)] if others else [])):
        lines += ["", bold(heading)]
        for name in (name for name in names if name in commands):
            lines += row(name, first_sentence(commands[name]), 14)
    lines += ["", bold("Models and runs")]
    for line in BASICS:
        lines += textwrap.wrap(line, width() - 2, initial_indent="  ", subsequent_indent="  ")
    lines += [
        "",
        "`reachlab COMMAND --help` has a command's options and examples; docs/tour.md shows all of them.",
        "`reachlab --version` says which this is.",
    ]
    return "\n".join(lines)


def docstrings(places: Mapping[str, str]) -> dict[str, str]:
    """What the functions at these ``module:name`` of this room say of themselves; nothing is imported."""
    trees: dict[str, dict[str, str]] = {}
    found = {}
    for command, place in places.items():
        module, _, name = place.partition(":")
        if module not in trees:
            source = Path(__file__).with_name(f"{module.rpartition('.')[2]}.py").read_text(encoding="utf-8")
            functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
            trees[module] = {node.name: ast.get_docstring(node) or "" for node in functions}
        found[command] = trees[module][name]
    return found


def help_of_group(name: str, said: str, inside: Mapping[str, str]) -> str:
    """What a command says that is several: what each is for."""
    lines = [f"usage: reachlab {name} {{{','.join(inside)}}} ...", "", *paragraphs(said), "", bold("Which there are")]
    for one, what in inside.items():
        lines += row(one, first_sentence(what), 14)
    lines += ["", f"`reachlab {name} {next(iter(inside))} --help` has the options of one."]
    return "\n".join([*lines, *example_lines(said)])


def examples_of(said: str) -> list[str]:
    """The commands that a docstring shows, a line each."""
    paragraphs = re.split(r"\n\s*\n", said)
    return [" ".join(p.split()).removeprefix("Example: ") for p in paragraphs if p.lstrip().startswith("Example: ")]


def first_sentence(said: str) -> str:
    """The first sentence, without its full stop."""
    first = re.split(r"\n\s*\n", said.strip(), maxsplit=1)[0]
    return re.split(r"\.\s+(?=[A-Z`])", " ".join(first.split()), maxsplit=1)[0].removesuffix(".")


def row(left: str, right: str, column: int) -> Iterator[str]:
    """A term and its meaning beside it, or below where the term is long."""
    lines = textwrap.wrap(right, width() - column - 2, break_on_hyphens=False, break_long_words=False) or [""]
    if len(left) <= column - 2:
        yield f"  {left.ljust(column)}{lines.pop(0)}".rstrip()
    else:
        yield from textwrap.wrap(left, width() - 2, initial_indent="  ", subsequent_indent="      ")
    yield from (" " * (column + 2) + line for line in lines)


def paragraphs(said: str) -> Iterator[str]:
    """A docstring's paragraphs but for its examples, wrapped."""
    texts = [p for p in re.split(r"\n\s*\n", said.strip()) if not p.lstrip().startswith("Example: ")]
    for number, text in enumerate(texts):
        if number:
            yield ""
        yield from textwrap.wrap(" ".join(text.split()), width())


def example_lines(said: str) -> list[str]:
    """The commands, one a line and whole, so that they can be copied."""
    found = examples_of(said)
    return ["", bold("Examples"), *(f"  {line}" for line in found)] if found else []


def width() -> int:
    """Columns of a page: the terminal's, within reason."""
    return max(60, min(shutil.get_terminal_size().columns, WIDEST))


def bold(heading: str) -> str:
    """A heading, bold on a terminal."""
    return f"\033[1m{heading}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else heading
