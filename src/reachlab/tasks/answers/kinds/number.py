"""A number as the answer. An expression is not the number that it comes to: of ``9 * 2`` nobody has said 18."""

import re
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from reachlab.tasks.answers.extraction import PROSE, Mark, formulas, last_formulas
from reachlab.tasks.answers.forms import stated_side
from reachlab.tasks.answers.kinds.prose import (
    CALCULATED,
    CLAUSE_END,
    IN_BRACES,
    LEAD,
    SENTENCE,
    first_formulas,
    formula_stated,
    prose,
)
from reachlab.tasks.answers.quantities import RUN, quantity
from reachlab.tasks.answers.spelling import DELIMITERS, MONEY, NEGATIVE, TAGS, number_of, plain_characters, spell
from reachlab.tasks.answers.units import REMARK, SCALES, UNITS

TOTAL = re.compile(
    r"\b(?:in total|altogether|in all|in sum)\b"
    r"|\btotal\b(?P<is>(?:[ ][a-z]+){0,4}?[ ](?:is|are|was|equals|comes to|=)|[ ]of(?=[ ]*-?\d)|[ ]?[=:])",
    re.IGNORECASE,
)
"""What marks the number next to it as the sum of the others."""
MOST_RUNS, LONGEST_SENTENCE = 40, 1500
"""Numbers of a sentence that are looked at, from its end."""
CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
LIST_ITEM = re.compile(r"(?m)^[ \t*_#-]*\(?(?:step|case|part|option|problem)?[ ]*\d+[.):](?=\s)", re.IGNORECASE)
PARENTHESIS = re.compile(r"\([^()\n]*\)")


