from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import labels, lines, read, texts


def row(**other: Any) -> dict[str, Any]:
    return {
        "input": "system\nBe brief.\nuser\nWhat is 2+2?\nassistant\n",
        "output": "It is 4.",
        "gts": "4",
        "score": 1.0,
        "step": 7,
    } | other


def test_a_rollout_a_row(tmp_path: Path) -> None:
    name, taken, found = read(lines(tmp_path / "7.jsonl", row(), row(output="It is 5.", score=-1.0)))
    assert (name, taken) == ("verl", "")
    assert texts(found) == [["It is 4."], ["It is 5."]]
    assert labels(found) == [[1.0], [-1.0]]
    assert {(r.id, r.question, r.gold, r.run) for r in found} == {(None, "What is 2+2?", "4", "")}


def test_steps_are_runs_over_files(tmp_path: Path) -> None:
    files = [lines(tmp_path / f"{step}.jsonl", row(step=step), row(step=step)) for step in (7, 10)]
    _, taken, found = read(*files)
    assert [r.run for r in found] == ["step-000007"] * 2 + ["step-000010"] * 2
    assert taken == "a run for each step: each is another policy"


def test_what_the_reward_function_adds(tmp_path: Path) -> None:
    rows = [row(acc=False, score=1.0, pred="4", num_turns=2), row(acc=True, score=-1.0)]
    assert labels(read(lines(tmp_path / "x.jsonl", *rows))[2]) == [[False], [True]]


def test_a_score_of_another_scale_is_no_label(tmp_path: Path) -> None:
    file = lines(tmp_path / "x.jsonl", row(score=1.0), row(score=2.5))
    assert labels(read(file)[2]) == [[None], [None]]
    assert labels(read(file, threshold=2.0)[2]) == [[1.0], [2.5]]


@pytest.mark.parametrize(
    ("gts", "gold", "worked"),
    [
        (None, None, False),
        ({"ground_truth": "4", "style": "rule"}, "4", False),
        (["4"], "4", False),
        (["4", "four"], None, False),
        ('{"inputs": ["1"], "outputs": ["2"]}', None, False),
        ("assert f(1) == 2", None, False),
        ("So \\boxed{4}", "So \\boxed{4}", True),
        (4, 4, False),
    ],
)
def test_right_answers(tmp_path: Path, gts: Any, gold: Any, worked: bool) -> None:
    (record, _) = read(lines(tmp_path / "x.jsonl", row(gts=gts), row()))[2]
    assert (record.gold, record.worked) == (gold, worked)


def test_dumps_without_gold_answers(tmp_path: Path) -> None:
    old = {k: v for k, v in row().items() if k != "gts"}
    assert read(lines(tmp_path / "x.jsonl", old, old))[2][0].gold is None
