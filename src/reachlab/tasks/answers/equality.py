"""Whether an answer is the gold answer: form against form, and leaves by algebra.

A form is equal to itself and to what the field writes for the same: an interval and its inequality, a list in another
order, a set and a list of its elements, an equation and a multiple of it. Whatever is left is wrong; where nothing can
tell, `UndecidedError` says why.
"""

import re
from collections.abc import Sequence

from reachlab.tasks.answers.decimals import same_number
from reachlab.tasks.answers.forms import (
    FLIPPED,
    Clock,
    Form,
    InBase,
    Items,
    Leaf,
    Matrix,
    Plain,
    Ratio,
    Relation,
    Span,
    Union,
    Word,
    form_of,
    is_name,
)

ATOM = re.compile(r"-?\\(?:mathbb\{?\w\}?|emptyset|infty)|.*(?:\\ldots|\\mid|\\\{).*", re.DOTALL)
SYNONYMS = (
    {"dne", "does not exist", "undefined", "not defined"},
    {
        "no solution", "no solutions", "no real solution", "no real solutions", "none",
        "\\emptyset", "empty set", "the empty set",
    },
    {"infinity", "\\infty", "inf"},
    {"yes", "true"}, {"no", "false"},
)  # fmt: skip
"""Words that say the same."""


def same(gold: str, said: str) -> bool:
    """Whether two spellings are the same answer.

    Raises:
        UndecidedError: nothing can tell. UnreadableError: the gold answer has no reading.
    """
    if gold == said:
        return True
    if len(gold) == 1 and gold.isalpha():
        return False  # a letter is itself: e is not 2.718, i not I
    return same_form(form_of(gold), form_of(said))


def same_form(gold: Form, said: Form) -> bool:
    """As `same`, of two forms."""
    if gold == said:
        return True
    if _text(gold) and any({_text(gold), _text(said)} <= words for words in SYNONYMS):
        return True
    match gold, said:
        case Plain(), Plain():
            return same_number(gold.number.value, said.number.value) and not (
                gold.number.unit and said.number.unit and gold.number.unit != said.number.unit
            )
        case Word(), _:
            return isinstance(said, Word) and _loosely(gold.text) == _loosely(said.text)
        case Clock(), Clock():
            return (gold.hour, gold.minute, gold.second) == (said.hour, said.minute, said.second) and (
                gold.half == said.half or not (gold.half and said.half)
            )
        case Ratio(), Ratio():
            ours, theirs = ([term.value for term in ratio.terms] for ratio in (gold, said))
            if not ours[0] or not theirs[0]:
                return ours == theirs
            return [t / ours[0] for t in ours] == [t / theirs[0] for t in theirs]
        case InBase(), InBase():
            return gold.digits.lower() == said.digits.lower() and gold.base == said.base
        case InBase(), Plain() | Leaf() | Word():
            return gold.digits.casefold() == said.text.casefold()  # the base is the question's
        case Matrix(), Matrix():
            return gold.fence == said.fence and _in_order(
                [c for row in gold.rows for c in row], [c for row in said.rows for c in row]
            ) and [len(r) for r in gold.rows] == [len(r) for r in said.rows]  # fmt: skip
        case Matrix(), Items(joint="point"):
            return 1 in (len(gold.rows), len(gold.rows[0])) and _in_order(
                [c for row in gold.rows for c in row], said.items
            )
    return _same_compound(gold, said)


def _same_compound(gold: Form, said: Form) -> bool:
    """Lists, intervals, relations, and leaves."""
    if isinstance(gold, (Span, Union)) or (isinstance(said, (Span, Union)) and isinstance(gold, (Relation, Items))):
        return _both_intervals(gold, said)
    if isinstance(gold, Relation) and not _is_equation(gold):
        return _same_comparison(gold, said)
    if isinstance(gold, Items):
        return _same_items(gold, said)
    if isinstance(said, Items) and said.joint in ("set", ",") and len(said.items) == 1:
        return same_form(gold, said.items[0])
    if isinstance(said, Items):
        return False
    if isinstance(gold, Relation):
        return _same_equation(gold, said)
    if isinstance(said, Relation):
        if said.signs == ("\\approx",) and not is_name(said.texts[0]):
            return same_form(gold, said.sides[0])
        named = _is_equation(said) and is_name(said.texts[0])
        return named and same_form(gold, said.sides[-1])
    if isinstance(gold, Leaf) and ATOM.fullmatch(gold.text):
        return False  # it has one way to be written
    if isinstance(gold, (Leaf, Plain)) and isinstance(said, (Leaf, Plain)):
        from reachlab.tasks.answers.algebra import same_expression  # sympy is slow to import, and seldom needed

        return same_expression(gold.text, said.text)
    if isinstance(gold, Leaf) and isinstance(said, Word):
        return _joined(gold.text) == _joined(said.text)
    return False


