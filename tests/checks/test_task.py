import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reachlab.checks.contract import ContractError
from reachlab.checks.task import check_task
from reachlab.tasks.base import GeneratedTask, Split, Task
from reachlab.tasks.chain import Chain
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Verdict


@pytest.mark.parametrize("spec", ["countdown", "countdown,numbers=3", "chain", "programs", "scenes", "gym:chain_sum"])
def test_our_own_are_whole(spec: str) -> None:
    check_task(load_task(spec), problems=6)


@pytest.mark.parametrize("family", ["math", "logged"])
def test_a_task_of_a_file_is_whole(family: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"question": "What is {i} + {i}?", "answer": {2 * i}}}\n' for i in range(20)))
    check_task(load_task(f"{family}:{path}"))


class Whole(GeneratedTask):
    """Say the number again."""

    spec = "x"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        number = str(rng.randrange(10, 1000))
        return Problem(id=number, prompt=number, answer=number)

    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if text == problem.answer else Verdict.wrong()

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        return str(problem.answer)


def test_a_small_one_is_whole() -> None:
    check_task(Whole())


class Forgiving(Whole):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if problem.answer in text else Verdict.wrong()


class Empty(Whole):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if problem.answer.startswith(text) else Verdict.wrong()


class Raises(Whole):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if int(text) == int(problem.answer) else Verdict.wrong()


class Boolean(Whole):
    def verify(self, problem: Problem, text: str) -> Any:
        return text == problem.answer


class Moody(Whole):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(status="wrong", score=random.random())


class Generous(Whole):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if text == problem.answer else Verdict(status="wrong", score=1.5)


class Mistaken(Whole):
    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        return f"{problem.answer}."


class Unseeded(Whole):
    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        return super().draw(random.Random(), listed=listed)


class Unlisted(Whole):
    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        found = super().draw(rng, listed=listed)
        return Problem(id=found.id, prompt=found.prompt, answer=found.answer, metadata={"all": {1, 2}})


class BySeed(Whole):
    """The split goes by the draw and not by what is drawn."""

    def draw_from(self, split: Split, rng: random.Random, *, listed: bool) -> Problem:
        return self.draw(rng, listed=listed)


class Forgetful(Whole):
    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        rng = random.Random(f"{seed} {start}")
        while True:
            yield self.draw_from(split, rng, listed=False)


class Shy(Whole):
    def alphabet(self) -> str | None:
        return "012345"


class Unpickled(Whole):
    def __init__(self) -> None:
        self.judge = lambda text: text


class TwoForms(Whole):
    def final_answer(self, problem: Problem, text: str) -> str | None:
        return f"{text}.0"


class Chance(Whole):
    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        return str(problem.answer) + " " * random.randrange(1000)


BROKEN: dict[str, Task] = {
    "judges '.*7' as right, where": Forgiving(),
    "judges the empty answer .* as right": Empty(),
    "raises ValueError .* at the answer ''": Raises(),
    "judges '' as False": Boolean(),
    "changes its mind": Moody(),
    "a score of 1.5": Generous(),
    "judges its own solution of .* as wrong": Mistaken(),
    "poses other problems when it is asked again": Unseeded(),
    "that JSON cannot hold": Unlisted(),
    "and split_of says otherwise": BySeed(),
    "streams other problems from the fifth on": Forgetful(),
    "that its alphabet lacks": Shy(),
    "cannot be pickled": Unpickled(),
    "in its own solution, where gold is": TwoForms(),
    "solves a problem otherwise": Chance(),
}


@pytest.mark.parametrize(("says", "task"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, task: Task) -> None:
    with pytest.raises(ContractError, match=f"^the task 'x' .*{says}") as error:
        check_task(task)
    assert "\n" not in str(error.value)


def test_a_setting_that_widens_the_id_is_found() -> None:
    """Two ids for one question: the same sum is in both splits."""

    class Numbered(Chain):
        drawn = 0

        def draw(self, rng: random.Random, *, listed: bool) -> Problem:
            found = super().draw(rng, listed=listed)
            Numbered.drawn += 1
            return Problem(id=f"{Numbered.drawn}", prompt=found.prompt, answer=found.answer)

    with pytest.raises(ContractError, match="poses other problems"):
        check_task(Numbered())
