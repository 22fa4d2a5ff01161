"""Whether two expressions are equal, by their values.

    f = g   if f(x) = g(x) at points drawn at random, to 20 digits of the larger one (Schwartz 1980, Zippel 1979)

Constants are compared exactly where both are rational and to 60 digits else, so that e^{-50} is not e^{-60} and
√(10^30 + 1) not 10^15. Parsing is latex2sympy's, values are sympy's. A number with a decimal point may stand for an
exact one that has no end: from six digits on, and right to the last of them.
"""

import random
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import latex2sympy
from sympy.core.function import AppliedUndef

from reachlab.tasks.answers.decimals import stands_for, unit_of
from reachlab.tasks.answers.errors import UndecidedError, UnreadableError
from reachlab.tasks.answers.spelling import number_of

DIGITS, MORE_DIGITS = 60, 400
OPERATIONS = (sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative)
LARGEST_POWER = 10_000
LONGEST_SUM = 500
MOST_NODES = 2_000
LONGEST, DEEPEST = 600, 12
"""Characters of an expression, and brackets in brackets, that are parsed: the parser takes seconds beyond."""
POINTS, ENOUGH = 8, 3
INTEGERS = frozenset("klmnNpq")
"""Symbols that stand for whole numbers in every textbook: they are given whole values."""
COMPLEX = re.compile(r"(?<![A-Za-z\\])i(?![A-Za-z])|\\imath")


def same_expression(gold: str, said: str) -> bool:
    """Whether two spellings are equal as expressions.

    Raises:
        UndecidedError: too few points have a value. UnreadableError: the gold answer cannot be read.
    """
    if gold == said:
        return True
    try:
        f = _read(gold)
    except UnreadableError as error:
        raise UnreadableError(f"the gold answer {gold[:80]!r} has no mathematical reading") from error
    try:
        g = _read(said)
    except (UnreadableError, UndecidedError):
        return False
    if not _sized(f):
        raise UndecidedError(f"the gold answer {gold[:80]!r} is too large to be computed")
    if not _sized(g) or (g.has(*OPERATIONS) and not f.has(*OPERATIONS)):
        return False  # an integral or a sum would have to be computed first
    symbols = sorted(f.free_symbols | g.free_symbols, key=str)
    if not symbols:
        return _same_constant(f, g, _decimal(gold), _decimal(said))
    return _same_function(f, g, symbols)


def same_equation(gold: tuple[str, str], said: tuple[str, str]) -> bool:
    """Whether two equations have the same solutions: left less right of one is a multiple of the other's.

    Raises:
        UndecidedError, UnreadableError: as of `same_expression`.
    """
    try:
        f = _read(gold[0]) - _read(gold[1])
    except UnreadableError as error:
        raise UnreadableError(f"the gold answer {'='.join(gold)[:80]!r} has no mathematical reading") from error
    try:
        g = _read(said[0]) - _read(said[1])
    except (UnreadableError, UndecidedError, TypeError):
        return False
    if not _sized(f):
        raise UndecidedError(f"the gold answer {'='.join(gold)[:80]!r} is too large to be computed")
    if not _sized(g):
        return False
    symbols = sorted(f.free_symbols | g.free_symbols, key=str)
    if f.free_symbols != g.free_symbols:
        return False
    ratios = []
    for point in _points(symbols):
        a, b = _value(f, point), _value(g, point)
        if a is not None and b is not None and abs(b) > 0:
            ratios.append(a / b)
    if len(ratios) < ENOUGH:
        raise UndecidedError("too few values to compare two equations by")
    if all(_near(r, ratios[0], 20) and abs(r) > 0 for r in ratios):
        return True
    return _same_zeros(f, g, symbols)


def _same_zeros(f: Any, g: Any, symbols: list[Any]) -> bool:
    """Whether each solution of the one solves the other, for a symbol that both can be solved for."""
    if not all(h.is_rational_function(*symbols) and sympy.count_ops(h) < 40 for h in (f, g)):
        return False
    for symbol in symbols:
        try:
            of_f, of_g = sympy.solve(f, symbol), sympy.solve(g, symbol)
        except (NotImplementedError, TypeError, ValueError, AttributeError, RecursionError):
            continue
        if not of_f or not of_g:
            continue
        others = [s for s in symbols if s != symbol]
        zeros = [
            value
            for solutions, other in ((of_f, g), (of_g, f))
            for solution in solutions
            for point in list(_points(others))[:4]
            if (value := _value(other.subs(symbol, solution), point)) is not None
        ]
        if len(zeros) >= ENOUGH or not others:
            return bool(zeros) and all(abs(z) < sympy.Float("1e-15") for z in zeros)
    return False


def _same_constant(f: Any, g: Any, f_unit: Fraction | None, g_unit: Fraction | None) -> bool:
    f, g = f.doit(), g.doit()
    if f.is_Rational and g.is_Rational and f_unit is None and g_unit is None:
        return bool(f == g)
    a, b = _value(f, {}, DIGITS), _value(g, {}, DIGITS)
    if a is None or b is None:
        infinite = {sympy.oo, -sympy.oo}
        return f in infinite and f == g
    if _near(a, b, DIGITS - 12):
        # Two roots may agree to sixty digits and differ beyond.
        more, other = _value(f, {}, MORE_DIGITS), _value(g, {}, MORE_DIGITS)
        return more is None or other is None or _near(more, other, MORE_DIGITS - 40)
    if not a.is_real or not b.is_real:
        return False
    return stands_for(a, f_unit, b) or stands_for(b, g_unit, a)


def _decimal(text: str) -> Fraction | None:
    """One in the last place of a spelling with a decimal point, None of any other."""
    number = number_of(text)
    return unit_of(number.value) if number is not None and number.value.denominator > 1 and "frac" not in text else None


