import json
from pathlib import Path
from typing import Any

import pytest

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.importing import import_samples
from reachlab.imports.result import ImportedRun
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore


def a_line(sample: str = "q1", text: Any = "It is 4.", right: bool = True, **changed: Any) -> dict[str, Any]:
    return {
        "schema_version": "instance_level_eval_0.2.1",
        "evaluation_id": "gsm8k/org/m/1700000000",
        "model_id": "org/m",
        "evaluation_name": "gsm8k",
        "sample_id": sample,
        "interaction_type": "single_turn",
        "input": {"raw": "2+2?", "reference": ["4"]},
        "output": {"raw": text if isinstance(text, list) else [text]},
        "answer_attribution": [],
        "evaluation": {"score": float(right), "is_correct": right},
        **changed,
    }


def imported(folder: Path, *lines: dict[str, Any], **options: Any) -> list[ImportedRun]:
    (folder / "x_samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = ImportConfig(file=(str(folder / "x_samples.jsonl"),), out=str(folder / "out"), workers=1, **options)
    return import_samples(config)


def stored(folder: Path) -> list[tuple[str, int, str, str]]:
    return [(s.problem_id, s.index, s.text, s.verdict.status) for s in SampleStore(RunFolder(folder)).samples()]


def test_a_line_an_answer(tmp_path: Path) -> None:
    lines = [
        a_line(),
        a_line(text="5", right=False),
        a_line("q2", ["7"], True, input={"raw": "3+4?", "reference": "7"}),
    ]
    (run,) = imported(tmp_path, *lines)
    assert (run.format, run.problems, run.samples, run.correct, run.agreement) == ("every-eval-ever", 2, 3, 2, 1.0)
    assert stored(tmp_path / "out") == [
        ("q1", 0, "It is 4.", "correct"),
        ("q1", 1, "5", "wrong"),
        ("q2", 0, "7", "correct"),
    ]


def test_verdicts_of_the_file(tmp_path: Path) -> None:
    lost = a_line(text="6", right=False, error="out of time")
    (run,) = imported(tmp_path, a_line(text="5", right=True), lost, verdicts="file")
    assert (run.correct, run.wrong, run.unscored) == (1, 0, 1)


def test_several_answers_with_one_score_have_no_label(tmp_path: Path) -> None:
    (run,) = imported(tmp_path, a_line(text=["4", "5"]), a_line("q2", [], input={"raw": "?", "reference": ["1"]}))
    assert (run.samples, run.labelled, run.unanswered) == (3, 0, 1)


def test_a_conversation(tmp_path: Path) -> None:
    said = [("system", "x"), ("user", "2+2?"), ("assistant", "3"), ("user", "Sure?"), ("assistant", "It is 4.")]
    messages = [{"turn_idx": i, "role": role, "content": text} for i, (role, text) in enumerate(said)]
    line = a_line(interaction_type="multi_turn", output=None, messages=messages)
    (run,) = imported(tmp_path, line)
    assert stored(tmp_path / "out") == [("q1", 0, "It is 4.", "correct")]
    assert run.agreement == 1.0


def test_several_metrics_score_the_same_answers(tmp_path: Path) -> None:
    lines = [
        a_line(text=text, right=right, evaluation_result_id=metric)
        for text, right in (("4", True), ("5", False))
        for metric in ("f1", "accuracy")
    ]
    (run,) = imported(tmp_path, *lines)
    assert (run.samples, run.agreement) == (2, 1.0)
    assert run.taken == "answers from output.raw, label from accuracy (also there: f1; --filter takes another)"
    with pytest.raises(ReachlabError, match="--filter bleu: the log has f1, accuracy"):
        imported(tmp_path, *lines, filter="bleu")


def test_evaluations_and_models_are_runs_of_their_own(tmp_path: Path) -> None:
    lines = [
        a_line(),
        a_line(evaluation_name="other", evaluation_result_id="f1"),
        a_line(model_id="org/n", evaluation_name="other"),
    ]
    runs = imported(tmp_path, *lines)
    assert [run.name for run in runs] == ["org_m_gsm8k", "org_m_other", "org_n_other"]
    assert [run.samples for run in runs] == [1, 1, 1]


def test_choices(tmp_path: Path) -> None:
    asked = {"raw": "Which?", "reference": ["B"], "choices": ["red", "blue"]}
    (run,) = imported(tmp_path, a_line(text="B", input=asked), a_line(text="A", right=False, input=asked))
    assert (run.correct, run.agreement) == (1, 1.0)
    (problem,) = SampleStore(RunFolder(tmp_path / "out")).problems()
    assert (problem.prompt, problem.answer) == ("Which?\n\nA. red\nB. blue", "B")


def test_neither_output_nor_messages(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r":2: neither output\.raw nor messages"):
        imported(tmp_path, a_line(), a_line(output={"text": "4"}))
