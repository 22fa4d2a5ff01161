import ast
import gzip
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.tasks.program_rows import CALLS, COMMENT, EVAL, LIVE, MBPP, MORE, OPERATOR, OWN_PLUS, PLUS, STOPS

from reachlab.errors import ReachlabError
from reachlab.tasks.code import CodeTask
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.tasks.sandbox import bubble
from reachlab.types import Problem, Verdict

HUMANEVAL = Path(__file__).parents[3] / "shared" / "data" / "HumanEval.jsonl.gz"
walled = pytest.mark.skipif(bool(bubble.available()), reason=f"no sandbox: {bubble.available()}")


def task_of(tmp_path: Path, *rows: dict[str, Any], settings: str = ",seconds=1,total=4") -> CodeTask:
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task(f"code:{tmp_path / 'tasks.jsonl'}{settings}").task
    assert isinstance(task, CodeTask)
    return task


def verdict(task: CodeTask, text: str) -> Verdict:
    (problem,) = task.all_problems
    with Judge(task, workers=1) as judge:
        (found,) = judge.verify([(problem, text)])
    return found


@walled
@pytest.mark.parametrize(
    ("row", "text", "status", "score", "reason"),
    [
        (EVAL, "    return math.pi * r * r\n", "correct", 1.0, ""),
        (EVAL, "    return math.pi * r * r\n\n\ndef other():\n    return 1 / 0\n\nprint(other())", "correct", 1.0, ""),
        (EVAL, "Sure:\n```python\ndef area(r):\n    return math.pi * r ** 2\n```\nDone.", "correct", 1.0, ""),
        (EVAL, "def area(r):\n    return helper(0) * math.pi * r ** 2\n", "correct", 1.0, ""),
        (EVAL, "    return 0\n", "wrong", 1 / 3, "1 of 3 tests; test 2: AssertionError"),
        (
            EVAL,
            "    return r / 0\n",
            "wrong",
            0.0,
            "0 of 3 tests; test 1: ZeroDivisionError: ZeroDivisionError: division",
        ),
        (EVAL, "    return (\n", "wrong", 0.0, "does not load: SyntaxError"),
        (EVAL, "    while r: pass\n    return 0\n", "wrong", 1 / 3, "no answer within 1 s"),
        (EVAL, "", "wrong", 0.0, "no program found"),
        (MBPP, "def add(a, b):\n    return a + b", "correct", 1.0, ""),
        (MBPP, "```\ndef add(a, b):\n    return sum([a, b])\n```", "wrong", 2 / 3, "2 of 3 tests; test 2: TypeError"),
        (MBPP, "```python\nx = 1\n```\nBetter:\n```python\ndef add(a, b): return a + b\n```", "correct", 1.0, ""),
        (MBPP, "def sub(a, b):\n    return a - b", "wrong", 0.0, "defines no add"),
        (MBPP, "def add(a, b):\n    return math.fsum([a, b]) if a else a + b", "wrong", 2 / 3, "test 2: TypeError"),
        (MBPP, "def add(a, b):\n    return a + b\n\nexit()\nadd = None", "correct", 1.0, ""),
        (MBPP, "exit()\ndef add(a, b):\n    return a + b", "wrong", 0.0, "defines no add"),
        (MBPP, "def add(a, b):\n    raise SystemExit", "wrong", 0.0, "SystemExit"),
        (LIVE, "a, b = map(int, input().split())\nprint(a + b)", "correct", 1.0, ""),
        (LIVE, "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())) + 0.0)", "correct", 1.0, ""),
        (LIVE, "print(5)", "wrong", 0.5, "1 of 2 tests; test 2: printed '5"),
        (LIVE, "print(5)\nraise ValueError('late')", "wrong", 0.0, "test 1: ValueError: late"),
        (LIVE, "import sys\nprint(sum(map(int, open(0).read().split())))\nsys.exit(3)", "wrong", 0.0, "exit code 3"),
        (CALLS, "class Solution:\n    def total(self, xs, n): return sum(xs) + n", "correct", 1.0, ""),
        (CALLS, "class Solution:\n    def total(self, xs, n): return sum(xs)", "wrong", 0.0, "returned 6"),
        (
            CALLS,
            "class Solution:\n    def total(self, xs: List[int], n): return reduce(add, xs, n)",
            "correct",
            1.0,
            "",
        ),
        (CALLS, "def total(xs: List[int], n): return sum(xs) + pow(n, 1, 5)", "correct", 1.0, ""),
        (CALLS, "    return sum(xs) + n".replace("    ", "        "), "wrong", 0.0, "TypeError"),
        (CALLS, "Solution = None", "wrong", 0.0, "does not load"),
        (OPERATOR, "def add(xs): return sum(xs)", "correct", 1.0, ""),
        (OPERATOR, "def total(xs): return sum(xs)", "wrong", 0.0, "defines no add"),
        (OPERATOR, "add = add", "wrong", 0.0, "defines no add"),
        (
            LIVE,
            "def main():\n    print(sum(map(int, input().split())))\n\nif __name__ == '__main__':\n    main()",
            "correct",
            1.0,
            "",
        ),
        (LIVE, "print(reduce(lambda a, b: a + b, map(int, stdin.read().split())))\nquit()", "correct", 1.0, ""),
        (PLUS, "    return [x + 1 for x in xs]", "correct", 1.0, ""),
        (PLUS, "    return [x + 1.0000001 for x in xs]", "wrong", 0.0, "AssertionError"),
        (PLUS, "    return None", "wrong", 0.0, "AssertionError"),
        (OWN_PLUS, "    return [x + 1 for x in xs]", "correct", 1.0, ""),
        (OWN_PLUS, "    return [x + 1 for x in xs if x != 1]", "wrong", 0.5, "test 1: AssertionError: [], not [2]"),
        (MORE, "def twice(x):\n    return 2 * x", "correct", 1.0, ""),
        (MORE, "def twice(x):\n    return 2", "wrong", 0.0, "AssertionError"),
        (COMMENT, "    return 2 * x", "correct", 1.0, ""),
        (COMMENT, "    return x", "wrong", 0.0, "0 of 2 tests; test 1: AssertionError"),
        (STOPS, "    return x", "wrong", 0.5, "the tests stopped: AttributeError"),
        (STOPS, "    return [x]", "wrong", 0.0, "AssertionError"),
    ],
)
def test_verdicts(row: Any, text: str, status: str, score: float, reason: str, tmp_path: Path) -> None:
    found = verdict(task_of(tmp_path, row), text)
    assert found.status == status, found
    assert found.score == pytest.approx(score)
    assert reason in found.reason


