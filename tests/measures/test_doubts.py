import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.conftest import Command
from tests.measures.small_runs import drawn, stored

from reachlab.measures.doubts import read_doubts
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.results import measure_run
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Sample, Verdict

NOTHING = {"silent": 0, "gold": 0, "number": 0, "split": 0}


def doubtful() -> list[Sample]:
    """Gold is 5 of every problem. a: cut and right twice; b: one of each contradiction; c: nothing."""
    return [
        drawn("a", 0, "x 5", right=True, finish="length"),
        drawn("a", 1, "x 4", finish="length"),
        drawn("a", 2, "y 5", right=True, finish="length"),
        drawn("a", 3, "x 5", right=True),
        drawn("b", 0, "x", right=True, final_answer=None, finish="length"),
        drawn("b", 1, "x 5"),
        drawn("b", 2, "\x1b[2J 7", right=True, final_answer="7"),
        drawn("b", 3, "x z"),
        drawn("b", 4, "x z"),
        drawn("b", 5, "x z", right=True),
        drawn("b", 6, "x 5", verdict=Verdict.unscored("died"), finish="length"),
        drawn("c", 0, "x 6"),
    ]


def run(path: Path, samples: list[Sample], **config: Any) -> SampleStore:
    problems = [Problem(id=i, prompt=i, answer={"value": 5}) for i in dict.fromkeys(s.problem_id for s in samples)]
    return stored(path, samples, problems, **config)


def test_both_are_counted_and_some_are_named(tmp_path: Path) -> None:
    found = read_doubts(run(tmp_path / "run", doubtful()))
    assert found.cut == 3
    assert found.kinds == {"silent": 1, "gold": 1, "number": 1, "split": 1}
    assert found.contradictions == 4
    assert found.note == ""
    # Of b a contradiction stands before what was only cut; here it is the same sample.
    assert found.first == {"a": 0, "b": 0}
    assert [(d.problem_id, d.sample, d.verdict, d.final_answer, d.gold, d.kind) for d in found.named] == [
        ("a", 0, "correct", "5", "5", None),
        ("a", 2, "correct", "5", "5", None),
        ("b", 0, "correct", None, "5", None),
        ("b", 0, "correct", None, "5", "silent"),
        ("b", 1, "wrong", "5", "5", "gold"),
        ("b", 2, "correct", "7", "5", "number"),
        ("b", 5, "correct", "z", "5", "split"),
    ]
    assert found.lines() == [
        "right although cut at the limit: 3; an answer in unfinished text, such as",
        "  problem a, sample 0: right although cut",
        "  problem a, sample 2: right although cut",
        "  problem b, sample 0: right although cut",
        "verdicts that contradict the final answer: 4, such as",
        "  problem b, sample 0: correct, and comes down to no final answer",
        "  problem b, sample 1: wrong, and comes down to '5', the gold answer",
        "  problem b, sample 2: correct, and comes down to '7', not to the gold answer '5'",
        "  problem b, sample 5: correct, unlike most that come down to 'z'",
    ]
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["right_but_cut"] == 3
    assert plain["contradictions"] == dict(found.kinds)
    assert plain["named"][4] == {
        "problem_id": "b", "sample": 1, "verdict": "wrong", "final_answer": "5", "gold": "5", "kind": "gold",
    }  # fmt: skip


def test_where_there_is_nothing_nothing_is_said(tmp_path: Path) -> None:
    found = read_doubts(run(tmp_path / "run", [drawn("a", 0, "5", right=True), drawn("a", 1, "4", finish="length")]))
    assert (found.cut, found.kinds, found.named, found.first, found.lines()) == (0, NOTHING, [], {}, [])


def test_a_contradiction_is_named_before_what_is_only_cut(tmp_path: Path) -> None:
    samples = [drawn("a", 0, "5", right=True, finish="length"), drawn("a", 1, "5"), drawn("a", 2, "5")]
    assert read_doubts(run(tmp_path / "run", samples)).first == {"a": 1}


