"""Your own checkpoint: sample it and the base it came from, and see whether it solves more or the same more often.

    python examples/own_checkpoint.py                                    # needs reachlab[train]; under a minute
    python examples/own_checkpoint.py --base Qwen/Qwen3-0.6B-Base --model my-grpo --task math500 --max-tokens 2048

A checkpoint is a transformers folder, or a name of the hub. Without one two are made: a tiny model pretrained on sums
of which many are wrong, and the same one distilled, trained on right solutions.

It prints pass@k of both with intervals, the verdict in words, and an answer of each; page.html shows all of it. The
same command again draws only what is missing: with a larger --samples, what is there counts.
"""

import argparse
from pathlib import Path

import reachlab as rl


def tiny_base(task: str, out: Path) -> str:
    """A model of 47,000 weights, pretrained on the task's problems as they are attempted, right or wrong."""
    shape = {"tokenizer": "char", "hidden": 48, "layers": 2}
    return str(rl.pretrain(task, **shape, batch=64, steps=150, out=out / "models/base").model)


def tiny_distilled(base: str, task: str, out: Path) -> str:
    """The base, trained on the task's own right solutions."""
    return str(rl.distill(base, "solver", task, batch=64, steps=100, lr=3e-3, out=out / "models/distilled").model)


def main() -> None:
    """Two checkpoints, two runs of samples, one comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="the checkpoint that training began with")
    parser.add_argument("--model", help="the checkpoint that came of it")
    parser.add_argument("--task", default="chain,length=2", help="what both are asked: `reachlab tasks` lists them")
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--samples", type=int, default=32, help="answers a problem")
    parser.add_argument("--max-tokens", type=int, default=40, help="tokens of an answer")
    parser.add_argument("--out", type=Path, default=Path("runs/own-checkpoint"), help="where everything is kept")
    given = parser.parse_args()
    base = given.base or tiny_base(given.task, given.out)
    model = given.model or tiny_distilled(base, given.task, given.out)

    asked = {"problems": given.problems, "samples": given.samples, "max_tokens": given.max_tokens}
    before = rl.sample(base, given.task, **asked, out=given.out / "base")
    after = rl.sample(model, given.task, **asked, out=given.out / "trained")

    found = rl.compare({"base": before, "trained": after})
    print(found)
    print("\nverdict:", found.verdicts["trained"].sentence)
    for run in (before, after):
        answer = next(run.samples())
        print(f"{run.name}, to {run.problems()[0].prompt!r}: {answer.text!r} is {answer.verdict.status}")
    print("page:", rl.report(found, given.out / "page.html").path)


if __name__ == "__main__":
    main()
