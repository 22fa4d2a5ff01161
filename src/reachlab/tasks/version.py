"""Which verifier judges a task: a hash of its code, and the versions of the packages that it computes with.

The code is the module of the task's class, those it is derived from, and what they import of the answers' and the
sandbox's; of a task that is somebody else's, what it imports of its own package or folder. What changes no verdict
(comments, docstrings, layout) changes no hash: it is one of the syntax tree (`code_hash.py`). So runs that were judged
by different verifiers can be told apart, whatever Reachlab calls its version.
"""

from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from reachlab.code_hash import digest_of, hash_of_modules, reached
from reachlab.object_hash import hash_of_object
from reachlab.tasks.base import Task

TASKS = Path(__file__).parent
ASKED = "reachlab.tasks.asked"
"""What hands an answer on to any task's verifier."""
JUDGING = ("reachlab.tasks.answers.", "reachlab.tasks.sandbox.")
BASES = ("reachlab.tasks.base", "abc", "builtins")
"""Where classes of tasks come from that judge nothing."""
PACKAGES = {"sympy": "sympy", "latex2sympy2_extended": "latex2sympy2-extended", "reasoning_gym": "reasoning-gym"}
"""Packages that verdicts rest on, by the name they are imported under."""
OWN = "reachlab."


def verifier_of(task: Task) -> dict[str, str]:
    """The verifier of a task, `code` and packages, as JSON has it."""
    while isinstance(inner := getattr(task, "task", None), Task):
        task = inner  # asked, or blind
    modules = tuple(cls.__module__ for cls in type(task).__mro__ if cls.__module__ not in BASES)
    found = dict(_verifier(modules))
    if theirs := [module for module in modules if not module.startswith(OWN)]:
        found["plugin"] = hash_of_modules(theirs) or hash_of_object(type(task))
    return found


@cache
def _verifier(modules: tuple[str, ...]) -> dict[str, str]:
    found = reached([*modules, ASKED], _path, lambda _, name: name.startswith(JUDGING))
    about = {"code": digest_of({module: said for module, (said, _) in found.items()})}
    packages = {name.partition(".")[0] for _, names in found.values() for name in names} & PACKAGES.keys()
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
