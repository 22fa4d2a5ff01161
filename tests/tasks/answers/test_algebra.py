from fractions import Fraction

import pytest

from reachlab.tasks.answers.algebra import same_equation, same_expression
from reachlab.tasks.answers.decimals import same_number, unit_of
from reachlab.tasks.answers.errors import UndecidedError, UnreadableError

EQUAL = [
    ("x^2+2x+1", "(x+1)^2"),
    ("\\sin^2(x)", "1-\\cos^2(x)"),
    ("\\frac{1}{1+i}", "\\frac{1-i}{2}"),
    ("n!", "n\\cdot(n-1)!"),
    ("\\sqrt{17}", "4.123105625617661"),
    ("2^{100}", "1267650600228229401496703205376"),
    ("\\log_2(8)+x", "3+x"),
]
UNEQUAL = [
    ("e^{-50}", "e^{-60}"),
    ("\\sqrt{10^{30}+1}", "10^{15}"),
    ("1-\\frac{1}{2^{200}}", "1"),
    ("100!", "100!+1"),
    ("\\sqrt{x^2}", "x"),
    ("\\sqrt{2}", "1.41"),
    ("\\cos(10^{-20})", "1"),
    ("x", "y"),
    ("2", "x"),
    ("x+1", "{x"),
    ("x+1", "9^{9^{9^{9}}}"),
    ("f(x)+1", "g(x)+1"),
]


@pytest.mark.parametrize(("gold", "said"), EQUAL)
def test_equal_expressions(gold: str, said: str) -> None:
    assert same_expression(gold, said)
    assert same_expression(said, gold)


def test_a_sum_is_computed_for_the_gold_answer_and_not_for_another() -> None:
    assert same_expression("\\sum_{k=1}^{n}k", "\\frac{n(n+1)}{2}")
    assert same_expression("\\sum_{k=1}^{n}k", "\\sum_{j=1}^{n}j")
    assert not same_expression("\\frac{n(n+1)}{2}", "\\sum_{k=1}^{n}k")


@pytest.mark.parametrize(("gold", "said"), UNEQUAL)
def test_unequal_expressions(gold: str, said: str) -> None:
    assert not same_expression(gold, said)


@pytest.mark.parametrize(
    ("gold", "said", "equal"),
    [
        (("y", "3x+2"), ("3x-y+2", "0"), True),
        (("y", "3x+2"), ("3x-y-2", "0"), False),
        (("\\frac{x^2}{4}+\\frac{y^2}{3}", "1"), ("3x^2+4y^2", "12"), True),
        (("y", "\\frac{1}{x}"), ("xy", "1"), True),
        (("y", "x^2"), ("y", "x^3"), False),
        (("x", "2"), ("y", "2"), False),
    ],
)
def test_equations_are_equal_up_to_a_factor(gold: tuple[str, str], said: tuple[str, str], equal: bool) -> None:
    assert same_equation(gold, said) is equal


def test_what_cannot_be_told() -> None:
    with pytest.raises(UnreadableError, match=r"the gold answer '.*' has no mathematical reading"):
        same_expression("\\frac{", "5")
    with pytest.raises(UndecidedError, match="too large to be computed"):
        same_expression("9^{9^{9^{9}}}+x", "5")


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("1/3", "0.333333", True),
        ("1/3", "0.333334", False),
        ("1/3", "0.33333", False),
        ("2/3", "0.666667", True),
        ("2/3", "0.666666", True),
        ("1.234567", "1.2345674", True),
        ("1000000", "1000000.4", False),
        ("1000000", "1000001", False),
        ("0.5", "1/2", True),
    ],
)
def test_a_decimal_of_six_digits_may_stand_for_a_number_without_end(a: str, b: str, equal: bool) -> None:
    assert same_number(Fraction(a), Fraction(b)) is equal
    assert same_number(Fraction(b), Fraction(a)) is equal


def test_the_last_place_of_a_decimal() -> None:
    for text, unit in (("0.25", "1/100"), ("1/2", "1/10"), ("3", "1"), ("1/8", "1/1000")):
        assert unit_of(Fraction(text)) == Fraction(unit)
    assert unit_of(Fraction(1, 3)) is None
