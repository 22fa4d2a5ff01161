"""Programs judged by unit tests, in a sandbox: ``code:FILE`` with rows in the shape of

- HumanEval: `prompt`, `entry_point`, `test` (a function `check`), `canonical_solution`
- MBPP: `text` or `prompt`, `test_list` of asserts, `test_setup_code` or `test_imports`, `code`
- LiveCodeBench: `question_content`, `starter_code`, `public_test_cases` and `private_test_cases` (input, or calls)
- our own: `prompt`, `tests`: a list of `{"input": ..., "output": ...}`, with `function` for calls; `solution`

An answer is correct if every test holds, and its score is the share that does (partial credit, for RL). What the answer
does to time, memory or itself is wrong; where the sandbox fails it is unscored.
"""

import ast
import base64
import builtins
import io
import json
import pickle
import random
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import FiniteTask, Split
from reachlab.tasks.rows import Once, read_rows, shape
from reachlab.tasks.sandbox.bubble import Limits, require
from reachlab.tasks.sandbox.referee import Answer, Code, Example, MissingModuleError, Passed, Referee, wall_limit_s
from reachlab.tasks.templates import fill
from reachlab.types import Problem, Verdict


class CodeTask(FiniteTask):
    """The problems of one file. Without one it only judges samples whose problems come along with them.

    Args:
        argument: the file (JSON lines, .gz too; Parquet) or data set.
        seconds: of CPU time for one test. total: for all tests of an answer.
        memory: MiB that an answer may take.
        template: what stands around the question, by the names of `templates.py`. A prompt that is the beginning of a
            program stays as it is under `plain`.
        UNSANDBOXED: run answers without walls, as the user who runs this. For code you would run yourself.
    """

    isolated = True

    def __init__(
        self,
        argument: str = "",
        seconds: float = 6.0,
        total: float = 30.0,
        memory: int = 512,
        template: str = "plain",
        UNSANDBOXED: bool = False,
    ):
        if not (seconds > 0 and total > 0 and memory >= 64):
            raise ReachlabError("code: seconds and total must be above 0, memory at least 64 (MiB)")
        self.spec = f"code:{argument}" if argument else "code"
        self.limits = Limits(memory_bytes=int(memory) << 20, cpu_s=int(total) + 2)
        self.test_s, self.total_s, self.walls = float(seconds), float(total), UNSANDBOXED is not True
        self.verify_limit_s = wall_limit_s(self.total_s)
        if self.walls:
            require()
        self.all_problems = read_problems(argument, template) if argument else []
        self._referee: Referee | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_referee": None}

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """As of any finite task."""
        if not self.all_problems:
            raise ReachlabError(f"task {self.spec!r} has no problems of its own; name a file, as in: code:FILE")
        return super().problems(split, n, seed)

    def key(self, problem: Problem) -> str:
        """What is asked, without the template around it."""
        return str(problem.metadata.get("question", problem.prompt))

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Run the program that `text` holds against the problem's tests.

        Raises:
            SandboxError: the sandbox or the tests failed; `judging.Judge` makes it "unscored".
        """
        if self._referee is None:
            self._referee = Referee(self.limits, test_s=self.test_s, total_s=self.total_s, walls=self.walls)
        about = problem.metadata
        answer = Answer(text, str(about.get("begins", "")), str(about.get("entry", "")))
        try:
            found = judge(self._referee, answer, problem.answer)
        except MissingModuleError as error:
            return Verdict.unscored(str(error))
        if found.passed == found.tests:
            return Verdict.correct()
        return Verdict.wrong(f"{found.passed} of {found.tests} tests; {found.first}", found.passed / found.tests)

    def gold(self, problem: Problem) -> str | None:
        """None: tests are not an answer."""
        return None

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The solution that came with the problem, if one did."""
        return problem.metadata.get("solution")