def _same_function(f: Any, g: Any, symbols: list[Any]) -> bool:
    decisive = 0
    for i, point in enumerate(_points(symbols)):
        a, b = _value(f, point), _value(g, point)
        if a is None or b is None:
            continue
        if _near(a, b, 20):
            decisive += 1
        elif i < POINTS // 2 or (a.is_real and b.is_real):
            return False  # beyond the positive numbers, branches of roots and logarithms may part
    if decisive < ENOUGH:
        raise UndecidedError("too few values to compare two expressions by")
    return True


def _points(symbols: list[Any]) -> list[dict[Any, Any]]:
    """Values for symbols, the same each time: positive ones first, then of either sign."""
    rng = random.Random(20130401)
    points = []
    for i in range(POINTS):
        point = {}
        for symbol in symbols:
            if symbol.name[:1] in INTEGERS:
                point[symbol] = sympy.Integer(rng.randrange(3, 12))
            else:
                value = sympy.Rational(rng.randrange(1_000, 30_000), 10_007)
                point[symbol] = value if i < POINTS // 2 or rng.random() < 0.5 else -value
        points.append(point)
    return points


def _value(f: Any, point: dict[Any, Any], digits: int = 30) -> Any:
    """The value at a point, None where there is none."""
    try:
        at = f.subs(point) if point else f
        value = sympy.N(
            at.doit() if at.has(sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative) else at, digits
        )
        if value.has(sympy.nan, sympy.zoo, sympy.oo) or not value.is_number or value.free_symbols:
            return None
        real, imaginary = value.as_real_imag()
        if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
            return None
        return sympy.Float(real, digits) if abs(imaginary) <= abs(real) * sympy.Float(10) ** (5 - digits) else value
    except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError, RecursionError):
        return None


def _near(a: Any, b: Any, digits: int) -> bool:
    """Whether two values agree to so many digits of the larger one; 0 is near to nothing but what rounding leaves."""
    largest = max(abs(a), abs(b))
    if largest == 0:
        return True
    if min(abs(a), abs(b)) == 0:
        return bool(largest < sympy.Float(10) ** -(digits + 2)) and digits < 30
    return bool(abs(a - b) <= largest * sympy.Float(10) ** -digits)


@lru_cache(maxsize=512)
def _read(text: str) -> Any:
    """A spelling as sympy's expression, decimals as the fractions that they are.

    Raises:
        UnreadableError: it is none.
    """
    if TOWER.search(text):
        raise UndecidedError(f"{text[:80]!r} is too large to be computed")
    if len(text) > LONGEST or _depth(text) > DEEPEST or STACKED.search(text):
        raise UnreadableError(text)
    try:
        found = latex2sympy(
            text.replace("\\cdot", "\\cdot "),
            is_real=not COMPLEX.search(text),
            convert_degrees=False,
            normalization_config=None,
        )
    except Exception as error:  # latex2sympy's own, its parser's, sympy's: whatever it is, the text is no formula
        raise UnreadableError(text) from error
    if not isinstance(found, sympy.Expr):
        raise UnreadableError(text)
    if COMPLEX.search(text) and not found.has(sympy.Sum, sympy.Product):
        found = found.xreplace({x: sympy.I for x in found.free_symbols if x.name == "i"})
    opaque = {x: sympy.Symbol(str(x)) for x in found.atoms(AppliedUndef)}
    return found.xreplace({x: sympy.Rational(str(x)) for x in found.atoms(sympy.Float)} | opaque)


STACKED = re.compile(r"(?:[\^_]\{?\(?(?:\w|\\[a-z]+)){5}")


def _depth(text: str) -> int:
    """How deep brackets stand in brackets."""
    depth = deepest = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        deepest = max(deepest, depth)
    return deepest


TOWER = re.compile(r"\\binom\{\\binom|\^\{?\(?\d+\)?\^\{?\(?[\dx]+\)?\^|\d{5,}!|\^\{?\d{7,}|\)!\)?!|!!")


def _sized(f: Any) -> bool:
    """Whether computing the expression is bounded: no power, factorial or sum beyond what has an end."""
    for nodes, node in enumerate(sympy.preorder_traversal(f)):
        if nodes > MOST_NODES:
            return False
        if isinstance(node, sympy.Pow) and node.exp.is_number and not _at_most(_whole_power(node), LARGEST_POWER):
            return False
        if isinstance(node, (sympy.factorial, sympy.binomial, sympy.gamma)) and not all(
            _at_most(a, LARGEST_POWER) for a in node.args if a.is_number
        ):
            return False
        if isinstance(node, (sympy.Sum, sympy.Product)) and not all(
            _at_most(bound, LONGEST_SUM) or bound.is_infinite
            for limit in node.limits for bound in limit[1:] if bound.is_number
        ):  # fmt: skip
            return False
    return True


def _whole_power(node: Any) -> Any:
    """The exponent of a power of powers, multiplied out."""
    exponent, base = node.exp, node.base
    while isinstance(base, sympy.Pow) and base.exp.is_number:
        exponent, base = exponent * base.exp, base.base
    return exponent


def _at_most(x: Any, most: int) -> bool:
    """Whether |x| is small, decided without computing what is not."""
    if any(
        isinstance(n, (sympy.Pow, sympy.factorial)) and n is not x and not _at_most_shallow(n)
        for n in sympy.preorder_traversal(x)
    ):
        return False
    if isinstance(x, sympy.Pow) and not _at_most_shallow(x):
        return False
    value = sympy.N(x, 15)
    return bool(value.is_number and value.is_finite and abs(value) <= most)


def _at_most_shallow(node: Any) -> bool:
    exponent = node.args[-1]
    return bool(exponent.is_Number and abs(exponent) <= 1000)
