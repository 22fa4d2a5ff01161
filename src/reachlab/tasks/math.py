"""Math benchmarks from JSON lines, answers judged by math-verify (github.com/huggingface/Math-Verify).

Shapes: GSM8K (``question``; ``answer`` ending in ``#### N``), MATH-500, AIME and AMC (``problem``,
``answer``), Minerva (``problem``; ``solution`` with ``\\boxed{}``), model solutions (``question``;
``ground_truth`` ending in ``A: N``).

An answer is right when it equals the gold answer. Which part of a text is its answer: a last line ``#### X``
or ``A: X`` says so itself; otherwise math-verify looks for ``\\boxed{}``, then for "final answer is",
"answer", the last formula, the last number. Two plain numbers are compared as exact fractions; all else is
math-verify's to compare.
"""

import logging
import math
import random
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import math_verify

from reachlab.errors import ReachlabError
from reachlab.tasks.base import FiniteTask, Split
from reachlab.tasks.rows import Once, read_rows, shape
from reachlab.tasks.templates import fill
from reachlab.types import Problem, Verdict

# It warns that its own time limits, which need the main thread, are off; `judging.Judge` keeps the time.
logging.getLogger("math_verify").setLevel(logging.ERROR)

QUESTION_FIELDS = ("problem", "question", "prompt")
GOLD_FIELDS = ("answer", "ground_truth", "final_answer", "solution")
ID_FIELDS = ("unique_id", "id", "task_id", "problem_id", "idx", "index")

MARKED_ANSWER = re.compile(r"\s*(?:####|A:)\s*(?P<answer>\S.*?)\s*")
PLAIN_NUMBER = re.compile(
    r"[$€£]?(?P<number>[-+]?[$€£]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3})?)"
    r"(?P<divisor>/\d+)?\s*%?(?:\s+[A-Za-z]{2,})*\.?"
)
LATEX_SPACE = re.compile(r"\\[!,;: ]|\{(?=,\})|(?<=\{,)\}")
WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")

PHRASE = re.compile(r"\banswer\b[^.\n]{0,40}?(?:\bis\b|:|=)[\s:=]*(?=\S)", re.IGNORECASE)
SENTENCE_END = re.compile(r"\.(?=\s|$)|\n")
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
TEXT_BOX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
LOOKS = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|\\[!,;: ()\[\]]|\\(?:quad|displaystyle)(?![a-z])|\$|\^\{?\\circ\}?|\\%"
)
SHORT_FRACTION = re.compile(r"\\frac(\d)(\d)")
FRACTION = re.compile(r"^(-?)\\frac\{(\d+)\}\{(\d+)\}$")
AROUND_SIGNS = re.compile(r"\s*([^A-Za-z0-9\s])\s*")
ASSIGNED = re.compile(r"^[A-Za-z]\w? ?= ?(?=\S)")
WRAPPED = re.compile(r"^\((\w+)\)$")


