from pathlib import Path

import pytest

from reachlab.moe.families import FAMILIES, REFUSED
from reachlab.moe.table import family_rows, markdown, refusal_rows

DOCS = Path(__file__).parents[2] / "docs" / "moe.md"


def test_the_documentation_has_the_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    again = "run `reachlab moe families --markdown` and put it at the end of docs/moe.md"
    assert markdown(family_rows()) in text, again
    assert markdown(refusal_rows()) in text, again


def test_every_family_is_in_it() -> None:
    assert {row["router"] for row in family_rows()} == set(FAMILIES)
    assert {row["router"] for row in refusal_rows()} == set(REFUSED)
    assert all(row["reason"] for row in refusal_rows())
    (olmoe,) = (row for row in family_rows() if row["family"] == "olmoe")
    assert (olmoe["score"], olmoe["over its sum"]) == ("softmax", "norm_topk_prob")


def test_the_order_of_registration_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = family_rows()
    row = FAMILIES["AfmoeTokenChoiceRouter"]
    monkeypatch.delitem(FAMILIES, row.router)
    monkeypatch.setitem(FAMILIES, row.router, row)
    assert list(FAMILIES)[-1] == row.router
    assert family_rows() == before
