"""Whether a task keeps what `tasks/base.py` promises of it."""

import json
import math
import pickle
from itertools import islice
from random import Random

from reachlab.checks.contract import Contract
from reachlab.tasks.base import Split, Task
from reachlab.types import Problem, Verdict, written_prompt

TEXTS = ("", " ", "\x00", "7" * 400, "\N{PILE OF POO}\n\n<answer></answer>", "{question} \\boxed{", "-")
"""What an answer may be besides good."""
JUNK = ("7", "x")
"""What makes a right answer another text."""


def check_task(task: Task, problems: int = 20) -> None:
    """Pose some problems of a task, and judge right and other answers to them.

    Args:
        task: of whatever kind, bare or as `load_task` makes it.
        problems: how many are looked at, of a finite task at most all.

    Raises:
        ContractError: it does not do what a task promises.
    """
    contract = Contract(f"the task {getattr(task, 'spec', type(task).__name__)!r}")
    count = min(problems, len(task.problems("all"))) if task.finite else problems
    posed = task.problems("all", count)
    _check_problems(task, posed, contract)
    _check_splits(task, count, contract)
    _check_stream(task, contract)
    for problem in posed:
        _check_verdicts(task, problem, contract)
        _check_solution(task, problem, contract)
    for problem, other in zip(posed, [*posed[1:], *posed[:1]], strict=True):
        _check_others(task, problem, other, contract)


def _check_problems(task: Task, posed: list[Problem], contract: Contract) -> None:
    contract.holds(
        [p.id for p in posed] == [p.id for p in task.problems("all", len(posed))],
        "poses other problems when it is asked again",
        "problems are a function of split, number and seed",
    )
    contract.holds(
        len({p.id for p in posed}) == len(posed), "lists an id twice", "an id is a problem's identity, and unique"
    )
    for problem in posed:
        parts = [
            problem.id,
            written_prompt(problem.prompt),
            problem.answer,
            list(problem.images),
            dict(problem.metadata),
        ]
        try:
            json.dumps(parts, allow_nan=False)
        except (TypeError, ValueError) as error:
            contract.holds(
                False, f"poses a problem that JSON cannot hold ({error})", "a run's folder keeps its problems"
            )
    try:
        other: Task = pickle.loads(pickle.dumps(task))
    except Exception as error:  # whatever its own methods raise
        contract.holds(False, f"cannot be pickled ({error})", "worker processes judge with a copy")
        return
    contract.holds(
        other.problems("all", len(posed)) == posed, "poses other problems once it is pickled", "a copy is the same task"
    )


def _check_splits(task: Task, count: int, contract: Contract) -> None:
    """Train and test never meet, whatever the seed."""
    keys: dict[Split, set[str]] = {}
    for split in ("train", "test"):
        name: Split = "train" if split == "train" else "test"
        few = count if not task.finite else len(task.problems(name))
        listed = [p for seed in (0, 1) for p in task.problems(name, few, seed)]
        strays = [p for p in listed if task.split_of(p) != split]
        contract.holds(
            not strays,
            f"lists {strays[0].id[:40]!r} as {split}, and split_of says otherwise" if strays else "",
            "the split is a function of what is asked",
        )
        keys[name] = {" ".join(task.key(p).casefold().split()) for p in listed}
    both = keys["train"] & keys["test"]
    contract.holds(not both, f"has {sorted(both)[:1]} in both splits", "what is measured was never trained on")


def _check_stream(task: Task, contract: Contract) -> None:
    first, later = (list(islice(task.stream("all", 3, start), n)) for start, n in ((0, 6), (4, 2)))
    contract.holds(
        [p.id for p in first[4:]] == [p.id for p in later],
        "streams other problems from the fifth on than a stream that starts there",
        "item i is a function of (seed, i), so that a killed run goes on",
    )


def _check_verdicts(task: Task, problem: Problem, contract: Contract) -> None:
    """Whatever is said has a verdict, and always the same."""
    for text in TEXTS:
        try:
            verdict = task.verify(problem, text)
        except Exception as error:  # whatever the verifier raises
            what = f"raises {type(error).__name__} ({error}) at the answer {text[:20]!r}"
            contract.holds(False, what, "an answer that cannot be read is wrong, or unscored")
            return
        contract.holds(
            isinstance(verdict, Verdict), f"judges {text[:20]!r} as {verdict!r}", "what verify returns is a Verdict"
        )
        contract.holds(
            verdict == task.verify(problem, text),
            f"changes its mind on {text[:20]!r}",
            "a verdict is a function of the text",
        )
        bounded = 0 <= verdict.score <= 1 if task.bounded_score else math.isfinite(verdict.score)
        contract.holds(
            bounded,
            f"gives {text[:20]!r} a score of {verdict.score}",
            "scores lie in [0, 1], unless bounded_score is False",
        )
    for text in ("", " "):
        contract.holds(
            task.verify(problem, text).status != "correct",
            f"judges the empty answer to {problem.id[:40]!r} as right",
            "who says nothing has solved nothing",
        )


def _check_solution(task: Task, problem: Problem, contract: Contract) -> None:
    solution = task.solve(problem, Random(0))
    if solution is None:
        return
    contract.holds(
        solution == task.solve(problem, Random(0)),
        "solves a problem otherwise with the same generator",
        "chance comes from the generator alone",
    )
    verdict = task.verify(problem, solution)
    contract.holds(
        verdict.status == "correct",
        f"judges its own solution of {problem.id[:40]!r} as {verdict.status} ({verdict.reason or solution[:40]!r})",
        "solve gives a right answer, or None",
    )
    if (letters := task.alphabet()) is not None:
        missing = sorted(set(f"{problem.prompt}{solution}{task.attempt(problem, Random(0)) or ''}") - set(letters))
        contract.holds(not missing, f"writes {missing} that its alphabet lacks", "alphabet names every character")
    stated = task.final_answer(problem, solution)
    if stated is not None and task.answer_decides and (gold := task.gold(problem)) is not None:
        contract.holds(
            stated == gold,
            f"reads {stated!r} in its own solution, where gold is {gold!r}",
            "votes and verdicts count the same form of an answer",
        )
    for junk in JUNK:
        _check_other(task, problem, solution, solution + junk, contract)


def _check_others(task: Task, problem: Problem, other: Problem, contract: Contract) -> None:
    """Another problem's solution, where the right answers differ."""
    solution, another = task.solve(problem, Random(0)), task.solve(other, Random(0))
    if solution is None or another is None or task.gold(problem) is None or task.gold(problem) == task.gold(other):
        return
    _check_other(task, problem, solution, another, contract)


def _check_other(task: Task, problem: Problem, solution: str, text: str, contract: Contract) -> None:
    """A text beside the solution is right only where the task says that both come down to the same."""
    if task.verify(problem, text).status != "correct":
        return
    stated = task.final_answer(problem, text)
    contract.holds(
        stated is not None and stated == task.final_answer(problem, solution),
        f"judges {text[-40:]!r} as right, where {solution[-40:]!r} is",
        "another text is right only if its final_answer is that of a right one",
    )
