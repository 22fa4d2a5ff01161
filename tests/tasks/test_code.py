import ast
import base64
import gzip
import json
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reachlab.errors import ReachlabError
from reachlab.tasks.code import CodeTask
from reachlab.tasks.code_rows import read_problem, under_test
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.tasks.sandbox import bubble
from reachlab.tasks.sandbox.extraction import program_of
from reachlab.types import Problem, Verdict

HUMANEVAL = Path(__file__).parents[3] / "shared" / "data" / "HumanEval.jsonl.gz"
walled = pytest.mark.skipif(bool(bubble.available()), reason=f"no sandbox: {bubble.available()}")

EVAL = {
    "task_id": "T/0",
    "prompt": 'import math\n\n\ndef helper(x):\n    return x + 1\n\n\ndef area(r):\n    """ Of a circle.\n    """\n',
    "entry_point": "area",
    "canonical_solution": "    return math.pi * r * r\n",
    "test": (
        "def check(candidate):\n    assert candidate(0) == 0\n    for r in range(1, 4):\n"
        "        assert abs(candidate(r) - 3.14159265 * r * r) < 1e-6\n    assert helper(1) == 2 and candidate(9) > 3\n"
    ),
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to add.",
    "code": "def add(a, b):\n    return a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'", "assert math.isclose(add(.1, .2), .3)"],
    "test_setup_code": "import math",
}
CASES = [
    {"input": "2 3\n", "output": "5\n", "testtype": "stdin"},
    {"input": "1 1\n", "output": "2", "testtype": "stdin"},
]
LIVE = {
    "question_id": "abc_a",
    "question_content": "Add two numbers.",
    "starter_code": "",
    "public_test_cases": json.dumps(CASES[:1]),
    "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(json.dumps(CASES[1:])))).decode(),
}
CALLS = {
    "question_id": "3",
    "question_content": "Sum a list.",
    "starter_code": "class Solution:\n    def total(self, xs: List[int]) -> int:\n",
    "public_test_cases": json.dumps([{"input": "[1, 2, 3]\n2", "output": "8", "testtype": "functional"}]),
    "private_test_cases": "[]",
    "metadata": json.dumps({"func_name": "total"}),
}


def task_of(tmp_path: Path, *rows: dict[str, Any], settings: str = ",seconds=1,total=4") -> CodeTask:
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task(f"code:{tmp_path / 'tasks.jsonl'}{settings}")
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
        (EVAL, "", "wrong", 0.0, "0 of 3"),
        (MBPP, "def add(a, b):\n    return a + b", "correct", 1.0, ""),
        (MBPP, "```\ndef add(a, b):\n    return sum([a, b])\n```", "wrong", 2 / 3, "2 of 3 tests; test 2: TypeError"),
        (MBPP, "```python\nx = 1\n```\nBetter:\n```python\ndef add(a, b): return a + b\n```", "correct", 1.0, ""),
        (MBPP, "def sub(a, b):\n    return a - b", "wrong", 0.0, "KeyError"),
        (LIVE, "a, b = map(int, input().split())\nprint(a + b)", "correct", 1.0, ""),
        (LIVE, "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())) + 0.0)", "correct", 1.0, ""),
        (LIVE, "print(5)", "wrong", 0.5, "1 of 2 tests; test 2: printed '5"),
        (LIVE, "print(5)\nraise ValueError('late')", "wrong", 0.0, "test 1: ValueError: late"),
        (LIVE, "import sys\nprint(sum(map(int, open(0).read().split())))\nsys.exit(3)", "wrong", 0.0, "exit code 3"),
        (CALLS, "class Solution:\n    def total(self, xs, n): return sum(xs) + n", "correct", 1.0, ""),
        (CALLS, "class Solution:\n    def total(self, xs, n): return sum(xs)", "wrong", 0.0, "returned 6"),
        (CALLS, "Solution = None", "wrong", 0.0, "TypeError"),
    ],
)
def test_verdicts(row: Any, text: str, status: str, score: float, reason: str, tmp_path: Path) -> None:
    found = verdict(task_of(tmp_path, row), text)
    assert found.status == status, found
    assert found.score == pytest.approx(score)
    assert reason in found.reason


