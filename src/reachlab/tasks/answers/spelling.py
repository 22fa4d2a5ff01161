"""One spelling for answers that mean the same, at the price of a few replacements.

    canonical("$\\dfrac12$") = canonical("0.50") = canonical("½") = "1/2"

What only changes the looks is taken away, numbers become exact fractions, and all else stays LaTeX that can be read
again: whatever judges an answer judges its spelling, so two answers with one spelling never get two verdicts. Two
spellings that only algebra makes equal stay apart.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from reachlab.tasks.answers.units import unit_of_words

MOST = 4000
"""Characters of the longest answer. What is longer is no answer to a question of ours."""
MOST_DIGITS = 2000
"""Digits, and powers of ten, of the largest number that is read as one."""

UNICODE = str.maketrans(
    {
        **dict.fromkeys("−–—‒―﹣－", "-"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u200e\u200f", ""),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " "),
        "×": "\\cdot ", "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ", "÷": "/", "⁄": "/", "∕": "/", "∶": ":",
        "π": "\\pi ", "∞": "\\infty ", "≤": "\\le ", "⩽": "\\le ", "≥": "\\ge ", "⩾": "\\ge ", "≠": "\\neq ",
        "±": "\\pm ", "∓": "\\mp ", "°": "^\\circ ", "∅": "\\emptyset ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ",
        "≈": "\\approx ", "…": "\\ldots ", "⋯": "\\ldots ", "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ",
        "λ": "\\lambda ", "ω": "\\omega ", "φ": "\\phi ", "∠": "\\angle ", "′": "'",
        "½": "\\frac{1}{2}", "⅓": "\\frac{1}{3}", "⅔": "\\frac{2}{3}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}",
        "⅕": "\\frac{1}{5}", "⅖": "\\frac{2}{5}", "⅗": "\\frac{3}{5}", "⅘": "\\frac{4}{5}", "⅙": "\\frac{1}{6}",
        "⅚": "\\frac{5}{6}", "⅛": "\\frac{1}{8}", "⅜": "\\frac{3}{8}", "⅝": "\\frac{5}{8}", "⅞": "\\frac{7}{8}",
        "。": ".", "，": ",", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")", "％": "%", "＝": "=", "＋": "+",
        "“": '"', "”": '"', "‘": "'", "’": "'", "￥": "¥", "＄": "$",
    }
)  # fmt: skip
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
RAISED, LOWERED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
ROOT = re.compile(r"(\d*)√\s*(\d+(?:\.\d+)?|[A-Za-z]|\\pi|\{[^{}]*\}|\([^()]*\))?")

TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|texttt|textsf|mathrm|mathbf|mathit|mathsf|mbox|hbox|boldsymbol|bm|underline"
    r"|operatorname|emph)\*?\s*\{([^{}]*)\}"
)
DELIMITERS = re.compile(
    r"\\[()\[\]]|(?<!\\)\$\$?|(?<![\w)])\*\*|\*\*(?![\w(])|__|`+"
    r"|(?<![\w)*])\*(?=[\w$\\])|(?<=[\w$.%])\*(?![\w(*\\ ])"
)
TAGS = re.compile(r"</?(?:[bipu]|[A-Za-z][A-Za-z_-]{1,20})(?: [^<>]{0,40})?>")
LOOKS = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|Biggl|Biggr|big|Big|bigg|Bigg|displaystyle"
    r"|textstyle|limits|nolimits"
    r"|scriptstyle|rm|bf|it|tt|sf|large|Large|LARGE|huge|Huge|small|boldmath)(?![A-Za-z])"
)
SPACE = re.compile(
    r"\\(?:quad|qquad|enspace|thinspace|hspace\*?\{[^{}]*\}|hfill|newline)(?![A-Za-z])"
    r"|\\[ ,;:!>]|~|\s"
)
LONG_UNIT = re.compile(
    r"(?<=[\d}])(?:\\[ ,;:!]|~|\s|\\quad)*"
    r"\\(?:(?:mathrm|text|rm|textrm)\s*\{(?:[^{}]|\{[^{}]*\})*[\^\\](?:[^{}]|\{[^{}]*\})*\}"
    r"|(?:Omega|mu)(?![A-Za-z])(?:\s*\\(?:text|mathrm)\{\s*\w+\})?)\s*$"
)
"""A unit that is more than a word: ``\\mathrm{m\\,s^{-1}}``, ``\\Omega``."""
LAID_OUT = re.compile(r"\\begin\{(aligned|align\*?|gathered|split|equation\*?)\}(.*)\\end\{\1\}", re.DOTALL)
TRIGONOMETRIC = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?")
ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*\{?(\d+)\}?")
ORDINAL = re.compile(r"\^\s*\{?\s*(st|nd|rd|th)\s*\}?")
IN_BRACES = re.compile(r"(?<![_^A-Za-z}\\\]])\{(\d+(?:\.\d+)?)\}")
POWER = re.compile(r"\^(-\d+)")
ASCII_MATH = re.compile(r"sqrt|\bpi\b|infinity|\d ?[xX] ?\d|\b(?:sin|cos|tan|log|ln|theta)\b")
TIMES = re.compile(r"(?<=[\d)]) ?[xX] ?(?=\d)")
FUNCTIONS = re.compile(r"(?<![\\A-Za-z])(pi|sin|cos|tan|log|ln|infinity|theta)(?=[\s(/^*+)-]|$)(?!\s[A-Za-z]{2})")
ROOTS = re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)")
ELLIPSIS = re.compile(r"(?<=,)\s*\.{3,}|\.{3,}(?=\s*,)")
LABELLED = re.compile(r"^(?:the )?(?:final |correct )?answers?(?: ?[:=]| is )\s*(?=\S)", re.IGNORECASE)
JOINED = re.compile(r"(?<![A-Za-z\\]) ?(and|or) ?(?![A-Za-z])")
THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:(?:,|\{,\}|(?:,?\\[,!;: ])+ ?| )\d{3})+)(?![\d])")
BETWEEN_THOUSANDS = re.compile(r"\D+")
DEGREES = re.compile(
    r"\s*\^\s*\{?\s*\\(?:circ|degree)\b\s*\}?(?:\s*[CFK](?![A-Za-z]))?|\\degree\b"
    r"|(?<=\d) ?degrees?\b"
)
MACROS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge",
    "ne": "neq", "times": "cdot", "ast": "cdot", "bullet": "cdot", "varnothing": "emptyset", "dots": "ldots",
    "cdots": "ldots", "dotsc": "ldots", "dotsb": "ldots", "lbrace": "{", "rbrace": "}", "div": "/", "colon": ":",
    "lt": "<", "gt": ">", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "infin": "infty", "varphi": "phi",
    "varepsilon": "epsilon", "lparen": "(", "rparen": ")", "lbrack": "[", "rbrack": "]", "dbinom": "binom",
    "tbinom": "binom", "equals": "=", "pounds": "£", "euro": "€", "land": "and", "lor": "or", "arctan": "arctan",
    "bmod": "pmod", "mod": "pmod",
}  # fmt: skip
MACRO = re.compile(r"\\([A-Za-z]+)")
MATRIX = re.compile(r"\\(begin|end)\{(?:[bBp]?(?:small)?matrix\*?|array)\}(?:\{[clr| ]*\})?")
FENCED = re.compile(r"[(\[](\\begin\{matrix\}.*\\end\{matrix\})[)\]]", re.DOTALL)
SHORT_FRACTION = re.compile(
    r"\\frac\s*(\{[^{}]*\}|\\[A-Za-z]+|[0-9A-Za-z])\s*(?=\{|\\?[0-9A-Za-z])(\\[A-Za-z]+|[0-9A-Za-z])?"
)
SHORT_ROOT = re.compile(r"\\sqrt\s*(?:(\d|[A-Za-z](?![A-Za-z])|\\pi\b)|\(([^()]*)\))")
SINGLE = re.compile(r"(?<=[_^])\{\s*(-?\w|\\[A-Za-z]+)\s*\}")
MONEY = re.compile(r"\\\$|[$€£¥₹¢]|\\pounds(?![A-Za-z])|\b(?:USD|EUR|GBP|US\$|Rs\.?)(?=\s*-?\d)")
ROW = re.compile(r"\s*\\cr(?![A-Za-z])\s*")
AROUND_SIGNS = re.compile(r"\s*([^\w\s\\'.]|\\cdot(?![A-Za-z]))\s*")
GLUED = re.compile(r"(\\cdot)(?=[A-Za-z])")
EMPTY, OPPOSITE = re.compile(r"\\\{ ?\\\}"), re.compile(r"^-\((\d[\d.]*)\)$")
NEEDLESS = re.compile(r"(?<=[\d})\]]) +(?=\\)|(?<=[})]) (?=[A-Za-z](?![A-Za-z]))")
NEGATIVE = re.compile(r"\b(?:negative|minus)\s+(?=[\d\\.])", re.IGNORECASE)
BEFORE, BEHIND = " \t\n;,:*_`\"'", " \t\n.;,:*_`\"'"

SIMPLE = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
SIGN = r"(?P<sign>[-+]?)"
DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
WHOLE = re.compile(
    rf"{SIGN}(?:"
    rf"(?P<mixed>\d+) ?(?:\\frac\{{(?P<mn>\d+)\}}\{{(?P<md>\d+)\}}|(?<= )(?P<mn2>\d+)/(?P<md2>\d+))"
    rf"|\\frac\{{(?P<n>-?{DECIMAL})\}}\{{(?P<d>-?{DECIMAL})\}}"
    rf"|(?P<a>{DECIMAL})/(?P<b>{DECIMAL})"
    rf"|(?P<number>{DECIMAL})(?:[eE](?P<e>[-+]?\d{{1,6}})|\\cdot10\^(?:\{{(?P<p>[-+]?\d{{1,6}})\}}|(?P<p1>\d)))?"
    rf"|10\^(?:\{{(?P<q>[-+]?\d{{1,6}})\}}|(?P<q1>\d))"
    rf")(?P<percent>%| ?percent\b)?"
    rf"(?P<unit>(?: ?[A-Za-z%/\u4e00-\u9fff\uac00-\ud7af][A-Za-z0-9^/.{{}}\u4e00-\u9fff\uac00-\ud7af '-]*)?)"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written. `percent` says that it stands for a hundredth of itself."""

    value: Fraction
    unit: str = ""
    percent: bool = False


