"""From a text to the answer that it states: which words, where they stand, how they are marked.

In this order, the last of each, after the reasoning and before the next question (`reasoning.py`):

1. ``<answer>…</answer>``, and in it what follows here
2. ``\\boxed{}``, ``\\fbox{}``, ``\\framebox{}`` that hold something; several are one answer where only commas or "and"
   are between them
3. ``#### X``, ``Answer: X``, and ``A: X`` on a line of its own
4. the phrase "answer is X", also in a few other languages
5. the last formula or the last number, whichever stands later

A number, a letter or a word is looked for as such, because the question asks for one: what is marked and holds none is
passed over, except a box. Every step is linear in the text; 5 looks at its last `TAIL` characters.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from reachlab.tasks.answers.reasoning import REASONING, Marks, after_reasoning, next_questions
from reachlab.tasks.answers.spelling import MOST

Mark = Literal["answer tag", "box", "####", "Answer:", "phrase", "formula", "number", "words", "letter"]

TAIL = 8000
CANDIDATES = 30
"""Marks of one sort that are looked at, from the last one back: a text of nothing but marks costs no more."""
CLAUSE = 2000
"""Characters of a line that a mark may state an answer in."""


@dataclass(frozen=True, slots=True)
class Stated:
    """An answer as it is written, ``whole[start:end]`` but for what joins several, and how it is marked."""

    text: str
    start: int
    end: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class Unstated:
    """There is no answer, and why."""

    reason: str


class Kind(Protocol):
    """What sort of answer a question asks for, and where in a clause or a text it is."""

    def boxed(self, content: str) -> str | None:
        """The answer in a box; None where the box holds something else, and the text is searched on."""

    def begun(self, clause: str, *, last: bool) -> str | None:
        """The answer that a marked clause states; `last` where no other line follows it."""

    def loose(self, text: str) -> tuple[str, int, int, Mark] | None:
        """The answer of a text without any mark, and where it stands."""


def extract(text: str, kind: Kind, marks: Marks = REASONING) -> Stated | Unstated:
    """The answer that `text` states."""
    region = after_reasoning(text, marks)
    if region.reason:
        return Unstated(region.reason)
    for end in (*next_questions(text, region), region.end):
        if (found := _stated(text, region.start, end, kind)) is not None:
            return _corrected(text, found.start, end, kind) or found
    return Unstated("no answer found" if text[region.start : region.end].strip() else "nothing after the reasoning")


CORRECTION = re.compile(
    r"\b(?P<says>(?:wait|hold on|oops|sorry|actually)\b[,.:! ]*(?:no\b[,.: ]*)?it(?:'s| is| should be)\b"
    r"|correction[ ]?:)"
    r"|\b(?:wait|hold on|oops|sorry|actually)\b[,.:! ]*(?:no\b|that(?:'s| is) (?:wrong|incorrect|not right)|i made)"
    r"|\bthat(?:'s| is) (?:wrong|incorrect|not right|a mistake)\b|\bi made an? (?:mistake|error)\b",
    re.IGNORECASE,
)
"""Where a text takes back what it has said."""


def _corrected(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    """What a text states once it has taken back what stands at `start`; without a mark only where it says "it is"."""
    for match in _last(CORRECTION, text, max(start, end - TAIL), end)[-1:]:
        return _marked(text, match.end(), end, kind) or (
            _loose(text, match.end(), end, kind) if match["says"] is not None else None
        )
    return None


def _stated(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    return _marked(text, start, end, kind) or _loose(text, start, end, kind)


def _marked(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    tags = _last(TAG, text, start, end) if "<" in text else []
    while tags:
        stop = end
        while tags and tags[-1]["close"]:
            stop = tags.pop().start()
        if tags and text[(begin := tags.pop().end()) : stop].strip():
            return _inside_tag(text, begin, stop, kind)
    return _boxes(text, start, end, kind) or _named(text, start, end, kind) or _phrase(text, start, end, kind)


TAG = re.compile(r"<\s{0,3}(?P<close>/?)\s{0,3}(?:(?:final_)?answer|solution|result|output)\s{0,3}>", re.IGNORECASE)


def _inside_tag(text: str, start: int, end: int, kind: Kind) -> Stated:
    """What an answer tag holds: a mark in it, an answer and nothing else, or what a text without marks states."""
    found = _boxes(text, start, end, kind) or _named(text, start, end, kind) or _phrase(text, start, end, kind)
    whole = text[start:end]
    if found is None and not PROSE.search(IN_TEXT.sub("", whole)) and (stated := kind.boxed(whole)) is not None:
        found = Stated(stated, start, end, "answer tag")
    if found is None and (stated := kind.begun(whole, last=True)) is not None:
        found = Stated(stated, start, end, "answer tag")
    found = found or _loose(text, start, end, kind)
    return found or Stated(whole, start, end, "answer tag")


def _last(pattern: re.Pattern[str], text: str, start: int, end: int) -> list[re.Match[str]]:
    """The last matches, in order."""
    return list(deque(pattern.finditer(text, start, end), maxlen=CANDIDATES))


def _loose(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    start = max(start, end - TAIL)
    found = kind.loose(text[start:end])
    return None if found is None else Stated(found[0], start + found[1], start + found[2], found[3])


BOX = re.compile(
    r"(?:\\(?:[Bb]oxed|fbox|framebox)|\x08oxed|(?<![A-Za-z\\])boxed(?=\{))\s*(?:\{"
    r"|(-?\d[\d.,/]*(?<![.,])|[A-Za-z](?![A-Za-z])))"
)
JOIN = re.compile(
    r"[ \t]*(?:\$|\\[)\]])?[ \t]*(?:,|;|、|,?[ \t]*(?:and|or|&|和|或)(?![a-z])|,?[ \t]*\\text\{ ?(?:and"
    r"|or) ?\})[ \t]*(?:\$|\\[(\[])?"
    r"[ \t]*(?:\\text\{ *\}|\\quad|\\ )*(?:[A-Za-z](?:_\w|_\{\w+\})?[ \t]*=)?[ \t]*"
)
PLACEHOLDER = re.compile(
    r"[.\s…]*|\\ldots|\\dots|\\text\{[^{}]*\b(?:answer|letter)\b[^{}]*\}|(?:your |final "
    r"|the )*(?:answer|letter|choice)(?: here)?",
    re.I,
)


def boxes(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int, int, int]]:
    """The last boxes that close and hold something: where each begins, its content begins and ends, and it ends."""
    end = len(text) if end is None else end
    found: list[tuple[int, int, int, int]] = []
    for match in _openings(text, start, end):
        if match[1] is not None:
            box = (match.start(), *match.span(1), match.end(1))
        elif (close := _closing(text, match.end(), end)) is not None:
            box = (match.start(), match.end(), close, close + 1)
        else:
            continue
        if found and match.start() < found[-1][3]:
            found.pop()  # of a box in a box the inner one is the answer
        found.append(box)
    return [box for box in found if not PLACEHOLDER.fullmatch(text[box[1] : box[2]].strip())]


def _closing(text: str, at: int, end: int) -> int | None:
    """Where the brace that opens before `at` closes."""
    depth = 1
    for brace in BRACE.finditer(text, at, end):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0:
            return brace.start()
    return None


def _openings(text: str, start: int, end: int) -> list[re.Match[str]]:
    """Where the last boxes open, in order: looked for by two letters, which is many times as fast as by a pattern."""
    found: dict[int, re.Match[str]] = {}
    at = text.rfind("ox", start, end)
    while at >= 0 and len(found) < CANDIDATES:
        known = text[max(start, at - 1) : at] in BEFORE_OX
        if known and (match := BOX.search(text, max(start, at - LONGEST_NAME), min(end, at + CLAUSE))):
            found.setdefault(match.start(), match)
        at = text.rfind("ox", start, max(start, at - 1))
    return [found[begin] for begin in sorted(found)]


BEFORE_OX = ("b", "B", "\x08")
LONGEST_NAME = len("\\framebox")
BRACE = re.compile(r"\\?[{}]")


GLUED_BEFORE = re.compile(
    r"(?:\\sqrt\s*\{|(?<![\w-])-|[\^/]|\\(?:neq?|cdot|times|le|ge|lt|gt)\s*|(?<![A-Za-z/_|])[<>]\s*)$"
)
GLUED_BEHIND = re.compile(r"\^\{?\w+\}?|\{,\}\d+|\s*(?:\\(?:cdot|times)(?![A-Za-z])|[*/])\s*\d")


def _glued(text: str, box: tuple[int, int, int, int], content: str) -> str:
    """A box's content, with a sign, a power or a factor that is glued to the box: ``-\\boxed{5}``."""
    before = GLUED_BEFORE.search(text[max(0, box[0] - 12) : box[0]])
    behind = GLUED_BEHIND.match(text, box[3], box[3] + 20)
    return f"{before[0] if before else ''}{content}{behind[0] if behind else ''}"


