"""What a change of ours costs: CPU seconds a training step, with another version of the source against this one.

Two processes hold the same model and data, one with `--before`'s `src` on its path and one with this checkout's, and
take turns: a step each, in an order that changes every round, one thread each, in seconds of that process's CPU. The
ratio of a round's two times does not know what else the machine did in longer stretches. Printed: the median over
rounds and its 95 % interval, by order statistics (`timing.py`).

rl: a step of `reachlab rl` on a small model, dense or a mixture of experts with the plain router. learn: forward,
backward and AdamW of a mixture under a method, or without one.

Run: git archive COMMIT src | tar -x -C /tmp/before && python benchmarks/bench_step.py --before /tmp/before/src
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from timing import machine, median_interval

CASES = ("rl qwen3", "rl olmoe", "learn olmoe", "learn olmoe default", "learn olmoe lossfree", "learn olmoe densemixer")
WARM = 2
"""Steps that do not count."""


def rl_step(stack: ExitStack, family: Any) -> Callable[[int], object]:
    """`NextTokenTrainer.learn` on a model made here."""
    from reachlab.models.build import build_model
    from reachlab.models.checkpoint import save_model
    from reachlab.training.config import LoopConfig, OptimizerConfig
    from reachlab.training.rl import learner
    from reachlab.training.rl_config import BudgetConfig, RLConfig

    shape, tokenizer = small(family)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    save_model(folder, build_model(shape, tokenizer, seed=0), tokenizer)
    config = RLConfig(
        model=folder,
        task="countdown,numbers=3",
        loop=LoopConfig(steps=1000, device="cpu", threads=1),
        optimizer=OptimizerConfig(lr=1e-4),
        prompts=8,
        max_tokens=16,
        budget=BudgetConfig(rollouts=16),
        guard=0.0,
    )
    return stack.enter_context(learner(config)).step


def learn_step(stack: ExitStack, family: Any, method: str) -> Callable[[int], object]:
    """A step of the sums that training takes, on random tokens."""
    import torch

    from reachlab.models.build import build_model
    from reachlab.moe import densify
    from reachlab.training.gradient import backward

    torch.set_num_threads(1)
    shape, tokenizer = small(family)
    model = build_model(shape, tokenizer, seed=0).train()
    if method:
        densify(model, method)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids_BT = torch.randint(len(tokenizer), (8, 64), generator=torch.Generator().manual_seed(0))

    def piece() -> tuple[Any, dict[str, Any]]:
        return model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss, {}

    def step(t: int) -> None:
        backward(model, [piece], 1)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def small(family: Any) -> tuple[Any, Any]:
    """A shape and a tokenizer."""
    from reachlab.models.config import ModelConfig
    from reachlab.models.tokenizer import train_tokenizer
    from reachlab.tasks.registry import load_task

    shape = ModelConfig(family=family, hidden=128, layers=4, heads=4, kv_heads=2, experts=8, active_experts=2)
    task = load_task("countdown,numbers=3")
    return shape, train_tokenizer("char", [*(str(p.prompt) for p in task.problems("all", 20)), task.alphabet() or ""])


def work(case: str) -> None:
    """The process of one version: for each line on the standard input a step, and its CPU seconds as a line."""
    import time

    kind, family, *method = case.split()
    with ExitStack() as stack:
        make = rl_step if kind == "rl" else partial(learn_step, method=" ".join(method))
        step = make(stack, family)
        for t, _ in enumerate(sys.stdin):
            began = time.process_time()
            step(t)
            print(json.dumps(time.process_time() - began), flush=True)


def ratios(case: str, before: Path, rounds: int) -> list[tuple[float, float]]:
    """Seconds of both versions, round by round."""
    here = Path(__file__).resolve()
    sources = (before.resolve(), here.parents[1] / "src")
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(here), "--work", case],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                )
            )
            for source in sources
        ]
        found = []
        for turn in range(WARM + rounds):
            times = [0.0, 0.0]
            for which in (0, 1) if turn % 2 else (1, 0):
                process = workers[which]
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("\n")
                process.stdin.flush()
                said = process.stdout.readline()
                if not said:
                    raise SystemExit(f"{case}: the process of {sources[which]} ended with {process.wait()}")
                times[which] = json.loads(said)
            found.append((times[0], times[1]))
        for process in workers:
            assert process.stdin is not None
            process.stdin.close()
        return found[WARM:]


def main() -> None:
    """Measure, print, and write the numbers down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="the other version's src folder")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--cases", nargs="*", default=CASES)
    parser.add_argument("--work", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work)
    if options.before is None:
        parser.error("--before: the src folder of the version to compare with")
    table = Table("case", "before, ms", "after, ms", "after / before", "95 %", title=machine(1))
    for case in options.cases:
        pairs = ratios(case, options.before, options.rounds)
        (before, *_), (after, *_) = (median_interval([1e3 * pair[i] for pair in pairs]) for i in (0, 1))
        ratio, low, high = median_interval([b / a for a, b in pairs])
        table.add_row(case, f"{before:.1f}", f"{after:.1f}", f"{ratio:.3f}", f"{low:.3f} to {high:.3f}")
    Console().print(table)
    return None


if __name__ == "__main__":
    main()
