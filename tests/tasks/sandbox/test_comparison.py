import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.tasks.sandbox.comparison import same_output, same_value
from reachlab.tasks.sandbox.values import Opaque

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("5", "5\n", True), ("5 \n6\n\n", "5\n6", True), ("5 6", "5  6", True), ("5.0", "5", True),
        ("5\n6", "5 6", False), ("5", "5\n\n6", False), ("yes", "YES", False), ("", "", True), ("", "0", False),
        ("\n\n 5", "5", True), ("5\r\n6\r\n", "5\n6", True), ("5\n\n6", "5\n\n6", True), ("5 6", "5", False),
        ("1e2", "100", True), ("-0", "0", True), ("+5", "5", True), (".5", "0.50", True), ("5.", "5", True),
        ("1e5", "1" + "0" * 5, True), ("0x10", "16", False), ("1_000", "1000", False), ("٣", "3", False),
        ("\uff15", "5", False), ("½", "0.5", False),
        ("nan", "NaN", False), ("nan", "nan", True), ("inf", "Infinity", False), ("inf", "1e999", False),
        ("inf", "inf", True), ("1e999", "1e998", False), ("sNaN", "1", False),
        ("1e999999999999999999999", "1e999999999999999999998", False),
        ("0.333333", "0.333333333333", False), ("0.1", "0.10000000000000001", False),
        ("50000000000000000", "50000000000000001", False),
        ("a  b", "a b", False), ("YES 5.0", "YES 5", False), ("YES  5", "YES  5 ", True),
    ],
)  # fmt: skip
def test_outputs(ours: str, theirs: str, same: bool) -> None:
    assert same_output(ours, theirs) is same
    assert same_output(theirs, ours) is same


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("0.333333", "0.333333333333", True), ("0.3333", "0.333333333333", False),
        ("Case 1: 0.5000001", "Case 1: 0.5", True),
        ("Case 2: 0.5", "Case 1: 0.5", False), ("100000000", "100000001", False), ("100000000.0", "100000001", True),
        ("1e-9", "0", True), ("nan", "0.1", False), ("inf", "1e308", False), ("1e999", "1e308", False),
        ("YES", "yes", False), ("0.5 0.5", "0.5", False), ("9" * 400 + ".5", "9" * 400, False),
    ],
)  # fmt: skip
def test_outputs_within_a_tolerance(ours: str, theirs: str, same: bool) -> None:
    assert same_output(ours, theirs, 1e-6) is same
    assert same_output(theirs, ours, 1e-6) is same


def test_a_million_digits_are_compared_whole() -> None:
    digits = "1" * 1_000_000
    assert same_output(digits + ".0", digits)
    assert not same_output(digits[:-1] + "2", digits)
    assert not same_output(digits + "x", digits)
    assert not same_output(digits + ".5", digits + ".25", 1e-6)


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ((1, 2), [1, 2], True), ([(1,)], [[1]], True), ([1, 2], [1], False), ([], (), True), ([], {}, False),
        (1, True, False), (0, False, False), (True, True, True), (False, True, False), (1.0, True, False),
        (None, None, True), (None, False, False), (0, None, False), ("1", 1, False), ("", None, False),
        ("a", "a", True),
        (1.0, 1, True), (0.1 + 0.2, 0.3, True), (1 - 1e-12, 1, False), (1 - 1e-12, 1.0, True), (-0.0, 0, True),
        (1e-12, 2e-12, False), (1e-300, 0.0, False), (1e9, 1e9 + 1, False), (2.0**60, 2.0**60 + 512, False),
        (INF, INF, True), (-INF, INF, False), (INF, 1e308, False), (INF, 5, False), (INF, 5.5, False),
        (INF, 10**400, False),
        (INF, [1.5], False), (json.loads("1e999"), INF, True), (NAN, NAN, True), (NAN, 1.5, False), (NAN, INF, False),
        (NAN, 3, False), (10**400, 10**400, True), (10**400, 10**400 + 1, False), (10**400, 1.5, False),
        (2**53 + 1, float(2**53), False), (1.7e308, -1.7e308, False),
        ({"a": (1, 2)}, {"a": [1, 2]}, True), ({"a": 0.1 + 0.2}, {"a": 0.3}, True), ({1: 2}, {"1": 2}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False), ({"a": 1}, {"b": 1}, False), ({"a": INF}, {"a": 1.5}, False),
        ({1, 2}, [1, 2], False), ({1, 2}, {1, 2}, True), (b"a", "a", False), (1j, 1, False), (Opaque("x"), None, False),
        (Opaque("x"), Opaque("x"), False),
    ],
)  # fmt: skip
def test_values(found: Any, wanted: Any, same: bool) -> None:
    assert same_value(found, wanted) is same
    assert same_value(wanted, found) is same


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        (1.0000001, 1, True), (0.99, 1, False), (1, 2, False), ([1e12 + 1], [1e12], True), (1e-9, 0, True),
        (INF, 1e308, False), (NAN, 1, False), (10**400, 1.5, False), (True, 1.0, False), (10**20, 10**20 + 1, False),
    ],
)  # fmt: skip
def test_values_within_a_tolerance(found: Any, wanted: Any, same: bool) -> None:
    assert same_value(found, wanted, 1e-6) is same
    assert same_value(wanted, found, 1e-6) is same


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(value=PLAIN, other=PLAIN, tolerance=st.sampled_from([0.0, 1e-6]))
def test_everything_equals_itself_and_both_ways(value: Any, other: Any, tolerance: float) -> None:
    assert same_value(value, json.loads(json.dumps(value)), tolerance)
    assert same_value(value, other, tolerance) is same_value(other, value, tolerance)


@given(
    special=st.sampled_from([INF, -INF, NAN]), number=st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
def test_no_number_is_infinite(special: float, number: float) -> None:
    assert not same_value(special, number)
    assert not same_value(special, number, 0.5)


def test_no_nesting_is_too_deep_and_no_number_too_long() -> None:
    ours: Any = 1
    theirs: Any = 1
    for _ in range(100_000):
        ours, theirs = [ours], (theirs,)
    assert same_value(ours, theirs)
    assert same_value(1 << 9_000_000, 1 << 9_000_000)
    assert not same_value(1 << 9_000_000, 1e300, 1e-6)
