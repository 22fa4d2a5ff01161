"""Formats of evaluation platforms: OpenCompass, evalscope, HELM, OpenAI evals."""

from pathlib import Path
from typing import Any

import pytest
from tests.imports.formats.reading import document, labels, lines, read, texts

from reachlab.errors import ReachlabError

HUMAN = {"role": "HUMAN", "prompt": "2+2?"}


def compass(**other: Any) -> dict[str, Any]:
    return {"origin_prompt": [HUMAN], "prediction": "It is 4.", "gold": "4"} | other


def test_opencompass_predictions(tmp_path: Path) -> None:
    shots = [{"role": "HUMAN", "prompt": "1+1?"}, {"role": "BOT", "prompt": "2"}, HUMAN]
    rows = {
        "0": compass(),
        "1": compass(origin_prompt=shots, prediction=["4", "5"]),
        "2": compass(origin_prompt="<|im_start|>user\n2+2?<|im_end|>\n"),
    }
    name, _, found = read(document(tmp_path / "x.json", rows))
    assert name == "opencompass"
    assert [(r.id, r.question, r.gold) for r in found] == [(n, "2+2?", "4") for n in "012"]
    assert texts(found) == [["It is 4."], ["4", "5"], ["It is 4."]]


def test_opencompass_on_its_way(tmp_path: Path) -> None:
    rows = [{"idx": n, **compass()} for n in (0, 1)]
    assert [r.id for r in read(lines(tmp_path / "tmp_x.jsonl", *rows))[2]] == ["0", "1"]


def test_opencompass_results(tmp_path: Path) -> None:
    detail = {
        "prompt": [HUMAN],
        "origin_prediction": "It is 4.",
        "predictions": "4",
        "references": "4",
        "correct": [True],
    }
    _, _, found = read(
        document(
            tmp_path / "x.json",
            {"accuracy": 50.0, "details": {"type": "GEN", "0": detail, "1": detail | {"correct": False}}},
        )
    )
    assert (texts(found), labels(found)) == ([["It is 4."]] * 2, [[True], [False]])
    assert [(r.id, r.gold) for r in found] == [("0", "4"), ("1", "4")]


@pytest.mark.parametrize("gold", ["HumanEval/0", "assert f() == 1", ["4", "four"], {"inputs": []}, "", None])
def test_what_is_no_gold_answer(tmp_path: Path, gold: Any) -> None:
    assert read(document(tmp_path / "x.json", {"0": compass(gold=gold)}))[2][0].gold is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (compass(prediction="A", **{"label: A": {"PPL": 1.0}}), "a choice by perplexity"),
        (compass(origin_prompt=[[HUMAN], [HUMAN]], prediction=["a", "b"]), "several rounds"),
    ],
)
def test_what_opencompass_does_not_say(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(ReachlabError, match=rf"x\.json: 0: .*{says}"):
        read(document(tmp_path / "x.json", {"0": row}))


def scope(index: int, **other: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": "It is 4."}, "stop_reason": "max_tokens"}
    asked = [{"role": "user", "content": "2+2?"}, choice["message"]]
    return {"index": index, "model": "m", "model_output": {"choices": [choice]}, "messages": asked} | other


def test_evalscope_predictions_are_of_one_problem_by_their_question(tmp_path: Path) -> None:
    name, _, found = read(lines(tmp_path / "x.jsonl", scope(0), scope(1)))
    assert name == "evalscope"
    assert [(r.id, r.question, r.run, r.answers[0].finish) for r in found] == [(None, "2+2?", "", "length")] * 2
    assert [r.run for r in read(lines(tmp_path / "y.jsonl", scope(0), scope(0, model="n")))[2]] == ["m", "n"]


def test_evalscope_reviews(tmp_path: Path) -> None:
    def review(index: int, **score: Any) -> dict[str, Any]:
        said = {"prediction": "It is 4.", "extracted_prediction": "4", "value": {"len": 8, "acc": 1.0}} | score
        return {"index": index, "input": "2+2?", "target": "4", "sample_score": {"score": said, "group_id": 0}}

    rows = [review(0, main_score_name="acc"), review(1, value={"acc": False})]
    found = read(lines(tmp_path / "x.jsonl", *rows))[2]
    assert [(r.id, r.gold, r.question) for r in found] == [("0", "4", "2+2?")] * 2
    assert (texts(found), labels(found)) == ([["It is 4."]] * 2, [[1.0], [False]])


def test_old_evalscope(tmp_path: Path) -> None:
    choice = {"message": {"content": "It is 4."}, "review": {"gold": "4", "pred": "4", "result": True}}
    row = {"index": 3, "raw_input": {"question": "2+2?"}, "choices": [choice], "model_spec": {"model_id": "m"}}
    record, _ = read(lines(tmp_path / "x.jsonl", row, row))[2]
    assert (record.id, record.question, record.gold, record.answers[0].label) == ("3", "2+2?", "4", True)


def helm(**other: Any) -> dict[str, Any]:
    references = [{"output": {"text": "4"}, "tags": ["correct"]}, {"output": {"text": "5"}, "tags": []}]
    instance = {"input": {"text": "2+2?"}, "references": references, "split": "test", "id": "id7"}
    done = {
        "success": True,
        "completions": [{"text": "It is 4.", "finish_reason": {"reason": "length"}}, {"text": "5"}],
    }
    return {
        "instance": instance,
        "request": {"model": "org/m", "prompt": "2+2?"},
        "train_trial_index": 0,
        "result": done,
    } | other


def test_helm(tmp_path: Path) -> None:
    mapped = helm(output_mapping={"A": "5", "B": "4"}, result={"success": False, "completions": []})
    name, _, found = read(document(tmp_path / "x.json", {"adapter_spec": {}, "request_states": [helm(), mapped]}))
    assert name == "helm"
    assert texts(found) == [["It is 4.", "5"], [None]]
    assert [(r.id, r.question, r.gold) for r in found] == [("id7", "2+2?", "4")] * 2
    assert [a.finish for a in found[0].answers] == ["length", "stop"]
    assert found[1].choice is not None
    assert (found[1].choice.letter, found[1].choice.options) == ("B", ("5", "4"))
    with pytest.raises(ReachlabError, match="log-likelihoods"):
        read(document(tmp_path / "y.json", {"request_states": [helm(reference_index=1)]}))


def test_openai_evals(tmp_path: Path) -> None:
    def event(number: int, type: str, **data: Any) -> dict[str, Any]:
        return {"run_id": "r", "event_id": number, "sample_id": f"s.{number}", "type": type, "data": data}

    rows = [
        {"spec": {"run_id": "r"}},
        event(0, "sampling", prompt="2+2?", sampled=["It is 4."]),
        event(0, "match", correct=True, expected="4", picked="4", sampled="It is 4."),
        event(1, "match", correct=False, expected=["5", "five"], picked=None, sampled="It is 4."),
        {"final_report": {"accuracy": 0.5}},
    ]
    name, _, found = read(lines(tmp_path / "x.jsonl", *rows))
    assert name == "openai-evals"
    assert [(r.id, r.gold, r.question) for r in found] == [("s.0", "4", None), ("s.1", None, None)]
    assert (texts(found), labels(found)) == ([["It is 4."]] * 2, [[True], [False]])
