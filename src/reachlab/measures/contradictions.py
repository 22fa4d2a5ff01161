"""Samples whose verdict and final answer contradict each other. None should be left: each is a fault of ours.

A curve counts a sample by its verdict and a vote by its final answer, so both must come from one reading of its text.
They do not, where a scored sample is

    silent   right, and comes down to no final answer, though other samples do
    gold     wrong, and comes down to the gold answer
    number   right, and comes down to another whole number than the gold answer
    split    right or wrong, while most samples of its problem that come down to the same are not

In `split` a tie counts as wrong, as it does in a vote (`measures/answers.py`). Final answers that only algebra makes
equal have different texts and do not contradict a verdict, so whole numbers alone are told from each other; a
hundredfold may be a percentage. Where more than the final answer decides a verdict (`Task.answer_decides`), nothing is
a contradiction.
"""

import re
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from reachlab.types import Status

Kind = Literal["silent", "gold", "number", "split"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NONE = -1

WHOLE = re.compile(r"-?[0-9]{1,15}")


def find_contradictions(
    problem_N: NDArray[np.int64],
    right_N: NDArray[np.bool_],
    answer_N: NDArray[np.int64],
    answers: Sequence[str],
    golds: Sequence[str | None],
) -> NDArray[np.int64]:
    """The kind of each scored sample's contradiction as its place in `KINDS`, `NONE` where there is none.

    Args:
        problem_N: each sample's problem, as a place in `golds`.
        right_N: whether it was judged correct; else it was judged wrong.
        answer_N: its final answer, as a place in `answers`; below 0 where it has none.
        answers: different texts.
        golds: each problem's gold answer in the form of a final answer; None where it is not known.
    """
    kind_N = np.full(len(answer_N), NONE)
    spoken_N = answer_N >= 0
    if not spoken_N.any():
        return kind_N
    kind_N[right_N & ~spoken_N] = KINDS.index("silent")
    key_C, class_N, votes_C = np.unique(
        (problem_N * len(answers) + answer_N)[spoken_N], return_inverse=True, return_counts=True
    )
    problem_C, answer_C = np.divmod(key_C, len(answers))
    place = {text: i for i, text in enumerate(answers)}
    gold_C = np.array([NONE if gold is None else place.get(gold, NONE) for gold in golds])[problem_C] == answer_C
    (value_A, whole_A), (value_P, whole_P) = _whole_numbers(answers), _whole_numbers(golds)
    said_C, wanted_C = value_A[answer_C], value_P[problem_C]
    near_C = (said_C == wanted_C) | (said_C == 100 * wanted_C) | (100 * said_C == wanted_C)
    other_C = whole_A[answer_C] & whole_P[problem_C] & ~near_C
    mostly_C = 2 * np.bincount(class_N, weights=right_N[spoken_N], minlength=len(key_C)) > votes_C
    holds_C = gold_C | (mostly_C & ~other_C)
    kind_C = np.select([gold_C, other_C], [KINDS.index("gold"), KINDS.index("number")], KINDS.index("split"))
    kind_N[spoken_N] = np.where(right_N[spoken_N] != holds_C[class_N], kind_C[class_N], NONE)
    return kind_N


def count_contradictions(rows: Sequence[Sequence[tuple[Status, str | None]]], golds: Sequence[str | None]) -> int:
    """How many there are among the (verdict, final answer) of every problem's samples; unscored ones are left out."""
    flat = [(p, status, answer) for p, row in enumerate(rows) for status, answer in row if status != "unscored"]
    place: dict[str, int] = {}
    codes = [NONE if answer is None else place.setdefault(answer, len(place)) for _, _, answer in flat]
    kind_N = find_contradictions(
        np.array([p for p, *_ in flat], np.int64),
        np.array([status == "correct" for _, status, _ in flat], bool),
        np.array(codes, np.int64),
        list(place),
        golds,
    )
    return int((kind_N != NONE).sum())


def _whole_numbers(texts: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Each text as a whole number, and whether it is one."""
    found = [int(text) if text is not None and WHOLE.fullmatch(text) else None for text in texts]
    return np.array([value or 0 for value in found], np.int64), np.array([value is not None for value in found], bool)
