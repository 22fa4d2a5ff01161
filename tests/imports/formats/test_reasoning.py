"""Formats of reasoning models' answers: NeMo-Skills, open-r1, Tree of Thoughts, SkyRL."""

from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import document, labels, lines, read, texts

from reachlab.errors import ReachlabError


def nemo(**other: Any) -> dict[str, Any]:
    return {"problem": "2+2?", "expected_answer": "4", "generation": "It is 4.", "predicted_answer": "4"} | other


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"symbolic_correct": True, "judgement": "Judgement: No"}, True),
        ({"judgement": "They agree.\n**Judgement**: Yes"}, True),
        ({"judgement": "Judgement: No"}, False),
        ({"judgement": "C"}, None),
        ({}, None),
    ],
)
def test_nemo_skills(tmp_path: Path, more: dict[str, Any], label: Any) -> None:
    name, _, found = read(lines(tmp_path / "output-rs0.jsonl", nemo(**more), nemo(**more, id=3)))
    assert name == "nemo-skills"
    assert [(r.id, r.question, r.gold) for r in found] == [(None, "2+2?", "4"), ("3", "2+2?", "4")]
    assert (texts(found), labels(found)) == ([["It is 4."]] * 2, [[label]] * 2)


def test_nemo_skills_seeds_are_samples_and_programs_have_no_gold(tmp_path: Path) -> None:
    files = [lines(tmp_path / f"output-rs{seed}.jsonl", nemo(), nemo(problem="3+3?")) for seed in (0, 1)]
    assert [r.question for r in read(*files)[2]] == ["2+2?", "3+3?"] * 2
    several = nemo(generation=["4", "5"], is_correct=True, expected_answer=None)
    (record, _) = read(lines(tmp_path / "x.jsonl", several, nemo()))[2]
    assert (record.gold, texts([record]), labels([record])) == (None, [["4", "5"]], [[None, None]])


def r1(**other: Any) -> dict[str, Any]:
    base = {"problem": "2+2?", "solution": "So \\boxed{4}", "answer": "4", "uuid": "u", "generations": ["a", None]}
    return base | {"correctness_llama": [True, True], "correctness_math_verify": [True, False]} | other


def test_open_r1(tmp_path: Path) -> None:
    rows = [
        r1(),
        r1(correctness_math_verify=None, finish_reasons=["length", "stop"]),
        r1(correctness_count=1, answer=None),
    ]
    name, _, found = read(lines(tmp_path / "x.jsonl", *rows))
    assert name == "open-r1"
    assert texts(found) == [["a", None]] * 3
    assert labels(found) == [[True, False], [True, True], [True, False]]
    assert [(r.id, r.question, r.gold, r.worked) for r in found] == [
        ("u", "2+2?", "4", False),
        ("u", "2+2?", "4", False),
        ("u", "2+2?", "So \\boxed{4}", True),
    ]
    assert [a.finish for a in found[1].answers] == ["length", "stop"]


def test_open_r1_without_generations_or_answers(tmp_path: Path) -> None:
    rows = [
        r1(generations=None, correctness_math_verify=None, correctness_llama=None),
        r1(answer=None, solution="By induction."),
    ]
    none, unanswerable = read(lines(tmp_path / "x.jsonl", *rows))[2]
    assert (none.answers, unanswerable.gold) == ((), None)


def test_tree_of_thoughts(tmp_path: Path) -> None:
    rows = [{"idx": 900, "ys": ["a", "b"], "accs": [True, False]}, {"idx": 901, "ys": ["a"], "infos": [{"r": 1}]}]
    name, _, found = read(document(tmp_path / "x.json", rows))
    assert name == "tree-of-thought"
    assert [(r.id, *labels([r])) for r in found] == [("900", [True, False]), ("901", [1])]


def test_skyrl(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "input_prompt": "<|im_start|>system\nHm.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
        "output_response": "It is 4.<|im_end|>\n<|endoftext|>",
        "score": [0.0, 0.0, 1.0],
        "stop_reason": "length",
        "env_extras": {"reward_spec": {"method": "rule", "ground_truth": "4"}},
    }
    other = row | {"score": 0.0, "env_extras": {}, "stop_reason": None}
    name, _, found = read(lines(tmp_path / "x.jsonl", row, other))
    assert name == "skyrl"
    assert (texts(found), labels(found)) == ([["It is 4."]] * 2, [[1.0], [0.0]])
    assert [(r.question, r.gold, r.answers[0].finish) for r in found] == [
        ("2+2?", "4", "length"),
        ("2+2?", None, "stop"),
    ]
    with pytest.raises(ReachlabError, match=r"y\.jsonl:1: .*field 'input_prompt'"):
        read(lines(tmp_path / "y.jsonl", row | {"input_prompt": 3}, row))
