"""What stands behind a number or a formula: units, words that multiply it, remarks.

Units that are told apart make a number another one (5 cm is not 5 m); of all other words nothing is known, and they are
left out. What makes it another quantity (``5 squared``) is no unit.
"""

import re

REMARK = re.compile(r"^(\s*\S+(?: [A-Za-z]+)?) \((?!or\b|and\b)[^()]*[A-Za-z=][^()]*\)\s*$")
"""A number, and what it is in other words: ``18 (16 - 3 + 5)``, ``2 hours (120 minutes)``."""
UNIT_WORD = (
    r"(?:square|cubic|sq\.?|cu\.?|units?|cm|mm|km|m|meters?|metres?|centimeters?"
    r"|kilometers?|in|inch(?:es)?|ft|feet|foot|yards?|miles?"
    r"|hours?|hr|minutes?|min|seconds?|s|days?|weeks?|years?|degrees?|radians?|dollars?"
    r"|cents?|kg|g|grams?|lbs?|pounds?|L|liters?"
    r"|mol|J|N|W|V|Hz|K|Pa|mph|per|and|/| )"
)
UNIT_BEHIND = re.compile(
    rf"(?<=[\w}})])\s*(?:\\[ ,;:!]|~|\\quad)*\\(?:text|mathrm|mbox|textrm|rm)\s*"
    rf"\{{[~ ]*{UNIT_WORD}+\}}(?:\^\{{?\d\}}?)?\s*(?=\$?\s*$)"
)
WORDS_BEHIND = re.compile(
    r"(?<=[\w}\)])[ ]+(?:(?:square|cubic)[ ])?(?:units?|inches|feet|meters?|miles?"
    r"|yards?|cm|mm|km|centimeters?|hours?|minutes?|seconds?|days?"
    r"|degrees?|dollars?)(?:[ ]per[ ]\w+)?[ .$]*$"
)
UNITS = {
    name: unit
    for unit, names in {
        "mm": "mm millimeter millimetre", "cm": "cm centimeter centimetre", "m": "m meter metre",
        "km": "km kilometer kilometre", "in": "in inch inche",
        "ft": "ft feet foot", "yd": "yd yard", "mi": "mi mile", "g": "g gram", "kg": "kg kilogram",
        "lb": "lb pound", "oz": "oz ounce", "s": "s sec second", "min": "min minute", "h": "h hr hour", "day": "day",
        "week": "week", "month": "month", "year": "yr year", "l": "l liter litre", "ml": "ml milliliter millilitre",
        "dollar": "dollar", "cent": "cent", "euro": "euro",
    }.items()
    for name in names.split()
}  # fmt: skip
"""Units that are told apart: 5 cm is not 5 m. Of all others nothing is known, and they are left out."""
LETTER_UNITS = frozenset(["m", "s", "g", "h", "l", "L", "N", "J", "W", "V", "A", "K", "C", "F"])
NOT_UNITS = frozenset(
    [
        "and",
        "or",
        "to",
        "by",
        "times",
        "plus",
        "minus",
        "divided",
        "over",
        "mod",
        "choose",
        "is",
        "squared",
        "cubed",
        "factorial",
        "pi",
        "sqrt",
        "root",
        "remainder",
        "half",
        "point",
        "log",
        "ln",
        "more",
        "less",
        "fewer",
        "above",
        "below",
        "power",
        "raised",
        "tenths",
        "hundredths",
        "thousandths",
        "tens",
        "if",
        "when",
        "where",
        "than",
        "x",
    ]
)
"""Words that make what stands before them another quantity."""
SCALES = {
    "dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "bn": 10**9,
    "hundreds": 10**2, "thousands": 10**3, "millions": 10**6, "billions": 10**9, "lakh": 10**5, "crore": 10**7,
}  # fmt: skip
"""Words that multiply the number before them."""


def without_unit(answer: str) -> str:
    """Without a unit behind a formula: ``3\\sqrt{2} \\text{ cm}``."""
    return WORDS_BEHIND.sub("", UNIT_BEHIND.sub("", answer)) if "\\" in answer else answer


def unit_of_words(written: str, glued: bool) -> tuple[str, int] | None:
    """The unit behind a number and what multiplies it; "" for one that is not told apart, None where it is no unit.

    ``2k``, ``3 or 4``, ``5 squared`` are no numbers with units. `glued`: behind a brace a space is lost.
    """
    bare = written.strip(" .")
    if not bare:
        return "", 1
    if not bare.isascii():
        return None if set(bare) & set("万亿千百十分或和") else ("", 1)
    parts = re.findall(r"[A-Za-z]+", bare)
    words = [part.casefold() for part in parts]
    if not words or NOT_UNITS & set(words) or (words[0] == "in" and len(bare) > 4):
        return None
    if re.search(r"\d(?![}'])", POWERS.sub("", bare)):
        return None
    scale = SCALES.get(words[0], 1)
    rest = words[1:] if scale > 1 else words
    name = rest[0] if rest else ""
    known = UNITS.get(name) or UNITS.get(name.removesuffix("s")) if len(name) > 1 else None
    power = "".join(re.findall(r"\^\{?([23])", bare)[:1])
    if scale == 1 and len(parts[0]) < 2:
        if not (written.startswith(" ") or power) or parts[0] not in LETTER_UNITS:
            return None
        known = UNITS.get(parts[0], "")
    elif scale == 1 and not written.startswith(" ") and not glued and known is None and name not in ORDINALS:
        return None
    return (known or "") + (f"^{power}" if known and power else ""), scale


ORDINALS = ("st", "nd", "rd", "th")
POWERS = re.compile(r"\^\{?-?[23]\}?")