def _boxes(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    found = boxes(text, start, end)
    while found:
        group = [found.pop()]
        while found and JOIN.fullmatch(text, found[-1][3], group[0][0]):
            group.insert(0, found.pop())
        content = ", ".join(text[b[1] : b[2]] for b in group)
        if len(group) == 1:
            content = _glued(text, group[0], content)
        stated = kind.boxed(content) if len(content) <= MOST else content
        if stated is not None:
            return Stated(stated, group[0][1], group[-1][2], "box")
    return None


NAMED = re.compile(
    r"(?:(?P<hashes>\#{4})(?!\#)[ \t]*"
    r"|(?<![A-Za-z])(?:ANSWER|(?i:answers?|ans|antwort|réponse|respuesta|resposta|risposta"
    r"|ответ|答案|答え|정답|故选|选择|正解))[ \t]*"
    r"(?i:to [^\n:]{1,80}|in [^\n:]{1,40}|choice|option|key)?[ \t*_`\"')]*(?:[:：]"
    r"|[ ][-–—][ ]|[ ]?[-=]>|[ ]?\|(?!\|))[ \t]*"
    r"|final_answer\((?=[^()\n]+\))"
    r"|(?m:^)[ \t*]*A:[ \t*]*)"
)
HEADING_ANSWER = re.compile(r"[ \t*#_]*(?i:(?:the )?final answer|answer)[ \t*_:]*")
LIST_NUMBER = re.compile(r"[ \t*_]*\d{1,2}[.)][ \t]+[^\s\d]")
LABELS = re.compile(r"\s*\n[ \t*]*B[:.)]")
DISPLAY = re.compile(r"\s*(?:\\\[|\$\$)[ \t]*$")


def _lines(text: str, start: int, end: int, signs: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """The last lines that hold one of some signs, from the last one back."""
    found = 0
    while end >= start and found < CANDIDATES:
        begin = max(start, text.rfind("\n", start, end) + 1)
        if any(text.find(sign, begin, end) >= 0 for sign in signs):
            found += 1
            yield begin, end
        end = begin - 1


def _named(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    """``#### X``, ``Answer: X``, ``A: X``, or a heading "Final answer" and the line below it."""
    for line, stop in _lines(text, start, end, ("####", ":", "：", "nswer", "NSWER")):
        matches = list(deque(NAMED.finditer(text, line, stop), maxlen=CANDIDATES))
        if heading := HEADING_ANSWER.fullmatch(text, line, stop):
            matches.append(heading)
        for match in reversed(matches):
            if DOUBTED.search(text, max(line, match.start() - 60), match.start()):
                continue
            if (found := _after_name(text, match, stop, end, kind)) is not None:
                return found
    return None


def _after_name(text: str, match: re.Match[str], stop: int, end: int, kind: Kind) -> Stated | None:
    """What a name for the answer states: behind it, or on the line below."""
    begin = BARE.match(text, match.end(), stop).end()  # type: ignore[union-attr]
    hashes = match.re is NAMED and match["hashes"] is not None
    if not text[begin:stop].strip(" \t*_`") or DISPLAY.fullmatch(text, begin, stop):
        if hashes or not (below := BELOW.match(text, begin, end)):
            return None
        begin, stop = below.span(below.lastgroup or 0)
    rest = text[begin : min(stop, begin + CLAUSE)]
    if PHRASE.search(rest) and (within := _phrase(text, begin, stop, kind)) is not None:
        return within
    if LIST_NUMBER.match(rest) or (match[0].lstrip(" \t*").startswith("A:") and LABELS.match(text, stop, end)):
        return None
    stated = kind.begun(rest, last=not text[stop:end].strip())
    return None if stated is None else Stated(stated, begin, stop, "####" if hashes else "Answer:")


BARE = re.compile(r"[ \t*_]*")
BELOW = re.compile(
    r"[ \t*_`]*\n\s*(?P<rest>(?:\\\[|\$\$)[^\n]*\n?[^\n]*|[^\n]+)|\s*(?P<display>(?:\\\[|\$\$)[ \t]*\n[^\n]*)"
)

PHRASE = re.compile(
    r"(?i:\banswers?\b[^.\n:=?]{0,80}?(?:\bis\b|\bare\b|\bwould be\b|\bshould be\b|\bequals\b|=|:)"
    r"|(?:答案|答え|结果)(?:应该)?(?:是|为|は|为：)|故选|答えは|réponse est|respuesta(?: final| correcta)? es"
    r"|antwort ist|ответ(?: —| -| равен)"
    r"|resposta(?: final)? é|risposta è|정답은|الجواب هو|उत्तर)[\s:：*_]*(?P<rest>[^\n]*)"
)


def _phrase(text: str, start: int, end: int, kind: Kind) -> Stated | None:
    """What the last "answer is" states; a phrase that states nothing of the kind is passed over."""
    for line, stop in _lines(text, start, end, PHRASES):
        for match in reversed(_last(AFTERWARDS, text, line, stop)):
            if (found := kind.loose(match["said"])) is not None:
                begin = match.start("said")
                return Stated(found[0], begin + found[1], begin + found[2], "phrase")
        for match in reversed(_last(PHRASE, text, line, stop)):
            begin = match.start("rest")
            if DOUBTED.search(text, max(line, match.start() - 60), match.start()):
                continue
            # A phrase may hold another: "the answer to our question, the final answer, is".
            inner = max((m.start("rest") for m in PHRASE.finditer(text, begin, stop)), default=begin)
            for at in dict.fromkeys((inner, begin)):
                said = text[at : min(stop, at + CLAUSE)]
                last = any(c.isdigit() for c in said) or not text[stop:end].strip()
                if (stated := kind.begun(said, last=last)) is not None:
                    return Stated(stated, at, stop, "phrase")
    return None


AFTERWARDS = re.compile(
    r"(?P<said>[^\n.;:]{1,80}?)[ ](?:is|are)[ ](?:the|my|our)[ ](?:final |correct "
    r"|right )?(?:answer|solution|choice|option)\b"
)
"""A statement that names itself behind what it states: "18 is the answer"."""
DOUBTED = re.compile(
    r"(?:n't|\bnot|\bdoubt|\bunlikely|\bwrong|\bincorrect|\bif)\b(?:[ ](?:think"
    r"|believe|that|sure|if|whether|the|an?|correct|final|say|is)){0,5}[ ]*$",
    re.IGNORECASE,
)
"""What takes the statement back that follows it."""
PHRASES = (
    "nswer",
    "NSWER",
    "答",
    "结果",
    "故选",
    "ponse",
    "respuesta",
    "twort",
    "твет",
    "resposta",
    "risposta",
    "정답",
    "الجواب",
    "उत्तर",
)
"""What every phrase holds."""

SEGMENT = re.compile(
    r"\$\$(.{1,2000}?)\$\$|\\\[(.{1,2000}?)\\\]|\\\((.{1,2000}?)\\\)|(?<!\\)\$((?:\\.|[^$\\\n]){1,2000}?)(?<!\\)\$",
    re.DOTALL,
)
PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}[,;]?\s+[A-Za-z]{2,}")
NO_FORMULA = re.compile(r"\s*|.*[-+*/=]\s*|\s*[=*/].*", re.DOTALL)
"""What stands between two prices: ``$40 + $``."""
IN_TEXT = re.compile(r"\\(?:text|mbox|textbf|mathrm|operatorname)\s*\{[^{}]*\}")


def formulas(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Every formula between TeX's marks; ``$10 for 2 books costing $5`` is none. As of `boxes`."""
    at = 0
    while match := SEGMENT.search(text, at):
        group = match.lastindex or 0
        content = match[group]
        if group == 4 and (PROSE.search(IN_TEXT.sub("", content)) or NO_FORMULA.fullmatch(content)):
            at = match.start() + 1
            continue
        yield match.start(), *match.span(group), match.end()
        at = match.end()


BARE_NAME = re.compile(r"\s*(?:[A-Za-z]|\\[a-z]{2,7})(?:_\{?\w+\}?)?\s*")


def last_formulas(text: str) -> tuple[str, int, int] | None:
    """The last formula, with those before it that only commas or "and" part from it."""
    found = list(formulas(text))
    while found and BARE_NAME.fullmatch(text, found[-1][1], found[-1][2]):
        found.pop()  # "the value of $x$"
    if not found:
        return None
    group = [found.pop()]
    while found and JOIN.fullmatch(text, found[-1][3], group[0][0]):
        group.insert(0, found.pop())
    return ", ".join(text[f[1] : f[2]] for f in group), group[0][0], group[-1][3]
