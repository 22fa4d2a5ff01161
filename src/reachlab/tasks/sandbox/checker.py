"""Inside other walls: runs a benchmark's own tests against functions that are elsewhere.

It takes jobs over a socket, one JSON object a line, each in a process of its own, so that what one test does to the
interpreter no other sees:

    {"setup": code, "tests": code, "check": name, "names": [...]}

Every name stands for a function of the answer: calling it sends {"call": ..., "args": ..., "kwargs": ...} and waits for
{"value": ...} or {"error": ...}. A test is a statement with an `assert` in it, at the top of the function `check` or of
the code; after each goes {"test": number, "passed": ..., "said": ...}, and in the end {"done": number of tests}.
"""

import ast
import builtins
import json
import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import player  # type: ignore[import-not-found]
import values  # type: ignore[import-not-found]

ERRORS = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}
"""What an answer may raise by name. An AssertionError of its own is none of the tests'."""
del ERRORS["AssertionError"]


def main() -> None:
    """Serve until the socket closes."""
    descriptor, limits = int(sys.argv[1]), json.loads(sys.argv[2])
    player.confine(limits)
    player.hear_nothing()
    os.write(descriptor, values.dumps({"ready": True}))
    while line := read_line(descriptor):
        child = os.fork()
        if not child:
            code = 1
            try:
                judge(json.loads(line), descriptor)
                code = 0
            finally:
                os._exit(code)
        os.waitpid(child, 0)
        os.write(descriptor, values.dumps({"over": True}))


def read_line(descriptor: int) -> bytes:
    """The next line. The other side speaks only when it is its turn, so nothing of a later one is taken."""
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return b""
        line += piece
    return bytes(line)


def judge(job: dict[str, Any], descriptor: int) -> None:
    """Run a job's tests."""

    def say(message: dict[str, Any]) -> None:
        data = values.dumps(message)
        while data:
            data = data[os.write(descriptor, data) :]

    def stand_in(name: str) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            say({"call": name, "args": values.pack(args), "kwargs": values.pack(kwargs)})
            reply = json.loads(read_line(descriptor))
            if "error" in reply:
                raise ERRORS.get(str(reply["error"]), RuntimeError)(f"{reply['error']}: {reply.get('said', '')}")
            return values.unpack(reply["value"])

        return ask

    tree, count = marked(ast.parse(job["tests"]), job["check"])
    say({"tests": count})
    names: dict[str, Any] = {"__name__": "__tests__"}
    exec(compile(job["setup"], "setup.py", "exec"), names)
    # After the setup: a prompt may hold an empty function of that name.
    for name in job["names"]:
        names[name] = stand_in(name)
    names["__test__"] = lambda number, error=None: say(
        {"test": number, "passed": error is None, "said": f"{type(error).__name__}: {error}"[:200] if error else ""}
    )
    try:
        exec(compile(tree, "tests.py", "exec"), names)
        if job["check"]:
            names[job["check"]](names[job["names"][0]])
    except BaseException as error:
        say({"broken": f"{type(error).__name__}: {error}"[:200]})
    say({"done": count})


def marked(tree: ast.Module, check: str) -> tuple[ast.Module, int]:
    """The tests, each telling how it went and none stopping the next; and how many there are."""
    if check:
        holder = next(s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == check)
        holder.body, count = told(holder.body)
    else:
        tree.body, count = told(tree.body)
    return ast.fix_missing_locations(tree), count


def told(body: list[ast.stmt]) -> tuple[list[ast.stmt], int]:
    """Each statement that asserts something, wrapped."""
    found: list[ast.stmt] = []
    count = 0
    for statement in body:
        definition = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
        if definition or not any(isinstance(node, ast.Assert) for node in ast.walk(statement)):
            found.append(statement)
            continue
        (wrapped,) = ast.parse(
            f"try:\n    pass\nexcept BaseException as __error__:\n    __test__({count}, __error__)\n"
            f"else:\n    __test__({count})"
        ).body
        assert isinstance(wrapped, ast.Try)
        wrapped.body = [statement]
        found.append(wrapped)
        count += 1
    return found, count


if __name__ == "__main__":
    main()
