"""No document names a file, an option or a command that is not there. LOG and CHANGELOG may: they name what
there was."""

import contextlib
import functools
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from accelerate.commands.launch import launch_command_parser
from tests.docs.blocks import MARKDOWN, PAGES, ROOT, prose
from tests.docs.test_parsed import ALL

from reachlab.cli import main
from reachlab.studies import STUDIES

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
OURS = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|html|js|css|csv|svg|png)(?:::\w+)?|(?:[\w-]+/)+")
"""A path to a file of ours, or a folder."""
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*")
ELSEWHERE = {"baselines/", "data/", "models/", "openai/", "lcb_runner/evaluation/testing_util.py"}
MADE = re.compile(
    r"(report\.html$|my_rewards\.py$|(reachlab_backwards|mine)\.py$|runs|OUT|RUN|checkpoints|tokens|tensorboard|wandb|state|samples|model|step-\d+|base|logs)(/|$)"
)
"""What a command makes, and is therefore not in the repository."""
WRITTEN = re.compile(r"`((?:src|tests)/\S+\.py)`:\n\n```python")
"""What the reader writes: it is printed right below."""


def named(page: Path) -> list[str]:
    """What stands in backticks in a page's prose."""
    return CODE.findall(re.sub(r"(?<=\S)\n *(?=[^\s|#-])", " ", prose(page)))


@functools.cache
def files() -> frozenset[str]:
    """All files and folders of the repository, and their ends: `a/b.py`, `b.py`; `x/y/`, `y/`."""
    found = set()
    for top in ("src", "tests", "docs", "benchmarks", "examples", "."):
        for path in (ROOT / top).glob("**/*" if top != "." else "*"):
            parts = path.relative_to(ROOT).parts
            end = "/" if path.is_dir() else ""
            found |= {"/".join(parts[at:]) + end for at in range(len(parts))}
    return frozenset(found)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), f"{page.name}: no {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: no heading for {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    written = WRITTEN.findall(page.read_text(encoding="utf-8"))
    missing = [
        code
        for code in named(page)
        if OURS.fullmatch(code) and not MADE.match(code) and code not in ELSEWHERE
        if code.partition("::")[0] not in files() and code not in written
    ]
    assert not missing


@functools.cache
def options() -> frozenset[str]:
    """Every option of every command, and its contrary."""
    found: set[str] = set()
    for command in ALL:
        found |= set(OPTION.findall(help_of(command)))
    return frozenset(found)


@functools.cache
def help_of(command: str) -> str:
    """What `--help` says, of all of a command's subcommands."""
    subcommands = [()] if command != "study" else [(study.name,) for study in STUDIES.values()]
    said = io.StringIO()
    for words in subcommands:
        line = ["reachlab", *command.split(), *words, "--help"]
        with mock.patch.object(sys, "argv", line), contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main()
    return said.getvalue()


FOREIGN = {
    "--hypothesis-profile": "pytest", "--no-deps": "pip", "--simulations": "tests/boundary/situations.py",
    "--rows": "benchmarks/bench_import_memory.py", "--log_samples": "lm-evaluation-harness",
    "--enable-deterministic-inference": "SGLang",
    "--no-enable-chunked-prefill": "vLLM",
}  # fmt: skip
"""Options of other programs that documents speak of."""


def launchers() -> Iterator[str]:
    """The options of `accelerate launch`."""
    for action in launch_command_parser()._actions:
        yield from action.option_strings


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_options_that_are_named_are_there(page: Path) -> None:
    known = options() | set(launchers()) | FOREIGN.keys() | {"--version"}
    options_here = {option for code in named(page) for option in OPTION.findall(code)}
    assert not options_here - known, f"no command has {sorted(options_here - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_that_are_named_are_there(page: Path) -> None:
    for code in named(page):
        if not (said := re.match(r"reachlab ([a-z]+)(?: ([a-z]+)\b)?", code)):
            continue
        assert said[1] in ALL or said[1] == "moe", code
        if said[1] == "study" and said[2]:
            assert said[2] in {study.name for study in STUDIES.values()}, code
        if said[1] == "moe" and said[2]:
            assert f"moe {said[2]}" in ALL, code
