"""A small benchmark of word problems, and a model that has learned its training problems by heart."""

import json
import random
from pathlib import Path

from tests.tiny import reachlab

NAMES = ("Ann", "Ben", "Cem", "Dana", "Eve", "Finn", "Gita", "Hugo", "Ines", "Jon")
THINGS = ("apples", "books", "coins", "drums", "eggs", "figs", "games", "hats")


def benchmark(path: Path, n: int) -> Path:
    """A file of `n` different questions, each with an answer in the shape of GSM8K."""
    rng = random.Random(1)
    rows = {}
    for _ in range(n):
        name, other = rng.sample(NAMES, 2)
        a, b = rng.randint(100, 499), rng.randint(100, 499)
        thing, day = rng.choice(THINGS), rng.randint(10, 99)
        question = f"{name} has {a} {thing}. On day {day} {other} brings {b} more. How many?"
        rows[question] = f"It is {a + b}.\n#### {a + b}"
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows.items()))
    return path


def learn(task: str, out: Path, steps: int) -> Path:
    """A model pretrained on nothing but the training problems of a task, over and over."""
    size = ("--hidden", "64", "--layers", "2", "--heads", "2", "--kv-heads", "2", "--intermediate", "128")
    done = reachlab(
        "pretrain", "--data", task, "--out", out, "--tokenizer", "number", *size,
        "--steps", str(steps), "--batch", "16", "--length", "128",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out
