"""Math and multiple choice from files of rows; what a text answers is read and compared by `answers/`.

Shapes: GSM8K (``question``; ``answer`` ending in ``#### N``), MATH-500, AIME and AMC (``problem``,
``answer``), Minerva (``problem``; ``solution`` with ``\\boxed{}``), model solutions (``question``;
``ground_truth`` ending in ``A: N``), and multiple choice (`choice_rows.py`).
"""

import math
import random
import re
from collections.abc import Mapping
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.answers.extraction import boxes
from reachlab.tasks.answers.grading import Gold, Graded, gold_of, grade, read
from reachlab.tasks.answers.kinds.choice import options_in
from reachlab.tasks.answers.reasoning import REASONING, Marks
from reachlab.tasks.base import FiniteTask, Split
from reachlab.tasks.choice_rows import choice_of, unlisted
from reachlab.tasks.groups import groups_of
from reachlab.tasks.rows import Once, read_rows, shape
from reachlab.tasks.templates import BOXED, CHOICE
from reachlab.types import Problem, Verdict

QUESTION_FIELDS = ("problem", "question", "prompt", "Question", "question_stem")
GOLD_FIELDS = ("answer", "ground_truth", "final_answer", "solution")
ID_FIELDS = ("unique_id", "id", "task_id", "problem_id", "question_id", "Record ID", "idx", "index")

MARKED_ANSWER = re.compile(r"\s*(?:####|A:)\s*(?P<answer>\S.*?)\s*")


class Math(FiniteTask):
    """The problems of one file. Without a file it only judges samples whose problems come along with them.

    Args:
        argument: the file, or data set.
        reasoning_end: what a model writes between its reasoning and its answer, where `answers/reasoning.py` does not
            know it; a text without it has no answer.
    """

    isolated = True
    plain = "{question}\n"
    instruction = BOXED
    worked = "Question: {question}\nAnswer: {answer}\n\n"
    next_question = "\nQuestion:"
    reads_tags = True

    def __init__(self, argument: str = "", reasoning_end: str = ""):
        self.marks: Marks = (*REASONING, ("", reasoning_end)) if reasoning_end else REASONING
        self.spec = f"math:{argument}" if argument else "math"
        self.all_problems = read_problems(argument) if argument else []

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """As of any finite task."""
        if not self.all_problems:
            raise ReachlabError(f"task {self.spec!r} has no problems of its own; name a file, as in: math:FILE")
        return super().problems(split, n, seed)

    def key(self, problem: Problem) -> str:
        """The question without its template."""
        return str(problem.metadata["question"])

    def bare(self, problem: Problem) -> str:
        """The question, which every problem keeps."""
        return str(problem.metadata.get("question", problem.prompt))

    def question(self, problem: Problem) -> str:
        """The question without the options below it."""
        return unlisted(self.bare(problem), tuple(map(str, problem.metadata.get("choices", ()))))

    def instructed(self, problem: Problem) -> str:
        """The question and a request for a box, or for a letter where there are options."""
        if "choices" in problem.metadata:
            return f"{CHOICE}\n\n{problem.prompt}"
        return f"{problem.prompt}\n{self.instruction}"

    def answer_as(self, problem: Problem, solution: str, said: str) -> str:
        """The solution, with its answer once more where another form of it is asked for."""
        answer = problem.answer
        if "<answer>" in said:
            return solution if "</answer>" in solution else f"{solution}\n<answer>{answer}</answer>"
        if "\\boxed" in said:
            return solution if boxes(solution) else f"{solution}\n\\boxed{{{answer}}}"
        asks = "'Answer: X'" in said or "Answer: $Answer" in said
        return f"{solution}\nAnswer: {answer}" if asks and "Answer:" not in solution else solution

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge the answer that `text` states. Unbounded in time and memory: see `isolated`.

        Raises:
            Exception: whatever sympy cannot handle; `judging.Judge` makes it "unscored".
        """
        if problem.answer is None:
            return Verdict.unscored("no right answer is known")
        graded = self.grade(problem, text)
        if graded.status == "unscored":
            return Verdict.unscored(graded.reason)
        return Verdict.correct() if graded.status == "correct" else Verdict.wrong(graded.reason)

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """What the verdict rests on: the answer that `text` states, in one spelling."""
        return None if problem.answer is None else read(gold_for(problem), text, self.marks)

    def grade(self, problem: Problem, text: str) -> Graded:
        """The answer that `text` states, where it stands, and the verdict on it."""
        return grade(gold_for(problem), text, self.marks, str(problem.metadata.get("question", "")))

    def gold(self, problem: Problem) -> str | None:
        """The gold answer in its one spelling; None where none is known, as in some logs."""
        return None if problem.answer is None else gold_for(problem).canonical

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The worked solution that came with the problem, if one did."""
        return problem.metadata.get("solution")


