from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reachlab.imports.apart import Apart


@dataclass(frozen=True)
class Models(Apart):
    apart_by = ("model", "step")


def runs(*rows: dict[str, Any]) -> list[str]:
    format = Models().look_through(("f:1", row) for row in rows)
    return [format.run_of(row) for row in rows]


def test_what_varies_tells_runs_apart() -> None:
    assert runs({"model": "a", "step": 1}, {"model": "a", "step": 20}) == ["step-000001", "step-000020"]
    assert runs({"model": "a", "step": 1}, {"model": "b", "step": 1}) == ["a", "b"]
    assert runs({"model": "a", "step": 1}, {"model": "b", "step": 2}) == ["a-step-000001", "b-step-000002"]
    assert runs({"model": "a"}, {"model": "a"}, {}) == ["", "", ""]
    assert runs({"model": "a"}, {"model": "b"}, {}) == ["a", "b", "no-model"]
    assert runs({"model": {"x": 1}}, {"model": {"x": 2}}) == ["", ""]


def test_rows_are_read_no_further_than_needed() -> None:
    def rows() -> Iterator[Any]:
        yield from (("f:1", {"x": n}) for n in range(64))
        raise AssertionError("read on")

    assert Models().look_through(rows()).varies == ()
