import random
import re
import string
from collections.abc import Iterator
from itertools import islice, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.countdown import Countdown
from reachlab.types import Problem, StepCheck, Verdict

PROBLEM = Problem(
    id="3 9 11 12=36",
    prompt="12 11 9 3=36:",
    answer={"numbers": [12, 11, 9, 3], "target": 36},
    metadata={"division": False},
)
RIGHT = "11*3=33;33-9=24;24+12=36"
TASK = Countdown()


def ends(numbers: list[int], ops: str) -> Iterator[int]:
    """Every value a chain can end at: all orders, no bound, no cleverness."""
    if len(numbers) == 1:
        yield numbers[0]
        return
    for i, j in permutations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        rest = [x for k, x in enumerate(numbers) if k not in (i, j)]
        for op in ops:
            if op == "+":
                yield from ends([*rest, a + b], ops)
            elif op == "*":
                yield from ends([*rest, a * b], ops)
            elif op == "-" and a >= b:
                yield from ends([*rest, a - b], ops)
            elif op == "/" and b and a / b == a // b:
                yield from ends([*rest, a // b], ops)


def is_right(numbers: list[int], target: int, text: str) -> bool:
    """A second reading of the rules: evaluate each step as Python would, cross the numbers off."""
    table = sorted(numbers)
    for step in text.strip().split(";"):
        left, sign, right = step.strip().partition("=")
        operands = re.split(r"[-+*/]", left)
        written = (*operands, right)
        if not sign or len(operands) != 2 or not all(w and set(w) <= set(string.digits) for w in written):
            return False
        a, b, stated = map(int, written)
        try:
            table.remove(a)
            table.remove(b)
        except ValueError:
            return False
        op = left[len(operands[0])]
        if op == "/" and (b == 0 or a % b):
            return False
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else -1}[op]
        if value != stated or value < 0:
            return False
        table.append(value)
    return table == [target]


@pytest.mark.parametrize("numbers", [2, 3, 4])
def test_the_solver_is_right_on_hundreds_of_problems(numbers: int) -> None:
    task, rng = Countdown(numbers=numbers), random.Random(0)
    for problem in islice(task.stream("train", numbers), 300):
        known = task.solve(problem, rng)
        bare = Problem(id=problem.id, prompt=problem.prompt, answer=problem.answer)
        found = task.solve(bare, rng)
        for chain in (known, found):
            assert chain is not None
            assert task.verify(problem, chain) == Verdict.correct()
            assert is_right(problem.answer["numbers"], problem.answer["target"], chain)
            assert task.check_steps(problem, chain) == StepCheck(numbers - 1, numbers - 1)


def test_a_problem_says_what_it_asks() -> None:
    for problem in islice(TASK.stream("all", 0), 200):
        numbers, target = problem.answer["numbers"], problem.answer["target"]
        assert problem.prompt == f"{' '.join(map(str, numbers))}={target}:"
        assert problem.id == f"{' '.join(map(str, sorted(numbers)))}={target}"
        assert len(numbers) == 4
        assert all(1 <= n <= 12 for n in numbers)
        assert 1 <= target <= 99
        assert target not in numbers


@pytest.mark.parametrize("max_value", [99, 16])
def test_some_listed_problems_cannot_be_solved_without_division(max_value: int) -> None:
    """Not by any chain: a bound on the results of the task's own chains does not bind whoever answers."""
    problems = Countdown(division=0.5, max_value=max_value).problems("test", 40)
    divide = [p for p in problems if p.metadata["division"]]
    assert 8 <= len(divide) <= 32
    for problem in divide:
        numbers, target = problem.answer["numbers"], problem.answer["target"]
        assert target not in set(ends(numbers, "+-*"))
        assert "/" in str(problem.metadata["solution"])
    for problem in problems:
        assert problem.answer["target"] in set(ends(problem.answer["numbers"], "+-*/"))
        if not problem.metadata["division"]:
            assert "/" not in str(problem.metadata["solution"])


def test_division_is_a_share_of_all_problems() -> None:
    n = 1000
    share = sum(p.metadata["division"] for p in islice(Countdown(division=0.2).stream("all", 1), n)) / n
    assert abs(share - 0.2) < 5 * (0.2 * 0.8 / n) ** 0.5
    assert not any(p.metadata["division"] for p in islice(Countdown(division=0).stream("all", 1), 100))


@pytest.mark.parametrize("mistakes", [0.0, 0.5, 1.0])
def test_attempts_miss_as_often_as_asked_by_legal_steps(mistakes: float) -> None:
    task, n = Countdown(mistakes=mistakes), 600
    wrong = 0
    for i, problem in enumerate(islice(task.stream("train", 2), n)):
        attempt = task.attempt(problem, random.Random(i))
        assert attempt is not None
        wrong += task.verify(problem, attempt).status == "wrong"
        assert task.check_steps(problem, attempt).holds
        assert problem.metadata["division"] or "/" not in attempt
    assert abs(wrong / n - mistakes) <= 5 * (mistakes * (1 - mistakes) / n) ** 0.5


def test_an_attempt_that_cannot_miss_does_not_hang() -> None:
    task = Countdown(numbers=2, max_number=99, mistakes=1)
    problem = Problem(
        id="97 98=1",
        prompt="97 98=1:",
        answer={"numbers": [97, 98], "target": 1},
        metadata={"division": False},
    )
    assert task.attempt(problem, random.Random(0)) == "98-97=1"


@pytest.mark.parametrize(
    ("text", "reason", "valid", "steps"),
    [
        ("11*3=33;33-9=24", "2 numbers are left", 2, 2),
        ("11*3=33;33-9=24;24+12=37", "wrong arithmetic: '24+12=37'", 2, 3),
        ("11*3=33;33-9=24;24-12=12", "ends at 12, not 36", 3, 3),
        ("11*3=33;33-9=24;24+13=37", "13 is not on the table in '24+13=37'", 2, 3),
        ("11*3=33;33-9=24;33+3=36", "33 is not on the table in '33+3=36'", 2, 3),
        ("12+12=24", "12 is not on the table in '12+12=24'", 0, 1),
        ("3-9=6;11*3=33", "wrong arithmetic: '3-9=6'", 0, 2),
        ("12/9=1", "wrong arithmetic: '12/9=1'", 0, 1),
        ("12-12=0;9/0=0", "12 is not on the table in '12-12=0'", 0, 2),
        ("36", "not a step: '36'", 0, 1),
        ("", "not a step: ''", 0, 0),
        ("\n \t", "not a step: ''", 0, 0),
        (f"{RIGHT};", "not a step: ''", 3, 4),
        ("11 * 3 = 33", "not a step: '11 * 3 = 33'", 0, 1),
        ("-11*3=-33", "not a step: '-11*3=-33'", 0, 1),
        ("1１*3=33", "not a step: '1１*3=33'", 0, 1),
        ("１１*３=３３", "not a step: '１１*３=３３'", 0, 1),
        ("11*3=33\n33-9=24", "not a step: '11*3=33\\n33-9=24'", 0, 1),
        ("\x00", "not a step: '\\x00'", 0, 1),
    ],
)
def test_a_wrong_chain_is_wrong_for_a_reason(text: str, reason: str, valid: int, steps: int) -> None:
    assert TASK.verify(PROBLEM, text) == Verdict.wrong(reason)
    assert TASK.check_steps(PROBLEM, text) == StepCheck(valid, steps)


def test_division_by_zero_is_no_step() -> None:
    problem = Problem(id="x", prompt="5 5 7=7:", answer={"numbers": [5, 5, 7], "target": 7})
    assert TASK.verify(problem, "5-5=0;7/0=7") == Verdict.wrong("wrong arithmetic: '7/0=7'")
    assert TASK.verify(problem, "5-5=0;7+0=7") == Verdict.correct()
    assert TASK.verify(problem, "5-5=0;0/7=0") == Verdict.wrong("ends at 0, not 7")


@pytest.mark.parametrize(
    "text",
    [
        "9" * 100_000,
        f"{'9' * 50_000}*3=33",
        ";" * 100_000,
        "11*3=33;" * 50_000,
        "(" * 100_000,
        f"11*3={'0' * 20}33",
    ],
)
def test_an_answer_without_measure_is_wrong_and_costs_little(text: str) -> None:
    assert TASK.verify(PROBLEM, text).status == "wrong"
    assert not TASK.check_steps(PROBLEM, text).holds


def test_spaces_around_steps_do_not_matter() -> None:
    assert TASK.verify(PROBLEM, f"\n {RIGHT.replace(';', ' ; ')} \n") == Verdict.correct()


def test_any_single_change_is_judged_as_a_second_reading_of_the_rules_does() -> None:
    numbers, target = PROBLEM.answer["numbers"], PROBLEM.answer["target"]
    assert is_right(numbers, target, RIGHT)
    alphabet = string.digits + "+-*/=; x.,³٣"
    mutants = {RIGHT[:i] + c + RIGHT[i + 1 :] for i in range(len(RIGHT)) for c in alphabet}
    mutants |= {RIGHT[:i] + c + RIGHT[i:] for i in range(len(RIGHT) + 1) for c in alphabet}
    mutants |= {RIGHT[:i] + RIGHT[i + 1 :] for i in range(len(RIGHT))}
    accepted = {m for m in mutants if TASK.verify(PROBLEM, m).status == "correct"}
    assert accepted == {m for m in mutants if is_right(numbers, target, m)}
    # Spaces around steps and zeros before a number change nothing; there is nothing else to accept.
    assert {re.sub(r"(?<![0-9])0+(?=[0-9])", "", m.replace(" ", "")) for m in accepted} == {RIGHT}


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10_000), st.data())
def test_the_verifier_agrees_with_a_second_reading_of_the_rules(seed: int, data: st.DataObject) -> None:
    problem = TASK.draw(random.Random(seed), listed=False)
    chain = str(problem.metadata["solution"])
    at = data.draw(st.integers(0, len(chain)))
    text = chain[:at] + data.draw(st.text("0123456789+-*/=; ", max_size=2)) + chain[at + data.draw(st.integers(0, 2)) :]
    expected = is_right(problem.answer["numbers"], problem.answer["target"], text)
    assert (TASK.verify(problem, text).status == "correct") == expected
    if expected:
        assert TASK.check_steps(problem, text).holds


