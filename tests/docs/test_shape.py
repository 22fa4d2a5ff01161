"""README is one page of short sentences, LOG says in short what an entry found, prose is wrapped."""

import re
import runpy
from itertools import takewhile
from pathlib import Path

import pytest
from tests.docs.blocks import MARKDOWN, ROOT, prose

WRAP = runpy.run_path(str(ROOT / "docs" / "wrap.py"))
README, LOG = ROOT / "README.md", ROOT / "LOG.md"


def sentences(page: Path) -> list[str]:
    """The sentences of a page's paragraphs."""
    paragraphs = [p for p in re.split(r"\n\s*\n", prose(page)) if not p.startswith(("#", "|", "!["))]
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(p.split())) for p in paragraphs]
    return [s for text in texts for s in re.split(r"(?<=[.?!:])\**\s+", text) if s]


def test_readme_is_one_page_of_short_sentences() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130
    words = [len(s.split()) for s in sentences(README)]
    assert len(words) > 30
    assert sum(words) / len(words) < 25


def test_readme_shows_one_figure_and_the_commands_that_ci_calls() -> None:
    text = README.read_text(encoding="utf-8")
    assert re.findall(r"!\[[^\]]+\]\((\S+)\)", text) == ["docs/figure.png"]
    assert re.search(r"^make demo ", text, re.MULTILINE)
    assert re.search(r"^make test ", text, re.MULTILINE)


def test_every_entry_of_the_log_begins_with_what_it_found() -> None:
    entries = re.split(r"^## ", LOG.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(entries) >= 17
    for entry in entries:
        head, _, *rest = entry.splitlines()
        summary = list(takewhile(bool, rest))
        assert summary[0].startswith("*In short.* "), head
        assert len(summary) <= 5, head


@pytest.mark.parametrize("page", WRAP["pages"](), ids=lambda page: page.name)
def test_prose_is_wrapped(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert WRAP["wrapped"](text) == text, "run `make docs`"
    assert page in MARKDOWN


def test_what_is_wrapped_says_the_same() -> None:
    words = "some words " * 30
    page = f"# A head that stays\n\n{words}\n- an item {words}\n  more of it\n\n```\n{words}\n```\n| {words} |\n"
    wrapped = WRAP["wrapped"](page)
    assert wrapped.split() == page.split()
    assert f"```\n{words}\n```\n| {words} |\n" in wrapped
    assert all(len(line) <= 120 for line in wrapped.splitlines() if not line.startswith(("|", "some words some")))
    assert "\n  words some" in wrapped or "\n  some words" in wrapped
    assert WRAP["wrapped"]("of a number " * 12 + "- 3\n").splitlines()[-1][0] != "-"
