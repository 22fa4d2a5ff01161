from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.tasks.answers.spelling import MOST_DIGITS, Number, canonical, number_of, plain_number, spell, words_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", 18),
        ("-5", -5),
        ("$1,000.", 1000),
        ("-$1,000", -1000),
        ("\\$32,\\!348", 32348),
        ("1{,}000", 1000),
        ("20%", 20),
        ("20\\%", 20),
        ("3/4", Fraction(3, 4)),
        ("2.50", Fraction(5, 2)),
        (".5", Fraction(1, 2)),
        ("4.5e33", 45 * 10**32),
        ("18 dollars", 18),
        ("18 square feet.", 18),
        ("073", 73),
    ],
)
def test_plain_numbers(text: str, number: int | Fraction) -> None:
    assert plain_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "$", "-", ".", "x", "2k", "1/0", "1,00", "1 2", "5 hours 30 minutes", "2x+1", "e5", "1..2"]
)
def test_what_is_not_a_plain_number(text: str) -> None:
    assert plain_number(text) is None


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_thousands_separators_do_not_change_a_number(n: int) -> None:
    assert plain_number(f"{n:,}") == plain_number(str(n)) == n


@pytest.mark.parametrize(
    "same",
    [
        ("1/2", "0.50", ".5", "\\frac{1}{2}", "\\dfrac12", "$\\tfrac{1}{2}$", "x = \\frac{1}{2}"),
        ("1000", "1,000", "$1,000.", "\\$1{,}000", "1e3", "1000 dollars", "n=1000"),
        ("-3/4", "-0.75", "-\\frac{3}{4}"),
        ("50", "50%", "50\\%", "50^\\circ", "50^{\\circ}", "(50)", "\\textbf{(50)}"),
        ("B", "(B)", "\\text{(B)}", "\\text{B}", "B."),
        ("(3,\\frac{\\pi}{2})", "\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\dfrac{\\pi}{2})"),
        ("11\\sqrt{2}", "11 \\sqrt{2}", "y=11\\sqrt{2}"),
        ("June 20", "\\text{June 20}", "June  20"),
    ],
)
def test_one_spelling_for_what_means_the_same(same: tuple[str, ...]) -> None:
    assert {canonical(answer) for answer in same} == {same[0]}


def test_other_answers_keep_other_spellings() -> None:
    answers = [
        "1/2",
        "1/3",
        "2",
        "-2",
        "B",
        "C",
        "\\sqrt{2}",
        "\\sqrt{3}",
        "(1,2)",
        "(2,1)",
        "12",
        "pi r",
        "\\frac{a}{2}",
    ]
    assert len({canonical(a) for a in answers}) == len(answers)
    assert [canonical(a) for a in ("", " ", "$$", "...")] == [None] * 4


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("\\left[0,\\tfrac{\\pi}{2}\\right)", "[0,\\frac{\\pi}{2})"),
        ("√3", "\\sqrt{3}"),
        ("2√3", "2\\sqrt{3}"),
        ("x²+1", "x^2+1"),
        ("a₁", "a_1"),
        ("－５", "-5"),
        ("\\{1,\\ 2\\}", "\\{1,2\\}"),
        ("\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}", "\\begin{matrix}1&2\\\\3&4\\end{matrix}"),
        ("\\begin{vmatrix}1\\end{vmatrix}", "\\begin{vmatrix}1\\end{vmatrix}"),
        ("3\\times x", "3\\cdot x"),
        ("x\\leq 3", "x \\le 3"),
        ("\\{\\}", "\\emptyset"),
        ("100!", "100!"),
        (".5", ".5"),
        ("$\\text{No}$", "No"),
    ],
)
def test_what_only_changes_the_looks_is_taken_away(text: str, spelling: str) -> None:
    assert spell(text).replace(" ", "") == spelling.replace(" ", "")


@pytest.mark.parametrize(
    ("spelling", "number"),
    [
        ("5 cm", Number(Fraction(5), "cm")),
        ("5 centimeters", Number(Fraction(5), "cm")),
        ("5cm^2", Number(Fraction(5), "cm^2")),
        ("5 apples", Number(Fraction(5))),
        ("5%", Number(Fraction(5), percent=True)),
        ("1\\frac{4}{5}", Number(Fraction(9, 5))),
        ("-2 1/2", Number(Fraction(-5, 2))),
        ("1.6\\cdot10^{-3}", Number(Fraction(16, 10_000))),
        ("10^6", Number(Fraction(10**6))),
        ("\\frac{1}{0}", None),
        ("5 or 6", None),
        ("5 hours 30 minutes", None),
        ("2k", None),
        ("5!", None),
        ("1e999999", None),
        ("9" * (MOST_DIGITS + 1), None),
    ],
)
def test_a_number_and_its_unit(spelling: str, number: Number | None) -> None:
    assert number_of(spelling) == number


def test_words_are_in_small_letters_and_letters_are_no_words() -> None:
    assert words_of("No Solutions") == "no solutions"
    assert [words_of(text) for text in ("B", "p-q", "ab", "x=5", "5 apples", "")] == [None] * 6


@settings(deadline=None)
@given(st.text() | st.text("0123456789.,/$\\{}()[]%-+=^_ abx"))
def test_any_text_has_a_spelling(text: str) -> None:
    assert spell(text) == spell(text).strip()
