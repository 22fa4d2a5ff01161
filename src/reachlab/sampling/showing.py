"""`reachlab tasks SPEC`: some problems of a task, and of a model's exactly what it gets, special tokens and all."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_tokenizer
from reachlab.models.tokenizer import encode_prompts
from reachlab.pictures.reference import png
from reachlab.runs import write_atomically
from reachlab.sampling.asking import asked_task
from reachlab.tasks.asking import AskConfig
from reachlab.tasks.base import Split
from reachlab.types import Problem, Text, written_prompt


@dataclass(frozen=True)
class Shown:
    """Problems as they are shown: `rows` have `id`, `prompt` (as JSON has it), `answer` and `solution`; with a model
    also `written`, the prompt as it gets it, and `tokens`. `how` says how it is asked, `identity` as JSON."""

    rows: list[dict[str, Any]]
    how: str
    identity: Mapping[str, Any]


def show_task(
    spec: str, split: Split, n: int, seed: int, folder: str = "", ask: AskConfig | None = None, model: str = ""
) -> Shown:
    """Some problems of a task, each with a right answer where the task knows one, as a model is asked them.

    What they show is put into `folder` as PNG files, 1.png for the first problem and so on, where one is named.

    Raises:
        ReachlabError: no such task, fewer than one problem asked, a picture that cannot be had or written, or a model
            that is not there or cannot be asked so.
    """
    if n < 1:
        raise ReachlabError(f"problems={n} must be 1 or more")
    if model and not Path(model).is_dir():
        raise ReachlabError(f"{model}: no such model folder; what a model behind a server gets, only that server sees")
    asked = asked_task(spec, ask or AskConfig(), model)
    task = asked.task
    problems = task.problems(split)[:n] if task.finite else task.problems(split, n, seed)
    written = _written(model, problems) if model else [{} for _ in problems]
    rows = [
        {
            "id": p.id,
            **({"pictures": _put(p, str(number), folder) if folder else len(p.images)} if p.images else {}),
            "prompt": written_prompt(p.prompt),
            **said,
            "answer": task.shown_answer(p),
            "solution": task.solve(p, Random(seed)) or "",
        }
        for number, (p, said) in enumerate(zip(problems, written, strict=True), 1)
    ]
    return Shown(rows, asked.how, asked.identity)


def _written(model: str, problems: list[Problem]) -> list[dict[str, Any]]:
    """What the model gets, and how long it is."""
    tokenizer = load_tokenizer(model)
    found = []
    for ids in encode_prompts(tokenizer, [p.asked for p in problems]):
        text = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        found.append({"written": text, "tokens": len(ids)})
    return found


def spoken(prompt: Text | list[Any] | dict[str, Any]) -> str:
    """A prompt as JSON has it, for a reader: of a chat, who says what."""
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
