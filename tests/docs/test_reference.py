"""The generated pages of commands and algorithms: a docstring as Markdown, and nothing left out."""

import re

import pytest
from docs.reference import HOUSE, PIECES, STATISTICS, command_entry, docstring, linked, markdown
from tests.docs.blocks import ROOT
from tests.docs.test_parsed import ALL

from reachlab.commands.options import configuration, options_of
from reachlab.studies import STUDIES

NOT_THERE = ("algorithm", "histogram")
"""A shape, and a count."""


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_equations_become_blocks_and_papers_links() -> None:
    said = "A rule.\n\n    a = b\n      + c\n\nwith ``x``, from arXiv\n2504.13837v2.\n\nAxes. T: tokens."
    assert markdown(said) == (
        "A rule.\n\n```text\na = b\n  + c\n```\n\nwith `x`, from [arXiv 2504.13837](https://arxiv.org/abs/2504.13837)."
    )


def test_words_that_open_an_equation_stand_before_it() -> None:
    assert markdown("It is\n    a = b\n\n    c = d") == "It is\n\n```text\na = b\n\nc = d\n```"


def test_a_lone_star_is_no_emphasis() -> None:
    assert linked("d*(k) of *all*") == "d\\*(k) of \\*all\\*"
    assert linked("*all*") == "*all*"


@pytest.mark.parametrize("name", ALL)
def test_every_option_of_a_command_is_in_its_entry(name: str) -> None:
    text = text_of("commands.md")
    studies = {f"study {study.name}": study.config for study in STUDIES.values()}
    for heading, config in studies.items() if name == "study" else [(name, configuration(ALL[name]))]:
        entry = re.search(rf"^## reachlab {heading}$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert entry, heading
        missing = [option.typed for option in options_of(config) if f"| `{option.typed}` |" not in entry[0]]
        assert not missing, heading


def test_an_entry_of_a_command_without_options() -> None:
    assert command_entry("x", "Do it.\n\nExample: reachlab x", None, ["reachlab x"]) == (
        "## reachlab x\n\nDo it.\n\n```text\nreachlab x\n```\n"
    )


def test_what_has_an_equation_or_a_paper_is_an_algorithm() -> None:
    text = text_of("algorithms.md")
    for room, listed in (("boundary", STATISTICS), ("rl", PIECES)):
        for path in sorted((HOUSE / room).glob("[a-z]*.py")):
            if re.search(r"arXiv|^    \S", docstring(path), re.MULTILINE) and path.stem not in (*listed, *NOT_THERE):
                raise AssertionError(f"{path.name}: give it a title in docs/reference.py")
    for title in (*STATISTICS.values(), *PIECES.values()):
        assert f"### {title}\n" in text