@lru_cache(maxsize=4096)
def spell(text: str) -> str:
    """LaTeX without what only changes the looks: one line, no delimiters, no spaces around signs."""
    if SIMPLE.fullmatch(plain := text.strip(" \n$")):
        return plain
    found = plain_characters(text)
    if "\\" in found:
        found = LONG_UNIT.sub(" unit", _in_one_line(found) if "\\begin" in found else found)
        found = TRIGONOMETRIC.sub(_radians, found) if ANGLE.search(found) else found
    for _ in range(4):
        unwrapped = TEXT.sub(_unwrapped, found)
        if unwrapped == found:
            break
        found = unwrapped
    if "\\" in found:
        found = REPEATING.sub(_repeated, found)
    found = THOUSANDS.sub(lambda m: BETWEEN_THOUSANDS.sub("", m[1]), found)
    found = MONEY.sub("", DELIMITERS.sub("", TAGS.sub("", found.replace("\\$", "$").replace("\\%", "%"))))
    if "\\" in found:
        found = SPACE.sub(" ", MATRIX.sub(r"\\\1{matrix}", LOOKS.sub("", found.replace("\\\\", " \\cr "))))
        found = MACRO.sub(_macro, found)
        for _ in range(3):
            found = SHORT_FRACTION.sub(_fraction, found)
        found = SHORT_ROOT.sub(lambda m: f"\\sqrt{{{m[1] or m[2]}}}", found)
        found = MONEY.sub("", found)
    found = DEGREES.sub("", ORDINAL.sub("", ELLIPSIS.sub(r"\\ldots ", found)))
    if ASCII_MATH.search(found):
        found = FUNCTIONS.sub(_macro_of, ROOTS.sub(r"\\sqrt{\1}", TIMES.sub(r"\\cdot ", found)))
    found = NEGATIVE.sub(
        "-",
        LABELLED.sub("", found)
        .replace("**", "^")
        .replace("*", "\\cdot ")
        .replace("<=", "\\le ")
        .replace(">=", "\\ge "),
    )
    found = IN_BRACES.sub(r"\1", found) if "{" in found else found
    found = POWER.sub(r"^{\1}", found.replace("~", " "))
    found = SINGLE.sub(_single, AROUND_SIGNS.sub(r"\1", " ".join(found.split())))
    if "and" in found or "or" in found:
        found = JOINED.sub(r" \1 ", found)
    found = NEEDLESS.sub("", GLUED.sub(r"\1 ", found))
    if "\\" in found:
        found = ROW.sub(r"\\\\", found).replace("+\\infty", "\\infty")
    found = FENCED.sub(r"\1", found) if "{matrix}" in found else found
    return _bare(_trimmed(OPPOSITE.sub(r"-\1", EMPTY.sub(r"\\emptyset", found))))


