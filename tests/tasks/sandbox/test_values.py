import json
import math
from collections import Counter, OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.tasks.sandbox.values import Opaque, foreign, pack, unpack

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
hashable = st.recursive(plain, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
anything = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal in value and type; NaN is NaN, and -0.0 is not 0.0."""
    return type(a) is type(b) and repr(a) == repr(b)


@given(anything)
def test_what_is_plain_comes_back(value: Any) -> None:
    found = unpack(json.loads(json.dumps(pack(value))))
    if isinstance(value, (set, frozenset)) or "{" in repr(value):  # no order to compare
        assert type(found) is type(value)
        assert found == value or "nan" in repr(value)
    else:
        assert same(found, value)


@pytest.mark.parametrize("value", [-0.0, math.inf, 10**400, -(2**62), 2**62, True, 1, 1.0, "\ud800", "", b"\x00", ()])
def test_corner_values(value: Any) -> None:
    assert same(unpack(json.loads(json.dumps(pack(value)))), value)


def test_derived_types_become_plain_and_objects_equal_nothing() -> None:
    class Yes:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Five(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    class Liar(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    Pair = namedtuple("Pair", "a b")
    for value, wanted in ((Five(4), 4), (Liar("x"), "x"), (Pair(1, 2), (1, 2)), (Counter("aab"), {"a": 2, "b": 1})):
        assert same(unpack(pack(value)), wanted)
    assert same(unpack(pack(OrderedDict(a=1))), {"a": 1})
    opaque = unpack(pack([Yes(), len, iter([])]))
    assert all(isinstance(item, Opaque) for item in opaque)
    assert opaque != [5, len, []]


def test_depth_ends() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert "too deep" in json.dumps(pack(deep))
    loop: list[Any] = []
    loop.append(loop)
    assert unpack(pack(loop)) is not None


@pytest.mark.parametrize(
    "message",
    [[], ["list"], ["list", 5], ["what", 1], ["int", "zz"], ["set", [["list", []]]], {"a": 1}, 1.5, ["float", 3]],
)
def test_what_was_not_packed_is_refused(message: Any) -> None:
    with pytest.raises(ValueError, match=r"not a packed value|invalid"):
        unpack(message)


def test_what_cannot_be_carried_is_named() -> None:
    assert foreign([1, {"a": (Opaque("x"), {2.5})}, None, b"", 1j]) == ""
    assert foreign({"a": [object()]}) == "object"
    assert foreign([len]) == "builtin_function_or_method"
    assert foreign([iter([])]) == "list_iterator"


def test_numpys_arrays_and_scalars_are_plain() -> None:
    numpy = pytest.importorskip("numpy")
    for value, packed in (
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (numpy.array([[1, 2]]), ["list", [["list", [1, 2]]]]),
    ):
        assert pack(value) == packed
        assert foreign([value]) == ""
    assert foreign(numpy.array([object()])) == "object"
