"""What `reachlab tasks` lists, and shows of a task."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any
from warnings import warn

from reachlab.errors import ReachlabError
from reachlab.extras import MissingPackageError, is_installed
from reachlab.origins import PluginError, PluginWarning
from reachlab.pictures.reference import png
from reachlab.runs import write_atomically
from reachlab.tasks.asking import AskConfig
from reachlab.tasks.base import SplitChoice, Task, empty_split, split_meant
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.registry import FAMILIES, chosen_template, class_of, load_task
from reachlab.tasks.rows import DATASETS as PREFIX
from reachlab.types import Problem, written_prompt


def list_tasks() -> list[dict[str, Any]]:
    """Every family with its settings and their defaults, benchmarks by name, and every dataset of reasoning-gym; of a
    family whose packages are not installed, what it needs."""
    rows = []
    for family in FAMILIES:
        try:
            parameters = inspect.signature(class_of(family)).parameters.values()
        except MissingPackageError as error:
            rows.append({"task": family, "what": f"{FAMILIES.about(family)} ({error})", "settings": ""})
            continue
        except PluginError as error:
            warn(str(error), PluginWarning, stacklevel=2)
            continue
        settings = ", ".join(
            f"{p.name}={p.default}"
            for p in parameters
            if p.name != "argument" and p.default is not p.empty and p.kind is not p.VAR_KEYWORD
        )
        rows.append({"task": family, "what": FAMILIES.about(family), "settings": settings})
    rows += [
        {"task": name, "what": b.what, "settings": f"{b.family}:{PREFIX}{b.hub},template={b.template}"}
        for name, b in BENCHMARKS.items()
    ]
    if not is_installed("reasoning_gym"):
        return rows
    from reasoning_gym.factory import DATASETS

    rows += [{"task": f"gym:{name}", "what": "reasoning-gym", "settings": ""} for name in sorted(DATASETS)]
    return rows


def show_task(
    spec: str, split: SplitChoice, n: int, seed: int, folder: str = "", ask: AskConfig | None = None
) -> list[dict[str, Any]]:
    """Some problems of a task, each with a right answer where the task knows one; in its plain form unless `ask` says
    how a model is asked.

    What they show is put into `folder` as PNG files, 1.png for the first problem and so on, where one is named.

    Raises:
        ReachlabError: no such task, fewer than one problem asked, or a picture that cannot be had or written.
    """
    config = ask or AskConfig()
    asking = config.settled(chosen_template(spec, config))
    asking.check()
    task = load_task(spec, asking)
    return rows_of(task, some_problems(task, split, n, seed), seed, folder)


def some_problems(task: Task, split: SplitChoice, n: int, seed: int) -> list[Problem]:
    """The first `n` problems of a task, or as many as a file has; with "auto" a file's own first rows.

    Raises:
        ReachlabError: fewer than one asked.
    """
    if n < 1:
        raise ReachlabError(f"problems={n} must be 1 or more")
    chosen = split_meant(task, split)
    found = task.problems(chosen)[:n] if task.finite else task.problems(chosen, n, seed)
    if not found:
        raise ReachlabError(f"{empty_split(task, chosen)}; --split all takes all of them")
    return found


def rows_of(task: Task, problems: Sequence[Problem], seed: int, folder: str = "") -> list[dict[str, Any]]:
    """Problems as plain data: id, prompt (text, or a list of messages), answer, solution; pictures where there are any.

    Raises:
        ReachlabError: a picture that cannot be had or written.
    """
    return [
        {
            "id": p.id,
            **({"pictures": _put(p, str(number), folder) if folder else len(p.images)} if p.images else {}),
            "prompt": written_prompt(p.prompt),
            "answer": task.shown_answer(p),
            "solution": task.solve(p, Random(seed)) or "",
        }
        for number, p in enumerate(problems, 1)
    ]


def spoken(prompt: str | list[Any] | dict[str, Any]) -> str:
    """A prompt of `rows_of` for a reader: of a chat, who says what."""
    if isinstance(prompt, str):
        return prompt
    messages = prompt["messages"] if isinstance(prompt, dict) else prompt
    return "\n".join(f"{m['role']}: {m['content']}" for m in messages)


def _put(problem: Problem, name: str, folder: str) -> str:
    """Write a problem's pictures; the files' names."""
    names = [f"{name}.png", *(f"{name}-{number}.png" for number in range(2, len(problem.images) + 1))]
    for file, reference in zip(names, problem.images, strict=True):
        write_atomically(Path(folder) / file, png(reference))
    return ", ".join(names)
