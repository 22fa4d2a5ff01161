from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import labels, parquet, read, texts

from reachlab.errors import ReachlabError


def row(said: Any = ("It is 4.",), choices: Any = ("4",), right: Any = 0, **other: Any) -> dict[str, Any]:
    doc = {"query": "2+2?", "choices": list(choices), "gold_index": right, "id": "3"}
    response = {"text": list(said), "input": "2+2?", "logprobs": [], "text_post_processed": None}
    return {"doc": doc, "model_response": response, "metric": {"extractive_match": 1.0}} | other


def test_a_document_with_its_generations(tmp_path: Path) -> None:
    name, _, found = read(parquet(tmp_path / "x.parquet", row(), row(["4", "5"])))
    found += read(parquet(tmp_path / "y.parquet", row(right=[0])))[2]
    assert name == "lighteval"
    assert texts(found) == [["It is 4."], ["4", "5"], ["It is 4."]]
    assert labels(found) == [[1.0], [None, None], [1.0]]
    assert [(r.id, r.question, r.gold, r.choice) for r in found] == [("3", "2+2?", "4", None)] * 3


@pytest.mark.parametrize(
    ("metric", "label"),
    [({"length": 9.0, "em": 0.0}, 0.0), ({"f1": 1.0}, 1.0), ({"f1": 1.0, "length": 9.0}, None), ({"em": None}, None)],
)
def test_the_metric_that_compares_answers(tmp_path: Path, metric: Any, label: Any) -> None:
    assert labels(read(parquet(tmp_path / "x.parquet", row(metric=metric)))[2]) == [[label]]


def test_multiple_choice(tmp_path: Path) -> None:
    options, letters = row(choices=[" red", " blue"], right=1), row(choices=[" A", " B", " C"], right=2)
    found = read(parquet(tmp_path / "x.parquet", options, letters))[2]
    found += read(parquet(tmp_path / "y.parquet", row(choices=["4", "four"], right=[0, 1])))[2]
    assert found[0].choice is not None
    assert (found[0].choice.letter, found[0].choice.options) == ("B", ("red", "blue"))
    assert (found[1].choice, found[1].gold) == (None, " C")
    assert (found[2].choice, found[2].gold) == (None, None)


def test_log_likelihoods_are_no_answers(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="row 1: a choice by log-likelihoods"):
        read(parquet(tmp_path / "x.parquet", row([])))


def old(**other: Any) -> dict[str, Any]:
    base = {"example": "2+2?", "predictions": "['4', 'five']", "gold": "['4']", "choices": "[]", "gold_index": 0}
    return base | {"metrics": "{'em': 1}"} | other


def test_the_old_form_is_printed_into_text(tmp_path: Path) -> None:
    name, _, found = read(parquet(tmp_path / "x.parquet", old(), old(predictions="['4']")))
    assert name == "lighteval-old"
    assert texts(found) == [["4", "five"], ["4"]]
    assert labels(found) == [[None, None], [1]]
    assert [(r.question, r.gold) for r in found] == [("2+2?", "4")] * 2


def test_several_old_golds_are_none_and_numpys_lists_are_refused(tmp_path: Path) -> None:
    assert read(parquet(tmp_path / "x.parquet", old(gold="['4', 'four']")))[2][0].gold is None
    with pytest.raises(ReachlabError, match="row 1: field 'predictions': a printed list that does not say"):
        read(parquet(tmp_path / "y.parquet", old(predictions="['4' 'five']")))
