"""Sentences and clauses of a text, without the marks of TeX, Markdown and money."""

import re

from reachlab.tasks.answers.extraction import JOIN, formulas
from reachlab.tasks.answers.quantities import BOUND, CHANGED, DENIED, REJECTED, TERM
from reachlab.tasks.answers.spelling import DELIMITERS, MONEY, NEGATIVE, TAGS, plain_characters

SENTENCE = re.compile(r"(?<=[.!?。！？])(?=\s(?!\s*=)|[^\x00-\x7f])|\n+")
LEAD = re.compile(
    r"(?:the |a |an |final |correct |total |answer |result |value |number |sum |product "
    r"|is |are |be |equals? |equal to |about |approximately |exactly |simply "
    r"|therefore |thus |so |hence |indeed |just |only |option |choice |that |of |=>|->|=|:| )+",
    re.IGNORECASE,
)
CLAUSE_END = re.compile(
    r"[.;!?。！？](?=\s|$|[^\x00-\x7f])|,(?=\s+[A-Za-z]{2,})(?!\s+(?:and|or)\s+(?:[-\d$\\]|[A-Za-z]\b))"
    r"|\s(?:because|since|as|which|so|when|where|if|but|after|with)\s|\s\(|\n| — | – ",
    re.IGNORECASE,
)
CALCULATED = re.compile(r"<<[^<>\n]*>>")
"""GSM8K's notes to a calculator: ``6*7=<<6*7=42>>42``."""
IN_BRACES = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}")


def prose(clause: str) -> str:
    """A clause without TeX's marks, Markdown's, money's."""
    found = CALCULATED.sub("", plain_characters(clause))
    found = MONEY.sub("", DELIMITERS.sub("", TAGS.sub("", found.replace("\\$", "$").replace("\\%", "%"))))
    return NEGATIVE.sub("-", found)


def spell_text(text: str) -> str:
    """Without TeX's boxes around words."""
    return IN_BRACES.sub(r"\1", text)


def first_formulas(clause: str) -> tuple[str, int, int]:
    """The first formula of a clause, with those that only commas or "and" part from it."""
    found = list(formulas(clause))
    last = 0
    while last + 1 < len(found) and JOIN.fullmatch(clause, found[last][3], found[last + 1][0]):
        last += 1
    return ", ".join(clause[f[1] : f[2]] for f in found[: last + 1]), found[0][0], found[last][3]


HEDGED = re.compile(r"[ ,]*\(?or (?:possibly|maybe|perhaps)\b", re.IGNORECASE)
RANGE = re.compile(r"(?:\bfrom|\bbetween)\b[^.\n]*(?:\bto|\band)[ ]*$", re.IGNORECASE)


def formula_stated(text: str, formula: str, begin: int, end: int) -> str | None:
    """The last formula, or a longer text where words make it a bound; None where words deny it."""
    before, after = text[max(0, begin - 60) : begin], text[end : end + 30]
    if DENIED.search(before) or REJECTED.match(after):
        return None
    if (bound := BOUND.search(before)) or (bound := RANGE.search(before)):
        return f"{bound[0].strip()} {formula}"
    if term := TERM.search(before):
        return f"{term[0].strip()} {formula}"
    behind = after.replace("$", "").replace("\\(", "")
    return formula + behind if CHANGED.match(behind) or HEDGED.match(behind) else formula
