import pickle
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Command
from tests.tiny import rows_of

from reachlab.errors import ReachlabError
from reachlab.tasks.judging import Judge
from reachlab.tasks.programs import INPUTS, Programs, outputs_of
from reachlab.tasks.sandbox import bubble
from reachlab.types import Problem

walled = pytest.mark.skipif(bool(bubble.available()), reason=f"no sandbox: {bubble.available()}")
TRIPLE = Problem(id="t", prompt="", answer={"outputs": [3 * x + 2 for x in INPUTS], "program": "x*3+2"})


@given(st.integers(0, 10**9), st.integers(1, 5), st.sampled_from([0.0, 1.0]))
def test_a_problem_holds_together(seed: int, ops: int, modulo: float) -> None:
    task = Programs(ops=ops, modulo=modulo)
    problem = task.draw(Random(seed), listed=True)
    outputs = problem.answer["outputs"]
    shown = dict(pair.split(">") for pair in str(problem.prompt).rstrip(":").split())
    assert {int(x): int(y) for x, y in shown.items()} == {x: outputs[x] for x in problem.metadata["shown"]}
    assert max(map(abs, outputs)) <= 99
    assert ("%" in problem.answer["program"]) == bool(modulo)
    assert task.verify(problem, task.solve(problem, Random(0))).status == "correct"
    assert outputs == [eval(problem.answer["program"], {"x": x}) for x in INPUTS]
    attempt = task.attempt(problem, Random(seed))
    found = outputs_of(attempt)
    assert found is not None
    assert any(found[x] == outputs[x] for x in problem.metadata["shown"])
    assert set(f"{problem.prompt}{attempt}") <= set(task.alphabet())
    assert len(attempt) < 60


@pytest.mark.parametrize(
    ("text", "status", "score"),
    [
        ("x*3+2", "correct", 1.0),
        (" 2 + x + x + x\n", "correct", 1.0),
        ("x*3+2 if x<9 else 0", "wrong", 9 / 16),
        ("x*2+3", "wrong", 1 / 16),
        ("x*3+2+1//x", "wrong", 14 / 16),  # nothing at 0, one too many at 1
        ("", "wrong", 0.0),
        ("x*3+", "wrong", 0.0),
        ("9**9**9**9", "wrong", 0.0),
        ("x*3+2.0", "correct", 1.0),  # as Python has it
        ("9**300/1*9**300", "wrong", 0.0),
        ("1e999", "wrong", 0.0),
        ("-1e999", "wrong", 0.0),
        ("1e999-1e999", "wrong", 0.0),
        ("float('inf')", "wrong", 0.0),
        ("10**400", "wrong", 0.0),
        ("1<<9000000", "wrong", 0.0),
        ("x*3+2+1e-7", "wrong", 0.0),
        ("str(x*3+2)", "wrong", 0.0),
        ("x*3+2+0j", "wrong", 0.0),
        ("(x*3+2,)", "wrong", 0.0),
        ("[x*3+2][0]", "correct", 1.0),
        ("type('E', (int,), {'__eq__': lambda s, o: True})(1)", "wrong", 0.0),
        ("\ud800", "wrong", 0.0),
        ("'\ud800'", "wrong", 0.0),
        ("x*3+2\0", "wrong", 0.0),
        ("x)+(3*x", "wrong", 0.0),
        ("-" * 199 + "x", "wrong", 0.0),
        ("*".join("9" * 70), "wrong", 0.0),
        ("__import__('numpy')", "wrong", 0.0),
        ("(" * 150, "wrong", 0.0),
        ("x" * 300, "wrong", 0.0),
        ("True", "wrong", 0.0),
        ("x==x", "wrong", 0.0),
    ],
)
def test_verdicts(text: str, status: str, score: float) -> None:
    if not outputs_of(text) and bubble.available():
        pytest.skip(bubble.available())
    found = Programs().verify(TRIPLE, text)
    assert (found.status, found.score) == (status, score), found


@walled
def test_other_python_runs_in_the_sandbox() -> None:
    task = Programs()
    hostile = (
        "[c for c in ().__class__.__base__.__subclasses__() if 'Popen' in c.__name__][0]('touch /tmp/mark', shell=True)"
    )
    asked = [
        "sum([x, x, x, 2])",
        "(lambda y: y * 3 + 2)(x)",
        "x*3+2 if True else f",
        "__import__('os')._exit(0)",
        hostile,
    ]
    with Judge(task, workers=1) as judge:
        found = judge.verify([(TRIPLE, text) for text in asked])
    assert [v.status for v in found] == ["correct"] * 3 + ["wrong"] * 2
    assert pickle.loads(pickle.dumps(task)).ops == 2


def test_one_function_is_in_one_split() -> None:
    task = Programs(ops=1)
    train, test = ({task.key(p) for p in task.problems(split, 40)} for split in ("train", "test"))
    assert not train & test


def test_votes_count_functions() -> None:
    task = Programs()
    assert task.final_answer(TRIPLE, "x*3+2") == task.final_answer(TRIPLE, "2+3*x") == task.gold(TRIPLE)
    assert task.final_answer(TRIPLE, "x*3") != task.gold(TRIPLE)
    assert task.final_answer(TRIPLE, "print(x)") is None


@pytest.mark.parametrize("settings", [{"ops": 0}, {"examples": 17}, {"modulo": 2.0}, {"max_number": 1}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ReachlabError, match="programs: "):
        Programs(**settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_pipeline_runs_on_it(tmp_path: Path, command: Command) -> None:
    """Pretrain, RL with partial credit on the rollouts of largest variance, sample, compare."""
    task = "programs,ops=1"
    small = ("--tokenizer", "char", "--hidden", "64", "--layers", "2", "--seed", "0")
    steps = [
        ("pretrain", "--data", f"{task},modulo=0", *small, "--steps", "60", "--batch", "32", "--out", "base"),
        ("rl", "--model", "base", "--task", task, "--rollouts", "8", "--keep", "4", "--rule", "max_variance",
         "--prompts", "4", "--max-tokens", "10", "--steps", "2", "--out", "pods"),
        *(("sample", "--model", m, "--task", task, "--problems", "5", "--samples", "8", "--max-tokens", "10", "--out",
           f"{m}-samples") for m in ("base", "pods")),
        ("compare", "base-samples", "pods-samples"),
    ]  # fmt: skip
    places = {"base", "pods", "base-samples", "pods-samples"}
    for step in steps:
        code, _, err = command(*(tmp_path / w if w in places else w for w in step))
        assert code == 0, err
    scores = {row["score"] for row in rows_of(tmp_path / "base-samples")}
    assert len(scores - {0.0, 1.0}) > 0  # partial credit
