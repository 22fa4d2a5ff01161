from typing import Any

import pytest

from reachlab.imports.gold import is_worked, one_answer


@pytest.mark.parametrize(
    "value",
    ["4", 4, 0, 0.5, "so\n#### 4", "\\boxed{4}", "[1, 2]", "[[1, 2], [3, 4]]", "{1, 2}", "(2, 3]", "(A)", "important"],
)
def test_answers(value: Any) -> None:
    assert one_answer(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None, float("nan"), "", " \n", True, {"a": 1}, [], ["a", "b"], "['a', 'b']", '["a", "b"]', "['it\\'s' 'b']",
        "def f(x):\n    return x", "assert f(1) == 2", "from math import pi\nprint(pi)", "```python\nx\n```",
        '{"inputs": ["1"], "outputs": ["2"]}', '[{"input": "1", "output": "2"}]', b"4", object(),
    ],
)  # fmt: skip
def test_what_is_none(value: Any) -> None:
    assert one_answer(value) is None


def test_the_only_one_of_a_list() -> None:
    assert [one_answer(v) for v in (["4"], [4], "['4']", '["4"]', [["4"]])] == ["4", 4, "4", "4", "4"]


def test_worked_solutions() -> None:
    assert [is_worked(v) for v in ("so \\boxed{4}", "4", 4, None)] == [True, False, False, False]
