"""The update of TRL's GRPO with down-sampling, m of n rollouts, against TRL's on all n; and what choosing costs.

Both draw the same number of rollouts of the same prompts by TRL's own generation, in float32 on a CPU, and take turns.
The update is all of a training but drawing: log-probabilities of the old policy and the reference (`--beta`), forward,
backward, the optimizer. The number is the median over rounds of the ratio of the two updates; m/n is what the rows
allow. Choosing is timed by itself, as a share of the whole. Seconds are the processor's, not the wall's: on a machine
that is shared the ratio of wall times says nothing. With one thread none of them waits for another.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_trl_pods.py [--model FOLDER] [--rollouts 64 --keep 16]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback
from trl import GRPOConfig, GRPOTrainer

from reachlab.integrations.trl import DownSampling, DownSamplingGRPOTrainer
from reachlab.models.build import build_model
from reachlab.models.checkpoint import save_model
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import train_tokenizer
from timing import machine


def made(folder: Path) -> str:
    """A checkpoint of about six million parameters."""
    tokenizer = train_tokenizer("char", ["0123456789+-*/=:;> "])
    config = ModelConfig(hidden=256, layers=8, heads=4, kv_heads=4, intermediate=704, positions=512, tokenizer="char")
    save_model(folder / "small", build_model(config, tokenizer, seed=0), tokenizer)
    return str(folder / "small")


class Clock:
    """Processor seconds spent inside some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - began

        return timed


def reward(completions: list[str], **_: Any) -> list[float]:
    """Something that differs."""
    return [float(sum(map(ord, completion)) % 7) for completion in completions]


def a_round(given: argparse.Namespace, model: str, keep: int | None, folder: Path) -> tuple[float, float, float]:
    """Processor seconds of updates, of choosing, and of everything, over all steps."""
    how = GRPOConfig(
        str(folder / "out"), num_generations=given.rollouts, per_device_train_batch_size=given.rollouts * given.prompts,
        max_completion_length=given.tokens, max_steps=given.steps, beta=given.beta, num_iterations=1, bf16=False,
        use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, learning_rate=1e-6,
        gradient_checkpointing=False, generation_kwargs={"min_new_tokens": given.tokens},
    )  # fmt: skip
    data = Dataset.from_list([{"prompt": f"{10 + i}+{20 + i}="} for i in range(64)])
    chosen = {} if keep is None else {"down_sampling": DownSampling(keep=keep)}
    kind: type[Any] = GRPOTrainer if keep is None else DownSamplingGRPOTrainer
    trainer = kind(model, reward, how, data, **chosen)
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    drawing, choosing = Clock(), Clock()
    trainer._generate_single_turn = drawing.around(trainer._generate_single_turn)
    if keep is not None:
        trainer._chosen = choosing.around(trainer._chosen)
    began = time.process_time()
    trainer.train()
    whole = time.process_time() - began
    return whole - drawing.seconds, choosing.seconds, whole


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; without one a small one is made")
    for name, value in {"rollouts": 64, "keep": 16, "prompts": 1, "tokens": 32, "steps": 3, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--beta", type=float, default=0.04)
    given = parser.parse_args()
    ratios, shares, times = [], [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = given.model or made(folder)
        for turn in range(given.rounds):
            found = {keep: a_round(given, model, keep, folder) for keep in [None, given.keep][:: 1 if turn % 2 else -1]}
            (all_of_them, _, all_whole), (some, choosing, some_whole) = found[None], found[given.keep]
            ratios.append(some / all_of_them)
            shares.append(choosing / some_whole)
            times.append(some_whole / all_whole)
            print(
                f"update {some:.2f} of {all_of_them:.2f} s, {ratios[-1]:.1%}; whole {some_whole:.2f}, {all_whole:.2f} s"
            )
    print(f"{machine(torch.get_num_threads())}; {given.keep} of {given.rollouts} rollouts, {given.tokens} tokens each")
    print(f"update: {statistics.median(ratios):.1%} of TRL's on all ({min(ratios):.1%} to {max(ratios):.1%})")
    print(f"choosing: {statistics.median(shares):.3%} of a step; a whole step {statistics.median(times):.1%} of TRL's")


if __name__ == "__main__":
    main()
