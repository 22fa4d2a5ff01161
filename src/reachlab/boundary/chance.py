"""Guess rate: how often an answer that was not meant for a problem is right there all the same.

Every answer to problem i is judged against the gold answer of another problem σ(i) that has another gold answer. What
is right then is right by luck: the model's habits (round numbers, "yes", the letter C) and the size of the answer
space, and nothing of the problem. n and c of each (problem, shuffle) give, through pass@k,

    luck@k = mean over problems and shuffles of 1 − C(n−c, k) / C(n, k),

the solved share that k samples of a model that knows nothing but how answers look would show. A problem's samples
stay together: they are k guesses of one model at one problem. Beside it, uniform guessing in a space of size A: 1 −
(1 − 1/A)^k.

σ is a permutation without fixed gold answers (so every gold answer is used equally often) among problems whose gold
answers lie in one space, so that luck is that of an answer of the right kind and size. Where one gold answer is that
of more than half of them no such permutation exists, and partners repeat as evenly as they can; a problem whose space
has no other gold answer meets one of another space of its kind.

Source: the permutation test (Fisher 1935). arXiv 2504.13837 raises the doubt, that a right answer at large k is luck,
and reads chains by hand to meet it; this measures it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.passk import pass_at_k

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

YES_OR_NO = frozenset({"yes", "no", "true", "false"})
LETTER = re.compile(r"\(?([A-Za-z])\)?\.?")
INTEGER = re.compile(r"[-+]?(\d{1,18})")
FEWEST_CHOICES = 4


@dataclass(frozen=True, slots=True)
class Space:
    """Where a gold answer lies: its kind, the space's name, and how many answers it has, None where it is open."""

    kind: str
    label: str
    size: int | None


def answer_spaces(golds: Sequence[str]) -> list[Space]:
    """The answer space of each gold answer: yes or no, a letter, an integer of d digits (10^d), anything else.

    The letters of a multiple choice go up to the last one that is a gold answer, and at least to D.
    """
    letters = [ord(m[1].upper()) - ord("A") + 1 for g in golds if (m := LETTER.fullmatch(g.strip()))]
    choices = max(letters, default=0)
    return [_space(gold.strip(), max(choices, FEWEST_CHOICES)) for gold in golds]


def _space(gold: str, choices: int) -> Space:
    if gold.casefold().strip(".") in YES_OR_NO:
        return Space("yes/no", "yes or no", 2)
    if LETTER.fullmatch(gold):
        return Space("letter", f"a letter of {choices}", choices)
    if number := INTEGER.fullmatch(gold):
        digits = len(str(int(number[1])))
        return Space("integer", f"integer of {digits} digit{'s' * (digits > 1)}", 10**digits)
    return Space("open", "open", None)


def partners(golds: Sequence[str], spaces: Sequence[Space], rng: np.random.Generator) -> Ints:
    """For each problem, another with another gold answer, to judge its samples by; -1 if its kind has none."""
    found_P = np.full(len(golds), -1)
    for space in dict.fromkeys(spaces):
        _shuffle(found_P, golds, [i for i, s in enumerate(spaces) if s == space], rng)
    for i in np.flatnonzero(found_P < 0).tolist():
        others = [j for j, s in enumerate(spaces) if s.kind == spaces[i].kind and golds[j] != golds[i]]
        if others:
            found_P[i] = rng.choice(others)
    return found_P


def _shuffle(found_P: Ints, golds: Sequence[str], members: Sequence[int], rng: np.random.Generator) -> None:
    """Give the members partners among themselves, where they have more than one gold answer."""
    counts = Counter(golds[i] for i in members)
    if len(counts) < 2:
        return
    # Members in random order, those of one gold answer together, the commonest first.
    names = sorted(counts)
    rng.shuffle(names)
    names.sort(key=lambda gold: -counts[gold])
    rank = {gold: at for at, gold in enumerate(names)}
    order = rng.permutation(members)
    order = order[np.argsort([rank[golds[i]] for i in order], kind="stable")]
    size, most = len(order), counts[names[0]]
    if 2 * most <= size:
        # Turning the circle by the longest block, or more, moves every block off itself.
        found_P[order] = np.roll(order, -int(rng.integers(most, size - most, endpoint=True)))
        return
    common, rest = order[:most], order[most:]
    found_P[common] = np.resize(rest, most)
    found_P[rest] = rng.permutation(common)[: len(rest)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LuckGroup:
    """Gold answers of one space: what answers meant for others got right there, and what uniform guessing would."""

    label: str
    size: int | None
    problems: int
    scored: int
    right: int
    luck_K: Floats
    uniform_K: Floats | None

    @property
    def rate(self) -> float:
        """Share of right ones among the scored."""
        return self.right / self.scored if self.scored else float("nan")


def luck_table(n_SP: Ints, c_SP: Ints, ks: Sequence[int]) -> Floats:
    """luck@k of each shuffle and problem, (S, P, K); NaN where no answer of the problem was scored.

    Args:
        n_SP: each problem's samples that were scored against its partner's gold answer, in each shuffle.
        c_SP: right ones among them.
        ks: the values of k, each at most the scored ones where there are some.

    Raises:
        ReachlabError: k beyond the samples of a problem.
    """
    table_SPK = np.full((*n_SP.shape, len(ks)), np.nan)
    judged_SP = n_SP > 0
    if judged_SP.any():
        table_SPK[judged_SP] = pass_at_k(n_SP[judged_SP], c_SP[judged_SP], np.array(ks))
    return table_SPK


def luck_groups(
    spaces: Sequence[Space], partner_SP: Ints, n_SP: Ints, c_SP: Ints, ks: Sequence[int]
) -> tuple[LuckGroup, ...]:
    """luck@k by the space of the gold answer that was judged against, from the smallest space to the open one."""
    table_SPK = luck_table(n_SP, c_SP, ks)
    groups = []
    for space in sorted(set(spaces), key=lambda s: (s.size is None, s.size or 0, s.label)):
        here_P = np.array([s == space for s in spaces])
        here_SP = (n_SP > 0) & here_P[partner_SP]
        if not here_SP.any():
            continue
        uniform_K = None if space.size is None else -np.expm1(np.array(ks) * np.log1p(-1 / space.size))
        groups.append(
            LuckGroup(
                label=space.label,
                size=space.size,
                problems=len(np.unique(partner_SP[here_SP])),
                scored=int(n_SP[here_SP].sum()),
                right=int(c_SP[here_SP].sum()),
                luck_K=table_SPK[here_SP].mean(axis=0),
                uniform_K=uniform_K,
            )
        )
    return tuple(groups)
