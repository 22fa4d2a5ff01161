"""By what the page's answers are found: verdict, how they ended, the verifier's reason, the log's label.

The different combinations are listed once, and an answer has the number of its own, so that a page of tens of thousands
of answers is filtered without opening the blocks that hold their texts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from reachlab.reporting.excerpts import STATUSES, SampleExcerpt

MOST = 24
"""Reasons that can be chosen, the most frequent first; the others are one."""
OTHER = "other reasons"
QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
NUMBER = re.compile(r"[-−]?\d[\d.,:/]*\d|[-−]?\d")
ANOTHER = re.compile(r".*, not .*", re.DOTALL)
"""How a verifier says which other answer was stated."""


def reason_kind(excerpt: SampleExcerpt) -> str:
    """The reason without what only this answer has: what it states, quotations, numbers."""
    reason, final = excerpt.reason, excerpt.final
    if final and reason.startswith(final) and ANOTHER.fullmatch(reason, len(final)):
        return "another answer than the right one"
    return " ".join(NUMBER.sub("…", QUOTED.sub("…", reason)).split())[:120]


def answer_kinds(models: Sequence[Sequence[Sequence[SampleExcerpt]]]) -> dict[str, Any]:
    """`reasons`, the different `kinds` as [verdict, end, reason, label], and of each model and problem whose answers
    they are: `held`. A reason is a place in `reasons` or -1, a label 1 where the log says another thing."""
    every = [excerpt for problems in models for excerpts in problems for excerpt in excerpts]
    counts = Counter(kind for excerpt in every if (kind := reason_kind(excerpt)))
    common = counts.most_common(MOST)
    reasons = [reason for reason, _ in common] + [OTHER] * (len(counts) > MOST)
    place = {reason: at for at, reason in enumerate(reasons)}
    kinds: dict[tuple[Any, ...], int] = {}

    def numbers(excerpts: Iterable[SampleExcerpt]) -> list[int]:
        found = []
        for excerpt in excerpts:
            said = reason_kind(excerpt)
            reason = place.get(said, len(reasons) - 1) if said else -1
            kind = (STATUSES.index(excerpt.status), excerpt.finish, reason, int(excerpt.label is not None))
            found.append(kinds.setdefault(kind, len(kinds)))
        return found

    held = [[numbers(excerpts) for excerpts in problems] for problems in models]
    return {"reasons": reasons, "kinds": [list(kind) for kind in kinds], "held": held}
