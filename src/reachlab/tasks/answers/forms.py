"""The form of an answer: a number, a list, a set, a point, an interval, an equation, a time of day.

A spelling (`spelling.py`) is cut where signs stand outside all brackets; what cannot be cut is a `Leaf`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reachlab.tasks.answers.spelling import Number, number_of, words_of

OPEN, CLOSE = frozenset("([{"), frozenset(")]}")
COMPARISONS = ("\\le", "\\ge", "\\neq", "\\approx", "\\equiv", "\\in", "<", ">", "=")
FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "=": "=", "\\approx": "\\approx"}
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
QUALIFIER = re.compile(r"(?:,\s*|\s+)(?:for|where|if|when|with|as|in)\s+.*$", re.DOTALL)
RANGE = re.compile(r" ?[A-Za-z] ?\\in ?(?:\\mathbb\{?)?[ZNQRC]\}?(?:\^[+*])?| ?[A-Za-z] (?:is )?(?:an |any )?integers?")
"""What says which numbers a letter stands for."""
LISTING = re.compile(r"^ ?(?:and|or) ")
CONDITION = re.compile(r" ?\([A-Za-z] ?\\in ?\\mathbb\{?[ZNQR]\}?\)$")
TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?([ap])\.? ?m)?\.?", re.IGNORECASE)
HOUR = re.compile(r"(\d{1,2}) ?([ap])\.? ?m\.?", re.IGNORECASE)
RATIO = re.compile(r"-?\d+(?:\.\d+)?(?:(?::| to )-?\d+(?:\.\d+)?)+")
BASE = re.compile(r"\(?([0-9A-Fa-f]+)\)? ?_\{?(\d+|[a-z]+)\}?")
MATRIX = re.compile(r"\\begin\{(matrix|vmatrix|Vmatrix)\}(.*)\\end\{\1\}", re.DOTALL)
BUILDER = re.compile(r"\\mid|\||:")
NAME = re.compile(
    r"(?:m?\\(?:angle|overline|vec|hat|bar|sin|cos|tan|triangle|Delta)\{?)?(?:[A-Za-z]"
    r"|[A-Z]{2,4}|\\[a-z]+|[A-Za-z]{3,}(?:[ '-][A-Za-z]+)*)\}?"
    r"(?:_(?:\w|\{[^{}]*\}|\\[a-z]+))?'*(?:\^\{-1\})?(?:\([^()]*\))?(?:_\w)?|\([a-z](?:,[a-z])+\)|\\frac\{d[a-z]?\}\{d[a-z]\}"
)
"""What an answer may be called: x, x_1, f(x), AB, \\angle ABC, total cost. Not x^2, 2x or |x|."""
LONGEST_LIST = 100


@dataclass(frozen=True, slots=True)
class Leaf:
    """An expression, or whatever else has no form known here."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A word or more, in small letters."""

    text: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A number, and how it is spelt."""

    number: Number
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """Several things: a bare list (``joint`` is "," or "or"), a set ("set"), a point or vector ("point")."""

    items: tuple["Form", ...]
    joint: str


@dataclass(frozen=True, slots=True)
class Span:
    """An interval."""

    low: "Form"
    high: "Form"
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class Union:
    """Intervals and sets, put together."""

    parts: tuple["Form", ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """``a < x < b``, ``x = 5``: sides, and the signs between them."""

    sides: tuple["Form", ...]
    signs: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of a matrix; `fence` tells a determinant from it."""

    rows: tuple[tuple["Form", ...], ...]
    fence: str


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; `half` is "a", "p" or ""."""

    hour: int
    minute: int
    second: int
    half: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """``3:4``."""

    terms: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class InBase:
    """Digits in a base: ``2516_8``."""

    digits: str
    base: str


Form = Leaf | Word | Plain | Items | Span | Union | Relation | Matrix | Clock | Ratio | InBase


def form_of(text: str, depth: int = 0) -> Form:
    """The form of a spelling."""
    text = text.strip(" ")
    number = number_of(text)
    if number is not None:
        return Plain(number, text)
    if depth > 8:
        return Leaf(text)
    if clock := TIME.fullmatch(text):
        return Clock(int(clock[1]), int(clock[2]), int(clock[3] or 0), (clock[4] or "").lower())
    if clock := HOUR.fullmatch(text):
        return Clock(int(clock[1]), 0, 0, clock[2].lower())
    if RATIO.fullmatch(text) and all(terms := [number_of(t) for t in re.split(":| to ", text)]):
        return Ratio(tuple(t for t in terms if t))
    if base := BASE.fullmatch(text):
        return InBase(base[1], base[2])
    if matrix := MATRIX.fullmatch(text):
        rows = [cut(row, ("&",))[0] for row in matrix[2].split("\\\\") if row.strip()]
        if not rows:
            return Leaf(text)
        return Matrix(tuple(tuple(form_of(c, depth + 1) for c in row) for row in rows), matrix[1])
    if (words := words_of(text)) is not None and not LISTED.search(words):
        return Word(words)
    return _cut_form(text, depth)


LISTED = re.compile(r"\b(?:and|or)\b")


def _cut_form(text: str, depth: int) -> Form:
    parts, signs = cut(text, ("\\cup",))
    if signs:
        return Union(tuple(form_of(p, depth + 1) for p in parts))
    parts, signs = cut(text, (",", ";", " or ", " and ", "\\\\"))
    if signs and all(p.strip() for p in parts) and len(parts) <= LONGEST_LIST:
        parts = [LISTING.sub("", part) for part in parts]
        qualified = [p for p in parts if not QUALIFIER.fullmatch(f" {p}") and not RANGE.fullmatch(p)]
        joint = "or" if " or " in signs else "and" if set(signs) == {" and "} else ","
        if len(qualified) == 1 and len(parts) > 1:
            return form_of(qualified[0], depth + 1)
        return Items(_spliced(form_of(p, depth + 1) for p in qualified), joint)
    if (condition := CONDITION.search(text)) is not None and condition.start() > 0:
        return form_of(text[: condition.start()], depth + 1)
    if text.count("\\pm") == 1 and "," not in text:
        two = tuple(form_of(_signed(text, sign), depth + 1) for sign in "+-")
        return Items(two, "or")
    if (bare := QUALIFIER.sub("", text)) != text and bare and not words_of(bare):
        return form_of(bare, depth + 1)
    parts, signs = cut(text, COMPARISONS)
    if signs and all(p.strip() for p in parts):
        return Relation(tuple(form_of(p, depth + 1) for p in parts), tuple(signs), tuple(p.strip() for p in parts))
    return _bracketed(text, depth)


def _spliced(items: Iterable[Form]) -> tuple[Form, ...]:
    """Items, with both signs of a ``\\pm`` among them."""
    found: list[Form] = []
    for item in items:
        found += item.items if isinstance(item, Items) and item.joint == "or" else (item,)
    return tuple(found)


def _signed(text: str, sign: str) -> str:
    before, after = text.split("\\pm")
    return f"{before}{sign if before.strip() or sign == '-' else ''}{after.strip()}"


def _bracketed(text: str, depth: int) -> Form:
    if text.startswith("\\{") and text.endswith("\\}") and _closes_at(text, 1) == len(text) - 1:
        inside = text[2:-2]
        if builder := BUILDER.search(inside):
            condition = form_of(inside[builder.end() :], depth + 1)
            named = is_name(inside[: builder.start()].split("\\in")[0])
            return condition if named and isinstance(condition, (Relation, Items, Span)) else Leaf(text)
        parts, _ = cut(inside, (",", ";"))
        return Items(_spliced(form_of(p, depth + 1) for p in parts if p.strip()), "set")
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and _closes_at(text, 0) == len(text) - 1:
        inside = text[1:-1]
        parts, signs = cut(inside, (",", ";"))
        if not signs:
            return form_of(inside, depth + 1) if text[0] == "(" and text[-1] == ")" else Leaf(text)
        items = tuple(form_of(p, depth + 1) for p in parts)
        if len(items) == 2 and (text[0] == "[" or text[-1] == "]"):
            return Span(items[0], items[1], text[0] == "(", text[-1] == ")")
        return Items(items, "point")
    return Leaf(text)


def cut(text: str, at: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """`text` cut at signs and words outside all brackets: the parts, and what was between them."""
    parts, found, depth, begin, i = [], [], 0, 0, 0
    bars = text.count("|") >= 2
    in_bars = False
    for token in TOKEN.finditer(text):
        piece, i = token[0], token.start()
        if i < begin:
            continue
        if piece in OPEN or piece == "\\{":
            depth += 1
        elif piece in CLOSE or piece == "\\}":
            depth -= 1
        elif piece == "|" and bars:
            in_bars = not in_bars
        elif depth <= 0 and not in_bars:
            sign = next(
                (s for s in at if (piece == s if s[0] != " " else piece == " " and text.startswith(s, i))), None
            )
            if sign is not None:
                parts.append(text[begin:i])
                found.append(sign)
                begin = i + len(sign)
    return [*parts, text[begin:]], found


def _closes_at(text: str, opened: int) -> int:
    """Where the bracket at `opened` closes."""
    depth = 0
    for i in range(opened, len(text)):
        depth += (text[i] in OPEN) - (text[i] in CLOSE)
        if depth == 0:
            return i
    return -1


CHANGING = re.compile(
    r"^\\?(?:log|ln|sqrt|exp)\b|\b(?:half|twice|double|triple|square|cube|times|more|less|sum|product|third|quarter)\b.*\bof\b",
    re.IGNORECASE,
)


def is_name(text: str) -> bool:
    """Whether a side of an equation is but a name for the other."""
    return bool(NAME.fullmatch(text.strip())) and not CHANGING.search(text)


def stated_side(text: str) -> str:
    """What an equation says that something is: 5 of ``x = 5``, ``5 = x``, ``2 + 3 = 5``; all of it of ``x^2 = 25``."""
    parts, signs = cut(text, ("=", "\\approx"))
    if not signs:
        inside, member = cut(text, ("\\in",))
        return inside[1].strip() if len(inside) == 2 and member and is_name(inside[0]) else text
    first, last = parts[0].strip(), parts[-1].strip()
    if cut(text, ("<", ">", "\\le", "\\ge", "\\neq", ",", ";", " or ", " and "))[1]:
        return text
    if CHAINED.fullmatch(first) and len(parts) > 2 and not any(VARIABLE.search(p) for p in parts[1:]):
        return last
    if is_name(first) or (first and not VARIABLE.search(first)):
        return first if is_name(last) and number_of(first) is not None else last
    return text


CHAINED = re.compile(r"[a-z](?:\+[a-z])+")
"""A sum that a question asks for: of ``m+n=3+7=10`` it is 10."""
VARIABLE = re.compile(
    r"(?<![\\A-Za-z])[A-Za-z]{1,2}(?![A-Za-z])|\||\\(?:alpha|beta|gamma|delta|theta|phi|lambda|mu|omega)(?![a-z])"
)
