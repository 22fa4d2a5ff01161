"""RL with down-sampling (PODS, arXiv 2504.13818) beside plain GRPO: draw many rollouts, learn from the telling ones.

    python examples/rl_pods.py                                           # needs reachlab[train]; under a minute
    python examples/rl_pods.py --model Qwen/Qwen3-0.6B --task gym:chain_sum --lr 1e-6 --max-tokens 512

Drawing a rollout is cheap, learning from it is not. GRPO draws 8 answers a problem and learns from all; PODS draws 32
and learns from the 8 whose rewards have the largest variance: the same price of an update, and fewer groups that are
all wrong, which teach nothing. Without a --model a tiny one is made, and learns the task of own_task.py: sorting.

It prints how both learned, and the comparison: pass@1 says whether right answers became likelier, pass@32 whether the
model reaches further than its base.
"""

import argparse
from pathlib import Path

import reachlab as rl

KEEP, ROLLOUTS = 8, 32
TASK = f"{Path(__file__).with_name('own_task.py')}:Sort,length=7"


def tiny_base(task: str, out: Path) -> str:
    """A model of 21,000 weights, pretrained on the task's problems as they are attempted, right or wrong."""
    return str(rl.pretrain(task, tokenizer="char", hidden=32, layers=2, batch=64, steps=150, out=out / "base").model)


def main() -> None:
    """Train twice from one base, sample all three, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the checkpoint to start from: a transformers folder, or a name of the hub")
    parser.add_argument("--task", default=TASK, help="what it learns: `reachlab tasks` lists them")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--lr", type=float, default=1e-3, help="of a tiny model; a real one wants 1e-6")
    parser.add_argument("--max-tokens", type=int, default=10, help="tokens of an answer")
    parser.add_argument("--out", type=Path, default=Path("runs/rl-pods"), help="where everything is kept")
    given = parser.parse_args()
    base = given.model or tiny_base(given.task, given.out)

    common = {"steps": given.steps, "prompts": 16, "lr": given.lr, "max_tokens": given.max_tokens}
    grpo = rl.train_rl(base, given.task, rollouts=KEEP, out=given.out / "grpo", **common)
    pods = rl.train_rl(
        base, given.task, rollouts=ROLLOUTS, keep=KEEP, rule="max_variance", out=given.out / "pods", **common
    )
    print("        right in the first and last five steps   groups that teach nothing")
    for training in (grpo, pods):
        right, same = training.metrics["accuracy"], training.metrics["groups_without_signal"]
        print(f"{Path(training.path).name:8}{right[:5].mean():.1%} -> {right[-5:].mean():.1%} {same.mean():34.0%}")

    models = {"base": base, "grpo": grpo, "pods": pods}
    asked = {"problems": 60, "samples": 32, "max_tokens": given.max_tokens}
    runs = {name: rl.sample(m, given.task, **asked, out=given.out / f"samples-{name}") for name, m in models.items()}
    found = rl.compare(runs)
    print(found)
    for name, verdict in found.verdicts.items():
        print(f"{name}: {verdict.sentence}")


if __name__ == "__main__":
    main()