def canonical(answer: str) -> str | None:
    """The one spelling; None for an empty answer, or one beyond `MOST` characters.

    A plain number or a fraction of two is an exact fraction, without unit, currency or percent sign. Of other answers
    a name in front is left out (``x = ...``), and words are in small letters.
    """
    if len(answer) > MOST:
        return None
    bare = spell(answer)
    number = number_of(bare) or number_of(assigned(bare))
    if number is not None:
        return str(number.value)
    bare = assigned(bare)
    return (words_of(bare) or bare) or None


ASSIGNED = re.compile(r"^(?:[A-Za-z]|\\[a-z]+)(?:_(?:\w|\{\w+\})|'|\([A-Za-z]\))?(?:=| ?\\in(?![A-Za-z])) ?(?=\S)")


def assigned(bare: str) -> str:
    """What is behind ``x=``, ``f(x)=`` or ``x \\in``."""
    match = ASSIGNED.match(bare)
    return bare[match.end() :] if match and not RELATION.search(bare, match.end()) else bare


RELATION = re.compile(r"[=<>]|\\(?:le|ge|neq|approx|equiv|in)(?![A-Za-z])")
WORD, ALONE = (
    re.compile(r"[^\W\d_]{3}|^no$|[^\x00-\x7f]", re.IGNORECASE),
    re.compile(r"(?<![^\W\d_])[^\W\d_]-|-[^\W\d_](?![^\W\d_])"),
)
WORDS = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '.-])*[^\W\d_]\.?")


