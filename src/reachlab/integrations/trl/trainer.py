"""TRL's `GRPOTrainer` that learns from m of n rollouts: two passes through its own methods, and no copy of any.

1. Its `_generate` and `_calculate_rewards` draw and reward all n rollouts of every prompt.
2. The rule chooses m of each group. `_generate_and_score_completions` is called with those rows alone, and where it
   asks for completions and rewards it is handed theirs.

So old and reference log-probabilities, advantages, token counts and losses are TRL's own, of the kept rollouts: nothing
is computed for those left out, and a group's statistics are those of its kept rollouts, as in PODS (arXiv 2504.13818).
What TRL logs of rewards, and the completions that it logs, stay those of all n.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer
from trl import __version__ as version
from trl.trainer.utils import nanstd

from reachlab.errors import ReachlabError
from reachlab.integrations.down_sampling import DownSampling

SUPPORTED = "1.16"
OF_REWARDS = ("reward", "reward_std", "frac_reward_zero_std")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """All rollouts of a generation: this process's rows, and every process's rewards."""

    inputs: list[dict[str, Any]]
    prompts: list[Any]
    generated: tuple[Any, ...]
    """What `GRPOTrainer._generate` returns: lists with an entry a row, or None."""
    rewards_RF: Tensor
    """Rewards of all processes' rows by reward function; NaN where it returned None."""

    @property
    def completions(self) -> list[Any]:
        """Texts or messages."""
        found: list[Any] = self.generated[3]
        return found

    def rows(self, own: Sequence[int], everywhere: Tensor) -> "Drawn":
        """Some of the rows: `own` counts those of this process, `everywhere` those of all."""
        return Drawn(
            inputs=[self.inputs[i] for i in own],
            prompts=[self.prompts[i] for i in own],
            generated=tuple(
                [part[i] for i in own] if isinstance(part, list) and part else part for part in self.generated
            ),
            rewards_RF=self.rewards_RF[everywhere.to(self.rewards_RF.device)],
        )


