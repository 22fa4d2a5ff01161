import re
from io import StringIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.reporting.conftest import Measured

from reachlab.boundary.compare import compare
from reachlab.boundary.crossing import Crossing
from reachlab.boundary.outcomes import Outcomes
from reachlab.measures.kept import supports_of
from reachlab.reporting.tables import (
    crossing_cell,
    fold_indices,
    percent,
    print_comparison,
    shown_ks,
    summarise,
    support_table,
)


def outcomes(name: str, n: int, c: list[int], unscored: int = 0) -> Outcomes:
    ids = tuple(f"p{i}" for i in range(len(c)))
    return Outcomes(name, ids, np.full(len(c), n), np.array(c), np.array([unscored] + [0] * (len(c) - 1)))


def printed(comparison: Any, width: int = 100) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    print_comparison(comparison, console)
    text = console.file
    assert isinstance(text, StringIO)
    return text.getvalue()


def test_summary_holds_what_the_comparison_holds() -> None:
    found = compare([outcomes("base", 64, [0, 8, 64]), outcomes("rl", 64, [1, 0, 64], unscored=5)], resamples=50)
    summary = summarise(found)
    assert summary.columns == ("pass@1", "pass@8", "pass@64", "crossing", "ΔSE@64", "gained", "lost", "unscored")
    base, rl = summary.rows
    assert base.cells[0].text == percent((0 + 8 / 64 + 1) / 3)
    assert base.cells[2].text == percent(2 / 3)
    assert [cell.text for cell in base.cells[3:]] == ["–", "–", "–", "–", "0"]
    assert rl.cells[4].text == percent(2 / 3 - (1 / 64 + 1) / 3)
    assert [cell.text for cell in rl.cells[5:]] == ["1", "1", "5"]
    assert [cell.interval for cell in rl.cells[5:7]] == ["chance 1\np<0.05: 0", "chance 1\np<0.05: 1"]


@pytest.mark.parametrize(
    ("n", "ks"),
    [(1, [1]), (4, [1, 4]), (8, [1, 8]), (300, [1, 8, 64, 256, 300]), (1024, [1, 8, 64, 256, 1024])],
)
def test_columns_follow_n(n: int, ks: list[int]) -> None:
    assert shown_ks(compare([outcomes("a", n, [0, 1])], resamples=40)) == ks


def test_columns_come_from_the_values_that_were_computed() -> None:
    assert shown_ks(compare([outcomes("a", 100, [0, 1])], resamples=40, ks=[3, 64, 100])) == [1, 64, 100]


@pytest.mark.parametrize(
    ("crossing", "text", "interval"),
    [
        (Crossing(8, 7, 13), "k = 8", "7–13"),
        (Crossing(8, 7, None), "k = 8", "7–beyond 64"),
        (Crossing(None, 30, None), "none up to 64", "30–beyond 64"),
        (Crossing(None, None, None), "none up to 64", ""),
        (Crossing(1, 1, 1), "k = 1", ""),
    ],
)
def test_crossings_in_words(crossing: Crossing, text: str, interval: str) -> None:
    cell = crossing_cell(crossing, np.arange(1, 65))
    assert (cell.text, cell.interval) == (text, interval)


def test_one_k_has_no_crossing() -> None:
    assert crossing_cell(Crossing(1, 1, 1), np.array([1])).text == "–"


def test_terminal_table_has_every_number_and_verdict(demo: Any) -> None:
    comparison, _ = demo
    text = printed(comparison)
    for row in summarise(comparison).rows:
        for cell in row.cells:
            assert cell.text in text
            assert all(line in text for line in cell.interval.splitlines())
    flat = " ".join(text.split())
    for pair in comparison.pairs:
        assert f"{pair.name} is {pair.verdict.sentence}" in flat


def test_terminal_table_fits_eighty_columns(demo: Any) -> None:
    assert max(len(line.rstrip()) for line in printed(demo[0], width=80).splitlines()) <= 80


def test_terminal_shows_names_as_they_are() -> None:
    found = compare([outcomes("[red]base[/red]", 2, [1, 0]), outcomes("[bold", 2, [1, 0])], resamples=40)
    text = printed(found)
    assert "[red]base[/red]" in text
    assert "[bold is " in text


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([], ""),
        (["0"], "0"),
        # Of arXiv 2504.13837, Table 4: what the base solves of AIME24.
        (
            [str(i) for i in range(30) if i not in (2, 3, 5, 10, 13, 20, 21)],
            "0, 1, 4, 6-9, 11, 12, 14-19, 22-29",
        ),
        (["10", "9", "8", "2"], "2, 8-10"),
        (["p1", "p2", "p3", "q3", "q4"], "p1-3, q3, q4"),
        (["HumanEval/7", "HumanEval/9", "HumanEval/8"], "HumanEval/7-9"),
        (["7-3", "7-4", "7-5"], "7-3, 7-4, 7-5"),
        (["1+2*3", "1+2*4", "1+2*5"], "1+2*3, 1+2*4, 1+2*5"),
        (["007", "008", "009"], "007, 008, 009"),
        (["b", "a", "1" * 30], f"{'1' * 30}, a, b"),
    ],
)
def test_indices_fold(ids: list[str], text: str) -> None:
    assert fold_indices(ids) == text


def unfolded(text: str) -> set[str]:
    found = set()
    for item in text.split(", "):
        match = re.fullmatch(r"(|.*[^\W\d]|.*[_/#:])(\d+)-(\d+)", item)
        found |= {f"{match[1]}{i}" for i in range(int(match[2]), int(match[3]) + 1)} if match else {item}
    return found - {""}


@given(st.sets(st.from_regex(r"\A(|p|HumanEval/|aime_|é#)(0|[1-9][0-9]?)\Z")))
def test_folding_loses_no_problem_and_adds_none(ids: set[str]) -> None:
    assert unfolded(fold_indices(ids)) == ids


def test_one_model_has_no_columns_against_a_base() -> None:
    found = compare([outcomes("only", 1, [1, 0])], resamples=40)
    assert summarise(found).columns == ("pass@1", "unscored")
    assert "50.0%" in printed(found)


def test_a_narrow_terminal_shows_fewer_ks_and_whole_numbers() -> None:
    found = compare([outcomes("base", 300, [3, 40, 0]), outcomes("rl", 300, [0, 200, 1])], resamples=50)
    wide, narrow = printed(found, 140), printed(found, 80)
    assert [f"pass@{k}" in wide for k in (1, 8, 64, 256, 300)] == [True] * 5
    assert [f"pass@{k} " in narrow for k in (1, 8, 64, 256, 300)] == [True, False, True, False, True]
    assert "…" not in narrow


def test_support_stands_under_the_verdicts(demo: Measured) -> None:
    _, _, table = printed(demo[0], 80).partition("\n support")
    lines = [line.split() for line in table.splitlines()]
    for found in supports_of(demo[0]):
        (row,) = (line for line in lines if line[:1] == [found.name])
        assert row[1:5] == [str(n) for n in (found.kept, found.grown, found.shrunk, found.out)]
    assert support_table(supports_of(demo[0])).row_count == 3
    assert "support" not in printed(compare([outcomes("only", 4, [1, 0])], resamples=50))
