"""Rows of benchmarks of programs as problems. A row may have the shape of

- HumanEval and HumanEval+: `prompt`, `entry_point`, `test` (a function `check`, or asserts), `canonical_solution`;
  `base_input` and `plus_input` instead of `test` in EvalPlus's own files (`code_plus.py`)
- MBPP and MBPP+: `text` or `prompt`, `test_list` of asserts, `test_setup_code` or `test_imports`, `code`; `test` where
  there are more of them than are shown
- LiveCodeBench: `question_content`, `starter_code`, `public_test_cases` and `private_test_cases` (input, or calls)
- our own: `prompt`, `tests`: a list of `{"input": ..., "output": ...}`, with `function` for calls; `solution`

A row that could judge nothing is refused where it is read: tests that never fail or never call what is to be written,
that need a package which is not inside, or that look into the program's own process (BigCodeBench).
"""

import ast
import base64
import builtins
import io
import json
import pickle
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.code_plus import differential_tests
from reachlab.tasks.rows import Once, read_rows, shape
from reachlab.tasks.sandbox.extraction import before_entry
from reachlab.tasks.sandbox.marking import marked
from reachlab.types import Problem

STARS = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json",
)  # fmt: skip
PRELUDE = "\n".join(
    [
        *(f"from {name} import *" for name in (*STARS, "builtins", "typing")),
        f"import {', '.join(STARS)}",
        "sys.setrecursionlimit(50_000)",
    ]
)
"""What LiveCodeBench's evaluator puts before every answer (`lcb_runner/evaluation/testing_util.py`). The order counts:
`pow` is the language's again after math's and operator's, and `datetime` is the module."""


def read_problems(path: str, packages: Collection[str] = ()) -> list[Problem]:
    """Read a benchmark's file or data set; `packages` can be imported.

    Raises:
        ReachlabError: a row without a prompt or without tests that can fail, of no known shape, or with an id that came
            before.
    """
    once = Once()
    problems = []
    for number, (place, row) in enumerate(read_rows(path)):
        name = next((n for n in ("task_id", "question_id", "id", "unique_id") if row.get(n) is not None), None)
        identity = str(number if name is None else row[name])
        once.check(f"id {identity!r}", place)
        problems.append(read_problem(row, identity, place, packages))
    return problems


def read_problem(row: Mapping[str, Any], identity: str, place: str, packages: Collection[str] = ()) -> Problem:
    """One row as a problem.

    Raises:
        ReachlabError: as of `read_problems`.
    """
    if "plus_input" in row:
        row = {**row, "test": _differential(row, place)}
    if isinstance(row.get("test"), str) and isinstance(row.get("entry_point"), str):
        problem = _humaneval(row, identity, place)
    elif isinstance(row.get("test_list"), list) and row["test_list"]:
        problem = _mbpp(row, identity, place)
    elif "public_test_cases" in row or "private_test_cases" in row:
        return _livecodebench(row, identity, place)
    elif isinstance(row.get("tests"), list) and row["tests"]:
        return _own(row, identity, place)
    else:
        raise ReachlabError(
            f"{place}: no tests; wanted `test` and `entry_point`, `test_list`, `public_test_cases` or `tests`; its "
            f"fields: {shape(row)}"
        )
    _check_imports(problem.answer, place, packages)
    return problem


def _humaneval(row: Mapping[str, Any], identity: str, place: str) -> Problem:
    entry, tests = row["entry_point"], row["test"]
    tree = _parsed(tests, "tests", place)
    if any("TestCase" in ast.unparse(base) for s in tree.body if isinstance(s, ast.ClassDef) for base in s.bases):
        raise ReachlabError(
            f"{place}: test cases of unittest, which patch and look into the program's own process, cannot be judged "
            "here (docs/code.md)"
        )
    prompt = _text(row, ("prompt",), place)
    check = "check" if any(isinstance(s, ast.FunctionDef) and s.name == "check" for s in tree.body) else ""
    _check_tests(tree, check, [entry], place)
    begins = prompt if f"def {entry}" in prompt else ""
    answer = {"code": tests, "check": check, "names": [entry], "setup": before_entry(begins, entry)}
    about = {"begins": begins or None, "entry": entry, "solution": row.get("canonical_solution")}
    return Problem(id=identity, prompt=prompt, answer=answer, metadata=_given(about))


def _differential(row: Mapping[str, Any], place: str) -> str:
    """EvalPlus's tests of a row of its own."""
    if "assertion" in row or str(row.get("task_id")).startswith("Mbpp"):
        raise ReachlabError(
            f"{place}: MBPP+ with `plus_input` has lists where tuples and sets are meant; the data set "
            "evalplus/mbppplus has them as they are, in `test`"
        )
    for name in ("prompt", "canonical_solution", "entry_point"):
        if not isinstance(row.get(name), str):
            raise ReachlabError(f"{place}: field {name!r}: text wanted beside `plus_input`; its fields: {shape(row)}")
    inputs = [row.get("base_input") or [], row["plus_input"] or []]
    if not any(inputs) or not all(isinstance(p, list) and all(isinstance(given, list) for given in p) for p in inputs):
        raise ReachlabError(f"{place}: fields 'base_input', 'plus_input': lists of lists of arguments wanted")
    return differential_tests(row)


