"""A task of your own: say what is asked and what is right; every function and command then knows it by its name.

    python examples/own_task.py                                          # needs reachlab[train]; about 20 seconds
    python examples/rl_pods.py --task examples/own_task.py:Sort          # any function, also with a real --model
    reachlab tasks sort,length=5 --plugin examples/own_task.py           # any command

The task is to sort letters. A tiny model is pretrained on attempts of which half are wrong, and RL trains it on the
verdicts. It prints two problems, how often the model was right while it learned, and pass@k before and after."""

import argparse
import random
from pathlib import Path

import reachlab as rl
from reachlab.checks.task import check_task
from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, Verdict


@rl.register.task("sort", about="write letters in alphabetical order")
class Sort(GeneratedTask):
    """`length` letters, of which some may be the same."""

    def __init__(self, length: int = 4):
        self.length, self.spec = length, "sort"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        word = "".join(rng.choices("abcdef", k=self.length))
        return Problem(id=word, prompt=f"{word}>", answer="".join(sorted(word)))

    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict.correct() if text.strip() == problem.answer else Verdict.wrong(f"it is {problem.answer}")

    def solve(self, problem: Problem, rng: random.Random) -> str:  # what a teacher says
        return str(problem.answer)

    def attempt(self, problem: Problem, rng: random.Random) -> str:  # what pretraining learns
        return rng.choice([str(problem.answer), "".join(rng.sample(problem.answer, self.length))])


def main() -> None:
    """Check, taste, train, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/own-task"), help="where everything is kept")
    out = parser.parse_args().out
    check_task(Sort())  # says what is broken, and what a task has to keep
    for problem in rl.load_task("sort,length=5").problems("test", 2):
        print(problem.prompt, problem.answer, rl.verify("sort", "abcde", problem))
    base = rl.pretrain("sort", tokenizer="char", hidden=32, layers=2, batch=64, steps=100, out=out / "base")
    trained = rl.train_rl(base, "sort", rollouts=16, prompts=16, steps=20, lr=1e-3, max_tokens=8, out=out / "rl")
    right = trained.metrics["accuracy"]
    print(f"right while learning: {right[:5].mean():.0%} -> {right[-5:].mean():.0%}")
    asked = {"problems": 60, "samples": 32, "max_tokens": 8}
    before = rl.sample(base, "sort", **asked, out=out / "before")
    print(rl.compare({"base": before, "rl": rl.sample(trained, "sort", **asked, out=out / "after")}))


if __name__ == "__main__":
    main()
