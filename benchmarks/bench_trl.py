"""Rollouts a second of a whole RL step, ours against TRL's GRPOTrainer: generate, verify, log-probabilities, update.

Same base model, prompts, number of rollouts, verifier, GRPO loss (no KL, clip 0.2, one update a step), AdamW, learning
rate, float32 and machine. Both run at several settings and are quoted at their best: TRL at several batch sizes of its
passes and numbers of threads (it generates a step's rollouts in one call; gradient checkpointing, its default, is off,
and nothing is logged or saved), ours at several token budgets. Settings alternate, so that all see the machine as it
is; a time is the median over steps and rounds after warm-up steps that do not count.

Needs TRL, which the project does not depend on: pip install trl==1.16.0 (works with transformers 5.23, torch 2.13).
Run: python benchmarks/bench_trl.py --base runs/demo/base
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PrinterCallback, TrainerCallback

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model
from reachlab.runs import write_atomically
from reachlab.tasks.base import Task
from reachlab.tasks.registry import load_task
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.rl import learner
from reachlab.training.rl_config import BudgetConfig, EvaluationConfig, RLConfig
from reachlab.types import Problem
from timing import machine

TESTED = "1.16.0"


def ours(options: argparse.Namespace, threads: int, pass_tokens: int) -> tuple[list[float], float]:
    """Seconds of every step after the warm-up, and tokens of a mean answer."""
    steps = options.warmup + options.steps
    with tempfile.TemporaryDirectory() as folder:
        config = RLConfig(
            model=options.base,
            task=options.task,
            out=f"{folder}/run",
            prompts=options.prompts,
            max_tokens=options.max_tokens,
            pass_tokens=pass_tokens,
            budget=BudgetConfig(rollouts=options.rollouts),
            evaluation=EvaluationConfig(watch=False),
            optimizer=OptimizerConfig(method="adamw", lr=options.lr),
            loop=LoopConfig(steps=steps, threads=threads, device="cpu"),
        )
        with learner(config) as found:
            times, lengths = [], []
            for t in range(steps):
                began = time.perf_counter()
                metrics = found.step(t)
                times.append(time.perf_counter() - began)
                lengths.append(metrics["answer_tokens"])
    return times[options.warmup :], float(np.mean(lengths))


class Clock(TrainerCallback):  # type: ignore[misc]
    """When every step of TRL's trainer ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The first step begins."""
        self.ends.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """A step has ended, its update included."""
        self.ends.append(time.perf_counter())


def peer(
    options: argparse.Namespace, task: Task, problems: list[Problem], threads: int, batch: int
) -> tuple[list[float], float]:
    """The same of TRL; `batch` is the rows of one forward and backward pass."""
    trl, datasets = (import_module(name) for name in ("trl", "datasets"))
    torch.set_num_threads(threads)
    model, tokenizer = load_model(options.base)
    tokenizer.padding_side = "left"
    lengths: list[int] = []

    def reward(completions: list[str], place: list[int], completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths.extend(map(len, completion_ids))
        return [
            float(task.verify(problems[at], text).score) for at, text in zip(place, completions, strict=True)
        ]  # fmt: skip

    rollouts = options.prompts * options.rollouts
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = trl.GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            seed=0,
            max_steps=options.warmup + options.steps,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=rollouts // batch,
            num_generations=options.rollouts,
            max_completion_length=options.max_tokens,
            temperature=1.0,
            beta=0.0,
            loss_type="grpo",
            learning_rate=options.lr,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            gradient_checkpointing=False,
            shuffle_dataset=False,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=[reward],
            args=config,
            train_dataset=datasets.Dataset.from_list(
                [{"prompt": p.prompt, "place": i} for i, p in enumerate(problems)]
            ),
            processing_class=tokenizer,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return np.diff(clock.ends)[options.warmup :].tolist(), float(np.mean(lengths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--base", required=True, help="e.g. of: reachlab pretrain --data countdown,division=0 --steps 480"
    )
    parser.add_argument("--task", default="countdown,division=0.2")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=14)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, len(os.sched_getaffinity(0))}))
    parser.add_argument("--pass-tokens", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[64, 128, 384], help="TRL's per_device_train_batch_size"
    )
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="short blocks, so that both see the same machine")
    parser.add_argument("--out", default="", help="a JSON file for the numbers")
    options = parser.parse_args()
    try:
        trl = import_module("trl")
    except ImportError:
        raise SystemExit(f"TRL is not installed here: pip install trl=={TESTED}") from None
    rollouts = options.prompts * options.rollouts
    if any(rollouts % batch for batch in options.batches):
        raise SystemExit(f"--batches must divide a step's {rollouts} rollouts")
    try:
        task = load_task(options.task)
        stream = task.stream("train", 0)
        problems = [next(stream) for _ in range(options.prompts * (options.warmup + options.steps))]
        if not all(isinstance(problem.prompt, str) for problem in problems):
            raise ReachlabError(f"{options.task}: its prompts are chats; this comparison takes plain text")
        print(f"{machine(max(options.threads))}; TRL {trl.__version__}, torch {torch.__version__}")
        print(
            f"{options.prompts} prompts x {options.rollouts} rollouts a step, at most {options.max_tokens} tokens each"
        )
        sides: dict[str, list[tuple[int, int]]] = {
            "ours": [(threads, size) for threads in options.threads for size in options.pass_tokens],
            "TRL": [(threads, size) for threads in options.threads for size in options.batches],
        }
        runs: dict[str, Callable[[int, int], tuple[list[float], float]]] = {
            "ours": lambda threads, size: ours(options, threads, size),
            "TRL": lambda threads, size: peer(options, task, problems, threads, size),
        }
        seconds: dict[str, list[list[float]]] = {}
        lengths: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for side, settings in sides.items():
                for threads, size in settings:
                    unit = "tokens" if side == "ours" else "rows"
                    name = f"{side}, {threads} threads, {size} {unit} a pass"
                    times, length = runs[side](threads, size)
                    seconds.setdefault(name, []).append(times)
                    lengths.setdefault(name, []).append(length)
    except ReachlabError as error:
        raise SystemExit(f"error: {error}") from None
    rates = {name: rollouts / float(np.median(np.concatenate(found))) for name, found in seconds.items()}
    for name, rate in rates.items():
        low, high = (rollouts / float(np.quantile(np.concatenate(seconds[name]), q)) for q in (0.75, 0.25))
        print(f"  {name:<40}{rate:8.0f} rollouts/s  (quartiles {low:.0f} to {high:.0f})  "
              f"{np.mean(lengths[name]):.1f} tokens an answer")  # fmt: skip
    best = {side: max((n for n in rates if n.startswith(side)), key=rates.__getitem__) for side in sides}
    mine, theirs = (np.array([np.median(times) for times in seconds[best[side]]]) for side in ("ours", "TRL"))
    ratio_R = theirs / mine
    ratio = rates[best["ours"]] / rates[best["TRL"]]
    print(f"each at its best: {ratio:.2f}x (by round {ratio_R.min():.2f} to {ratio_R.max():.2f})")
    if options.out:
        found = {
            "machine": machine(max(options.threads)),
            "options": vars(options),
            "rollouts_per_second": rates,
            "seconds": seconds,
            "ratio": ratio,
            "ratio_by_round": ratio_R.tolist(),
        }
        write_atomically(Path(options.out), (json.dumps(found, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
