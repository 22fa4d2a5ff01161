"""What `reachlab tasks` shows."""

import inspect
from importlib import import_module
from random import Random
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Split
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.registry import FAMILIES, load_task
from reachlab.tasks.rows import DATASETS as PREFIX


def list_tasks() -> list[dict[str, Any]]:
    """Every family with its settings and their defaults, benchmarks by name, and every dataset of reasoning-gym."""
    rows = []
    for family, (path, what) in FAMILIES.items():
        module, _, name = path.partition(":")
        parameters = inspect.signature(getattr(import_module(module), name)).parameters.values()
        settings = ", ".join(
            f"{p.name}={p.default}"
            for p in parameters
            if p.name != "argument" and p.default is not p.empty and p.kind is not p.VAR_KEYWORD
        )
        rows.append({"task": family, "what": what, "settings": settings})
    rows += [
        {"task": name, "what": b.what, "settings": f"{b.family}:{PREFIX}{b.hub},template={b.template}"}
        for name, b in BENCHMARKS.items()
    ]
    from reasoning_gym.factory import DATASETS

    rows += [{"task": f"gym:{name}", "what": "reasoning-gym", "settings": ""} for name in sorted(DATASETS)]
    return rows


def show_task(spec: str, split: Split, n: int, seed: int) -> list[dict[str, Any]]:
    """Some problems of a task, each with a right answer where the task knows one.

    Raises:
        ReachlabError: no such task, or fewer than one problem asked.
    """
    if n < 1:
        raise ReachlabError(f"problems={n} must be 1 or more")
    task = load_task(spec)
    problems = task.problems(split)[:n] if task.finite else task.problems(split, n, seed)
    return [
        {
            "id": p.id,
            **({"pictures": " ".join(p.images)} if p.images else {}),
            "prompt": p.prompt,
            "answer": p.answer,
            "solution": task.solve(p, Random(seed)) or "",
        }
        for p in problems
    ]
