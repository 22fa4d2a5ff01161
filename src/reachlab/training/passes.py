"""The model's passes over a step's rollouts: the policy's, the reference's, the critic's; and the updates.

All of them run on packs (`models/packing.py`): the kept answers of some prompts in one row, each prompt once. On a CPU
packs are passed side by side; with sharded weights one after the other, and equally many on every process.

Axes. P: prompts of a step, M: kept rollouts of a prompt, T: tokens of an answer; of a pack B: answers, T: tokens of an
answer.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.engines.rng import sample_seed
from reachlab.models.devices import autocast
from reachlab.models.pack import Pack
from reachlab.models.packing import Packer
from reachlab.rl.algorithm import Algorithm
from reachlab.rl.kl import estimate_kl, k3
from reachlab.rl.losses import LossForm, policy_loss, value_loss
from reachlab.threads import side_by_side, threads_on
from reachlab.training.critic import Critic
from reachlab.training.gradient import Piece
from reachlab.training.loop import Metrics, TrainingRun
from reachlab.training.processes import Processes
from reachlab.training.reference_model import ReferenceModel
from reachlab.training.rl_config import RLConfig
from reachlab.training.rl_stages import Advantages, Kept, KeptTokens, Loss, Row, Watched
from reachlab.training.rollouts import Rollouts

Out = TypeVar("Out")


@dataclass(frozen=True)
class Passes:
    """The passes of a run over its models."""

    config: RLConfig
    algorithm: Algorithm
    policy: PreTrainedModel
    critic: Critic | None
    """Where the algorithm has one."""
    reference: ReferenceModel | None
    """Where something asks for it."""
    processes: Processes
    packer: Packer
    """For the policy, its reference and its critic alike."""

    @classmethod
    def of(
        cls, config: RLConfig, algorithm: Algorithm, policy: PreTrainedModel, critic: Critic | None, place: Processes
    ) -> "Passes":
        """With the policy as the reference that it is now, before the run moves it."""
        reference = None
        if config.weights.lora_rank:
            reference = ReferenceModel.under_adapters(policy)
        elif config.evaluation.watch or config.objective.kl:
            reference = ReferenceModel.copied(policy, place)
        return cls(config, algorithm, policy, critic, reference, place, Packer(policy))

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        named: torch.dtype = getattr(torch, self.config.weights.dtype)
        return named

    @cached_property
    def threads(self) -> int:
        """Packs passed side by side."""
        return threads_on(self.processes.device)

    def original(self) -> AbstractContextManager[nn.Module]:
        """The reference, to pass.

        Raises:
            ValueError: nothing asked for one.
        """
        if self.reference is None:
            raise ValueError("this run keeps no reference model")
        return self.reference.held()

    # -- before the update ------------------------------------------------------------------------------------------

    def tokens(self, rollouts: Rollouts, kept: Kept) -> KeptTokens:
        """The kept rollouts, with what advantages need of them: KL penalties and values."""
        answers = [
            [rollouts.answers[p][i].tokens.tolist() if drawn else [] for i, drawn in zip(row, there, strict=True)]
            for p, (row, there) in enumerate(zip(kept.indices_PM.tolist(), kept.drawn_PM.tolist(), strict=True))
        ]
        lengths_PM = torch.tensor([[len(a) for a in row] for row in answers])
        longest = max(1, int(lengths_PM.max()))
        tokens = KeptTokens(
            places=rollouts.places,
            prompts=rollouts.prompts,
            answers=answers,
            mask_PMT=torch.arange(longest) < lengths_PM[:, :, None],
        )
        in_reward = self.algorithm.kl_place == "reward"
        if not in_reward and self.critic is None:
            return tokens
        packs, rows = self._pack(tokens, tokens.rows(range(len(answers))))
        if in_reward:
            with self.original() as original:
                start_PMT = _spread(tokens, rows, self._no_grad(packs, self._logprobs(original)))
            policy_PMT = _spread(tokens, rows, self._no_grad(packs, self._logprobs(self.policy)))
            estimate_PMT = estimate_kl(policy_PMT - start_PMT, self.algorithm.kl_estimator)
            penalty_PMT = (self.config.objective.kl * estimate_PMT).masked_fill(~tokens.mask_PMT, 0.0)
            tokens = replace(tokens, penalty_PMT=penalty_PMT)
        if self.critic is not None:
            values_PMT = _spread(tokens, rows, self._no_grad(packs, self._values(self.critic)))
            tokens = replace(tokens, values_PMT=values_PMT)
        return tokens

    def watch(self, rollouts: Rollouts, t: int) -> tuple[Metrics, Watched]:
        """Sums over one rollout of each problem, whatever came of it: entropy, and KL to what the run began with; and
        the policy's log-probabilities there, for `moved`.

        Not over the kept ones: what a rule picks is not how the policy is.
        """
        measured = self.config.evaluation.watch
        if not (measured or self.config.guard):
            return {}, []
        seed = self.config.loop.seed
        chosen = [
            [rollouts.answers[p][sample_seed(seed, f"watch {t}", place) % rollouts.first].tokens.tolist()]
            for p, place in enumerate(rollouts.places)
        ]
        packs = self._packs(rollouts.prompts, chosen)
        if not measured:
            return {}, [*zip(packs, self._no_grad(packs, self._logprobs(self.policy)), strict=True)]
        policy = self._no_grad(packs, self._logprobs(self.policy, entropy=True))
        with self.original() as original:
            reference = self._no_grad(packs, self._logprobs(original))
        sums = {"watched": 0.0, "entropy": 0.0, "kl_start": 0.0}
        for pack, (logprobs_BT, entropy_BT), start_BT in zip(packs, policy, reference, strict=True):
            mask_BT = pack.mask_BT
            sums["watched"] += float(mask_BT.sum())
            sums["entropy"] += float(entropy_BT[mask_BT].sum())
            sums["kl_start"] += float(k3(logprobs_BT - start_BT)[mask_BT].sum())
        return sums, [(pack, logprobs_BT) for pack, (logprobs_BT, _) in zip(packs, policy, strict=True)]

    def moved(self, seen: Watched) -> Metrics:
        """Sums over the rollouts of `watch`: tokens, and the KL of the policy that was to the policy that is."""
        sums = {"moved": 0.0, "moved_tokens": 0.0}
        after = self._no_grad([pack for pack, _ in seen], self._logprobs(self.policy))
        for (pack, before_BT), after_BT in zip(seen, after, strict=True):
            sums["moved_tokens"] += float(pack.mask_BT.sum())
            sums["moved"] += float(k3(before_BT - after_BT)[pack.mask_BT].sum())
        return sums

    # -- the update -------------------------------------------------------------------------------------------------

    def losses(self, tokens: KeptTokens, advantages: Advantages) -> list[Loss]:
        """What each update of a pass over the step's rollouts lowers, on its share of the problems."""
        return [self._loss(tokens, advantages, number) for number in range(self.config.updates)]

    def _loss(self, tokens: KeptTokens, advantages: Advantages, number: int) -> Loss:
        """Of update `number`. Rollouts that move nothing are counted, and not computed."""
        config, algorithm = self.config, self.algorithm
        # Every n-th problem, so that all processes have a part in each update.
        problems = [p for p, place in enumerate(tokens.places) if place % config.updates == number]
        all_move = self.critic is not None or algorithm.kl_place == "loss"
        packs, rows = self._pack(tokens, tokens.rows(problems, None if all_move else advantages.moving_PM))
        counts = self._counts(tokens, advantages, problems, rows)
        unit = "tokens" if algorithm.aggregate == "token" else "answers"
        old: list[Tensor | None] = [None] * len(packs)
        reference: list[Tensor | None] = [None] * len(packs)
        if config.updates * config.epochs > 1:
            # With one update the policy that drew the rollouts is the one being differentiated.
            old = [*self._no_grad(packs, self._logprobs(self.policy))]
        if algorithm.kl_place == "loss":
            with self.original() as original:
                reference = [*self._no_grad(packs, self._logprobs(original))]
        return Loss(
            advantages=advantages,
            values_PMT=tokens.values_PMT,
            packs=packs,
            rows=rows,
            old=old,
            reference=reference,
            answers=counts["answers"],
            tokens=counts["tokens"],
            per_computed=counts[unit] / max(counts[f"computed {unit}"], 1.0),
        )

    def _counts(
        self, tokens: KeptTokens, advantages: Advantages, problems: list[int], computed: list[list[Row]]
    ) -> Metrics:
        """Answers and tokens that an update's mean is over, and those of them that are computed; over all processes."""
        answered, passed = tokens.rows(problems), [row for share in computed for row in share]
        counts = {
            "answers": float(len(answered)),
            "tokens": float(sum(len(tokens.answers[p][m]) for p, m in answered)),
            "computed answers": float(len(passed)),
            "computed tokens": float(sum(len(tokens.answers[p][m]) for p, m in passed)),
        }
        if advantages.weights_PM is not None and (mean_P := advantages.mean_tokens_P) is not None:
            # What M of all scored rollouts have in the mean: it does not depend on which are kept.
            M = advantages.weights_PM.shape[1]
            scored = [p for p in problems if mean_P[p] > 0]
            counts |= {"answers": float(M * len(scored)), "tokens": float(M * mean_P[scored].sum())}
        return self.processes.sums(counts)

    def update(self, run: TrainingRun, losses: Sequence[Loss], t: int) -> Metrics:
        """Move the weights: `epochs` times down all the losses, an update each.

        Returns the means of what the updates say of themselves, the same on every process.
        """
        config = self.config
        totals: Metrics = {"loss": 0.0, "clip_fraction": 0.0, "kl": 0.0}
        for loss in [*losses] * config.epochs:
            pieces = [partial(self._policy_loss, loss, i) for i in range(len(loss.packs))]
            sums = self._add_gradient(self.policy, loss, pieces)
            if self.critic is not None:
                pieces = [partial(self._value_loss, self.critic, loss, i) for i in range(len(loss.packs))]
                more = self._add_gradient(self.critic, loss, pieces)
                sums |= {"value_loss": more.pop("loss", 0.0), **more}
            norms = run.optimize(t)
            sums["grad_norm"] = norms["policy"]
            sums |= {"value_grad_norm": norms["critic"]} if "critic" in norms else {}
            for name, value in sums.items():
                totals[name] = totals.get(name, 0.0) + value / len(losses) / config.epochs
        return totals

    def _policy_loss(self, loss: Loss, i: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Pack i's part of the loss of an update."""
        config, algorithm, pack, rows = self.config, self.algorithm, loss.packs[i], loss.rows[i]
        logprobs_BT = self._logprobs(self.policy)(pack)
        old_BT, weights_PM = loss.old[i], loss.advantages.weights_PM
        return policy_loss(
            logprobs_BT,
            logprobs_BT.detach() if old_BT is None else old_BT,
            _gather(loss.advantages.values, rows, pack),
            pack.mask_BT,
            LossForm.of(algorithm, config.max_tokens, config.objective.kl),
            total=loss.tokens if algorithm.aggregate == "token" else loss.answers,
            weights_B=None if weights_PM is None else _gather(weights_PM, rows, pack),
            ref_logprobs_BT=loss.reference[i],
        )

    def _value_loss(self, critic: Critic, loss: Loss, i: int) -> tuple[Tensor, dict[str, Tensor]]:
        pack, rows, targets, old_PMT = loss.packs[i], loss.rows[i], loss.advantages.targets, loss.values_PMT
        if targets is None or old_PMT is None:
            raise ValueError("a critic learns from targets and its own values")
        old_BT, returns_BT, known_BT = (
            _gather(x, rows, pack) for x in (old_PMT, targets.returns_PMT, targets.known_PMT)
        )
        return value_loss(self._values(critic)(pack), old_BT, returns_BT, known_BT, total=loss.tokens)

    def _add_gradient(self, module: nn.Module, loss: Loss, pieces: Sequence[Piece]) -> Metrics:
        """Add the pieces' gradient, summed over processes, to the module's; returns the sums of what they say."""
        if self.processes.sharded:
            idle = partial(self._idle, module)
            pieces = [*pieces] + [idle] * (self.processes.most(len(pieces)) - len(pieces))
        sums = self.processes.add_gradients(module, pieces, self.threads)
        self.processes.sum_gradients(module)
        sums = {"loss": 0.0, **self.processes.sums(sums)}
        return {name: value if name == "loss" else value * loss.per_computed for name, value in sums.items()}

    def _idle(self, module: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """A pass that adds nothing, for a process that has fewer packs than another."""
        pack = self._idle_pack()
        output = (self._logprobs if module is self.policy else self._values)(module)(pack)
        return output.sum() * 0.0, {}

    # -- passes -----------------------------------------------------------------------------------------------------

    def _pack(self, tokens: KeptTokens, rows: list[Row]) -> tuple[list[Pack], list[list[Row]]]:
        """Packs of some rollouts, and which of them each row of each pack is."""
        answers: list[list[list[int]]] = [[] for _ in tokens.prompts]
        for p, m in rows:
            answers[p].append(tokens.answers[p][m])
        packs = self._packs(tokens.prompts, answers)
        return packs, [[rows[i] for i in pack.index_B.tolist()] for pack in packs]

    def _packs(self, prompts: list[list[int]], answers: list[list[list[int]]]) -> list[Pack]:
        packs = self.packer.pack(prompts, answers, self.config.pass_tokens, self.threads)
        return [pack.to(self.policy.device) for pack in packs]

    def _idle_pack(self) -> Pack:
        """The smallest pack there is, for a process that has nothing to pass while others do."""
        return self._packs([[0]], [[[0]]])[0]

    def _logprobs(self, model: nn.Module, entropy: bool = False) -> Callable[[Pack], Any]:
        def compute(pack: Pack) -> Any:
            with autocast(self.dtype, pack.ids_RL.device):
                both = self.packer.logprobs(model, pack, self.config.temperature, entropy)
            return both if entropy else both[0]

        return compute

    def _values(self, critic: nn.Module) -> Callable[[Pack], Tensor]:
        def compute(pack: Pack) -> Tensor:
            with autocast(self.dtype, pack.ids_RL.device):
                values_BT: Tensor = critic(self.packer, pack)
            return values_BT.float()

        return compute

    def _no_grad(self, packs: Sequence[Pack], compute: Callable[[Pack], Out]) -> list[Out]:
        """What `compute` says of each pack, without gradient."""

        def work(pack: Pack) -> Out:
            with torch.no_grad():
                return compute(pack)

        if not self.processes.sharded:
            return side_by_side(work, packs, min(self.threads, len(packs)))
        # Asked before the first pass: with sharded weights every pass communicates.
        idle = self.processes.most(len(packs)) - len(packs)
        outputs = [work(pack) for pack in packs]
        for _ in range(idle):
            work(self._idle_pack())
        return outputs


def _gather(values: Tensor, rows: list[Row], pack: Pack) -> Tensor:
    """The values of a pack's rows: (B,) of (P, M), or (B, T) of (P, M, T)."""
    p, m = torch.tensor(rows).T
    picked = values[p, m]
    if picked.is_floating_point():
        picked = picked.float()  # advantages are float64, and the passes are not
    return (picked[:, : pack.T] if picked.ndim == 2 else picked).to(pack.mask_BT.device)


def _spread(tokens: KeptTokens, rows: list[list[Row]], values: list[Tensor]) -> Tensor:
    """What each pack's rows, as (P, M, T)."""
    spread_PMT = torch.zeros(tokens.mask_PMT.shape)
    for row, value_BT in zip(rows, values, strict=True):
        p, m = torch.tensor(row).T
        spread_PMT[p, m, : value_BT.shape[1]] = value_BT.detach().float().cpu()
    return spread_PMT
