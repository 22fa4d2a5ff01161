import random
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.base import TEST_SHARE, FiniteTask, GeneratedTask, Split, Task, split_of
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Verdict


class Numbers(GeneratedTask):
    """Which number is this? `n` of them."""

    def __init__(self, n: int) -> None:
        self.n, self.spec = n, f"numbers,n={n}"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        number = str(rng.randrange(self.n))
        return Problem(id=number, prompt=number, answer=number, metadata={"listed": listed})

    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if text == problem.answer else Verdict.wrong()


class Fixed(FiniteTask):
    def __init__(self, n: int) -> None:
        self.spec = f"fixed,n={n}"
        self.all_problems = [Problem(id=f"id{i}", prompt=f"Question {i // 2}", answer=i) for i in range(n)]

    def key(self, problem: Problem) -> str:
        return str(problem.prompt)

    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.wrong()


@pytest.fixture(
    params=[
        "countdown",
        "countdown,numbers=3",
        "chain",
        "chain,length=2",
        "gym:gcd",
        "math",
        "numbers",
        "fixed",
    ]
)
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    if request.param == "math":
        path = tmp_path / "math.jsonl"
        path.write_text("".join(f'{{"question": "What is {i} + {i}?", "answer": {2 * i}}}\n' for i in range(150)))
        return load_task(f"math:{path}")
    own: dict[str, Callable[[], Task]] = {"numbers": lambda: Numbers(500), "fixed": lambda: Fixed(150)}
    return own.get(request.param, lambda: load_task(request.param))()


def question(task: Task, problem: Problem) -> str:
    return task.key(problem) if isinstance(task, FiniteTask) else problem.id


def listed(task: Task, split: Split, seed: int = 0) -> list[Problem]:
    return task.problems(split, None if task.finite else 40, seed)


def test_splits_never_share_a_problem(task: Task) -> None:
    test = {question(task, p) for s in range(3) for p in listed(task, "test", s)}
    train = {question(task, p) for s in range(3) for p in listed(task, "train", s)}
    streamed = {question(task, p) for s in range(2) for p in islice(task.stream("train", s), 200)}
    assert test
    assert train
    assert not test & (train | streamed)


def test_the_prompt_of_a_test_problem_is_never_asked_in_training(task: Task) -> None:
    test = {p.prompt for p in listed(task, "test")}
    assert not test & {p.prompt for p in islice(task.stream("train", 1), 300)}


def test_listed_problems_are_distinct_and_always_the_same(task: Task) -> None:
    once, again = listed(task, "test", 5), listed(task, "test", 5)
    assert once == again
    assert len({p.id for p in once}) == len(once)


def test_a_stream_goes_on_anywhere_as_if_it_had_never_stopped(task: Task) -> None:
    whole = list(islice(task.stream("train", 3), 260))
    for start in (0, 1, 37, 119, 120, 241):
        assert list(islice(task.stream("train", 3, start), 19)) == whole[start : start + 19]
    assert whole != list(islice(task.stream("train", 4), 260))


def test_what_a_task_calls_right_it_judges_right(task: Task) -> None:
    for problem in listed(task, "test")[:20]:
        answer = task.solve(problem, random.Random(0))
        assert answer is None or task.verify(problem, answer) == Verdict.correct()


@settings(deadline=None)
@given(st.text())
def test_case_and_spacing_do_not_change_the_split(key: str) -> None:
    assert split_of(key) == split_of(f"  {key}\n") == split_of(key.replace(" ", " \t"))
    assert split_of(key.casefold()) == split_of(key)


def test_the_test_split_has_its_share() -> None:
    n = 20_000
    share = sum(split_of(f"problem {i}") == "test" for i in range(n)) / n
    assert abs(share - TEST_SHARE) < 5 * (TEST_SHARE * (1 - TEST_SHARE) / n) ** 0.5


def test_a_family_that_is_too_small_says_so() -> None:
    few = Numbers(20)
    held_out = sum(split_of(str(i)) == "test" for i in range(20))
    assert len(few.problems("test", held_out)) == held_out
    with pytest.raises(ReachlabError, match=f"numbers,n=20: only {held_out} distinct test problems"):
        few.problems("test", held_out + 1)
    assert split_of("0") == "train"
    with pytest.raises(ReachlabError, match="no test problem in 10,000 draws"):
        Numbers(1).problems("test", 1)


def test_listing_and_training_are_told_apart() -> None:
    task = Numbers(500)
    assert all(p.metadata["listed"] for p in task.problems("all", 5))
    assert not any(p.metadata["listed"] for p in islice(task.stream("all", 0), 5))


def test_a_finite_task_keeps_its_order_and_its_duplicates_together() -> None:
    task = Fixed(150)
    assert [p.answer for p in task.problems("all")] == list(range(150))
    assert [p.answer for p in task.problems("all", 3)] == [0, 1, 2]
    train = {p.answer for p in task.problems("train")}
    assert all((i in train) == (i + 1 in train) for i in range(0, 150, 2))
    with pytest.raises(ReachlabError, match="fixed,n=150: 150 problems in split 'all', 151 asked"):
        task.problems("all", 151)


def test_an_epoch_of_a_finite_task_sees_every_problem_once_in_an_order_of_its_own() -> None:
    task = Fixed(150)
    n = len(task.problems("train"))
    answers = [p.answer for p in islice(task.stream("train", 0), 2 * n)]
    assert sorted(answers[:n]) == sorted(answers[n:]) == [p.answer for p in task.problems("train")]
    assert answers[:n] != answers[n:]
    with pytest.raises(ReachlabError, match="fixed,n=0: no problem in split 'train'"):
        next(Fixed(0).stream("train", 0))


def test_what_a_task_need_not_know() -> None:
    task, rng = Numbers(5), random.Random(0)
    problem = task.draw(rng, listed=False)
    known = [
        task.solve(problem, rng),
        task.attempt(problem, rng),
        task.check_steps(problem, "1"),
        task.final_answer(problem, "1"),
        task.alphabet(),
    ]
    assert known == [None] * 5


def test_the_gold_answer_as_text() -> None:
    problem = Problem(id="x", prompt="?", answer="2")
    golds = [Numbers(5).gold(replace(problem, answer=answer)) for answer in ("2", 2, {"target": 2}, None)]
    assert golds == ["2", "2", None, None]