def _same_items(gold: Items, said: Form) -> bool:
    """A list in any order, a point in its own, a sequence with dots as it is written."""
    if isinstance(said, Word) and all(isinstance(i, Leaf) and len(i.text) == 1 for i in gold.items):
        return sorted(i.text for i in gold.items if isinstance(i, Leaf)) == sorted(said.text.upper())
    if gold.joint == "point" and isinstance(said, Relation):
        return _both_intervals(gold, said)
    if isinstance(said, Matrix):
        return 1 in (len(said.rows), len(said.rows[0])) and _in_order(gold.items, [c for row in said.rows for c in row])
    if isinstance(said, Relation) and _is_equation(said) and is_name(said.texts[0]):
        said = said.sides[-1]
    if not isinstance(said, Items) or len(gold.items) != len(said.items):
        return False
    if gold.joint == "set" and said.joint == "point":
        return False
    if gold.joint == "point" and len(letters := _letters(said.items)) == len(said.items) and None not in letters:
        said = Items(tuple(item for _, item in sorted(zip(letters, said.items, strict=True), key=str)), said.joint)
    named = [len({*_letters(items)} - {None}) > 1 for items in (gold.items, said.items)]
    ours, theirs = _unnamed(gold.items, said.items)
    if named[0] != named[1]:
        return _in_order(ours, theirs)  # x = 2, y = 3 is 2, 3 and not 3, 2
    in_order = "point" in (gold.joint, said.joint) or any(isinstance(i, Leaf) and i.text == "\\ldots" for i in ours)
    return _in_order(ours, theirs) if in_order else _in_any_order(ours, theirs)


def _unnamed(gold: Sequence[Form], said: Sequence[Form]) -> tuple[list[Form], list[Form]]:
    """Both lists without names (``x_1 = 1, x_2 = 2``), but where both give the same several."""
    mine, theirs = ([_name(item) for item in items] for items in (gold, said))
    if None not in mine and None not in theirs and set(mine) == set(theirs) and len(set(mine)) > 1:
        return list(gold), list(said)

    def bare(items: Sequence[Form], names: list[str | None]) -> list[Form]:
        return [
            i.sides[-1] if isinstance(i, Relation) and n is not None else i for i, n in zip(items, names, strict=True)
        ]

    return bare(gold, mine), bare(said, theirs)


def _letters(items: Sequence[Form]) -> list[str | None]:
    """The letters that items are named by: x of ``x_1 = 2``."""
    return [None if (name := _name(item)) is None else name[:1] for item in items]


def _name(form: Form) -> str | None:
    return form.texts[0] if isinstance(form, Relation) and _is_equation(form) and is_name(form.texts[0]) else None


def _in_order(gold: Sequence[Form], said: Sequence[Form]) -> bool:
    return len(gold) == len(said) and all(same_form(g, s) for g, s in zip(gold, said, strict=True))


