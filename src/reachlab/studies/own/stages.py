"""The commands of the study, each of which can be run by hand and goes on where it was.

base ─┬─ RL (GRPO, PODS, random reward)                                      ┐
      ├─ the teacher's answers ── distil ──┐                                 ├─ answers to the same held-out problems
      └─ the base's own answers ───────────┴─ continue, as many tokens       ┘
"""

import shlex
from collections.abc import Sequence
from dataclasses import fields

from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.plan import BATCH, MODELS, WIDER, Plan
from reachlab.studies.stages import Stage
from reachlab.tasks.asking import AskConfig

MADE_BY = {
    "grpo": "RL, GRPO",
    "pods": "RL, PODS",
    "random": "RL, random reward",
    "distilled": "distil",
    "continued": "continue",
}
"""The stage that makes each model but the base."""
EACH = 4
"""Answers a training problem of the base, or of a teacher model, where there are enough problems."""
LENGTH = 1 << 20
"""Longest prompt and answer that distilling takes: none is cut, since answers have a longest of their own."""


def own_stages(config: OwnConfig, plan: Plan) -> list[Stage]:
    """Every command; what others wait for comes first, then the longest."""
    commands = _Commands(config, plan)
    sizes = plan.sizes
    teacher, first = config.teacher, list[Stage]()
    if config.teacher_model:
        teacher = f"{config.out}/teacher-answers"
        first.append(commands.draw("teacher answers", config.teacher_model, sizes.teacher_answers))
    return [
        *first,
        commands.distil("distilled", teacher, sizes.distill_steps, tuple(s.name for s in first)),
        commands.draw("own answers", config.model, sizes.own_answers),
        commands.continuation(("distil", "own answers")),
        commands.rl(
            "pods", sizes.pods_steps, WIDER * sizes.rollouts, ("--keep", str(sizes.rollouts), "--rule", "max_variance")
        ),
        commands.rl("random", sizes.steps, sizes.rollouts, ("--reward", "random")),
        commands.rl("grpo", sizes.steps, sizes.rollouts),
        *map(commands.sample, MODELS),
    ]


class _Commands:
    """What the stages have in common."""

    def __init__(self, config: OwnConfig, plan: Plan):
        self.config, self.plan, self.sizes = config, plan, plan.sizes
        self.ask = _words(config.ask)
        self.asked = (*self.ask, "--max-tokens", str(plan.sizes.max_tokens))
        self.where = ("--seed", str(config.seed), "--dtype", config.dtype, "--device", config.device)

    def draw(self, name: str, model: str, answers: int) -> Stage:
        """Answers to training problems."""
        problems = min(self.plan.trainable, -(-answers // EACH))
        asked = ("--split", "train", "--problems", str(problems), "--samples", str(-(-answers // problems)))
        return self._sampling(name, model, self.config.task, asked, name.replace(" ", "-"), ())

    def sample(self, name: str) -> Stage:
        """Answers to the held-out problems."""
        config, sizes = self.config, self.sizes
        problems = ["--problems", str(sizes.problems), "--samples", str(sizes.samples)]
        if not config.test_task:
            problems += ["--split", "test"]
        model = config.model if name == "base" else f"{config.out}/{name}"
        needs = () if name == "base" else (MADE_BY[name],)
        return self._sampling(
            f"sample {name}", model, config.test_task or config.task, problems, f"samples/{name}", needs
        )

    def rl(self, name: str, steps: int, rollouts: int, more: Sequence[str] = ()) -> Stage:
        """One RL run from the base."""
        config, sizes = self.config, self.sizes
        shape = ("--prompts", str(sizes.prompts), "--rollouts", str(rollouts), *more, "--steps", str(steps))
        words = ("rl", "--model", config.model, "--task", config.task, *self.asked, *shape)
        return self._training(name, words, config.rl_words, ())

    def distil(self, name: str, teacher: str, steps: int, needs: tuple[str, ...]) -> Stage:
        """The teacher's right answers."""
        return self._distil(name, ("--teacher", teacher, "--steps", str(steps)), needs)

    def continuation(self, needs: tuple[str, ...]) -> Stage:
        """The base's own answers, right and wrong: as many tokens as were distilled."""
        out = self.config.out
        taught = ("--teacher", f"{out}/own-answers", "--answers", "all", "--tokens-of", f"{out}/distilled")
        return self._distil("continued", taught, needs)

    def _distil(self, name: str, taught: Sequence[str], needs: tuple[str, ...]) -> Stage:
        config = self.config
        words = ("distill", "--model", config.model, "--task", config.task, *self.ask, *taught)
        words += ("--batch", str(BATCH), "--length", str(LENGTH))
        return self._training(name, words, config.distill_words, needs)

    def _training(self, name: str, words: Sequence[str], more: str, needs: tuple[str, ...]) -> Stage:
        threads, out = self.plan.threads, f"{self.config.out}/{name}"
        command = (*words, *self.where, "--threads", str(threads), *shlex.split(more), "--out", out)
        return self._stage(MADE_BY[name], command, needs, tuple(shlex.split(self.config.launch)))

    def _sampling(
        self, name: str, model: str, task: str, problems: Sequence[str], folder: str, needs: tuple[str, ...]
    ) -> Stage:
        config = self.config
        words = ("sample", "--model", model, "--task", task, *problems, *self.asked, *self.where)
        words += ("--temperature", f"{config.temperature:g}")
        words += ("--engine", config.engine, *shlex.split(config.sample_words), "--out", f"{config.out}/{folder}")
        return self._stage(name, words, needs, ())

    def _stage(self, name: str, command: tuple[str, ...], needs: tuple[str, ...], launch: tuple[str, ...]) -> Stage:
        return Stage(name, command, needs, self.plan.threads, launch, self.plan.seconds.get(name, 0.0))


def _words(ask: AskConfig) -> tuple[str, ...]:
    """What the user says of asking, as options; what is left to be chosen is not said."""
    said = [(f.name, value) for f in fields(ask) if (value := getattr(ask, f.name)) != f.default]
    return tuple(word for name, value in said for word in (f"--{name.replace('_', '-')}", str(value)))
