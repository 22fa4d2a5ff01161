import random
import string
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.chain import Chain
from reachlab.types import Problem, StepCheck, Verdict

TASK = Chain()
PROBLEM = Problem(id="5+7*3-2", prompt="7+5*3-2=?", answer={"terms": ["7", "+", "5", "*", "3", "-", "2"], "value": 34})
RIGHT = "7+5=12;12*3=36;36-2=34"


def from_left(terms: list[str]) -> int:
    """Python's own arithmetic, bracketed from the left."""
    text = terms[0]
    for op, number in zip(terms[1::2], terms[2::2], strict=True):
        text = f"({text}{op}{number})"
    return int(eval(text))


@pytest.mark.parametrize("length", [1, 2, 4, 12])
def test_the_solver_is_right_on_hundreds_of_problems(length: int) -> None:
    task, rng = Chain(length=length), random.Random(0)
    for problem in islice(task.stream("train", length), 250):
        assert from_left(problem.answer["terms"]) == problem.answer["value"]
        assert problem.prompt == "".join(problem.answer["terms"]) + "=?"
        chain = task.solve(problem, rng)
        assert task.verify(problem, chain) == Verdict.correct()
        assert task.check_steps(problem, chain) == StepCheck(length, length)
        assert all(abs(int(step.split("=")[1])) <= 99 for step in chain.split(";"))


@pytest.mark.parametrize("mistakes", [0.0, 0.3, 1.0])
def test_attempts_slip_once_as_often_as_asked(mistakes: float) -> None:
    task, n = Chain(mistakes=mistakes), 800
    wrong = 0
    for i, problem in enumerate(islice(task.stream("train", 2), n)):
        attempt = task.attempt(problem, random.Random(i))
        verdict, check = task.verify(problem, attempt), task.check_steps(problem, attempt)
        wrong += verdict.status == "wrong"
        assert (verdict.status == "correct") == check.holds
        slips = [s for s in attempt.split(";") if eval(s.replace("=", "!="))]
        assert len(slips) == (verdict.status == "wrong")
    assert abs(wrong / n - mistakes) <= 5 * (mistakes * (1 - mistakes) / n) ** 0.5


@pytest.mark.parametrize(
    ("text", "verdict", "check"),
    [
        (RIGHT, Verdict.correct(), StepCheck(3, 3)),
        ("1+33=34", Verdict.correct(), StepCheck(0, 3)),
        ("7+5=12;12*3=36;36-2=33", Verdict.wrong("33, not 34"), StepCheck(2, 3)),
        ("7+5=13;13*3=39;39-2=37", Verdict.wrong("37, not 34"), StepCheck(0, 3)),
        ("7+5=12", Verdict.wrong("12, not 34"), StepCheck(1, 3)),
        (f"{RIGHT};34+0=34", Verdict.correct(), StepCheck(3, 4)),
        ("34", Verdict.wrong("no last step: '34'"), StepCheck(0, 3)),
        ("", Verdict.wrong("no last step: ''"), StepCheck(0, 0)),
        (" \n", Verdict.wrong("no last step: ''"), StepCheck(0, 0)),
        (f"{RIGHT};", Verdict.wrong("no last step: '7+5=12;12*3=36;36-2=34;'"), StepCheck(3, 4)),
        ("36-2=３４", Verdict.wrong("no last step: '36-2=３４'"), StepCheck(0, 3)),
        ("36-2=34\n36-2=34", Verdict.wrong("no last step: '36-2=34\\n36-2=34'"), StepCheck(0, 3)),
    ],
)
def test_an_answer_is_judged_by_its_last_step_and_its_chain_apart(
    text: str, verdict: Verdict, check: StepCheck
) -> None:
    assert TASK.verify(PROBLEM, text) == verdict
    assert TASK.check_steps(PROBLEM, text) == check


def test_spaces_around_steps_do_not_matter() -> None:
    spaced = f" {RIGHT.replace(';', ' ; ')}\n"
    assert TASK.verify(PROBLEM, spaced) == Verdict.correct()
    assert TASK.check_steps(PROBLEM, spaced).holds


@pytest.mark.parametrize("text", ["9" * 100_000, f"1+1={'9' * 50_000}", "1+1=2;" * 50_000, "=" * 100_000])
def test_an_answer_without_measure_is_wrong_and_costs_little(text: str) -> None:
    assert TASK.verify(PROBLEM, text).status == "wrong"
    assert not TASK.check_steps(PROBLEM, text).holds


def test_no_changed_chain_holds() -> None:
    alphabet = string.digits + "+-*=;x³٣"
    mutants = {RIGHT[:i] + c + RIGHT[i + 1 :] for i in range(len(RIGHT)) for c in alphabet} - {RIGHT}
    mutants |= {RIGHT[:i] + c + RIGHT[i:] for i in range(len(RIGHT) + 1) for c in alphabet}
    mutants |= {RIGHT[:i] + RIGHT[i + 1 :] for i in range(len(RIGHT))}
    assert not [m for m in mutants if TASK.check_steps(PROBLEM, m).holds]


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_the_verifier(text: str) -> None:
    verdict, check = TASK.verify(PROBLEM, text), TASK.check_steps(PROBLEM, text)
    assert verdict.status == "wrong"
    assert 0 <= check.valid <= check.steps


@given(seed=st.integers(0, 2**32))
def test_an_answer_comes_down_to_what_is_judged(seed: int) -> None:
    task, rng = Chain(length=3), random.Random(seed)
    problem = task.draw(rng, listed=False)
    attempt = task.attempt(problem, rng)
    same = task.final_answer(problem, attempt) == task.gold(problem)
    assert same == (task.verify(problem, attempt).status == "correct")


@pytest.mark.parametrize(
    ("text", "answer"), [("1+33=34", "34"), ("1+2=3; 0-7=-007 ", "-7"), ("34", None), ("", None), ("1+33=34;", None)]
)
def test_what_is_no_last_step_has_no_vote(text: str, answer: str | None) -> None:
    assert TASK.final_answer(PROBLEM, text) == answer


def test_a_negative_result_is_a_result() -> None:
    problem = Problem(id="3-9*2", prompt="3-9*2=?", answer={"terms": ["3", "-", "9", "*", "2"], "value": -12})
    assert TASK.verify(problem, "3-9=-6;-6*2=-12") == Verdict.correct()
    assert TASK.check_steps(problem, "3-9=-6;-6*2=-12").holds


def test_two_ways_to_write_the_same_question_are_one_problem() -> None:
    prompts: dict[str, set[str]] = {}
    for problem in islice(Chain(length=1, max_number=5).stream("all", 0), 500):
        prompts.setdefault(problem.id, set()).add(str(problem.prompt))
    assert prompts["2+3"] == {"2+3=?", "3+2=?"}
    assert prompts["2*3"] == {"2*3=?", "3*2=?"}
    assert prompts["2-3"] == {"2-3=?"}
    assert prompts["3-2"] == {"3-2=?"}


def test_the_alphabet_writes_every_prompt_and_answer() -> None:
    for i, problem in enumerate(islice(TASK.stream("all", 3), 200)):
        assert set(f"{problem.prompt}{TASK.attempt(problem, random.Random(i))}") <= set(TASK.alphabet())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"length": 0}, "length=0 must be 1 to 64"),
        ({"length": 65}, "length=65 must be 1 to 64"),
        ({"max_number": 0}, "max_number=0 must be at least 1"),
        ({"max_number": 100}, "at most max_value=99"),
        ({"mistakes": 2}, "mistakes=2 is a share"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, int], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        Chain(**settings)