def _in_any_order(gold: Sequence[Form], said: Sequence[Form]) -> bool:
    left = list(said)
    for g in sorted(gold, key=lambda g: g not in left):
        found = next((s for s in left if s == g), None) or next((s for s in left if same_form(g, s)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _same_equation(gold: Relation, said: Form) -> bool:
    named = is_name(gold.texts[0])
    if not isinstance(said, Relation):
        return named and same_form(gold.sides[-1], said)
    if not _is_equation(said):
        return False
    if named and gold.texts[0] == said.texts[0]:
        return same_form(gold.sides[-1], said.sides[-1])
    if gold.texts == said.texts[::-1]:
        return True
    if any(not isinstance(s, (Leaf, Plain, Word)) for s in (*gold.sides, *said.sides)):
        return False
    from reachlab.tasks.answers.algebra import same_equation

    return same_equation((gold.texts[0], gold.texts[-1]), (said.texts[0], said.texts[-1]))


def _same_comparison(gold: Relation, said: Form) -> bool:
    """Inequalities: as intervals of one variable, else side by side, either way round."""
    if not isinstance(said, (Relation, Items, Span, Union)):
        return False
    mine, theirs = _intervals(gold), _intervals(said)
    if mine is not None and theirs is not None:
        return _same_intervals(mine, theirs)
    if not isinstance(said, Relation):
        return False
    ways = [(said.signs, said.sides)]
    if all(s in FLIPPED for s in said.signs):
        ways.append((tuple(FLIPPED[s] for s in reversed(said.signs)), said.sides[::-1]))
    return any(signs == gold.signs and _in_order(gold.sides, sides) for signs, sides in ways)


Intervals = tuple[str, list[Form]]
"""The variable, "" where none is named, and intervals or single points."""


def _intervals(form: Form) -> Intervals | None:
    """A form as a union of intervals; None where it is none."""
    match form:
        case Span():
            return "", [form]
        case Items(joint="point") if len(form.items) == 2:
            return "", [Span(form.items[0], form.items[1], True, True)]
        case Items(joint="set"):
            return "", list(form.items)
        case Union():
            return _united([_intervals(p) for p in form.parts])
        case Items(joint="or"):
            return _united([_intervals(p) for p in form.items])
        case Items(joint="and" | ",") if len(form.items) == 2:
            return _narrowed(_intervals(form.items[0]), _intervals(form.items[1]))
        case Relation(signs=("\\in",)):
            inner = _intervals(form.sides[1])
            return None if inner is None else (form.texts[0], inner[1])
        case Relation():
            return _interval(form)
    return None


def _united(parts: list[Intervals | None]) -> Intervals | None:
    names, found = set(), []
    for part in parts:
        if part is None:
            return None
        names.add(part[0])
        found += part[1]
    return (max(names), found) if len(names - {""}) <= 1 else None


def _narrowed(one: Intervals | None, two: Intervals | None) -> Intervals | None:
    """``x > 2 and x < 5``: a lower bound and an upper one."""
    if one is None or two is None or one[0] != two[0] or len(one[1]) != 1 or len(two[1]) != 1:
        return None
    a, b = one[1][0], two[1][0]
    if not (isinstance(a, Span) and isinstance(b, Span)):
        return None
    if _text(a.high) != "\\infty":
        a, b = b, a
    if _text(a.high) != "\\infty" or _text(b.low) != "-\\infty":
        return None
    return one[0], [Span(a.low, b.high, a.low_open, b.high_open)]


def _interval(relation: Relation) -> Intervals | None:
    """``a < x \\le b`` and ``x > a`` as an interval of x."""
    signs, sides, texts = relation.signs, relation.sides, relation.texts
    if set(signs) <= {">", "\\ge"}:
        signs, sides, texts = tuple(FLIPPED[s] for s in reversed(signs)), sides[::-1], texts[::-1]
    if not set(signs) <= {"<", "\\le"}:
        return None
    names = [is_name(t) and "infty" not in t for t in texts]
    if len(sides) == 3 and names == [False, True, False]:
        return texts[1], [Span(sides[0], sides[2], signs[0] == "<", signs[1] == "<")]
    if len(sides) == 2 and names == [True, False]:
        return texts[0], [Span(Leaf("-\\infty"), sides[1], True, signs[0] == "<")]
    if len(sides) == 2 and names == [False, True]:
        return texts[1], [Span(sides[0], Leaf("\\infty"), signs[0] == "<", True)]
    return None


def _both_intervals(gold: Form, said: Form) -> bool:
    mine, theirs = _intervals(gold), _intervals(said)
    return mine is not None and theirs is not None and _same_intervals(mine, theirs)


def _same_intervals(gold: Intervals, said: Intervals) -> bool:
    if (gold[0] and said[0] and gold[0] != said[0]) or len(gold[1]) != len(said[1]):
        return False
    left = list(said[1])
    for g in gold[1]:
        found = next((s for s in left if _same_span(g, s)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _same_span(gold: Form, said: Form) -> bool:
    if not (isinstance(gold, Span) and isinstance(said, Span)):
        return not isinstance(gold, Span) and not isinstance(said, Span) and same_form(gold, said)
    return (
        (gold.low_open, gold.high_open) == (said.low_open, said.high_open)
        and same_form(gold.low, said.low)
        and same_form(gold.high, said.high)
    )


def _is_equation(relation: Relation) -> bool:
    return set(relation.signs) <= {"=", "\\approx"}


def _text(form: Form) -> str:
    return form.text if isinstance(form, (Word, Leaf)) else ""


def _joined(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _loosely(words: str) -> str:
    """Words without an article, and in the singular."""
    bare = words.removeprefix("the ").removeprefix("a ").removeprefix("an ")
    return bare.removesuffix("s") if len(bare) > 4 and not bare.endswith("ss") else bare