@pytest.mark.slow
@walled
def test_a_broken_test_is_not_the_answers_fault(tmp_path: Path) -> None:
    row = {**EVAL, "test": "import os\ndef check(candidate):\n    assert candidate(0) == 0\n    os._exit(1)\n"}
    assert verdict(task_of(tmp_path, row), "    return 0\n").status == "unscored"  # 1 of 1, and never "done"
    row = {**EVAL, "test": "import time\ntime.sleep(60)\ndef check(candidate):\n    assert candidate(0) == 0\n"}
    found = verdict(task_of(tmp_path, row, settings=",seconds=1,total=1"), "    return 0\n")
    assert found.status in ("wrong", "unscored")


@walled
def test_objects_of_the_tests_cannot_be_passed(tmp_path: Path) -> None:
    node = "class Node:\n    value = 1\n\nroot = Node()"
    row = {**MBPP, "test_list": ["assert add(1, 2) == 3", "assert add([root], 2) == 3"], "test_setup_code": node}
    found = verdict(task_of(tmp_path, row), "def add(a, b): return 3")
    assert found.status == "unscored"
    assert "they pass an object (Node)" in found.reason
    row = {**row, "test_list": ["assert add(add(1, 2), 2) == 3"]}  # what the answer made is its own affair
    found = verdict(task_of(tmp_path, row), "def add(a, b): return [object()] if a == 1 else 3")
    assert found.status == "correct"
    found = verdict(task_of(tmp_path, row), "def add(a, b): return [object()]")
    assert found.status == "wrong"


@walled
def test_many_rows_and_a_run_end_to_end(tmp_path: Path) -> None:
    task = task_of(tmp_path, EVAL, MBPP, LIVE, CALLS)
    problems = task.problems("all")
    assert [p.id for p in problems] == ["T/0", "7", "abc_a", "3"]
    assert "assert add(1, 2) == 3" in str(problems[1].prompt)
    assert "standard input" in str(problems[2].prompt)
    assert "class Solution" in str(problems[3].prompt)
    assert task.solve(problems[0], Random(0)) == EVAL["canonical_solution"]
    assert task.solve(problems[2], Random(0)) is None
    # A task goes to its judging processes whole, whatever it has done before.
    assert task.verify(problems[1], "def add(a, b): return a + b").status == "correct"
    assert pickle.loads(pickle.dumps(task)).all_problems == task.all_problems


