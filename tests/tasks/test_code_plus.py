from typing import Any

import pytest

from reachlab.tasks.code_plus import differential_tests
from reachlab.tasks.sandbox.marking import marked

ROW = {
    "prompt": "def f(xs):\n",
    "canonical_solution": "    xs.append(1)\n    return [x / 2 for x in xs]\n",
    "entry_point": "f",
    "base_input": [[[1, 2]], [[]]],
    "plus_input": [[[5]]],
    "atol": 0,
}


def failures(row: dict[str, Any], candidate: Any) -> list[int]:
    """Which tests fail."""
    tree, count = marked(differential_tests(row), "check")
    found: dict[int, BaseException | None] = {}
    names: dict[str, Any] = {"__test__": lambda number, error=None: found.update({number: error})}
    exec(compile(tree, "tests.py", "exec"), names)
    names["check"](candidate)
    assert sorted(found) == list(range(count))
    return [number for number, error in found.items() if error]


@pytest.mark.parametrize(
    ("candidate", "wrong"),
    [
        (lambda xs: [x / 2 for x in [*xs, 1]], []),
        (lambda xs: [x / 2 + 1e-9 for x in [*xs, 1]], []),
        (lambda xs: [x / 2 + 1e-5 for x in [*xs, 1]], [0, 1, 2]),
        (lambda xs: tuple(x / 2 for x in [*xs, 1]), [0, 1, 2]),
        (lambda xs: [x / 2 for x in [*xs, 1]][:1], [0, 2]),
        (lambda xs: [float("inf")] * (len(xs) + 1), [0, 1, 2]),
        (lambda xs: [0.5], [0, 2]),
        (lambda xs: None, [0, 1, 2]),
    ],
)
def test_the_reference_decides(candidate: Any, wrong: list[int]) -> None:
    assert failures(ROW, candidate) == wrong


def test_what_is_no_float_is_exact_unless_the_row_says_otherwise() -> None:
    row = {**ROW, "canonical_solution": "    return len(xs)\n"}
    assert failures(row, len) == []
    assert failures(row, lambda xs: len(xs) + 1e-9) == [0, 1, 2]
    text = {**row, "canonical_solution": "    return 'a'\n", "atol": 1e-3}
    assert failures(text, lambda xs: "a" if xs else "b") == [1]
    loose = {**row, "canonical_solution": "    return 1.0 * len(xs)\n", "atol": 0.5}
    assert failures(loose, lambda xs: len(xs) + 0.4) == []
    assert failures(loose, lambda xs: len(xs) + 0.6) == [0, 1, 2]


def test_a_zero_is_one_of_the_polynomial() -> None:
    row = {
        "prompt": "def poly(xs, x):\n    return sum(c * x**i for i, c in enumerate(xs))\n\n\ndef find_zero(xs):\n",
        "canonical_solution": "    return 1.0\n",
        "entry_point": "find_zero",
        "base_input": [[[-1, 0, 1]]],
        "plus_input": [],
        "atol": 1e-4,
    }
    assert failures(row, lambda xs: -1.0) == []
    assert failures(row, lambda xs: 0.5) == [0]


def test_a_reference_that_fails_fails_before_anything_is_called() -> None:
    tree, _ = marked(differential_tests({**ROW, "canonical_solution": "    return xs[0]\n"}), "check")
    with pytest.raises(IndexError):
        exec(compile(tree, "tests.py", "exec"), {})
