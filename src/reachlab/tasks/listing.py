"""What `reachlab tasks` shows."""

import inspect
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import png
from reachlab.runs import write_atomically
from reachlab.tasks.base import Split
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.registry import FAMILIES, load_task
from reachlab.tasks.rows import DATASETS as PREFIX
from reachlab.types import Problem


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


def show_task(spec: str, split: Split, n: int, seed: int, folder: str = "") -> list[dict[str, Any]]:
    """Some problems of a task, each with a right answer where the task knows one.

    What they show is put into `folder` as PNG files, 1.png for the first problem and so on, where one is named.

    Raises:
        ReachlabError: no such task, fewer than one problem asked, or a picture that cannot be had or written.
    """
    if n < 1:
        raise ReachlabError(f"problems={n} must be 1 or more")
    task = load_task(spec)
    problems = task.problems(split)[:n] if task.finite else task.problems(split, n, seed)
    return [
        {
            "id": p.id,
            **({"pictures": _put(p, str(number), folder) if folder else len(p.images)} if p.images else {}),
            "prompt": p.prompt,
            "answer": p.answer,
            "solution": task.solve(p, Random(seed)) or "",
        }
        for number, p in enumerate(problems, 1)
    ]


def _put(problem: Problem, name: str, folder: str) -> str:
    """Write a problem's pictures; the files' names."""
    names = [f"{name}.png", *(f"{name}-{number}.png" for number in range(2, len(problem.images) + 1))]
    for file, reference in zip(names, problem.images, strict=True):
        write_atomically(Path(folder) / file, png(reference))
    return ", ".join(names)
