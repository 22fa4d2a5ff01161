from typing import Any

from reachlab.reporting.problem_fields import group_fields
from reachlab.types import Problem


def fields(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return group_fields([Problem(id=str(i), prompt="", answer="", metadata=row) for i, row in enumerate(rows)])


def test_levels_and_subjects_are_groups() -> None:
    rows = [{"level": 1 + i % 3, "subject": "ab"[i % 2], "question": f"q{i}", "easy": i < 3} for i in range(6)]
    found = fields(*rows)
    assert [field["name"] for field in found] == ["level", "subject", "easy"]
    assert found[0] == {"name": "level", "values": ["1", "2", "3"], "of": [0, 1, 2, 0, 1, 2]}
    assert found[2]["values"] == ["no", "yes"]


def test_numbers_come_by_size() -> None:
    assert fields({"level": 10}, {"level": 9}, {"level": "x"})[0]["values"] == ["9", "10", "x"]


def test_what_parts_nothing_is_no_group() -> None:
    assert fields({"source": "a"}, {"source": "a"}) == []
    assert fields({"note": "a"}, {"note": "b"}) == []  # as many values as problems
    assert fields({"level": ["a"]}, {"level": {"b": 1}}, {}) == []
    assert fields({"level": "a" * 99}, {"level": "b" * 99}) == []
    assert fields({"level": 1}, {"level": 2}, {}, {}) == []  # half have none


def test_a_problem_without_a_value_has_none() -> None:
    assert fields({"level": 1}, {"level": 2}, {})[0]["of"] == [0, 1, -1]
