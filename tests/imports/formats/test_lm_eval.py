from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import labels, lines, read, texts

from reachlab.errors import ReachlabError


def row(number: int = 0, **other: Any) -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"question": f"What is {number} + 1?", "answer": f"so\n#### {number + 1}"},
        "target": f"so\n#### {number + 1}",
        "arguments": {"gen_args_0": {"arg_0": f"Question: What is {number} + 1?", "arg_1": {"until": ["\n"]}}},
        "resps": [[f"It is {number + 1}."]],
        "filtered_resps": [str(number + 1)],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": 1.0,
    } | other


def test_a_document_a_row(tmp_path: Path) -> None:
    name, taken, found = read(lines(tmp_path / "x.jsonl", row(0), row(1, exact_match=0.0)))
    assert (name, taken) == ("lm-eval", "answers from resps")
    assert texts(found) == [["It is 1."], ["It is 2."]]
    assert labels(found) == [[1.0], [0.0]]
    assert [(r.id, r.question, r.gold, r.run, r.index) for r in found] == [
        ("0", "What is 0 + 1?", "so\n#### 1", "", None),
        ("1", "What is 1 + 1?", "so\n#### 2", "", None),
    ]


def test_filters_score_the_same_answers(tmp_path: Path) -> None:
    rows = [row(n, filter=f, exact_match=m) for f, m in (("strict", 0.0), ("flexible-extract", 1.0)) for n in (0, 1)]
    file = lines(tmp_path / "x.jsonl", *rows)
    _, taken, found = read(file)
    assert labels(found) == [[1.0], [1.0]]
    assert taken.startswith("answers from resps; filter flexible-extract (also there: strict;")
    assert labels(read(file, filter="strict")[2]) == [[0.0], [0.0]]
    with pytest.raises(ReachlabError, match="--filter none: the log has strict, flexible-extract"):
        read(file, filter="none")


def test_filters_without_a_name_are_noticed(tmp_path: Path) -> None:
    bare = [{k: v for k, v in row(n).items() if k not in ("filter", "metrics")} for n in (0, 1)]
    _, taken, found = read(lines(tmp_path / "x.jsonl", *bare, *bare))
    assert [r.id for r in found] == ["0", "1"]
    assert labels(found) == [[1.0], [1.0]]
    assert "2 rows that another filter, which is not named, wrote again are left out" in taken


def test_repeats_have_no_label_of_all_together(tmp_path: Path) -> None:
    two = [["It is 1.", "It is 2."]]
    _, _, found = read(lines(tmp_path / "x.jsonl", row(resps=two), row(1, resps=two, exact_match=[1.0, 0.0])))
    assert texts(found) == [["It is 1.", "It is 2."]] * 2
    assert labels(found) == [[None, None], [1.0, 0.0]]


def test_the_metric_that_judges_the_whole_answer_comes_first(tmp_path: Path) -> None:
    metrics: dict[str, Any] = {"metrics": ["exact_match", "math_verify"], "exact_match": 0, "math_verify": 1}
    assert labels(read(lines(tmp_path / "x.jsonl", row(**metrics), row(1, **metrics)))[2]) == [[1], [1]]


@pytest.mark.parametrize(
    "resps",
    [[["-1.5", "False"]], [[[-1.5, False]]], [[-1.5]], [["a"], [[-2.0, True]]]],
    ids=["text", "pairs", "number", "one"],
)
def test_log_likelihoods_are_no_answers(tmp_path: Path, resps: Any) -> None:
    arguments = {"gen_args_0": {"arg_0": "Question", "arg_1": " A"}}
    with pytest.raises(ReachlabError, match=r"x\.jsonl:1: a choice by log-likelihoods"):
        read(lines(tmp_path / "x.jsonl", row(resps=resps, arguments=arguments), row(1)))


def test_a_rolling_likelihood_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="log-likelihoods"):
        read(lines(tmp_path / "x.jsonl", row(resps=[["-321.5"]], arguments={"gen_args_0": {"arg_0": "text"}}), row(1)))


