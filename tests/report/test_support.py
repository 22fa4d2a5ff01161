from io import StringIO

import numpy as np
from rich.console import Console
from tests.report.conftest import Measured

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.report.entries import read_entries
from reachlab.report.findings import gather
from reachlab.report.support import COLUMNS, support_rows, support_table, supports_of
from reachlab.report.tables import print_comparison


def outcomes(name: str, c: list[int]) -> Outcomes:
    ids = tuple(f"p{i}" for i in range(len(c)))
    return Outcomes(name, ids, np.full(len(c), 4), np.array(c), np.zeros(len(c), np.int64))


def test_a_row_a_model_and_a_cell_a_column() -> None:
    found = compare([outcomes("base", [4, 1, 0, 0]), outcomes("rl", [4, 0, 1, 0])], resamples=50)
    ((name, cells),) = support_rows(supports_of(found))
    assert name == "rl"
    assert len(cells) == len(COLUMNS)
    assert cells == ("1", "1", "1", "1", "0.500 0.06–0.94", "0.500 0.06–0.94", "0.500", "+0.000")
    none = compare([outcomes("base", [0, 0]), outcomes("rl", [0, 0])], resamples=50)
    ((_, cells),) = support_rows(supports_of(none))
    assert cells == ("0", "0", "0", "2", "–", "–", "–", "–")
    lost = compare([outcomes("base", [4, 4]), outcomes("rl", [0, 4])], resamples=50)
    ((_, cells),) = support_rows(supports_of(lost))
    assert cells[-1] == "−0.500"


def test_the_terminal_has_it_under_the_verdicts(demo: Measured) -> None:
    console = Console(file=StringIO(), width=80, color_system=None)
    print_comparison(demo[0], console)
    assert isinstance(console.file, StringIO)
    _, _, table = console.file.getvalue().partition("\n support")
    lines = [line.split() for line in table.splitlines()]
    for found in supports_of(demo[0]):
        (row,) = (line for line in lines if line[:1] == [found.name])
        assert row[1:5] == [str(n) for n in (found.kept, found.grown, found.shrunk, found.out)]
    assert support_table(supports_of(demo[0])).row_count == 3


def test_one_model_has_none(demo: Measured) -> None:
    console = Console(file=StringIO(), width=80, color_system=None)
    print_comparison(compare([outcomes("only", [1, 0])], resamples=50), console)
    assert isinstance(console.file, StringIO)
    assert "support" not in console.file.getvalue()


def test_findings_have_a_place_a_model(demo: Measured) -> None:
    comparison, runs = demo
    found = gather(comparison, read_entries(comparison, runs))
    assert [x and x.name for x in found.supports] == [None, *(pair.name for pair in comparison.pairs)]
    plain = found.to_dict()["support"]
    assert plain[0] is None
    assert plain[1]["kept"] == len(comparison.pairs[0].coverage.both)
    assert found.to_dict()["answer_entropy_difference"] == [None] * 4
