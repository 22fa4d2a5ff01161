"""What a task is: problems in splits that never meet, and a verifier.

A new family is one file here and one line in `registry.py`. It subclasses `GeneratedTask` (problems drawn from a seed)
or `FiniteTask` (a fixed list), and says how an answer is judged.
"""

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from reachlab.choices import a_class
from reachlab.errors import ReachlabError
from reachlab.storable import encoded
from reachlab.types import Problem, StepCheck, Verdict

Split = Literal["train", "test", "all"]
SplitChoice = Literal["train", "test", "all", "auto"]

TEST_SHARE = 0.2
"""Share of all problems a family can pose that belongs to the test split."""


def split_of(key: str) -> Literal["train", "test"]:
    """The split a problem belongs to, decided by its content alone.

    `key` is the problem's identity: two problems that are the same question must have the same key, whatever seed,
    order or difficulty setting produced them. That is what keeps train and test apart by construction.
    """
    digest = hashlib.blake2b(encoded(" ".join(key.casefold().split())), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") < TEST_SHARE * 2**64 else "train"


def split_meant(task: "Task", split: SplitChoice) -> Split:
    """The split that a user means: where nothing is said, all of a file, and the test split of a generated task."""
    if split != "auto":
        return split
    return "all" if task.finite else "test"


def empty_split(task: "Task", split: Split) -> str:
    """What it means that a task has no problem in a split."""
    total = len(task.problems("all")) if task.finite else 0
    return (
        f"{task.spec}: no problem in split {split!r}: of its {total} problems "
        "each is test or train by a hash of its question, about one in five test"
    )


class Task(ABC):
    """A family with its settings. `spec` is the one string that rebuilds it: ``family[:argument][,key=value...]``."""

    spec: str

    isolated: bool = False
    """Whether `verify` runs other people's code and must therefore run in a worker process with a time limit."""

    decoding: Mapping[str, Any] = MappingProxyType({})
    """How its answers are sampled where the user does not say: temperature, top_p, top_k, max_tokens, stop."""

    verify_limit_s: float = 0.0
    """CPU seconds that judging one answer of an `isolated` task may need, where that is more than the user's limit."""

    bounded_score: bool = True
    """Whether scores lie in [0, 1]. One that does not is then a fault of the verifier, and the answer unscored."""

    answer_decides: bool = True
    """Whether the `final_answer` decides the verdict: of two samples that come down to the same, both are right or
    neither is, and one that comes down to nothing is not right."""

    finite: bool = False
    """Whether the problems are a fixed list (whose default split is "all") and not drawn without end."""

    plain: str = "{question}"
    """How the bare question, a problem's prompt, is asked in plain text."""

    instruction: str = "Give the answer, and nothing else, between <answer> and </answer>."
    """What tells an instruct model how to answer."""

    worked: str = "{question}{answer}\n"
    """How a worked example is written in plain text; the question that is asked ends where its answer would begin."""

    next_question: str = "\n"
    """What a model writes that goes on to a question of its own after worked examples: there an answer ends."""

    reads_tags: bool = False
    """Whether the verifier itself looks for <answer> tags; of the others' answers it gets what stands between them."""

    @abstractmethod
    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """`n` distinct problems of `split` in a stable order; None is all of a finite task, 200 of a generated one."""

    @abstractmethod
    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """Problems for training without end. Item i is a function of (seed, i), so a run resumes at `start`."""

    @abstractmethod
    def key(self, problem: Problem) -> str:
        """The problem's identity for `split_of`."""

    def split_of(self, problem: Problem) -> Literal["train", "test"]:
        """The split the problem belongs to."""
        return split_of(self.key(problem))

    @abstractmethod
    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge one answer."""

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """A right answer, written as a teacher would, or None where the task knows none. Distillation learns it."""
        return None

    def attempt(self, problem: Problem, rng: random.Random) -> str | None:
        """What ordinary text about this problem looks like, right or wrong. Pretraining learns it."""
        return self.solve(problem, rng)

    def check_steps(self, problem: Problem, text: str) -> StepCheck | None:
        """Which steps of an answer hold; None where the task cannot say."""
        return None

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """What `text` comes down to, the same string for all that mean the same: votes are counted by it.

        None where the text states no answer, and for a task whose answer is the whole text.
        """
        return None

    def gold(self, problem: Problem) -> str | None:
        """The right answer in the form of a final answer; None where there is not just one.

        It looks at `problem` alone, not at what the task has read or was told (`registry.bare_task`).
        """
        return str(problem.answer) if isinstance(problem.answer, (str, int, float)) else None

    def bare(self, problem: Problem) -> str:
        """The bare question of a problem, however it is asked (`asked.py`)."""
        return str(problem.metadata.get("bare", problem.prompt))

    def question(self, problem: Problem) -> str:
        """The question in its own words, as it was published: without options, tests or requests put below it."""
        return self.bare(problem)

    def shown_answer(self, problem: Problem) -> Any:
        """What a person is shown as the right answer: what the verifier compares with, as a rule."""
        return problem.answer

    def instructed(self, problem: Problem) -> str:
        """What an instruct model is told: the bare question, and how to answer it."""
        return f"{problem.prompt}\n\n{self.instruction}"

    def answer_as(self, problem: Problem, solution: str, said: str) -> str:
        """A solution in the form that is asked for by `said`, which is all that is said beside the question."""
        return f"<answer>{solution}</answer>" if "<answer>" in said and "<answer>" not in solution else solution

    def alphabet(self) -> str | None:
        """Characters that a character tokenizer for this task needs; None: look at samples of the text."""
        return None


class GeneratedTask(Task):
    """Problems drawn one at a time from a random generator."""

    def key(self, problem: Problem) -> str:
        """The problem's id, which a generated task makes from what is asked."""
        return problem.id

    @abstractmethod
    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """One problem of any split. Its `id` is its identity (see `split_of`).

        `listed` problems are measured on and may be proved at length; training draws far more, and only needs them
        true.
        """

    def draw_from(self, split: Split, rng: random.Random, *, listed: bool) -> Problem:
        """One problem of `split`, by rejection."""
        for _ in range(10_000):
            problem = self.draw(rng, listed=listed)
            if split in ("all", self.split_of(problem)):
                return problem
        raise ReachlabError(f"{self.spec}: no {split} problem in 10,000 draws; widen the task's settings")

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """Distinct problems, drawn until there are `n`."""
        wanted = 200 if n is None else n
        rng = random.Random(f"{split} {seed}")
        found: dict[str, Problem] = {}
        misses = 0
        while len(found) < wanted:
            problem = self.draw_from(split, rng, listed=True)
            if problem.id not in found:
                found[problem.id] = problem
                misses = 0
            elif (misses := misses + 1) > 20_000:
                raise ReachlabError(
                    f"{self.spec}: only {len(found)} distinct {split} problems found, {wanted} asked; "
                    "ask for fewer or widen the task's settings"
                )
        return list(found.values())

    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """Fresh draws; a problem may come again, as chance has it."""
        index = start
        while True:
            yield self.draw_from(split, random.Random(f"{seed} {index}"), listed=False)
            index += 1


class FiniteTask(Task):
    """A fixed list of problems, split by what they ask."""

    finite = True
    all_problems: Sequence[Problem]

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """The first `n` of the list that belong to `split`, in the list's own order."""
        chosen = [p for p in self.all_problems if split in ("all", self.split_of(p))]
        if n is not None and n > len(chosen):
            raise ReachlabError(f"{self.spec}: {len(chosen)} problems in split {split!r}, {n} asked")
        return chosen if n is None else chosen[:n]

    def stream(self, split: Split, seed: int, start: int = 0) -> Iterator[Problem]:
        """Epoch after epoch, each in an order of its own."""
        chosen = self.problems(split)
        if not chosen:
            raise ReachlabError(f"{empty_split(self, split)}; a file with more of them has some")
        epoch, position = divmod(start, len(chosen))
        while True:
            order = random.Random(f"{seed} {epoch}").sample(chosen, len(chosen))
            yield from order[position:]
            epoch, position = epoch + 1, 0


def adopted(name: str, found: Any) -> type[Task]:
    """A task as others give it.

    Raises:
        ReachlabError: it is none.
    """
    return a_class(name, found, Task, of="task")  # type: ignore[type-abstract]
