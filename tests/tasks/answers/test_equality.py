import pytest

from reachlab.tasks.answers.equality import same
from reachlab.tasks.answers.forms import (
    Clock,
    InBase,
    Items,
    Matrix,
    Plain,
    Ratio,
    Relation,
    Span,
    Union,
    Word,
    form_of,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3/4", Plain),
        ("no solution", Word),
        ("1,2", Items),
        ("\\{1,2\\}", Items),
        ("(1,2)", Items),
        ("\\pm 3", Items),
        ("[1,2)", Span),
        ("(0,1)\\cup(2,3)", Union),
        ("x<3", Relation),
        ("a=b", Relation),
        ("2:30 p.m", Clock),
        ("3:4", Ratio),
        ("2516_8", InBase),
        ("\\begin{matrix}1&2\\\\3&4\\end{matrix}", Matrix),
    ],
)
def test_the_form_of_a_spelling(text: str, kind: type) -> None:
    assert isinstance(form_of(text), kind)


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ("1,2", "2,1"),
        ("\\{1,2\\}", "2,1"),
        ("(0,12.5)", "0<x<12.5"),
        ("m \\ge 2", "[2,\\infty)"),
        ("x>3", "3<x"),
        ("(-\\infty,2)\\cup(3,\\infty)", "x<2 or x>3"),
        ("\\pm 3", "3,-3"),
        ("1,2", "x=1 or x=2"),
        ("x_1=1,x_2=2", "1,2"),
        ("6:8", "3:4"),
        ("\\emptyset", "no solution"),
        ("y=2x+1", "2x+1"),
        ("1,2,\\ldots,n", "1,2,\\ldots,n"),
    ],
)
def test_the_same_in_another_form(gold: str, said: str) -> None:
    assert same(gold, said)


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ("1,2", "1"),
        ("1", "1,2"),
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("[1,2)", "[1,2]"),
        ("x>3", "x\\ge 3"),
        ("x>3", "y>3"),
        ("\\{-5,5\\}", "(-5,5)"),
        ("x=1,y=2", "x=2,y=1"),
        ("2:30 p.m", "2:30 a.m"),
        ("3:4", "4:3"),
        ("2516_8", "2516_9"),
        ("1,2,\\ldots,n", "1,3,\\ldots,n"),
        ("e", "2.718281828"),
        ("i", "I"),
        ("\\mathbb{R}", "\\mathbb{Q}"),
        ("\\infty", "-\\infty"),
    ],
)
def test_not_the_same(gold: str, said: str) -> None:
    assert not same(gold, said)
