"""Run folders such as sampling and training leave behind, with outcomes that are drawn here and known."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reachlab.boundary.compare import compare
from reachlab.boundary.comparison import Findings
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, Verdict

Measured = tuple[Findings, list[RunFolder]]


def samples(
    folder: Path,
    right_PN: np.ndarray,
    *,
    problems: Sequence[Problem] | None = None,
    model_path: Path | None = None,
    unscored: int = 0,
    text: Callable[[int, int, bool], str] = lambda p, n, right: f"{36 + n}-{n}={36 if right else 35}",
) -> RunFolder:
    """A finished run of samples; the first `unscored` samples of the first problem have no verdict."""
    run = RunFolder(folder)
    config = {"task": "countdown,numbers=4", "samples": right_PN.shape[1], "decoding": {"temperature": 1.0}}
    run.claim("sample", config, {"model_path": str(model_path)} if model_path else {})
    store = SampleStore(run)
    problems = problems or [
        Problem(id=f"p{i}", prompt=f"[12 11 9 3 ={i}]", answer={"target": i}) for i in range(len(right_PN))
    ]
    store.write_problems(problems)
    rows = []
    for p, problem in enumerate(problems):
        for n, right in enumerate(right_PN[p].tolist()):
            verdict = Verdict.correct() if right else Verdict.wrong()
            if p == 0 and n < unscored:
                verdict = Verdict.unscored("the verifier ran out of time")
            rows.append(
                Sample(
                    problem_id=problem.id, index=n, text=text(p, n, right), tokens=12, finish="stop",
                    logprob=None, seed=n, engine="transformers", verdict=verdict,
                )
            )  # fmt: skip
    store.write_part(rows)
    return run


def training(folder: Path, kind: str, steps: int, *, parent: Path | None = None) -> RunFolder:
    """A finished training run with its metrics; RL has a reward and more phases."""
    run = RunFolder(folder)
    run.claim(kind, {"steps": steps, "seed": 0}, {"model_path": str(parent)} if parent else {})
    lines: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        lines.append({"step": step, "loss": 3 / (1 + step / 20), "lr": 1e-3, "seconds_update": 0.12})
        if kind == "rl":
            lines[-1] |= {"reward": step / steps / 2, "seconds_generate": 0.2, "seconds_verify": 0.02}
    run.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    return run


def measure(runs: Sequence[RunFolder], names: Sequence[str] | None = None, **options: Any) -> Measured:
    """Compare runs as the command line does."""
    outcomes = [SampleStore(run).outcomes() for run in runs]
    if names:
        outcomes = [replace(found, name=name) for found, name in zip(outcomes, names, strict=True)]
    return compare(outcomes, **{"resamples": 300, **options}), list(runs)


def draw(rate_P: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Right or wrong for every problem and sample, (P, n)."""
    return np.random.default_rng(seed).random((len(rate_P), n)) < rate_P[:, None]


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions above, for tests that need runs of their own."""
    return SimpleNamespace(samples=samples, training=training, measure=measure, draw=draw)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A base, two models made sharper and narrower, one made wider; 60 problems × 64 samples."""
    root = tmp_path_factory.mktemp("demo")
    rng = np.random.default_rng(5)
    base_P = np.sort(rng.beta(0.5, 4, 60))[::-1] * (rng.random(60) < 0.85)
    rates = {
        "base": base_P,
        "grpo": np.where(base_P > 0.06, np.clip(base_P * 4, 0, 0.95), base_P * 0.01),
        "pods": np.where(base_P > 0.05, np.clip(base_P * 4, 0, 0.93), base_P * 0.02),
        "distilled": np.clip(base_P * 1.8 + 0.06, 0, 1),
    }
    pretrained = root / "train-base"
    training(pretrained, "pretrain", 120)
    training(root / "train-grpo", "rl", 80, parent=pretrained)
    training(root / "train-pods", "rl", 80, parent=pretrained / "model")
    training(root / "train-distilled", "distill", 100, parent=pretrained)
    runs = [
        samples(
            root / name,
            draw(rate_P, 64, i),
            model_path=root / f"train-{name}" / "model",
            unscored=3 * (i == 2),
        )
        for i, (name, rate_P) in enumerate(rates.items())
    ]
    return measure(runs)