def judge(referee: Referee, answer: Answer, tests: Mapping[str, Any]) -> Passed:
    """Run a problem's tests, which are plain data: a run's problems.jsonl holds them.

    Raises:
        SandboxError: as of the referee.
    """
    if "code" in tests:
        names = tuple(tests["names"])
        return referee.code(
            answer, Code(tests=tests["code"], names=names, check=tests.get("check", ""), setup=tests.get("setup", ""))
        )
    examples = [Example(case["input"], case["output"]) for case in tests["examples"]]
    if tests.get("function"):
        return referee.calls(answer, tests["function"], examples)
    return referee.programs(answer, examples)


def read_problems(path: str, template: str = "plain") -> list[Problem]:
    """Read a benchmark's file or data set; `template` is one of `templates.py`.

    Raises:
        ReachlabError: a row without a prompt or without tests, of no known shape, or with an id that came before.
    """
    once = Once()
    problems = []
    for number, (place, row) in enumerate(read_rows(path)):
        name = next((n for n in ("task_id", "question_id", "id", "unique_id") if row.get(n) is not None), None)
        identity = str(number if name is None else row[name])
        once.check(f"id {identity!r}", place)
        problem = read_problem(row, identity, place)
        if template != "plain":
            about = {**problem.metadata, "question": problem.metadata.get("question", problem.prompt)}
            problem = replace(problem, prompt=fill(template, str(problem.prompt)), metadata=about)
        problems.append(problem)
    return problems


def read_problem(row: Mapping[str, Any], identity: str, place: str) -> Problem:
    """One row as a problem.

    Raises:
        ReachlabError: as of `read_problems`.
    """
    if isinstance(row.get("test"), str) and isinstance(row.get("entry_point"), str):
        prompt = _text(row, ("prompt",), place)
        answer = {"code": row["test"], "check": "check", "names": [row["entry_point"]], "setup": prompt}
        _asserts(row["test"], "check", place)
        about = {"begins": prompt, "entry": row["entry_point"], "solution": row.get("canonical_solution")}
        return Problem(id=identity, prompt=prompt, answer=answer, metadata=_given(about))
    if isinstance(row.get("test_list"), list) and row["test_list"]:
        return _mbpp(row, identity, place)
    if "public_test_cases" in row or "private_test_cases" in row:
        return _livecodebench(row, identity, place)
    if isinstance(row.get("tests"), list) and row["tests"]:
        return _own(row, identity, place)
    raise ReachlabError(
        f"{place}: no tests; wanted `test` and `entry_point`, `test_list`, `public_test_cases` or `tests`; its fields: "
        f"{shape(row)}"
    )


def _mbpp(row: Mapping[str, Any], identity: str, place: str) -> Problem:
    question = _text(row, ("text", "prompt", "question"), place)
    imports = row.get("test_imports") or []
    setup = "\n".join([*(imports if isinstance(imports, list) else [imports]), str(row.get("test_setup_code") or "")])
    tests = "\n".join(map(str, row["test_list"]))
    _asserts(tests, "", place)
    names = under_test(setup, tests)
    if not names:
        raise ReachlabError(f"{place}: field 'test_list': no call of a function to be written")
    prompt = f"{question}\nYour code should pass these tests:\n\n{tests}\n"
    about = {"question": question, "solution": row.get("code") or row.get("canonical_solution")}
    answer = {"code": tests, "names": names, "setup": setup}
    return Problem(id=identity, prompt=prompt, answer=answer, metadata=_given(about))