@walled
def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="must be above 0"):
        task_of(tmp_path, MBPP, settings=",seconds=0")
    for tolerance in ("1", "-0.1", "true", "small"):
        with pytest.raises(ReachlabError, match=r"tolerance=.* must be 0 or more and below 1"):
            task_of(tmp_path, MBPP, settings=f",tolerance={tolerance}")
    with pytest.raises(ReachlabError, match="no setting 'sandboxed'"):
        task_of(tmp_path, MBPP, settings=",sandboxed=false")


THIRD = {"prompt": "Print a third.", "tests": [{"input": "1\n", "output": "0.333333333333"}]}
ROOT = {
    "prompt": "Write f.",
    "function": "f",
    "tests": [{"input": [2], "output": 1.4142135}, {"input": [1], "output": 1}],
}


@walled
def test_floats_are_exact_unless_a_tolerance_is_given(tmp_path: Path) -> None:
    within = ",seconds=1,total=4,tolerance=1e-6"
    for row, text in ((THIRD, "print(int(input()) / 3)"), (ROOT, "def f(x): return x ** 0.5")):
        assert verdict(task_of(tmp_path, row), text).status == "wrong"
        assert verdict(task_of(tmp_path, row, settings=within), text).status == "correct"
    assert verdict(task_of(tmp_path, THIRD, settings=within), "print('0.33')").status == "wrong"
    assert verdict(task_of(tmp_path, ROOT, settings=within), "def f(x): return 1e999").status == "wrong"


@walled
def test_packages_are_there_by_option(tmp_path: Path) -> None:
    row = {**PLUS, "test": PLUS["test"].replace("from math import inf", "import numpy as np").replace("abs", "np.abs")}
    with pytest.raises(ReachlabError, match=r"the tests import numpy, .*packages=numpy puts it there"):
        task_of(tmp_path, row)
    answer = "import numpy as np\ndef inc(xs):\n    return (np.array(xs) + 1).tolist()"
    assert verdict(task_of(tmp_path, row, settings=",packages=numpy"), answer).status == "correct"
    found = verdict(task_of(tmp_path, PLUS), answer)
    assert (found.status, found.reason) == ("unscored", "needs the module numpy; allow it with packages=numpy")


class Mutate(ast.NodeTransformer):
    """Changes the `at`-th place that can be changed: a comparison, an operator, a number, a truth value, a result."""

    def __init__(self, at: int):
        self.at, self.seen = at, -1

    def hit(self) -> bool:
        self.seen += 1
        return self.seen == self.at

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if node.value is not None and self.hit():
            return ast.Return(ast.List([node.value], ast.Load()))
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if self.hit():
            flipped = {ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.LtE: ast.Gt}
            node.ops[0] = flipped.get(type(node.ops[0]), ast.Eq)()
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if self.hit():
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, (int, str)) and self.hit():
            return ast.Constant(node.value + 1 if isinstance(node.value, int) else node.value + "x")
        return node


def mutants(program: str, entry: str) -> Iterator[str]:
    """The program with one place of its function changed, innermost places last."""
    for at in range(40):
        tree = ast.parse(program)
        function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == entry)
        function.body = [
            s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        ]
        before = ast.dump(tree)
        Mutate(at).visit(function)
        ast.fix_missing_locations(tree)
        if ast.dump(tree) != before:
            yield f"```python\n{ast.unparse(tree)}\n```"


@walled
@pytest.mark.slow
@pytest.mark.skipif(not HUMANEVAL.exists(), reason="no shared/data")
def test_humaneval_solutions_pass_and_mutants_fail() -> None:
    with gzip.open(HUMANEVAL, "rt") as file:
        rows = {row["task_id"]: row for row in map(json.loads, file)}
    task = load_task(f"code:{HUMANEVAL}")
    problems = task.problems("all")
    assert len(problems) == 164

    def asked(solution: str) -> list[tuple[Problem, str]]:
        return [(p, str(rows[p.id][solution])) for p in problems]

    changed = {
        p.id: mutants(rows[p.id]["prompt"] + rows[p.id]["canonical_solution"], rows[p.id]["entry_point"])
        for p in problems
    }
    with Judge(task) as judge:
        right = judge.verify(asked("canonical_solution"))
        assert [p.id for p, v in zip(problems, right, strict=True) if v.status != "correct"] == []
        # A change may leave a program right (another way to spell it): then the next change is taken.
        alive, tries = problems[::4], 0
        while alive and tries < 8:
            found = judge.verify([(p, next(changed[p.id])) for p in alive])
            assert all(v.status in ("correct", "wrong") for v in found)
            assert tries or sum(v.status == "wrong" for v in found) > 36
            alive = [p for p, v in zip(alive, found, strict=True) if v.status == "correct"]
            tries += 1
    assert not alive