class DownSamplingGRPOTrainer(GRPOTrainer):  # type: ignore[misc]
    """`GRPOTrainer` with rollout down-sampling; everything else is TRL's, evaluation too.

    Args:
        args, kwargs: as of `GRPOTrainer`. `num_generations` is n; a micro-batch holds
            `per_device_train_batch_size` × m / n rows of the kept rollouts.
        down_sampling: how many to keep, by which rule.

    Raises:
        ReachlabError: another TRL than 1.16; m not from 2 to n; rows that do not divide; tools, environments,
            `rollout_func`, images, and rewards that are normalised one by one.
    """

    num_generations: int

    def __init__(self, *args: Any, down_sampling: DownSampling, **kwargs: Any):
        if version.rpartition(".")[0] != SUPPORTED:
            raise ReachlabError(f"TRL {version}: down-sampling is for {SUPPORTED}: pip install 'trl=={SUPPORTED}.*'")
        self.down_sampling = down_sampling
        self._handed: Drawn | None = None
        super().__init__(*args, **kwargs)
        self._refuse()

    def _refuse(self) -> None:
        n, m = self.args.num_generations, self.down_sampling.keep
        self.down_sampling.check(n, "down_sampling: ", "num_generations")
        if m == 1:  # its advantage is its reward less itself
            raise ReachlabError(
                "down_sampling: keep=1: the advantage of a group of one is 0, nothing is learned: 2 or more"
            )
        for what, there in {
            "tools": self.tools,
            "environment_factory": self.environment_factories,
            "rollout_func": self.rollout_func,
        }.items():
            if there:
                raise ReachlabError(f"down-sampling does not go with {what}: leave it out")
        if self.multi_objective_aggregation != "sum_then_normalize":
            raise ReachlabError(
                "down-sampling chooses by the weighted sum of rewards, and multi_objective_aggregation="
                f"{self.multi_objective_aggregation!r} has none: choose 'sum_then_normalize'"
            )
        rows = self.args.per_device_train_batch_size
        if rows * self.args.steps_per_generation % n:
            raise ReachlabError(
                f"a group of {n} would lie on two processes: per_device_train_batch_size={rows} times "
                f"steps_per_generation={self.args.steps_per_generation} must be a multiple of num_generations={n}"
            )
        if rows * m % n:
            least = n // gcd(n, m)
            raise ReachlabError(
                f"{m} of {n} of per_device_train_batch_size={rows} rows is no whole number of rows: choose a multiple "
                f"of {least}"
            )

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        found: tuple[Any, ...] = super()._generate(prompts) if self._handed is None else self._handed.generated
        return found

    def _calculate_rewards(
        self, inputs: list[Any], prompts: list[Any], completions: list[Any], completion_ids_list: list[list[int]]
    ) -> Tensor:
        if self._handed is not None:
            return self._handed.rewards_RF
        found: Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return found

    @contextmanager
    def _handing(self, kept: Drawn) -> Iterator[None]:
        """TRL's methods are given these rollouts, and take a group for m."""
        n = self.num_generations
        self._handed, self.num_generations = kept, self.down_sampling.keep
        try:
            yield
        finally:
            self._handed, self.num_generations = None, n

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.model.training:
            found: dict[str, Any] = super()._generate_and_score_completions(inputs)
            return found
        if "image" in inputs[0] or "images" in inputs[0]:
            raise ReachlabError("down-sampling does not go with images yet: a data set of texts is wanted")
        prompts = [x["prompt"] for x in inputs]
        generated = self._generate(prompts)
        rewards_RF = self._calculate_rewards(inputs, prompts, generated[3], generated[1])
        drawn = Drawn(inputs=inputs, prompts=prompts, generated=generated, rewards_RF=rewards_RF)
        everywhere, own = self._chosen(self._rewards(rewards_RF), len(inputs))
        kept = drawn.rows(own, everywhere)
        with self._handing(kept):
            output: dict[str, Any] = super()._generate_and_score_completions(kept.inputs)
        self._say_all(drawn, everywhere)
        return output

    def _rewards(self, rewards_RF: Tensor) -> Tensor:
        """The weighted sum of each row's rewards, as TRL has it; NaN where no function gave one."""
        rewards_R = (rewards_RF * self.reward_weights.to(rewards_RF.device)).nansum(dim=1)
        found: Tensor = rewards_R.masked_fill(rewards_RF.isnan().all(dim=1), torch.nan)
        return found

    def _chosen(self, rewards_R: Tensor, own: int) -> tuple[Tensor, list[int]]:
        """Rows that are kept, of all processes, in their order; and those of this process's `own` rows, from 0."""
        rewards_PN = rewards_R.view(-1, self.num_generations).double().cpu()
        kept_PM = self.down_sampling.choose(rewards_PN, self.state.global_step).sort(dim=1).values
        everywhere = (kept_PM + torch.arange(len(kept_PM))[:, None] * self.num_generations).flatten()
        first = self.accelerator.process_index * own
        mine = everywhere[(everywhere >= first) & (everywhere < first + own)] - first
        return everywhere, mine.tolist()

    def _say_all(self, drawn: Drawn, everywhere: Tensor) -> None:
        """What TRL has just logged of the kept rollouts goes under down_sampling/, and that of all takes its place."""
        rewards_R = self._rewards(drawn.rewards_RF)
        metrics = self._metrics["train"]
        of_all = {"reward": rewards_R.nanmean(), "reward_std": nanstd(rewards_R)}
        groups_PN = rewards_R.view(-1, self.num_generations)
        spread = nanstd(groups_PN, dim=1) if self.scale_rewards != "batch" else nanstd(rewards_R)
        of_all["frac_reward_zero_std"] = torch.isclose(spread, torch.zeros_like(spread)).float().mean()
        for f, name in enumerate(self.reward_func_names):
            of_all[f"rewards/{name}/mean"] = drawn.rewards_RF[:, f].nanmean()
            of_all[f"rewards/{name}/std"] = nanstd(drawn.rewards_RF[:, f])
        for name, value in of_all.items():
            metrics[f"down_sampling/{name}"].append(metrics[name].pop())
            metrics[name].append(value.item())
        metrics["down_sampling/unscored"].append(rewards_R.isnan().float().mean().item())

        advantages = [self._logs["advantages"].pop() for _ in everywhere][::-1]
        of_rows = dict(zip(everywhere.tolist(), advantages, strict=True))
        for column in (self._logs["prompt"], self._logs["completion"], *self._logs["rewards"].values()):
            for _ in everywhere:
                column.pop()
        self._logs["prompt"].extend(gather_object(drawn.prompts))
        self._logs["completion"].extend(gather_object(drawn.completions))
        for f, name in enumerate(self.reward_func_names):
            self._logs["rewards"][name].extend(drawn.rewards_RF[:, f].tolist())
        self._logs["advantages"].extend(of_rows.get(i, float("nan")) for i in range(len(rewards_R)))
