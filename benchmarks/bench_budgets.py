"""What each way to spend a rollout budget gives for its rollouts: all at once, waves, Pilot-Commit, DAPO's redraws.

For policies at several success rates, the same steps are drawn with every budget and 16 rollouts a problem are kept.
Printed for each: rollouts and seconds of generating and judging a step; problems whose kept rollouts differ, so that
they teach something; and the signal, Σ over problems of k (M − k) / M with k right among M kept. Where the noise of a
rollout's gradient rules, a step's squared signal-to-noise ratio is proportional to it (`regime/cost_model.py`), so
signal per 1,000 rollouts is what generating buys, and signal per second what generating time buys (training time is not
in it).

Run: python benchmarks/bench_budgets.py --task countdown,division=0.2 runs/demo/base runs/demo/pods
"""

import argparse
import time
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table

from reachlab.training.config import LoopConfig
from reachlab.training.rl import learner
from reachlab.training.rl_config import BudgetConfig, RLConfig, SelectionConfig
from timing import machine


@dataclass(frozen=True)
class Spent:
    """Means over steps."""

    rollouts: float
    seconds: float
    teaching: float
    signal: float
    accuracy: float


def spend(model: str, task: str, budget: BudgetConfig, keep: int, options: argparse.Namespace) -> Spent:
    """Draw and select some steps with one budget; the first is not counted."""
    selects = keep < budget.rollouts
    config = RLConfig(
        model=model,
        task=task,
        out="never-written",
        prompts=options.prompts,
        max_tokens=options.max_tokens,
        budget=budget,
        selection=SelectionConfig(rule="max_variance", keep=keep) if selects else SelectionConfig(),
        loop=LoopConfig(steps=1, threads=options.threads, device="cpu"),
    )
    rows = []
    with learner(config) as found:
        for t in range(options.steps + 1):
            began = time.perf_counter()
            with found.engine.ready():
                rollouts, sums = found.source.draw(t)
            seconds = time.perf_counter() - began
            kept = found.select(rollouts, t)
            rewards_PM = rollouts.rewards_PN.gather(1, kept.indices_PM).where(kept.drawn_PM, torch.nan)
            scored_P = (~rewards_PM.isnan()).sum(1)
            right_P = rewards_PM.nansum(1)
            signal_P = right_P * (scored_P - right_P) / scored_P.clamp(min=1)
            teaching = (signal_P > 0).double().mean()
            rows.append([sums["rollouts"], seconds, teaching, signal_P.sum(), sums["right"] / max(sums["scored"], 1)])
    return Spent(*torch.tensor(rows[1:], dtype=torch.float64).mean(0).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="checkpoints or finished training runs")
    parser.add_argument("--task", default="countdown,division=0.2")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--max-tokens", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    ways = {
        "PODS 64 to 16": (BudgetConfig(rollouts=64), 16),
        "PODS 64 to 16, waves": (BudgetConfig(rollouts=64, budget="waves"), 16),
        "PODS 64 to 16, Pilot-Commit": (BudgetConfig(rollouts=64, budget="pilot_commit"), 16),
        "GRPO 16": (BudgetConfig(rollouts=16), 16),
        "GRPO 16, redrawn 3 times (DAPO)": (BudgetConfig(rollouts=16, redraws=3), 16),
    }
    print(machine(options.threads))
    for model in options.models:
        table = Table(box=None, pad_edge=False, header_style="bold", title=model, title_justify="left")
        for name in ("", "rollouts", "seconds", "problems that teach", "signal", "per 1,000 rollouts", "per second"):
            table.add_column(name, justify="left" if not name else "right")
        for name, (budget, keep) in ways.items():
            found = spend(model, options.task, budget, keep, options)
            table.title = f"{model}: {found.accuracy:.1%} right"
            numbers = (found.signal, 1000 * found.signal / found.rollouts, found.signal / found.seconds)
            table.add_row(
                name, f"{found.rollouts:.0f}", f"{found.seconds:.2f}", f"{found.teaching:.0%}",
                *(f"{number:.1f}" for number in numbers),
            )  # fmt: skip
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
