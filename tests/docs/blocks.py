"""The fenced blocks of the documents, and what their lines are.

A block without a language is a list of shell commands. One that cannot be run where the tests run begins with a line
``# needs ...`` that says what it takes (`NEEDS`); a reader sees it too. Its commands are parsed and not run.
"""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from reachlab.cli import COMMANDS, moe
from reachlab.cli.help import examples_of
from reachlab.cli.studies import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKDOWN = [*PAGES, ROOT / "LOG.md", ROOT / "CHANGELOG.md"]
NEEDS = re.compile(r"# needs (.*\bGPUs?\b.*|\.venv-vllm: make vllm|your own .*|.*\bthe hub\b.*|pytest|make)")
REACHLAB = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:reachlab |accelerate launch .*-m reachlab |\.venv-vllm/bin/python -m reachlab )"
)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """PAGE:LINE."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def needs(self) -> str:
        """What it takes, where it cannot be run here."""
        first = self.text.partition("\n")[0]
        return first if first.startswith("# needs ") else ""

    @property
    def commands(self) -> list[str]:
        """Its lines but for comments; none where it has a language, or shows a tree of files."""
        if self.language or self.text.startswith("runs/"):
            return []
        lines = [re.sub(r"  +# .*", "", line) for line in self.text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    found: list[Block] = []
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
            if inside:
                found.append(Block(page, number, line[3:], ""))
        elif inside:
            last = found[-1]
            found[-1] = replace(last, text=f"{last.text}{line}\n")
    assert not inside, f"{page}:{found[-1].line}: a fence without an end"
    return found


def prose(page: Path) -> str:
    """A page without its blocks, comments and generated parts."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!-- generated.*?<!-- end -->|<!--.*?-->", "", text, flags=re.DOTALL)


def words_of(command: str) -> list[str]:
    """The words behind `reachlab`; none where it is another program."""
    started = REACHLAB.match(command)
    return shlex.split(command[started.end() :].partition(" > ")[0]) if started else []


def every_example() -> list[tuple[str, str]]:
    """The commands that `--help` shows, each with the command that shows it."""
    said = {name: command.__doc__ or "" for name, command in COMMANDS.items()}
    said |= {f"moe {name}": text for name, text in moe.said().items()}
    found = [(name, line) for name, text in said.items() for line in examples_of(text)]
    return found + [(f"study {name}", f"reachlab {line}") for name, lines in EXAMPLES.items() for line in lines]
