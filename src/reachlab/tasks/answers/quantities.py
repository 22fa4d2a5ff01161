"""Whether a number in a sentence is stated, or is something else: a bound, a term, one of several, denied.

    "she pays 18 dollars" states 18; "at least 18", "18 or 20", "18 squared", "x + y = 18", "not 18", "step 18" do not

What stands before the number and behind it decides, by lists of words: a list is never complete, but what is missing
from it is a right answer's way to be found, and what is in it keeps a wrong one out.
"""

import re

RUN = re.compile(
    r"(?:(?<![\w\\])[A-Za-z](?:_\w+)?[ ]*=[ ]*)?"
    r"(?:[-+]|\\pm)?[ ]?(?:\(?-?(?:\d[\d.,]*(?<![.,])|\.\d+)"
    r"|\\(?:frac|dfrac|tfrac|sqrt|pi|infty|left|binom|ln|log|sin|cos|tan)(?![a-z])|\((?=[-+\d.\\(]))"
    r"(?:[ ]*(?:[-+*/^=<>|!%]|\\(?!n\b)[a-zA-Z]+|\\[,!;: ])[ ]*|[ ]?[{}()]|(?<=[\d}) ])[A-Za-z](?![A-Za-z])"
    r"|,\d{3}(?!\d)|[\d.](?=\d)|\d|[ ][xX][ ](?=\d)|[ ](?=\d+/\d|\d{3}(?!\d)|\\frac))*"
)
"""A number or an expression that begins with one, in a text without TeX's marks."""

DENIED = re.compile(
    r"(?:\bnot|n't|\bnever|\bneither|\bnor|\bcannot|\bno longer|\brather than|\binstead of|\bother than|\bexcept"
    r"|\bdifferent from|\banything but|\bunlikely|\bimpossible|\bdoubt|\bwrong answer:?|\bwrong that"
    r"|≠|\\neq?|!=|不是|并非|不等于|不可能)"
    r"[ ]*(?:(?:be|being|equal|to|is|it|that|the|a|an|answer|think|sure|certain"
    r"|know|believe|if|whether|exactly|just|only|get|have|have been|是)\b[ ]*)*"
    r"[\s*$(}\\\"'`]*$",
    re.IGNORECASE,
)
"""What denies the number behind it."""
REJECTED = re.compile(
    r"[\s*$)\\\"'`]*(?:is|are|was|would be|seems|looks)?[ ]*(?:not (?!only)|n't"
    r"|wrong|incorrect|impossible|too (?!\w+ to)|false\b"
    r"|isn't|aren't|does not|doesn't|do not|cannot|can't)|[\s*$)]*\?[ ]*(?:no|wait|hmm|that)",
    re.IGNORECASE,
)
"""What rejects the number before it."""
LABEL = re.compile(
    r"(?:(?:^|\s)\(?[A-E][.)]|\b(?:step|case|figure|fig|table|equation|eq|problem"
    r"|question|part|section|chapter|page|line|row|option|example|"
    r"method|theorem|lemma|exercise|solution|approach|way|scenario|iteration|round)s?\.?)[ ]*[(#]*$",
    re.IGNORECASE,
)
"""What makes a number a label."""
BOUND = re.compile(
    r"(?:\b(?:less|more|greater|fewer|larger|smaller|higher|lower|bigger|older|younger)[ ](?:\w+[ ])?than"
    r"|\bat (?:least|most)|\bup to"
    r"|\bno (?:more|less|fewer) than|\bunder|\bover|\babove|\bbelow|\bbeyond|\bexceeds?|\bbetween|\bfrom"
    r"|(?<![=-])[<>≤≥]=?|\\(?:le|ge|lt|gt|leq|geq)|大于|小于|至少是?|至多是?|超过|不到)[\s*$(\\}]*$",
    re.IGNORECASE,
)
TERM = re.compile(
    r"(?:\b(?:half|twice|double|triple|thrice|a third|a quarter|one third|square"
    r"|cube|square root|cube root|root|multiple|factor)"
    r"(?:[ ]of)?|\b(?:times|plus|minus|divided by|multiplied by|log|ln|sin|cos|tan"
    r"|sqrt|percent of)|[_^√]|%[ ]of)[\s*$({}]*-?$",
    re.IGNORECASE,
)
"""What makes the number behind it a part of an expression."""
CHANGED = re.compile(
    r"[ ]*(?:squared|cubed|factorial|remainder|mod(?:ulo)?\b|choose\b|point[ ]\d"
    r"|tens\b|tenths?\b|hundredths?\b|thousandths?\b"
    r"|bn\b|lakhs?\b|crores?\b|万|亿|千|百|分之|(?:and|&)[ ](?:a|one|an|three)[ ](?:half"
    r"|third|quarter|eighth)s?\b|(?:hours?|days?|weeks?|years?|miles?|feet|"
    r"pounds?|cups?)[ ]and[ ]a[ ]half|more[ ]than|less[ ]than|fewer[ ]than|(?:or"
    r"|and)[ ](?:more|less|fewer|greater|higher|lower|above|"
    r"below|up|over|under)\b|(?:added|raised)[ ]to|to[ ]the[ ](?:\w+[ ])?(?:power"
    r"|\d)|(?:subtracted|taken)[ ](?:from|away)|(?:increased|decreased|reduced)[ ]by"
    r"|less[ ]\d"
    r"|[xyznk]\b|\([ ]*-?\w+[ ]*[-+*/]|times[ ](?:\d|[a-z]\b|as|the|more|that)|(?:plus"
    r"|minus|divided[ ]by|multiplied[ ]by)\b|[A-Za-z]+[ ]?[*×/+-][ ]?[\d$]|[A-Za-z]+[ ][*×]"
    r"|"
    r"[A-Za-z]+[ ][xX][ ]\d|[xX×][ ]?[\d(a-z]|by[ ]\d|pi\b|π|\\pi|sqrt|√|\\sqrt|root[ ]|log\b|ln\b|e\^|i\b"
    r"|[CP][ ]\d|r[ ]?\d|th[ ]root|'[ ]?\d|:\d)",
    re.IGNORECASE,
)
"""What makes the number before it another quantity."""
ANOTHER = re.compile(
    r"[ ]*\(?(?:[a-z°%]+[ ]?|个|元)?(?:,|;|&|/|\bor\b|\band\b|\bto\b|或者?|和|与|-(?=\d)"
    r"|–)[ ]*(?:or|and)?[ ]*(?:maybe|possibly|perhaps|also|even)?[ ]*"
    r"(?:[A-Za-z]+[ ]?[=:][ ]*)?[-+$(]?\d|[ ][A-Za-z]+[ ]\d+[ ](?:min|sec|cent|inch|in\b|oz|ounce)",
    re.IGNORECASE,
)
"""A further number that belongs to it: ``4 or 5``, ``3 and 4``, ``20 dollars and 15 cents``, ``5 hours 30 minutes``."""
BEFORE = re.compile(
    r"(?:^|[^\w.])(?:[A-Za-z][ ]*=[ ]*)?-?\d[\d.,/]*(?<![.,])(?:[ ]*(?:,|;|&|\bor\b"
    r"|\band\b|\bto\b|\bby\b|或者?|和|:|–)[ ]*(?:or|and|maybe|possibly)?"
    r"|[ ](?:[a-z]+[ ])?(?:or|and)[ ]|[ ](?:dollars?|hours?|feet|ft|lbs?|pounds?"
    r"|minutes?)[ ]|[ ]+)(?:maybe[ ]|possibly[ ])?[ ]*[\[($]*$",
    re.IGNORECASE,
)
"""An earlier number that it belongs to."""
LEFT = re.compile(r"[A-Za-z0-9.\\\-+*/^_(){}|!√²³<>% ]*$")
NEAR = 120
"""Characters before a number, and behind it, that are looked at."""
"""What may be the left side of an equation: signs, numbers, single letters, functions."""
FUNCTION = re.compile(r"\b(?:sin|cos|tan|log|ln|sqrt|exp|max|min|gcd|lcm)\b|√")
OPERATION = re.compile(r"[-+*/^|!√²³<>%]|\d[A-Za-z]|\\cdot")
WORD = re.compile(r"[A-Za-z]{3,}|\b(?:is|of|to|we|in|so|it|he|as|at|an|by)\b")
VARIABLE = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")


