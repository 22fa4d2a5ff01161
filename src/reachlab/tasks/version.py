"""Which verifier judges a task: a hash of its code, and the versions of the packages that it computes with.

The code is the module of the task's class, those it is derived from, and what they import of the answers' and the
sandbox's. What changes no verdict (comments, docstrings, layout) changes no hash: it is one of the syntax tree. So runs
that were judged by different verifiers can be told apart, whatever Reachlab calls its version.
"""

import ast
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from reachlab.storable import encoded
from reachlab.tasks.base import Task

TASKS = Path(__file__).parent
ASKED = "reachlab.tasks.asked"
"""What hands an answer on to any task's verifier."""
JUDGING = ("reachlab.tasks.answers.", "reachlab.tasks.sandbox.")
BASES = ("reachlab.tasks.base", "abc", "builtins")
"""Where classes of tasks come from that judge nothing."""
PACKAGES = {"sympy": "sympy", "latex2sympy2_extended": "latex2sympy2-extended", "reasoning_gym": "reasoning-gym"}
"""Packages that verdicts rest on, by the name they are imported under."""
BESIDE = ("ctx", "kind", "type_comment", "type_params")
"""Fields of a syntax tree that say nothing of what is computed, or that some versions of Python lack."""


def verifier_of(task: Task) -> dict[str, str]:
    """The verifier of a task, `code` and packages, as JSON has it."""
    while isinstance(inner := getattr(task, "task", None), Task):
        task = inner  # asked, or blind
    return dict(_verifier(tuple(cls.__module__ for cls in type(task).__mro__ if cls.__module__ not in BASES)))


@cache
def _verifier(modules: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, bytes] = {}
    packages = set[str]()
    waiting = [*modules, ASKED]
    while waiting:
        module = waiting.pop()
        if module in found or (path := _path(module)) is None:
            continue
        tree = ast.parse(path.read_bytes())
        said: list[str] = []
        _code(tree, said)
        found[module] = encoded(" ".join(said))
        for name in _imports(tree):
            waiting += [name] if name.startswith(JUDGING) else []
            packages |= PACKAGES.keys() & {name.partition(".")[0]}
    digest = hashlib.blake2b(digest_size=6)
    for module in sorted(found):
        digest.update(b"%s\0%s\0" % (module.encode(), found[module]))
    about = {"code": digest.hexdigest()}
    for package in sorted(packages):
        with suppress(PackageNotFoundError):
            about[PACKAGES[package]] = version(PACKAGES[package])
    return about


def _path(module: str) -> Path | None:
    """The file of a module of ours; None where it is somebody else's, or no module."""
    _, _, inner = module.partition("reachlab.tasks.")
    if not inner:
        return None
    path = TASKS.joinpath(*inner.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _imports(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports, wherever in it; also a name's, which may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _code(node: Any, said: list[str]) -> None:
    """Append a syntax tree as text, the same in all versions of Python, docstrings left out."""
    if isinstance(node, ast.AST):
        said.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if name in BESIDE or value is None or value == []:
                continue
            if name == "body" and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                value = [inner for inner in value if not _is_text(inner)]
            said.append(name)
            _code(value, said)
        said.append(")")
    elif isinstance(node, list):
        said.append("[")
        for inner in node:
            _code(inner, said)
        said.append("]")
    else:
        said.append(repr(node))


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a text alone: documentation."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
