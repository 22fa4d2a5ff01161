"""Anything that is written in symbols: an expression, a set, an equation, a point; a time of day, a ratio."""

import re
from dataclasses import dataclass

from reachlab.tasks.answers.extraction import Mark, formulas, last_formulas
from reachlab.tasks.answers.kinds.prose import CLAUSE_END, LEAD, first_formulas, formula_stated, prose, spell_text
from reachlab.tasks.answers.quantities import DENIED

SYMBOLS = re.compile(r"[\d\\^=<>{}()√π∞∅+*/|]|^[A-Za-z]$")
PROSE_START = re.compile(r"(?:[A-Za-z]{2,}[,;]?\s+){3,}")
CLOCK = re.compile(
    r"\b\d{1,2}:\d{2}(?::\d{2})?(?:[ ~]?[ap]\.?[ ]?m\b\.?)?|\b\d{1,2}[ ~]?[ap]\.?[ ]?m\b\.?", re.IGNORECASE
)
RATIO = re.compile(r"(?<!\d)-?\d+(?:\.\d+)?(?:[ ]*(?::|to)[ ]*-?\d+(?:\.\d+)?)+")


@dataclass(frozen=True, slots=True)
class FormulaKind:
    """Anything that is written in symbols: an expression, a set, an equation, a point."""

    def boxed(self, content: str) -> str | None:
        """Whatever the box holds."""
        return content

    def begun(self, clause: str, *, last: bool) -> str | None:
        """The first formula of a clause; without one, the clause itself where it looks like one."""
        if next(formulas(clause), None) is not None:
            inner, begin, end = first_formulas(clause)
            return formula_stated(clause, inner, begin, end)
        stop = CLAUSE_END.search(clause)
        said = clause[: stop.start()] if stop else clause
        lead = LEAD.match(prose(said).strip())
        said = prose(said).strip()[lead.end() if lead else 0 :].strip(" *_`")
        if not said or (not last and PROSE_START.match(said)):
            return None
        if DENIED.search(said.split(" ")[0] + " "):
            return None
        return said if SYMBOLS.search(said) else None

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The last formula; without one, the last line, or what it says something is."""
        if (group := last_formulas(text)) is not None:
            return None if DENIED.search(text[max(0, group[1] - 60) : group[1]]) else (*group, "formula")
        stripped = text.rstrip()
        begin = stripped.rfind("\n") + 1
        line = stripped[begin:]
        is_at = max(
            (
                m.end()
                for m in re.finditer(r"\b(?:is|are|equals)\b|(?<=[A-Za-z])[*_ ]*[:：]", line)
                if m.end() < len(line)
            ),
            default=0,
        )
        said = line[is_at:].strip()
        if DENIED.match(said.split(" ")[0] + " ") or not SYMBOLS.search(said) or len(said) > 300:
            return None
        return said, begin + is_at, len(stripped), "formula"


@dataclass(frozen=True, slots=True)
class PatternKind:
    """What is written in one way: a time of day, a ratio."""

    pattern: re.Pattern[str]

    def boxed(self, content: str) -> str | None:
        """Whatever the box holds."""
        return content

    def begun(self, clause: str, *, last: bool) -> str | None:
        """The first of its kind in a clause."""
        found = self.pattern.search(prose(spell_text(clause)))
        return None if found is None or DENIED.search(prose(spell_text(clause))[: found.start()]) else found[0]

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The last of its kind."""
        bare = prose(spell_text(text))
        found = [m for m in self.pattern.finditer(bare) if not DENIED.search(bare[max(0, m.start() - 60) : m.start()])]
        return (found[-1][0], 0, len(text), "formula") if found else None
