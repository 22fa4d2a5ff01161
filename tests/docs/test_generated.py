"""What the code knows stands in the documents as the code has it."""

import re
import runpy
from collections.abc import Collection

import pytest
from tests.docs.blocks import PAGES, ROOT

from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.methods import METHODS
from reachlab.rl.budgets import BUDGETS
from reachlab.tasks.registry import FAMILIES

GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(page) -> None:  # type: ignore[no-untyped-def]
    text = page.read_text(encoding="utf-8")
    assert GENERATE["written"](text) == text, "run `make docs`"


def test_every_part_is_in_a_page() -> None:
    there = {name for page in PAGES for name in re.findall(r"<!-- generated: (\w+)", page.read_text(encoding="utf-8"))}
    assert there == set(GENERATE["PARTS"])


def test_the_first_sentence_of_a_docstring() -> None:
    assert GENERATE["sentence"]("One. Two.\n\nThree.") == "One"
    assert GENERATE["sentence"]("A row has\n\n- a\n- b") == "A row has"
    assert GENERATE["sentence"]("Dr. GRPO: two\nlines. More.") == "Dr. GRPO: two lines"


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("tasks.md", FAMILIES.keys() - {"logged"}),
        ("rl.md", BUDGETS.keys()),
        ("moe.md", METHODS.keys() - {"default"}),
        ("moe.md", ESTIMATORS.keys()),
        ("engines.md", {"transformers", "vllm", "openai"}),
    ],
    ids=["tasks", "budgets", "methods", "estimators", "engines"],
)
def test_a_table_written_by_hand_has_a_row_for_each(page: str, names: Collection[str]) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    first = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| "))
    missing = [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", first)]
    assert not missing
