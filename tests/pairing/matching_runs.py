"""Runs of a few problems each, as sampling and importing leave them behind, for what compares runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Chat, Problem, Sample, Verdict

WORDS = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast. How many are left?",
    "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total?",
    "Josh buys a house for 80,000 dollars and sells it for 150,000 dollars. What does he make?",
    "James runs 3 sprints 3 times a week, 60 meters each. How many meters does he run a week?",
    "Wendi feeds each of her 20 chickens three cups of feed. How many cups is that?",
    "Kylar buys 16 glasses at 5 dollars, every second one at 60 %. What does he pay?",
)
"""As of GSM8K."""
GOLDS = ("13", "3", "70000", "540", "60", "64")
SYMBOLS = (
    "Convert the point $(0,3)$ in rectangular coordinates to polar coordinates.",
    "Define $p = \\sum_{k=1}^\\infty \\frac{1}{k^2}$. Express the sum of $\\frac{1}{(j+k)^3}$ in terms of $p$ and $q$.",
    "If $f(x) = \\frac{3x-2}{x-2}$, what is $f(-2) + f(-1) + f(0)$?",
    "How many positive whole-number divisors does 196 have?",
    "What is the smallest positive perfect cube that is a sum of three consecutive integers?",
    "Which of these fractions is half of $\\frac{1}{3}$ of $3$?",
)
"""As of MATH."""
FORMULAS = ("(3,\\frac{\\pi}{2})", "p - q", "\\frac{14}{3}", "9", "27", "\\frac{1}{2}")
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "max_tokens": 512, "stop": []}

Prompts = Sequence[str | Chat]


def asked(
    questions: Sequence[str] = WORDS,
    golds: Sequence[Any] = GOLDS,
    *,
    ids: Sequence[str] | None = None,
    prompts: Prompts | None = None,
    images: Sequence[tuple[str, ...]] | None = None,
    **metadata: Any,
) -> list[Problem]:
    """Problems that keep their bare question, as ours do; numbered from 0 unless `ids` says."""
    return [
        Problem(
            id=str(i) if ids is None else ids[i],
            prompt=question if prompts is None else prompts[i],
            answer=gold,
            images=() if images is None else images[i],
            metadata={"question": question, **metadata},
        )
        for i, (question, gold) in enumerate(zip(questions, golds, strict=True))
    ]


def logged(prompts: Sequence[str], golds: Sequence[Any] = GOLDS, ids: Sequence[str] | None = None) -> list[Problem]:
    """Problems of a log, which holds whole prompts for questions; or none where a prompt is empty."""
    found = asked(prompts, golds, ids=ids)
    return [replace(p, metadata={"question": p.prompt} if p.prompt else {}) for p in found]


def stored(
    path: Path,
    problems: Sequence[Problem],
    *,
    kind: str = "sample",
    config: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    engine: str = "",
    right: int = 1,
) -> SampleStore:
    """A run of two samples of each problem, the first `right` of them right."""
    folder = RunFolder(path)
    known: dict[str, Any] = {"task": "math", "decoding": SAMPLING, "ask": {"template": "boxed"}, "dtype": "float32"}
    if kind == "import":
        known = {"task": "math", "format": "fields", "verdicts": "judge", "skip_bad": False}
    folder.claim(kind, {**known, **(config or {})}, {"problem_seed": 0, **(facts or {})})
    store = SampleStore(folder)
    store.write_problems(problems)
    store.write_part([
        Sample(
            problem_id=problem.id, index=n, text=f"\\boxed{{{n}}}", tokens=3, finish="stop", logprob=None, seed=n,
            engine=engine or ("import" if kind == "import" else "transformers"),
            verdict=Verdict.correct() if n < right else Verdict.wrong(), final_answer=str(n),
        )
        for problem in problems
        for n in range(2)
    ])  # fmt: skip
    return store