def read_problems(path: str) -> list[Problem]:
    """Read a benchmark's file or data set.

    Raises:
        ReachlabError: a line that is not JSON, lacks a field, has one of the wrong type or with no answer
            in it, or has an id that came before.
    """
    rows = list(read_rows(path))
    id_field = next((name for name in ID_FIELDS if all(row.get(name) is not None for _, row in rows)), None)
    once = Once()
    problems = []
    for number, (place, row) in enumerate(rows):
        field = _first(QUESTION_FIELDS, row)
        if field is None:
            raise ReachlabError(f"{place}: no field {' or '.join(QUESTION_FIELDS)}; its fields: {shape(row)}")
        question = row[field]
        if not isinstance(question, str) or not question.strip():
            raise ReachlabError(f"{place}: field {field!r}: text wanted, found {question!r:.60}")
        identity = str(number if id_field is None else row[id_field])
        once.check(f"{id_field} {identity!r}", place)
        if (choice := choice_of(row, question, place)) is not None:
            about = groups_of(row) | {"question": choice.question, "choices": list(choice.options)}
            problems.append(Problem(id=identity, prompt=choice.question, answer=choice.letter, metadata=about))
            continue
        gold, solution = gold_and_solution(row, place)
        metadata = groups_of(row) | {"question": question} | ({} if solution is None else {"solution": solution})
        problems.append(Problem(id=identity, prompt=question, answer=gold, metadata=metadata))
    return problems


def gold_and_solution(row: Mapping[str, Any], place: str) -> tuple[str, str | None]:
    """The gold answer of a row, and its worked solution where there is one.

    Raises:
        ReachlabError: neither an answer nor a solution that holds one.
    """
    field = _first(GOLD_FIELDS, row)
    if field is None:
        raise ReachlabError(f"{place}: no field {' or '.join(GOLD_FIELDS)}; its fields: {shape(row)}")
    value, solution = row[field], row.get("solution")
    gold = gold_answer(value, worked=field == "solution", where=f"{place}: field {field!r}")
    if isinstance(value, str) and marked_answer(value) is not None:
        solution = value
    return gold, solution if isinstance(solution, str) else None


def gold_answer(value: Any, *, worked: bool, where: str) -> str:
    """The answer that a field states: a number, a formula, or (if `worked`: always) a text that ends in one.

    Raises:
        ReachlabError: there is none; the message begins with `where`.
    """
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ", ".join(value)  # OlympiadBench: one answer, or all that there are
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
    ):
        return str(int(value) if value == int(value) else value)
    if not isinstance(value, str):
        raise ReachlabError(f"{where}: text or a number wanted, found {value!r:.60}")
    marked = marked_answer(value)
    if marked is None and worked:
        marked = boxed_answer(value)
        if marked is None:
            raise ReachlabError(f"{where}: no final answer; '#### X', 'A: X' or \\boxed{{X}} is wanted")
    gold = (value if marked is None else marked).strip()
    if not any(c.isalnum() for c in gold):
        raise ReachlabError(f"{where}: no answer in {value[-60:]!r}")
    return gold


def marked_answer(text: str) -> str | None:
    """What the last line states, when it is ``#### X`` or ``A: X``."""
    match = MARKED_ANSWER.fullmatch(text.rstrip().rpartition("\n")[2])
    return match["answer"] if match else None


def boxed_answer(text: str) -> str | None:
    """The content of the last box (``\\boxed{}``, ``\\fbox{}``, ``\\framebox{}``), None without one that closes."""
    found = boxes(text)
    return text[found[-1][1] : found[-1][2]] if found else None


def gold_for(problem: Problem) -> Gold:
    """A problem's gold answer; a multiple choice has its options in ``choices`` or in its question."""
    options = problem.metadata.get("choices")
    if options is None:
        options = options_in(str(problem.metadata.get("question", "")))
    return gold_of(str(problem.answer), tuple(map(str, options)))


def _first(names: tuple[str, ...], row: Mapping[str, Any]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)