def under_test(setup: str, tests: str) -> list[str]:
    """The functions that tests call and nobody has defined."""
    trees = [ast.parse(setup), ast.parse(tests)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    known = set(dir(builtins))
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            known.add(node.id)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
    called = [n.func.id for n in ast.walk(trees[1]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return list(dict.fromkeys(name for name in called if name not in known))


def _livecodebench(row: Mapping[str, Any], identity: str, place: str) -> Problem:
    question = _text(row, ("question_content", "prompt", "question"), place)
    cases = [
        case
        for field in ("public_test_cases", "private_test_cases")
        for case in _cases(row.get(field) or [], f"{place}: field {field!r}")
    ]
    if not cases:
        raise ReachlabError(f"{place}: no test cases")
    starter = str(row.get("starter_code") or "")
    kinds = {str(case.get("testtype", "stdin")) for case in cases}
    if kinds == {"functional"}:
        metadata = row.get("metadata") or {}
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
        function = str(metadata.get("func_name") or "")
        if not function:
            raise ReachlabError(f"{place}: field 'metadata': no func_name, which says what to call")
        examples = [
            {"input": [json.loads(line) for line in case["input"].splitlines()], "output": json.loads(case["output"])}
            for case in cases
        ]
        answer = {"examples": examples, "function": f"Solution.{function}" if "class Solution" in starter else function}
    elif kinds == {"stdin"}:
        answer = {"examples": [{"input": case["input"], "output": case["output"]} for case in cases]}
    else:
        raise ReachlabError(f"{place}: tests of kind {', '.join(sorted(kinds))}; stdin or functional wanted")
    ask = f"Complete this program:\n\n{starter}\n" if starter else "Read from standard input and print the answer.\n"
    prompt = f"{question}\n\n{ask}"
    return Problem(id=identity, prompt=prompt, answer=answer, metadata={"question": question})


def _cases(value: Any, where: str) -> list[dict[str, Any]]:
    """Test cases: a list, JSON of one, or LiveCodeBench's packed form of that JSON."""
    try:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                packed = _PlainUnpickler(io.BytesIO(zlib.decompress(base64.b64decode(value, validate=True)))).load()
                value = json.loads(packed) if isinstance(packed, (str, bytes)) else packed
        assert isinstance(value, list)
        assert all(isinstance(c, dict) and isinstance(c["input"], str) and isinstance(c["output"], str) for c in value)
    except (ValueError, zlib.error, pickle.UnpicklingError, EOFError, KeyError, AssertionError) as error:
        raise ReachlabError(f"{where}: no list of test cases with texts `input` and `output` ({error})") from error
    return value


class _PlainUnpickler(pickle.Unpickler):
    """Strings and lists, and nothing that could run: a pickle may otherwise call what it likes."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a test case asks for {module}.{name}")


def _own(row: Mapping[str, Any], identity: str, place: str) -> Problem:
    prompt = _text(row, ("prompt", "question"), place)
    function = row.get("function") or ""
    for test in row["tests"]:
        if not (isinstance(test, dict) and "input" in test and "output" in test):
            raise ReachlabError(f"{place}: field 'tests': input and output wanted in each, found {test!r:.60}")
        if not function and not (isinstance(test["input"], str) and isinstance(test["output"], str)):
            raise ReachlabError(f"{place}: field 'tests': texts wanted; for values name a `function` to call")
        if function and not isinstance(test["input"], list):
            raise ReachlabError(f"{place}: field 'tests': a list of arguments wanted, found {test['input']!r:.60}")
    examples = [{"input": test["input"], "output": test["output"]} for test in row["tests"]]
    answer = {"examples": examples} | ({"function": str(function)} if function else {})
    return Problem(id=identity, prompt=prompt, answer=answer, metadata=_given({"solution": row.get("solution")}))


def _text(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> str:
    for name in names:
        if isinstance(row.get(name), str) and row[name].strip():
            return str(row[name])
    raise ReachlabError(f"{place}: no text in field {' or '.join(names)}; its fields: {shape(row)}")


def _asserts(code: str, check: str, place: str) -> None:
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise ReachlabError(f"{place}: the tests are not Python: {error}") from error
    if check and not any(isinstance(s, ast.FunctionDef) and s.name == check for s in tree.body):
        raise ReachlabError(f"{place}: the tests define no function {check}")
    if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        raise ReachlabError(f"{place}: the tests assert nothing")


def _given(about: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in about.items() if value is not None}