@walled
def test_a_broken_test_is_not_the_answers_fault(tmp_path: Path) -> None:
    row = {**EVAL, "test": "import os\ndef check(candidate):\n    assert candidate(0) == 0\n    os._exit(1)\n"}
    assert verdict(task_of(tmp_path, row), "    return 0\n").status == "unscored"  # 1 of 1, and never "done"
    row = {**EVAL, "test": "import time\ntime.sleep(60)\ndef check(candidate):\n    assert candidate(0) == 0\n"}
    found = verdict(task_of(tmp_path, row), "    return 0\n")
    assert found.status in ("wrong", "unscored")


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


def test_programs_in_answers() -> None:
    about = {"begins": "def f(x):\n    ''' F. '''\n", "entry": "f"}
    assert program_of("    return x\n\nprint(f(1))\n", **about) == about["begins"] + "    return x\n"
    assert program_of("    return x\n\n\nif __name__ == '__main__':\n    f(1)", **about).endswith("return x\n\n")
    assert program_of("<think>```python\nno\n```</think>```py\nyes = 1\n```") == "yes = 1\n"
    assert program_of("```python\nunclosed = 1\n") == "unclosed = 1\n"
    assert program_of("```\n\n```") == "```\n\n```"
    assert program_of("no fence = 1") == "no fence = 1"


def test_functions_under_test() -> None:
    assert under_test("import math\ndef near(a, b): return 1", "assert near(f(x=g(1)), len([2])) and math.sin(1)") == [
        "f",
        "g",
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "x"}, "no tests; wanted"),
        ({**EVAL, "prompt": ""}, "no text in field prompt"),
        ({**EVAL, "test": "def check(c):\n    pass"}, "assert nothing"),
        ({**EVAL, "test": "assert True"}, "define no function check"),
        ({**EVAL, "test": "def check(:"}, "not Python"),
        ({**MBPP, "test_list": ["assert 1 == 1"]}, "no call of a function"),
        ({**LIVE, "private_test_cases": "rubbish"}, "no list of test cases"),
        ({**LIVE, "public_test_cases": "[]", "private_test_cases": "[]"}, "no test cases"),
        ({**CALLS, "metadata": "{}"}, "no func_name"),
        ({"prompt": "x", "tests": [{"input": "1"}]}, "input and output wanted"),
        ({"prompt": "x", "tests": [{"input": [1], "output": 1}]}, "name a `function`"),
        ({"prompt": "x", "function": "f", "tests": [{"input": 1, "output": 1}]}, "a list of arguments"),
    ],
)
def test_bad_rows(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=f"FILE:1: .*{says}"):
        read_problem(row, "0", "FILE:1")


def test_packed_test_cases_run_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "mark",))

    packed = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    with pytest.raises(ReachlabError, match="no list of test cases"):
        read_problem({**LIVE, "private_test_cases": packed}, "0", "FILE:1")
    assert not (tmp_path / "mark").exists()


@walled
def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="must be above 0"):
        task_of(tmp_path, MBPP, settings=",seconds=0")
    with pytest.raises(ReachlabError, match="no setting 'sandboxed'"):
        task_of(tmp_path, MBPP, settings=",sandboxed=false")


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
        alive, tries = list(problems), 0
        while alive and tries < 8:
            found = judge.verify([(p, next(changed[p.id])) for p in alive])
            assert all(v.status in ("correct", "wrong") for v in found)
            assert tries or sum(v.status == "wrong" for v in found) > 150
            alive = [p for p, v in zip(alive, found, strict=True) if v.status == "correct"]
            tries += 1
    assert not alive
