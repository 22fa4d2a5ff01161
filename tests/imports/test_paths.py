import pytest

from reachlab.errors import ReachlabError
from reachlab.imports.paths import has, lookup, required

ROW = {"a": {"b": {"c": 1}}, "a.b": 2, "list": [{"t": "x"}, "y"], "none": None, "0": "zero", "text": "abc"}


def test_paths_go_into_objects_and_lists() -> None:
    assert lookup(ROW, "a.b.c") == 1
    assert lookup(ROW, "a.b") == 2  # a name that holds a dot comes first
    assert lookup(ROW, "list.0.t") == "x"
    assert lookup(ROW, "list.1") == "y"
    assert lookup(ROW, "0") == "zero"


@pytest.mark.parametrize(
    "path", ["a.x", "list.2", "list.-1", "list.x", "none", "none.x", "text.0", "x", "", "list.0.t.0"]
)
def test_what_is_not_there(path: str) -> None:
    assert lookup(ROW, path) is None


def test_a_field_may_be_there_and_null() -> None:
    assert has(ROW, "none")
    assert has({"a": {"b": None}}, "a.b")
    assert has(ROW, "list.0.t")
    assert not has(ROW, "a.x")
    assert not has(ROW, "list.7")


def test_a_field_that_is_asked_for() -> None:
    assert required(ROW, "list.0.t", "f:1") == "x"
    with pytest.raises(ReachlabError, match=r"f:1: no field 'a\.x'; its fields: a, a\.b, list, none, 0, text"):
        required(ROW, "a.x", "f:1")
    with pytest.raises(ReachlabError, match="f:1: no field 'x'; its fields: a list"):
        required([1], "x", "f:1")
