from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import labels, parquet, read, texts


def row(**other: Any) -> dict[str, Any]:
    base = {"step": 5, "prompt": "2+2?", "completion": "It is 4.", "format_reward": 1.0, "accuracy_reward": 0.0}
    return base | {"advantage": 0.1} | other


def test_a_rollout_a_row(tmp_path: Path) -> None:
    name, _, found = read(parquet(tmp_path / "x.parquet", row(solution="4"), row(solution="$\\boxed{4}$")))
    assert name == "trl"
    assert texts(found) == [["It is 4."]] * 2
    assert labels(found) == [[0.0]] * 2
    assert [(r.question, r.gold, r.worked, r.run) for r in found] == [
        ("2+2?", "4", False, ""),
        ("2+2?", "$\\boxed{4}$", True, ""),
    ]


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"accuracy_reward": float("nan"), "correctness_reward_func": 1.0}, 1.0),
        ({"accuracy_reward": None}, None),
        ({"accuracy_reward": None, "reward": 1.0, "soft_format_reward_func": 1.0}, None),
        ({"accuracy_reward": None, "reward_correct_answer": 1.0, "incorrect_penalty": 1.0}, 1.0),
    ],
)
def test_only_a_reward_for_the_answer_is_a_label(tmp_path: Path, columns: dict[str, Any], label: Any) -> None:
    assert labels(read(parquet(tmp_path / "x.parquet", row(**columns), row(**columns)))[2]) == [[label]] * 2


def test_prompts_and_completions_may_be_chats_or_templated(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
    said = [{"role": "assistant", "content": "It is 4."}]
    (record,) = read(parquet(tmp_path / "x.parquet", row(prompt=chat, completion=said)))[2]
    assert (record.question, record.answers[0].text) == ("2+2?", "It is 4.")
    templated = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    assert read(parquet(tmp_path / "y.parquet", row(prompt=templated)))[2][0].question == "2+2?"


def test_steps_are_runs(tmp_path: Path) -> None:
    rows = [row(step=step) for step in ("5", "10")]  # older versions write texts
    assert [r.run for r in read(parquet(tmp_path / "x.parquet", *rows))[2]] == ["step-000005", "step-000010"]