def test_several_prompts_are_not_one_question(tmp_path: Path) -> None:
    arguments = {f"gen_args_{i}": {"arg_0": f"turn {i}", "arg_1": {}} for i in (0, 1)}
    with pytest.raises(ReachlabError, match="several prompts to one document"):
        read(lines(tmp_path / "x.jsonl", row(arguments=arguments, resps=[["a"], ["b"]]), row(1)))


@pytest.mark.parametrize(
    ("doc", "target", "gold", "identity"),
    [
        ({"task_id": "HumanEval/0", "prompt": "def f():", "entry_point": "f"}, "check(f)", None, "HumanEval/0"),
        ({"task_id": 11, "text": "Write f.", "test_list": ["assert f() == 1"]}, "assert f() == 1", None, "11"),
        ({"key": 1, "prompt": "No commas.", "instruction_id_list": ["no_comma"]}, "0", None, "0"),
        ({"question": "Who?", "answers": ["a", "b"]}, "['a', 'b']", None, "0"),
        ({"question": "Who?"}, "['Ada']", "Ada", "0"),
        ({"question": "Who?"}, "", None, "0"),
        ({"problem": "2+2?"}, "We add: $\\boxed{4}$.", "We add: $\\boxed{4}$.", "0"),
    ],
)
def test_what_is_no_gold_answer(tmp_path: Path, doc: Any, target: str, gold: str | None, identity: str) -> None:
    _, _, (record, _) = read(lines(tmp_path / "x.jsonl", row(doc=doc, target=target), row(1)))
    assert (record.gold, record.id, record.worked) == (gold, identity, "boxed" in target)


@pytest.mark.parametrize("target", ["1", 1, "B", "blue"])
def test_the_target_of_a_choice_may_be_a_number(tmp_path: Path, target: Any) -> None:
    doc = {"question": "The sky?", "choices": ["red", "blue"], "answer": 1}
    _, _, (record, _) = read(lines(tmp_path / "x.jsonl", row(doc=doc, target=target), row(1)))
    assert record.choice is not None
    assert (record.choice.letter, record.choice.options) == ("B", ("red", "blue"))
    assert record.choice.question == "The sky?\n\nA. red\nB. blue"


def test_a_number_that_is_no_options_is_no_gold_answer(tmp_path: Path) -> None:
    doc = {"question": "The sky?", "choices": ["red", "blue"]}
    _, _, (record, _) = read(lines(tmp_path / "x.jsonl", row(doc=doc, target="7"), row(1)))
    assert (record.choice, record.gold) == (None, None)


@pytest.mark.parametrize(
    "prompt",
    [
        "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n",
        ['[{"role": "user", "content": "How many?"}]'],
        [{"role": "user", "content": "How many?"}],
    ],
)
def test_a_question_that_stands_in_the_prompt_alone(tmp_path: Path, prompt: Any) -> None:
    other = row(doc={"text": "x"}, arguments=[[prompt, {"until": []}]])  # as before 0.4.3
    assert read(lines(tmp_path / "x.jsonl", other, row(1)))[2][0].question == "How many?"


def test_folders_are_models_and_tasks_go_before_ids(tmp_path: Path) -> None:
    a, b = (
        lines(tmp_path / m / f"samples_{t}_2026-01-01T00-00-00.0.jsonl", row(0), row(1))
        for m, t in (("org__a", "gsm8k"), ("org__b", "gsm8k"))
    )
    _, taken, found = read(a, b)
    assert [(r.run, r.id) for r in found] == [("org__a", "0"), ("org__a", "1"), ("org__b", "0"), ("org__b", "1")]
    assert taken.endswith("a run a folder: each is a model's")
    c = lines(tmp_path / "org__a" / "samples_mmlu_law_2026-01-01T00-00-00.0.jsonl", row(5), row(6))
    assert [(r.run, r.id) for r in read(a, c)[2]] == [
        ("", "gsm8k/0"),
        ("", "gsm8k/1"),
        ("", "mmlu_law/5"),
        ("", "mmlu_law/6"),
    ]