@given(st.text())
def test_no_text_breaks_the_verifier(text: str) -> None:
    assert TASK.verify(PROBLEM, text).status == "wrong"
    check = TASK.check_steps(PROBLEM, text)
    assert 0 <= check.valid <= check.steps


def test_reordered_numbers_are_the_same_problem() -> None:
    task = Countdown(numbers=2, max_number=4)
    by_id: dict[str, set[str]] = {}
    for problem in islice(task.stream("all", 0), 400):
        by_id.setdefault(problem.id, set()).add(str(problem.prompt))
    assert any(len(prompts) == 2 for prompts in by_id.values())


def test_the_alphabet_writes_every_prompt_and_answer() -> None:
    for i, problem in enumerate(islice(TASK.stream("all", 3), 200)):
        assert set(f"{problem.prompt}{TASK.attempt(problem, random.Random(i))}") <= set(TASK.alphabet())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"numbers": 1}, "numbers=1 must be 2 to 6"),
        ({"numbers": 7}, "numbers=7 must be 2 to 6"),
        ({"max_number": 1}, "max_number=1 must be at least 2"),
        ({"max_number": 100}, "at most max_value=99"),
        ({"division": 1.5}, "division=1.5 and mistakes=0.5 are shares"),
        ({"mistakes": -0.1}, "mistakes=-0.1 are shares"),
        ({"division": float("nan")}, "division=nan"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        Countdown(**settings)  # type: ignore[arg-type]