def test_no_more_than_a_few_are_named(tmp_path: Path) -> None:
    found = read_doubts(run(tmp_path / "run", [drawn("a", i, "5", finish="length") for i in range(9)][::-1]))
    assert found.kinds == {**NOTHING, "gold": 9}
    assert [doubt.sample for doubt in found.named] == [0, 1, 2]


def test_final_answers_that_say_nothing_of_the_verdict(tmp_path: Path) -> None:
    """A scene's steps are judged too, so a right result can be wrong."""
    problems = [Problem(id="a", prompt="a", answer={"result": 5})]
    store = stored(tmp_path / "run", [drawn("a", 0, "x 5", finish="length")], problems, task="scenes")
    found = read_doubts(store)
    assert (found.kinds, found.note, found.lines()) == (None, "", [])


def test_a_task_without_final_answers(tmp_path: Path) -> None:
    samples = [drawn("a", i, "5", right=True, final_answer=None, finish="length") for i in range(2)]
    found = read_doubts(run(tmp_path / "run", samples, task="countdown"))
    assert (found.cut, found.kinds, found.note) == (2, None, "")


def test_a_run_from_before_final_answers(tmp_path: Path) -> None:
    store = run(tmp_path / "run", doubtful())
    path = store.parts()[0]
    pq.write_table(pq.read_table(path).drop_columns(["steps", "valid_steps", "final_answer"]), path)
    assert read_doubts(store).kinds is None
    for path in store.parts():
        pq.write_table(pq.read_table(path).select(range(11)), path)
    found = read_doubts(store)
    assert (found.cut, found.kinds) == (3, None)
    assert found.named[0].final_answer is None


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("nonsense", "final answers are not held against gold answers: unknown task family 'nonsense'"),
        (None, "the run does not say its task"),
        ("gym:gcd", r"3 gold answers cannot be read; problem a: ValueError"),
    ],
)
def test_without_gold_answers_the_rest_is_found(tmp_path: Path, task: str | None, says: str) -> None:
    store = run(tmp_path / "run", doubtful(), task=task)
    found = read_doubts(store)
    assert found.kinds == {"silent": 1, "gold": 0, "number": 0, "split": 1}
    assert says in found.note
    assert says in measure_run(MeasuredRun(store, Intervals(20))).notes["gold"]


def test_the_tasks_file_need_not_be_there(tmp_path: Path) -> None:
    samples = [drawn("a", 0, "0.50"), drawn("a", 1, "$1/2$", final_answer="1/2")]
    problems = [Problem(id="a", prompt="a", answer="\\frac12", metadata={"question": "a"})]
    found = read_doubts(stored(tmp_path / "run", samples, problems, task="math:gone.jsonl"))
    assert found.kinds == {**NOTHING, "gold": 1}


def test_the_task_may_be_given(tmp_path: Path) -> None:
    assert read_doubts(run(tmp_path / "run", doubtful(), task="nonsense"), load_task("chain,length=2")).note == ""


def test_the_command_says_none(command: Command, tmp_path: Path) -> None:
    run(tmp_path / "run", doubtful())
    run(tmp_path / "quiet", [drawn("a", i, "5", right=True) for i in range(2)])
    code, out, err = command("measures", tmp_path / "run", "--resamples", "20")
    assert (code, err) == (0, "")
    assert "verdicts that contradict the final answer: 4, such as\n  problem b, sample 0: correct, and comes" in out
    assert "right although cut at the limit: 3; an answer in unfinished text, such as\n" in out
    code, out, _ = command("measures", tmp_path / "quiet", "--resamples", "20")
    assert code == 0
    assert "right although cut at the limit: none\nverdicts that contradict the final answer: none\n" in out
    code, out, _ = command("measures", tmp_path / "run", "--resamples", "20", "--json")
    assert json.loads(out)[0]["doubts"]["right_but_cut"] == 3