def words_of(bare: str) -> str | None:
    """Words in small letters; None for anything else, a single letter among it."""
    if not WORDS.fullmatch(bare) or not WORD.search(bare) or ALONE.search(bare):
        return None
    return " ".join(bare.casefold().replace(".", "").split())


@lru_cache(maxsize=4096)
def number_of(bare: str) -> Number | None:
    """The number that a spelling is: ``1000``, ``-3/4``, ``1\\frac{4}{5}``, ``1.6\\cdot10^{-19}``, ``18 dollars``."""
    if SIMPLE.fullmatch(bare):
        return Number(Fraction(_exact(bare.removeprefix("-")) * (-1 if bare.startswith("-") else 1)))
    if len(bare) > MOST_DIGITS or not (match := WHOLE.fullmatch(bare)):
        return None
    found = unit_of_words(match["unit"], bare[: match.start("unit")].endswith(("}", "%")))
    if found is None:
        return None
    unit, scale = found
    power = int(match["e"] or match["p"] or match["p1"] or match["q"] or match["q1"] or 0)
    if abs(power) > MOST_DIGITS:
        return None
    if match["mixed"]:
        below = int(match["md"] or match["md2"])
        value: Fraction | int = int(match["mixed"]) + (
            Fraction(int(match["mn"] or match["mn2"]), below) if below else 0
        )
    else:
        value = _exact(match["n"] or match["a"] or match["number"] or "1")
        divisor: Fraction | int = 1
        if under := match["d"] or match["b"]:
            divisor = _exact(under)
            value = Fraction(value) / divisor if divisor else 0
        if power:
            value *= Fraction(10) ** power
        below = int(divisor != 0)
    if not below:
        return None
    return Number(Fraction(-value if match["sign"] == "-" else value) * scale, unit, bool(match["percent"]))


