"""What `reachlab tasks` lists."""

import inspect
from importlib import import_module
from typing import Any

from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.registry import FAMILIES
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