class Math(FiniteTask):
    """The problems of one file. Without a file it only judges samples whose problems come along with them."""

    isolated = True

    def __init__(self, argument: str = "", template: str = "plain"):
        fill(template, "")  # no such template: before the file is read
        self.spec = f"math:{argument}" if argument else "math"
        self.all_problems = read_problems(argument, template) if argument else []

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """As of any finite task."""
        if not self.all_problems:
            raise ReachlabError(f"task {self.spec!r} has no problems of its own; name a file, as in: math:FILE")
        return super().problems(split, n, seed)

    def key(self, problem: Problem) -> str:
        """The question without its template."""
        return str(problem.metadata["question"])

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge the final answer of `text`. Unbounded in time and memory: see `isolated`.

        Raises:
            Exception: whatever math-verify or sympy cannot handle; `judging.Judge` makes it "unscored".
        """
        gold, marked = str(problem.answer), marked_answer(text)
        if marked is not None and (same := _same_plain_number(gold, marked)) is not None:
            return Verdict.correct() if same else Verdict.wrong(f"{marked[:80]}, not {gold[:80]}")
        golds = _parse_gold(gold)
        if not golds:
            raise ValueError(f"the gold answer {gold[:80]!r} has no mathematical reading")
        answers = _parse(text if marked is None else marked if WORD.search(marked) else _as_formula(marked))
        if not answers:
            return Verdict.wrong("no answer found")
        # Last in the list is the answer as written: 4.5e33 is a number there, and 4.5·e·33 to a LaTeX parser.
        said = answers[-1] if isinstance(answers[-1], str) else ""
        if _same_plain_number(gold, said) or math_verify.verify(
            golds, answers, float_rounding=_decimals(gold), timeout_seconds=None, raise_on_error=True
        ):
            return Verdict.correct()
        return Verdict.wrong(f"{said[:80]}, not {gold[:80]}")

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The answer of `text`, found as `verify` finds it but without math-verify, in the form of `canonical`."""
        boxed = None if marked_answer(text) else boxed_answer(text)
        return canonical(_stated_answer(text) if boxed is None else boxed)

    def gold(self, problem: Problem) -> str:
        """The gold answer in one form."""
        return canonical(str(problem.answer)) or str(problem.answer)

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The worked solution that came with the problem, if one did."""
        return problem.metadata.get("solution")


def read_problems(path: str, template: str) -> list[Problem]:
    """Read a benchmark's file or data set; `template` is one of `templates.py`.

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
        gold, solution = gold_and_solution(row, place)
        identity = str(number if id_field is None else row[id_field])
        once.check(f"{id_field} {identity!r}", place)
        metadata = {"question": question} | ({} if solution is None else {"solution": solution})
        prompt = fill(template, question)
        problems.append(Problem(id=identity, prompt=prompt, answer=gold, metadata=metadata))
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
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
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
    """The content of the last ``\\boxed{}`` (or ``\\fbox``, ``\\framebox``), None without one that closes."""
    starts = [m.end() for m in re.finditer(r"\\(?:boxed|fbox|framebox)\s*\{", text)]
    if not starts:
        return None
    depth = 1
    for end in range(starts[-1], len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[starts[-1] : end]
    return None


def _stated_answer(text: str) -> str:
    """What the last line or the last "answer is" states, else the last number; of words around a number, the number."""
    stated = marked_answer(text) or ""
    if not stated and (phrases := [m.end() for m in PHRASE.finditer(text)]):
        stated = SENTENCE_END.split(text[phrases[-1] :], maxsplit=1)[0]
    numbers = NUMBER.findall(stated or text)
    return str(numbers[-1]) if numbers and (not stated or WORD.search(stated)) else stated


def canonical(answer: str) -> str | None:
    """One spelling for answers that mean the same, at the price of a few replacements; None for an empty one.

    A plain number or a fraction of two is an exact fraction (``0.50``, ``1/2`` and ``\\frac{1}{2}`` are ``1/2``). Of
    other LaTeX, what only changes the looks is taken away. Two spellings that only algebra makes equal stay apart: a
    vote between them is split.
    """
    number = plain_number(answer)
    if number is None:
        bare = LOOKS.sub("", TEXT_BOX.sub(r"\1", answer.replace("\\$", "$"))).strip(" .")
        bare = SHORT_FRACTION.sub(r"\\frac{\1}{\2}", bare.replace("dfrac", "frac").replace("tfrac", "frac"))
        bare = ASSIGNED.sub("", " ".join(bare.split()))
        bare = WRAPPED.sub(r"\1", AROUND_SIGNS.sub(r"\1", bare))
        number = plain_number(FRACTION.sub(r"\1\2/\3", bare))
        if number is None:
            return bare or None
    return str(number)


def plain_number(text: str) -> Fraction | None:
    """The number that `text` is, as in ``$1,000.``, ``-5%``, ``3/4``, ``18 dollars``, or None."""
    match = PLAIN_NUMBER.fullmatch(LATEX_SPACE.sub("", text).replace("\\$", "$").replace("\\%", "%").strip())
    if not match:
        return None
    divisor = int((match["divisor"] or "/1")[1:])
    return Fraction(re.sub(r"[,$€£]", "", match["number"])) / divisor if divisor else None


def _same_plain_number(gold: str, answer: str) -> bool | None:
    """Whether plain numbers are equal; None where math-verify must say: formulas, roundings, percentages."""
    a, b = plain_number(gold), plain_number(answer)
    if a is None or b is None:
        return None
    if a == b:
        return True
    exact = a.denominator == b.denominator == 1 and "%" not in gold + answer
    return False if exact else None


@lru_cache(maxsize=4096)
def _parse_gold(gold: str) -> list[Any]:
    number = plain_number(gold)
    if number is not None and not {"%", "/"} & set(gold):
        whole, parts = number.as_integer_ratio()
        gold = str(whole) if parts == 1 else f"{Decimal(whole) / parts:f}"
    return _parse(_as_formula(gold))


def _decimals(gold: str) -> int:
    """Decimals to which numbers are compared: math-verify's six, or enough for three digits of `gold`."""
    number = plain_number(gold)
    return max(6, 2 - math.floor(math.log10(abs(number)))) if number else 6


def _parse(text: str) -> list[Any]:
    found: list[Any] = math_verify.parse(text, parsing_timeout=None, raise_on_error=True)
    return found


def _as_formula(text: str) -> str:
    """Put LaTeX between one pair of dollar signs, where math-verify looks for it."""
    return "$" + re.sub(r"(?<!\\)\$", "", text) + "$"


def _first(names: tuple[str, ...], row: Mapping[str, Any]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)