def _exact(digits: str) -> Fraction | int:
    """A decimal without rounding."""
    whole, point, rest = digits.partition(".")
    return Fraction(int(whole + rest or "0"), 10 ** len(rest)) if point and rest else int(whole)


def plain_number(text: str) -> Fraction | None:
    """The number that `text` is, as in ``$1,000.``, ``-5%``, ``3/4``, ``18 dollars``, or None."""
    number = number_of(spell(text)) if len(text) <= MOST else None
    return number.value if number else None


def plain_characters(text: str) -> str:
    """Unicode's signs as LaTeX or ASCII has them."""
    if text.isascii():
        return text
    text = RAISED.sub(lambda m: f"^{{{m[0].translate(SUPERSCRIPTS)}}}", text)
    text = LOWERED.sub(lambda m: f"_{{{m[0].translate(SUBSCRIPTS)}}}", text.translate(UNICODE))
    text = re.sub(r"(?<=\d) (?=\\frac\{)", "", ROOT.sub(_root, text))
    return unicodedata.normalize("NFKC", text)


def _root(match: re.Match[str]) -> str:
    inside = (match[2] or "").strip("{}()")
    return f"{match[1]}\\sqrt{{{inside}}}"


def _in_one_line(text: str) -> str:
    """Equations that are laid out below each other, end to end."""
    return LAID_OUT.sub(lambda m: m[2].replace("\\\\", " ").replace("&", ""), text)


def _radians(match: re.Match[str]) -> str:
    """Degrees inside a function are no decoration."""
    return f"({match[1]}\\cdot \\pi /180)"


def _repeated(match: re.Match[str]) -> str:
    """A decimal without end as a fraction: 0.1(6) = (16 − 1) / 90."""
    whole, first, period = match[1] or "0", match[2], match[3]
    above = int(whole + first + period) - int(whole + first)
    return f"\\frac{{{above}}}{{{'9' * len(period) + '0' * len(first)}}}"


def _macro_of(match: re.Match[str]) -> str:
    return "\\infty " if match[1] == "infinity" else f"\\{match[1]} "


def _unwrapped(match: re.Match[str]) -> str:
    inside = match[1]
    # A word beside a number or a formula stays a word; one letter stays a letter, apart from a command before it.
    if len(inside.strip()) > 1:
        return f" {inside} "
    before = match.string[max(0, match.start() - 1) : match.start()]
    return f" {inside}" if before.isalpha() else inside if inside.strip() else " "


def _macro(match: re.Match[str]) -> str:
    to = MACROS.get(match[1])
    if to is None:
        return match[0]
    if to in "{}":
        return f"\\{to}"
    return f"\\{to}" if to.isalpha() and len(to) > 1 and to not in ("and", "or") else f" {to} "


def _fraction(match: re.Match[str]) -> str:
    above, below = match[1], match[2]
    above = above if above.startswith("{") else f"{{{above}}}"
    return f"\\frac{above}" + (f"{{{below}}}" if below else "")


def _single(match: re.Match[str]) -> str:
    inside = match[1]
    return f"{{{inside}}}" if inside.startswith("-") else f"{inside} " if inside.startswith("\\") else inside


def _trimmed(found: str) -> str:
    """Without the marks of a sentence around it."""
    return found.lstrip(BEFORE).rstrip(BEHIND).removesuffix("\\\\").rstrip(BEHIND)


def _bare(found: str) -> str:
    """Without a pair of braces or brackets around one word or number: ``{5}``, ``(B)``."""
    while (match := re.fullmatch(r"\{(.*)\}|\((\w+|-?\d[\d.]*)\)", found)) and found.count("{") <= 1:
        found = _trimmed(match[1] if match[1] is not None else match[2])
    return found
