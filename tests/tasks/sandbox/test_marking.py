import ast
from typing import Any

import pytest

from reachlab.tasks.sandbox.marking import marked

HELPERS = "def close(a, b):\n    assert abs(a - b) < 1e-6\n\ndef both(a, b):\n    close(a, b)\n    close(b, a)\n\n"


def outcomes(tests: str, candidate: Any, check: str = "", setup: str = "") -> tuple[int, list[tuple[int, str]]]:
    """How many tests there are, and what each came to."""
    tree, count = marked(tests, check, setup)
    found: list[tuple[int, str]] = []
    names: dict[str, Any] = {"__name__": "__tests__", "f": candidate}
    names["__test__"] = lambda number, error=None: found.append((number, type(error).__name__ if error else "passed"))
    exec(setup, names)
    exec(compile(tree, "tests.py", "exec"), names)
    if check:
        names[check](candidate)
    return count, found


@pytest.mark.parametrize(
    ("tests", "check", "found"),
    [
        ("assert f(1) == 1\nassert f(2) == 3\n", "", ["passed", "AssertionError"]),
        ("def check(c):\n    assert c(1) == 1\n    x = c(2)\n    assert x == 2, x\n", "check", ["passed", "passed"]),
        ("for i, x in enumerate([1, 2]):\n    assert f(x) == x, i\n", "", ["passed"]),
        ("def check(c):\n    for x in [1, 2]:\n        assert c(x) == 1\n", "check", ["AssertionError"]),
        (HELPERS + "both(f(1), 1)\nboth(f(1), 2)\n", "", ["passed", "AssertionError"]),
        (HELPERS + "def check(c):\n    for x in [1, 2]:\n        both(c(x), x)\n\ncheck(f)\n", "check", ["passed"]),
        ("def check(c):\n    if c(1) != 2:\n        raise ValueError\n", "check", ["ValueError"]),
        ("import unittest\nt = unittest.TestCase()\nt.assertEqual(f(1), 2)\n", "", ["AssertionError"]),
        ("def check(c):\n    assert True\n    assert c(1) == 1\n", "check", ["passed"]),
        ("def test():\n    assert f(1) == 2\n\ntest()\n", "", ["AssertionError"]),
        ("class T:\n    def t(self):\n        assert f(1) == 2\n\nT().t()\n", "", ["AssertionError"]),
        ("assert f(1) == 1\ndef check(c):\n    assert c(1) == 2\n", "check", ["passed", "AssertionError"]),
        ("if __name__ == '__main__':\n    assert f(1) == 2\n", "", []),
        ("def test():\n    assert f(1) == 2\n", "", []),
        ("print(f(1))\n", "", []),
    ],
)
def test_what_is_a_test(tests: str, check: str, found: list[str]) -> None:
    assert outcomes(tests, lambda x: x, check) == (len(found), list(enumerate(found)))


def test_what_the_setup_defines_may_assert() -> None:
    assert outcomes("both(f(1), 2)\n", lambda x: x, setup=HELPERS) == (1, [(0, "AssertionError")])


def test_helpers_that_call_each_other_end() -> None:
    assert marked("def a():\n    b()\ndef b():\n    a()\na()\n", "")[1] == 0


def test_lines_of_the_tests_are_kept() -> None:
    tree, _ = marked("\n\nassert f(1)\n", "")
    assert [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)] == [3]