def quantity(text: str, match: re.Match[str]) -> str | None:
    """What a number in a sentence states: itself, or a longer text that is no number; None where it is no statement."""
    run = match[0]
    start = match.start() + len(run) - len(run.lstrip())
    before, after = text[max(0, start - NEAR) : start], text[match.end() : match.end() + NEAR]
    if DENIED.search(before) or REJECTED.match(after) or LABEL.search(before):
        return None
    if run.rstrip().endswith("(") and not run.lstrip().startswith("("):
        return run + after[:20]
    run = _balanced(run.strip(), before)
    if (left := _left(before, run)) is not None:
        return left
    if (mark := BOUND.search(before) or TERM.search(before)) is not None:
        return f"{mark[0].strip()} {run}" if before[-1:] in (" ", "") else f"{before.split()[-1]}{run}"
    if CHANGED.match(after) or ANOTHER.match(after):
        return run + after[:40].split("\n")[0]
    earlier = BEFORE.search(before)
    if earlier and ("=" not in run or (ASSIGNED.match(run) and ASSIGNED.search(earlier[0].lstrip()))):
        return f"{before[earlier.start() :].strip()} {run}".strip()
    if run.endswith("!") and not run.endswith("!!"):
        run = run.removesuffix("!")  # in prose a cry, not a factorial
    return run


ASSIGNED = re.compile(r"[A-Za-z](?:_\w+)?[ ]*=[ ]*-?\d")


def _left(before: str, run: str) -> str | None:
    """The whole equation where the number is the right side of one that has to be solved."""
    last = run.rfind("=")
    if last >= 0:
        head = before + run[:last]
    elif before.rstrip().endswith(("=", "\\approx")):
        head = before.rstrip()[:-1]
    else:
        return None
    head = head.rsplit("=", 1)[-1] if last < 0 else head
    found = LEFT.search(head.rstrip())
    left = found[0] if found else ""
    words = [m.end() for m in WORD.finditer(FUNCTION.sub(lambda m: "√" * len(m[0]), left))]
    left = left[words[-1] :].strip() if words else left.strip()
    first = left.split("=")[0]
    if (
        "!" in first
        or (VARIABLE.search(first) and (OPERATION.search(first) or FUNCTION.search(first)))
        or "|" in first
        or "√" in first
    ):
        return f"{left}={run[last + 1 :].strip()}"
    return None


def _balanced(run: str, before: str) -> str:
    """Without brackets that do not belong to it: ``4)``, ``18}``, ``(6*7 = 42)``."""
    run = run.rstrip("| ")
    pairs = {")": "(", "}": "{", "]": "["}
    while run and run[-1] in pairs and run.count(run[-1]) > run.count(pairs[run[-1]]):
        run = run[:-1].rstrip()
    while run and run[0] in "({[" and run.count(run[0]) > run.count({"(": ")", "{": "}", "[": "]"}[run[0]]):
        run = run[1:].lstrip()
    if run.startswith("(") and run.endswith(")") and run.count("(") == 1:
        run = run[1:-1].strip()
    return run