@dataclass(frozen=True, slots=True)
class NumberKind:
    """A number."""

    def boxed(self, content: str) -> str | None:
        """Whatever the box holds, of a sentence the number: a box that holds none is a wrong answer."""
        bare = spell(content)
        if number_of(bare) or number_of(stated_side(bare)) or REMARK.match(content) or not NUMERAL.search(content):
            return content
        if spoken := SPOKEN.fullmatch(content.strip()):
            return spoken[1]
        plain = IN_BRACES.sub(r"\1", content)
        said = self.begun(plain, last=bool(PROSE.search(plain))) if IN_WORDS.search(plain) else None
        return said or content

    def begun(self, clause: str, *, last: bool) -> str | None:
        """The number, or the expression, at the beginning of a clause; anywhere in it where it is the last line."""
        if (whole := number_of(spell(clause))) is not None and whole.unit is not None:
            return clause
        found = next(formulas(clause), None)
        text = prose(clause)
        lead = LEAD.match(text.lstrip(" *_`\"'("))
        at = len(text) - len(text.lstrip(" *_`\"'(")) + (lead.end() if lead else 0)
        if found is not None and not prose(clause[: found[0]]).strip(" *_").removesuffix(":")[at:].strip():
            inner, begin, end = first_formulas(clause)
            return formula_stated(clause, inner, begin, end)
        match = RUN.match(text, at)
        if match is None and last and not LIST_ITEM.match(text):
            if found is not None and not RUN.search(prose(clause[: found[0]])):
                inner, begin, end = first_formulas(clause)
                return formula_stated(clause, inner, begin, end)
            if len([s for s in SENTENCE.split(text) if s.strip()]) > 1 and (loose := self.loose(clause)) is not None:
                return loose[0]
            stop = CLAUSE_END.search(text)
            match = RUN.search(text, 0, stop.start() if stop and RUN.search(text, 0, stop.start()) else len(text))
        if match is None and ((last and not NUMERAL.search(text)) or LETTER_ALONE.fullmatch(text)):
            stop = CLAUSE_END.search(text)
            said = text[at : stop.start() if stop else len(text)].strip(" *_`.!()")
            if said.casefold() in NUMERALS:
                return str(NUMERALS[said.casefold()])
            # It says something, and no number: what stood before it is not the answer. A sentence says something else.
            return said if said and len(said.split()) <= 3 else None
        return None if match is None else _stretched(text, match)

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The last formula or number."""
        without = CODE.sub(lambda m: " " * len(m[0]), text)
        text = without if NUMERAL.search(without) else text
        spans = list(formulas(text))
        group = last_formulas(text)
        blank = text
        if spans:  # numbers in formulas are formulas
            pieces, at = [], 0
            for begin, _, _, end in spans:
                pieces += [text[at:begin], " " * (end - begin)]
                at = end
            blank = "".join([*pieces, text[at:]])
        plain = self._last_number(LIST_ITEM.sub(lambda m: " " * len(m[0]), blank))
        if group is not None and (plain is None or plain[1] < group[1]):
            said = formula_stated(text, *group)
            return None if said is None else (said, group[1], group[2], "formula")
        return plain

    def _last_number(self, text: str) -> tuple[str, int, int, Mark] | None:
        ends = [m.start() for m in SENTENCE.finditer(text)]
        cuts = [0, *ends, len(text)]
        for begin, end in reversed(list(pairwise(cuts))):
            if not any(c.isnumeric() for c in text[begin:end]) or text[begin:end].rstrip(" *_\"')").endswith(
                ("?", "？")
            ):
                continue  # a question states nothing
            begin = max(begin, end - LONGEST_SENTENCE)
            sentence = _padded(text[begin:end])
            found = self._of_sentence(sentence)
            if found is not None:
                whole = len(sentence) != end - begin  # places have moved: the sentence is where it stands
                return found[0], begin if whole else begin + found[1], end if whole else begin + found[2], "number"
            if NUMERAL.search(sentence):
                return None  # its last sentence with numbers states none: what is before it is not the answer either
        return None

    def _of_sentence(self, sentence: str) -> tuple[str, int, int] | None:
        outside = PARENTHESIS.sub(lambda m: m[0] if m.start() == 0 or not _aside(m[0]) else " " * len(m[0]), sentence)
        for text in (outside, sentence):
            runs = deque((m for m in RUN.finditer(text) if _stands_alone(text, m)), maxlen=MOST_RUNS)
            if not runs:
                continue
            stated = [(m, said) for m in runs if (said := _stretched(text, m)) is not None]
            if not stated:
                return None
            chosen, stretched = stated[-1]
            results = [pair for pair in stated if RESULT.search(text[: pair[0].end()])]
            if results:
                chosen, stretched = results[-1]
            elif "=" not in chosen[0] and (total := TOTAL.search(text)):
                behind = [pair for pair in stated if pair[0].start() >= total.end()]
                ahead = [pair for pair in stated if pair[0].end() <= total.start()]
                chosen, stretched = ((total["is"] and behind[:1]) or ahead[-1:] or behind[:1] or [stated[-1]])[0]
            if number_of(spell(stretched)) is None and "=" not in stretched:
                # "the remainder is 3 when 10 is divided by 7": what it says something is
                plain = [p for p in stated if COPULA.search(text[: p[0].start() + 1]) and number_of(spell(p[1]))]
                chosen, stretched = plain[-1] if plain else (chosen, stretched)
            if (division := DIVISION.fullmatch(stretched)) and (
                stretched != sentence.strip() and int(division[1]) % max(1, int(division[2])) == 0
            ):
                return None  # to be computed first, like 9 * 2
            return stretched, chosen.start(), chosen.end()
        return None


NUMERALS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}
IN_WORDS = re.compile(r"(?<!\\)\b(?:[A-Za-z]{3}|is\b|at\b)|^\s*=")
SPOKEN = re.compile(rf"(?:{'|'.join(NUMERALS)})[ ]\((-?\d+)\)", re.IGNORECASE)
LETTER_ALONE = re.compile(r"\W*[A-Z]\W*")
DIVISION = re.compile(r"(\d{1,30}) ?/ ?(\d{1,30})")
NUMERAL = re.compile(r"(?<![\w])\d")

COPULA = re.compile(r"\b(?:is|are|was|equals?|be)[ ]*$")
RESULT = re.compile(r"\d[\w%.]*(?:[ ][a-z]+)?[ ]*[-+*/×x][^=\n]*=[ ]*-?[\d.,]+(?<![.,])[ ]?$")
"""The end of a calculation, ``6 * 7 = 42``: what it comes to is stated, and not a number that is named later."""


def _aside(parenthesis: str) -> bool:
    """Whether a parenthesis is a remark in words, not a part of a formula."""
    return bool(re.search(r"[A-Za-z]{2,}", parenthesis))


def _padded(sentence: str) -> str:
    """Markdown, TeX's marks and money as spaces, so that places stay where they can."""
    text = plain_characters(sentence).replace("{,}", ",").replace("\\$", "  ").replace("\\%", " %")
    text = NEGATIVE.sub(lambda m: " " * (len(m[0]) - 1) + "-", text)
    for pattern in (CALCULATED, TAGS, DELIMITERS, MONEY):
        text = pattern.sub(lambda m: " " * len(m[0]), text)
    return (
        re.sub(r"(?<=\s)(-) +(?=\d)", lambda m: " " * (len(m[0]) - 1) + "-", text)
        if re.search(r"[A-Za-z=:] +- +\d", text)
        else text
    )


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    """Whether a run is not the rest of a word (``F2``)."""
    start = match.end() - len(match[0].lstrip())
    return start == 0 or not (text[start - 1].isascii() and text[start - 1].isalpha())


def _stretched(text: str, match: re.Match[str]) -> str | None:
    """What the run states, with a word that is glued to it or a unit behind it."""
    found = quantity(text, match)
    if found is None or found != match[0].strip().removesuffix("!"):
        return found
    glued = GLUED.match(text, match.end())
    if glued:
        name = glued[0].casefold()
        unit = name in UNITS or name.removesuffix("s") in UNITS or name in ("th", "st", "nd", "rd", "x")
        return found + (f" {glued[0]}" if unit else glued[0])
    behind = BEHIND.match(text, match.end())
    if behind and (behind[1].rstrip("23^").casefold().removesuffix("s") in UNITS or behind[1].casefold() in SCALES):
        found += f" {behind[1]}"
    return found


GLUED = re.compile(r"[A-Za-z]+")
BEHIND = re.compile(r"[ ]((?!in\b)[A-Za-z]+(?:\^?[23])?)")
