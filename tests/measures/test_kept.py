import numpy as np

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.measures.kept import COLUMNS, support_rows, supports_of


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
