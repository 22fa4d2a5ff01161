import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.reporting.data import Data


def read(data: Data) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.csv(), newline="")))


names = st.text().filter(lambda text: "\0" not in text and not text.startswith(("=", "+", "-", "@", "\t", "\r")))


@given(st.lists(st.tuples(names, names)))
def test_names_come_back_as_they_were(rows: list[tuple[str, str]]) -> None:
    assert read(Data(("model", "set"), rows)) == [["model", "set"], *map(list, rows)]


@given(st.floats(allow_nan=False))
def test_numbers_keep_their_precision(value: float) -> None:
    assert float(read(Data(("x",), [(np.float64(value),)]))[1][0]) == value


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(1)", "\tx", "\rx", '=HYPERLINK("http://x","y")'])
def test_no_text_is_a_formula(name: str) -> None:
    ((field,),) = read(Data(("model",), [(name,)]))[1:]
    assert field == f"'{name}"


@pytest.mark.parametrize(("value", "text"), [(-1.5, "-1.5"), (np.int64(-2), "-2"), (None, ""), (True, "True")])
def test_negative_numbers_are_numbers(value: Any, text: str) -> None:
    assert read(Data(("x", "y"), [(value, 0)]))[1] == [text, "0"]
