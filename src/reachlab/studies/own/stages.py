"""The commands of the study, each of which can be run by hand and goes on where it was.

base ─┬─ RL (GRPO, PODS, random reward)                                      ┐
      ├─ the teacher's answers ── distil ──┐                                 ├─ answers to the same held-out problems
      └─ the base's own answers ───────────┴─ continue, as many tokens       ┘
"""

import shlex
from dataclasses import replace
from typing import Any

from reachlab.commands.words import with_words
from reachlab.engines.config import DecodingChoice
from reachlab.sampling.config import SampleConfig
from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.plan import BATCH, MODELS, WIDER, StudyPlan
from reachlab.studies.stages import Stage
from reachlab.tasks.rewards import RANDOM
from reachlab.training.config import DistillConfig, LoopConfig, WeightsConfig
from reachlab.training.rl_config import BudgetConfig, RLConfig, SelectionConfig

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


ALL = SelectionConfig()
"""Learning from every rollout."""


def own_stages(config: OwnConfig, plan: StudyPlan) -> list[Stage]:
    """Every command; what others wait for comes first, then the longest.

    Raises:
        ReachlabError: more words for a command (`config.rl_words` ...) that it does not take.
    """
    make, sizes = _Stages(config, plan), plan.sizes
    teacher, first = config.teacher, list[Stage]()
    if config.teacher_model:
        teacher = f"{config.out}/teacher-answers"
        first.append(make.draw("teacher answers", config.teacher_model, sizes.teacher_answers))
    best = SelectionConfig(rule="max_variance", keep=sizes.rollouts)
    return [
        *first,
        make.distil("distilled", teacher, sizes.distill_steps, tuple(s.name for s in first)),
        make.draw("own answers", config.model, sizes.own_answers),
        make.continuation(("distil", "own answers")),
        make.rl("pods", sizes.pods_steps, WIDER * sizes.rollouts, selection=best),
        make.rl("random", sizes.steps, sizes.rollouts, reward=RANDOM),
        make.rl("grpo", sizes.steps, sizes.rollouts),
        *map(make.sample, MODELS),
    ]


class _Stages:
    """What the stages have in common."""

    def __init__(self, config: OwnConfig, plan: StudyPlan):
        self.config, self.plan, self.sizes = config, plan, plan.sizes

    def draw(self, name: str, model: str, answers: int) -> Stage:
        """Answers to training problems."""
        problems = min(self.plan.trainable, -(-answers // EACH))
        asked = self._sampling(model, name.replace(" ", "-"), problems, -(-answers // problems))
        return self._stage(name, replace(asked, split="train"))

    def sample(self, name: str) -> Stage:
        """Answers to the held-out problems."""
        config, sizes, base = self.config, self.sizes, name == "base"
        model = config.model if base else f"{config.out}/{name}"
        asked = self._sampling(model, f"samples/{name}", sizes.problems, sizes.samples)
        asked = replace(asked, task=config.test_task) if config.test_task else replace(asked, split="test")
        return self._stage(f"sample {name}", asked, () if base else (MADE_BY[name],))

    def rl(self, name: str, steps: int, rollouts: int, selection: SelectionConfig = ALL, reward: str = "") -> Stage:
        """One RL run from the base."""
        config = self.config
        asked = RLConfig(
            model=config.model,
            task=config.task,
            out="",
            reward=reward,
            ask=config.ask,
            prompts=self.sizes.prompts,
            max_tokens=self.sizes.max_tokens,
            selection=selection,
            budget=BudgetConfig(rollouts=rollouts),
            weights=WeightsConfig(dtype=config.dtype),
            loop=self._loop(RLConfig.loop, steps),
        )
        return self._training(name, with_words(asked, config.rl_words, "--rl-words"), ())

    def distil(self, name: str, teacher: str, steps: int, needs: tuple[str, ...]) -> Stage:
        """The teacher's right answers."""
        return self._distil(name, self._distilling(teacher, steps), needs)

    def continuation(self, needs: tuple[str, ...]) -> Stage:
        """The base's own answers, right and wrong: as many tokens as were distilled."""
        out = self.config.out
        asked = self._distilling(f"{out}/own-answers", DistillConfig.loop.steps)
        return self._distil("continued", replace(asked, answers="all", tokens_of=f"{out}/distilled"), needs)

    def _distilling(self, teacher: str, steps: int) -> DistillConfig:
        config = self.config
        return DistillConfig(
            model=config.model,
            teacher=teacher,
            task=config.task,
            out="",
            ask=config.ask,
            batch=BATCH,
            length=LENGTH,
            weights=WeightsConfig(dtype=config.dtype),
            loop=self._loop(DistillConfig.loop, steps),
        )

    def _distil(self, name: str, asked: DistillConfig, needs: tuple[str, ...]) -> Stage:
        asked = with_words(asked, self.config.distill_words, "--distill-words")
        return self._training(name, asked, needs)

    def _loop(self, usual: LoopConfig, steps: int) -> LoopConfig:
        config = self.config
        return replace(usual, steps=steps, threads=self.plan.threads, seed=config.seed, device=config.device)

    def _sampling(self, model: str, folder: str, problems: int, samples: int) -> SampleConfig:
        config = self.config
        asked = SampleConfig(
            model=model,
            task=config.task,
            out="",
            engine=config.engine,
            problems=problems,
            samples=samples,
            ask=config.ask,
            decoding=DecodingChoice(temperature=config.temperature, max_tokens=self.sizes.max_tokens),
            seed=config.seed,
            dtype=config.dtype,
            device=config.device,
        )
        return replace(with_words(asked, config.sample_words, "--sample-words"), out=f"{config.out}/{folder}")

    def _training(self, name: str, asked: RLConfig | DistillConfig, needs: tuple[str, ...]) -> Stage:
        asked = replace(asked, out=f"{self.config.out}/{name}")
        return replace(self._stage(MADE_BY[name], asked, needs), launch=tuple(shlex.split(self.config.launch)))

    def _stage(self, name: str, asked: Any, needs: tuple[str, ...] = ()) -> Stage:
        return Stage(name, asked, needs, self.plan.threads, expected=self.plan.seconds.get(name, 0.0))
