"""One answer against one gold answer: extraction, reading, verdict.

    text -> what it states (`extraction.py`) -> read in the light of the gold answer -> the same or not (`equality.py`)

The final answer is the reading, and the verdict looks at nothing else: texts with one final answer have one verdict.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from reachlab.tasks.answers.equality import same, same_form
from reachlab.tasks.answers.errors import UndecidedError, UnreadableError
from reachlab.tasks.answers.extraction import Kind, Stated, Unstated, extract
from reachlab.tasks.answers.forms import Clock, Plain, Ratio, form_of, stated_side
from reachlab.tasks.answers.kinds.choice import ChoiceKind, gold_choice
from reachlab.tasks.answers.kinds.formula import CLOCK, RATIO, FormulaKind, PatternKind
from reachlab.tasks.answers.kinds.number import NumberKind
from reachlab.tasks.answers.kinds.words import WordsKind
from reachlab.tasks.answers.reasoning import REASONING, Marks
from reachlab.tasks.answers.spelling import MOST, Number, assigned, number_of, spell, words_of
from reachlab.tasks.answers.units import REMARK, without_unit

Status = Literal["correct", "wrong", "unscored"]


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer: its spelling, the number or the letters that it is, and the kind that is looked for."""

    written: str
    spelling: str
    number: Number | None
    kind: Kind
    letters: str = ""

    @property
    def canonical(self) -> str:
        """Its one spelling, as `read` gives it for an answer that says just this."""
        if self.letters:
            return self.letters
        return str(self.number.value) if self.number else self._read_other(self.spelling) or self.written

    def read(self, stated: str) -> str | None:
        """One spelling of an answer to this question; None for nothing, or what is too long to be an answer.

        A number loses its unit, unless it has another one than the gold answer has; a percentage counts as hundredths
        where the gold answer is those.
        """
        if len(stated) > MOST:
            return None
        if not CONCLUSION.search(self.written):
            stated = stated[max((m.end() for m in CONCLUSION.finditer(stated)), default=0) :]
        if self.letters:
            return stated or None
        if self.number is None:
            return self._read_other(spell(without_unit(stated)))
        bare = spell(REMARK.sub(r"\1", stated))
        number = (
            number_of(bare)
            or number_of(stated_side(bare))
            or number_of(LETTERED.sub("", bare))
            or number_of(ALONE.sub(r"\1", bare))
            or number_of(spell(without_unit(stated)))
        )
        if number is None:
            return bare or None
        value = number.value
        if number.percent and not self.number.percent and value != self.number.value == value / 100:
            value /= 100
        other = number.unit and self.number.unit and number.unit != self.number.unit
        return f"{value} {number.unit}" if other else str(value)

    def _read_other(self, bare: str) -> str | None:
        if (words := words_of(bare)) is not None:
            return words
        number = number_of(bare)
        if number is not None and not number.unit:
            return str(number.value)
        return (bare if "=" in self.spelling or "," in bare else assigned(bare)) or None

    def verdict(self, read: str, question: str = "") -> tuple[Status, str]:
        """Whether a reading is the gold answer, and why not; to repeat a formula of the question is no answer."""
        if read == self.canonical:
            return "correct", ""
        not_gold = f"{read[:80]}, not {self.written[:80]}"
        if self.letters:
            return "wrong", not_gold
        try:
            if self.number is not None:
                said = number_of(read)
                right = said is not None and same_form(Plain(self.number, self.spelling), Plain(said, read))
                return ("correct", "") if right else ("wrong", not_gold)
            if not same(self.spelling, read):
                return "wrong", not_gold
            if OPERATION.search(read) and _bare(read) in _bare(spell(question)):
                return "wrong", f"a formula of the question: {not_gold}"
            return "correct", ""
        except (UndecidedError, UnreadableError) as error:
            return "unscored", f"{error}: {not_gold}"


CONCLUSION = re.compile(r"\\(?:Rightarrow|implies|Longrightarrow|therefore)(?![A-Za-z])|⇒|∴")
"""What a formula concludes with: ``x + 3 = 10 \\Rightarrow x = 7`` says that x is 7."""
ALONE = re.compile(r"^(?:\w\\in)?(?:\\\{|\[)([^,{}\[\]]+)(?:\\\}|\])$")
"""A set, or a list, of one."""
LETTERED = re.compile(r"^\([A-J]\)\s*")
"""The letter of a choice, before the option's text."""


DOLLARS = re.compile(r"\\\$\s*\d")


OPERATION = re.compile(r"[-+*/^=]|\\(?:cdot|frac|sqrt|binom|sum|int|log|ln|sin|cos|tan)")


def _bare(spelling: str) -> str:
    return "".join(spelling.split())


@lru_cache(maxsize=4096)
def gold_of(answer: str, options: tuple[str, ...] = ()) -> Gold:
    """A gold answer, as a file holds it; `options` are those of a multiple choice.

    Raises:
        UnreadableError: nothing is left of it without the marks around it.
    """
    bare = spell(answer)
    if not bare:
        raise UnreadableError(f"the gold answer {answer[:80]!r} has no mathematical reading")
    letters = gold_choice(answer, options)
    if letters is not None:
        return Gold(answer, bare, None, ChoiceKind(options), letters)
    number = number_of(bare) or number_of(stated_side(bare))
    if number is not None:
        if not number.unit and DOLLARS.search(answer):
            number = replace(number, unit="dollar")
        return Gold(answer, bare, number, NumberKind())
    bare = spell(without_unit(answer))
    words = words_of(bare)
    if words is not None and " or " not in words and " and " not in words:
        return Gold(answer, bare, None, WordsKind(len(words.split()), leads=words in ("yes", "no", "true", "false")))
    if CLOCK.search(bare) and isinstance(form_of(bare), Clock):
        return Gold(answer, bare, None, PatternKind(CLOCK))
    if isinstance(form_of(bare), Ratio):
        return Gold(answer, bare, None, PatternKind(RATIO))
    return Gold(answer, bare, None, FormulaKind())


@dataclass(frozen=True, slots=True)
class Graded:
    """What an answer comes down to, and the verdict on it."""

    status: Status
    reason: str
    final: str | None
    stated: Stated | None


def read(gold: Gold, text: str, marks: Marks = REASONING) -> str | None:
    """What `text` comes down to; `marks` are those of reasoning."""
    stated = extract(text, gold.kind, marks)
    return None if isinstance(stated, Unstated) else gold.read(stated.text)


def grade(gold: Gold, text: str, marks: Marks = REASONING, question: str = "") -> Graded:
    """Judge the answer that `text` states to a `question`; `marks` are those of reasoning."""
    stated = extract(text, gold.kind, marks)
    if isinstance(stated, Unstated):
        return Graded("wrong", stated.reason, None, None)
    final = gold.read(stated.text)
    if final is None:
        return Graded(
            "wrong", "an empty answer" if len(stated.text) <= MOST else "too long to be an answer", None, stated
        )
    return Graded(*gold.verdict(final, question), final, stated)