def _mbpp(row: Mapping[str, Any], identity: str, place: str) -> Problem:
    question = _text(row, ("text", "prompt", "question"), place)
    imports = row.get("test_imports") or []
    setup = "\n".join([*(imports if isinstance(imports, list) else [imports]), str(row.get("test_setup_code") or "")])
    shown = "\n".join(map(str, row["test_list"]))
    tests = row["test"] if isinstance(row.get("test"), str) and row["test"].strip() else shown
    names = under_test(_parsed(setup, "setup", place), _parsed(tests, "tests", place))
    if not names:
        raise ReachlabError(f"{place}: field 'test_list': no call of a function to be written")
    _check_tests(_parsed(tests, "tests", place), "", names, place)
    prompt = f"{question}\nYour code should pass these tests:\n\n{shown}\n"
    about = {
        "question": question,
        "entry": " ".join(names),
        "solution": row.get("code") or row.get("canonical_solution"),
    }
    answer = {"code": tests, "names": names, "setup": setup, "before": setup.strip() or None}
    return Problem(id=identity, prompt=prompt, answer=_given(answer), metadata=_given(about))


def under_test(setup: ast.Module, tests: ast.Module) -> list[str]:
    """The names that tests use and nobody has defined, those that are called first."""
    known = set(dir(builtins))
    for node in (node for tree in (setup, tests) for node in ast.walk(tree)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            known.add(node.id)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            known.add(node.name)
    called = [n.func.id for n in ast.walk(tests) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return list(dict.fromkeys(name for name in [*called, *_used(tests)] if name not in known))


def _used(tree: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def _check_tests(tree: ast.Module, check: str, names: list[str], place: str) -> None:
    """That some test can fail, and that what is to be written has a part in the tests."""
    holder = next((s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == check), None)
    if holder is not None and not holder.args.args:
        raise ReachlabError(f"{place}: the tests' function check takes no function to be tested")
    if not marked(ast.unparse(tree), check)[1]:
        raise ReachlabError(f"{place}: the tests assert nothing")
    if not set(_used(tree)) & {*names, *(argument.arg for argument in (holder.args.args if holder else []))}:
        raise ReachlabError(f"{place}: the tests never call {names[0]}")


def _check_imports(answer: Mapping[str, Any], place: str, packages: Collection[str]) -> None:
    for code in (answer["setup"], answer["code"]):
        for node in ast.walk(ast.parse(code)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in (name.partition(".")[0] for name in names):
                if name not in sys.stdlib_module_names and name not in packages:
                    raise ReachlabError(
                        f"{place}: the tests import {name}, which is not in the sandbox; packages={name} puts it there"
                    )


def _parsed(code: str, what: str, place: str) -> ast.Module:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ReachlabError(f"{place}: the {what} are not Python: {error}") from error


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
    about = {"question": question}
    if kinds == {"functional"}:
        function = _function(row, place)
        entry = f"Solution.{function}" if "class Solution" in starter else function
        answer = {"examples": [_call(case, place) for case in cases], "function": entry, "before": PRELUDE}
        about |= {"entry": entry} | ({"begins": starter} if f"def {function}" in starter else {})
    elif kinds == {"stdin"}:
        examples = [{"input": case["input"], "output": case["output"]} for case in cases]
        answer = {"examples": examples, "before": PRELUDE}
    else:
        raise ReachlabError(f"{place}: tests of kind {', '.join(sorted(kinds))}; stdin or functional wanted")
    ask = f"Complete this program:\n\n{starter}\n" if starter else "Read from standard input and print the answer.\n"
    return Problem(id=identity, prompt=f"{question}\n\n{ask}", answer=answer, metadata=about)


def _function(row: Mapping[str, Any], place: str) -> str:
    metadata = row.get("metadata") or {}
    try:
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    except ValueError as error:
        raise ReachlabError(f"{place}: field 'metadata': not JSON ({error})") from error
    name = str(metadata.get("func_name") or "") if isinstance(metadata, Mapping) else ""
    if not name.isidentifier():
        raise ReachlabError(f"{place}: field 'metadata': no func_name, which says what to call")
    return name


def _call(case: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A call: an argument a line, each in JSON; so is the result."""
    try:
        arguments = [json.loads(line) for line in case["input"].split("\n") if line.strip()]
        return {"input": arguments, "output": json.loads(case["output"])}
    except (ValueError, RecursionError) as error:
        raise ReachlabError(f"{place}: a test of a function is not in JSON ({error}): {case!r:.100}") from error


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
    about = {"entry": str(function) or None, "solution": row.get("solution")}
    return Problem(id=identity, prompt=prompt, answer=answer, metadata=_given(about))


def _text(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> str:
    for name in names:
        if isinstance(row.get(name), str) and row[name].strip():
            return str(row[name])
    raise ReachlabError(f"{place}: no text in field {' or '.join(names)}; its fields: {shape(row)}")


def _given(about: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in about.items() if value is not None}
