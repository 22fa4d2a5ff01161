"""Which statements of a benchmark's own tests are tests, and telling how each goes. Runs inside the walls too: nothing
but the standard library.

A test is a statement at the top of the code, or of the function `check`, that can fail: it holds an `assert` or a
`raise`, or calls what asserts: a function of the tests that does, or one whose name says so (`assert_allclose`). A loop
is one test. What stands under `if __name__ == ...` is never run, and ``assert True`` never fails: no tests.
"""

import ast

TELL = "__test__"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def marked(tests: str, check: str, setup: str = "") -> tuple[ast.Module, int]:
    """The tests, each telling how it went and none stopping the next; and how many there are.

    Each calls ``__test__(number)``, with the exception where it failed. A call of `check` by the tests themselves is
    left out: they are run by us. `setup` may define what asserts.
    """
    tree = ast.parse(tests)
    helpers = asserting([*tree.body, *ast.parse(setup).body])
    holder = next((s for s in tree.body if isinstance(s, Function) and s.name == check), None)
    if holder is not None:
        tree.body = [s for s in tree.body if not (isinstance(s, ast.Expr) and check in _called(s))]
    count = 0
    for place in (tree, holder):
        if place is not None:
            place.body, count = _told(place.body, helpers, count)
    return ast.fix_missing_locations(tree), count


def asserting(body: list[ast.stmt]) -> frozenset[str]:
    """The functions and methods that assert, themselves or by another one."""
    functions = {n.name: n for s in body for n in ast.walk(s) if isinstance(n, Function)}
    callers = {name: _called(function) for name, function in functions.items()}
    waiting = [name for name, function in functions.items() if _fails(function, frozenset())]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other, called in callers.items() if name in called]
    return frozenset(found)


def _told(body: list[ast.stmt], helpers: frozenset[str], count: int) -> tuple[list[ast.stmt], int]:
    found: list[ast.stmt] = []
    for statement in body:
        if not _is_test(statement, helpers):
            found.append(statement)
            continue
        (wrapped,) = ast.parse(
            f"try:\n    pass\nexcept BaseException as __error__:\n    {TELL}({count}, __error__)\n"
            f"else:\n    {TELL}({count})"
        ).body
        assert isinstance(wrapped, ast.Try)
        wrapped.body = [statement]
        found.append(wrapped)
        count += 1
    return found, count


def _is_test(statement: ast.stmt, helpers: frozenset[str]) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    if isinstance(statement, ast.If) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
    ):
        return False
    return _fails(statement, helpers)


def _fails(tree: ast.AST, helpers: frozenset[str]) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Assert) and not (isinstance(node.test, ast.Constant) and node.test.value):
            return True
        if isinstance(node, ast.Call) and (name := _name(node)) and (name in helpers or name.startswith("assert")):
            return True
    return False


def _called(tree: ast.AST) -> set[str]:
    return {_name(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def _name(call: ast.Call) -> str:
    function = call.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
