"""The house's measures: how long files and functions are, how many parameters one takes, and no import in a circle."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import reachlab

ROOT = Path(reachlab.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}

LINES_OF_A_FILE, LINES_OF_A_FUNCTION, PARAMETERS = 450, 80, 8

EXCEPTIONS: set[str] = set()
"""What is still too large: lines are struck out, never added."""
CIRCLES: set[frozenset[str]] = set()
"""Modules that still import each other: likewise."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many a caller may give: `self` and `cls` are none."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    own = bool(named) and named[0].arg in ("self", "cls")
    return len(named) - own + (given.vararg is not None) + (given.kwarg is not None)


def is_kernel(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether numba compiles it: it takes arrays, and no objects."""
    return any("njit" in ast.unparse(decorator) for decorator in function.decorator_list)


def too_large() -> Iterator[str]:
    for path, tree in TREES.items():
        name = path.relative_to(ROOT).as_posix()
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES_OF_A_FILE:
            yield f"{name}: {lines} lines"
        for function in functions(tree):
            assert function.end_lineno is not None
            lines = function.end_lineno - function.lineno + 1
            if lines > LINES_OF_A_FUNCTION:
                yield f"{name}: {function.name} has {lines} lines"
            if (count := parameters(function)) > PARAMETERS and not is_kernel(function):
                yield f"{name}: {function.name} takes {count} parameters"


def test_nothing_is_too_large() -> None:
    assert set(too_large()) == EXCEPTIONS


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imported_on_top(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """What runs when the module is imported, and what only a type checker reads."""
    waiting: list[ast.stmt] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            waiting += [*node.body, *node.orelse]


def graph() -> dict[str, set[str]]:
    """Which modules each one imports. A package is not counted as what imports its modules on the way to one of them,
    and the outermost one names what the others hold."""
    names = {module_name(path): tree for path, tree in TREES.items()}
    edges: dict[str, set[str]] = defaultdict(set)
    for name, tree in names.items():
        for node in imported_on_top(tree):
            if isinstance(node, ast.Import):
                edges[name] |= {alias.name for alias in node.names} & names.keys()
            elif str(node.module) in names:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                edges[name] |= inner & names.keys() or {str(node.module)}
    edges.pop("reachlab")
    return edges


def circles(edges: dict[str, set[str]]) -> Iterator[frozenset[str]]:
    """Sets of modules that all lead to each other."""

    def reach(start: str) -> set[str]:
        reached: set[str] = set()
        waiting = [start]
        while waiting:
            for name in edges.get(waiting.pop(), ()):
                if name not in reached:
                    reached.add(name)
                    waiting.append(name)
        return reached

    reached = {name: reach(name) for name in edges}
    seen: set[str] = set()
    for name in sorted(edges):
        if name in reached[name] and name not in seen:
            circle = frozenset(other for other in reached[name] if name in reached.get(other, ()))
            seen |= circle
            yield circle


def test_no_import_goes_in_a_circle() -> None:
    assert set(circles(graph())) == CIRCLES


def test_a_circle_is_found() -> None:
    edges = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set[str](), "e": {"a"}}
    assert list(circles(edges)) == [frozenset("abc")]


SHARED_NAMES: dict[str, str] = {
    "Clock": "a verifier is known by a hash of its code: tasks/answers/forms.py, tasks/sandbox/player.py",
}
"""Classes of one name, and where they are or why they stay: lines are struck out, never added."""


def test_no_two_classes_have_one_name() -> None:
    named: dict[str, int] = defaultdict(int)
    for tree in TREES.values():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                named[node.name] += 1
    assert {name for name, count in named.items() if count > 1} == set(SHARED_NAMES)
