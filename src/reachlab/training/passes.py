"""The model's passes over a step's rollouts: the policy's, the reference's, the critic's; and the updates.

All of them run on packs (`models/packing.py`): the kept answers of some prompts in one row, each prompt once. On a CPU
packs are passed side by side; with sharded weights one after the other, and equally many on every process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.models.devices import autocast
from reachlab.models.packing import Pack, Packer
from reachlab.moe import densified
from reachlab.rl.algorithm import Algorithm
from reachlab.rl.kl import estimate_kl, k3
from reachlab.rl.losses import policy_loss, value_loss
from reachlab.sampling.draws import sample_seed
from reachlab.threads import side_by_side
from reachlab.training.gradient import Piece
from reachlab.training.loop import Metrics, TrainingRun
from reachlab.training.lora import without_adapters
from reachlab.training.processes import Processes
from reachlab.training.rl_config import RLConfig
from reachlab.training.rollouts import Rollouts

Row = tuple[int, int]
"""(p, m): a kept rollout, by problem and place among the kept."""
Seen = list[tuple[Pack, Tensor]]
"""Packs, and the policy's log-probabilities of their tokens."""
Out = TypeVar("Out")


@dataclass(kw_only=True)
class Batch:
    """The kept rollouts of a step as tokens, and what the passes before the update found. T: the longest answer."""

    places: list[int]
    prompts: list[list[int]]
    answers: list[list[list[int]]]
    """Tokens of the kept answers, by problem; empty where fewer than M were drawn."""
    mask_PMT: Tensor
    values_PMT: Tensor | None = None
    penalty_PMT: Tensor | None = None
    advantages: Tensor | None = None
    """(P, M), or (P, M, T) where the tokens of an answer differ."""
    weights_PM: Tensor | None = None
    targets: tuple[Tensor, Tensor] | None = None
    """What the critic should have said, and where it is known: (P, M, T) both."""
    drawn_tokens_P: Tensor | None = None
    """Mean number of tokens of all scored rollouts of a problem, kept or not."""

    def rows(self, problems: Sequence[int], wanted_PM: Tensor | None = None) -> list[Row]:
        """The drawn rollouts of some problems; of these only the `wanted` ones."""
        return [
            (p, m)
            for p in problems
            for m, answer in enumerate(self.answers[p])
            if answer and (wanted_PM is None or wanted_PM[p, m])
        ]


@dataclass
class _Share:
    """What one update learns from: packs, and for each what its rows bring along."""

    packs: list[Pack]
    rows: list[list[Row]]
    old: list[Tensor | None]
    reference: list[Tensor | None]
    answers: float
    """Scored answers of the whole update, over all processes, those that teach nothing too."""
    tokens: float
    """Their tokens."""
    shown: float
    """What statistics are to be multiplied by, to be means over the answers that were computed."""


class Passes:
    """The passes of a run. Made with the weights that the run begins with: they are the reference."""

    def __init__(self, config: RLConfig, algorithm: Algorithm, model: PreTrainedModel, processes: Processes):
        self.config, self.algorithm, self.model, self.processes = config, algorithm, model, processes
        self.packer = Packer(model)
        self.dtype = getattr(torch, config.weights.dtype)
        self.reference: PreTrainedModel | None = None
        if not config.weights.lora_rank and (config.evaluation.watch or config.objective.kl):
            self.reference = deepcopy(model).requires_grad_(False)
            processes.prepare(self.reference)
        # Under adapters the model itself is the reference, and its routers' state moves with the run.
        routers = densified(model)
        self.routers = None if self.reference is not None or routers is None else routers
        self.start = {name: t.clone() for name, t in self.routers.moved().items()} if self.routers else {}

    # -- before the update ------------------------------------------------------------------------------------------

    def prepare(
        self, rollouts: Rollouts, kept_PM: Tensor, drawn_PM: Tensor, threads: int, critic: nn.Module | None
    ) -> Batch:
        """The kept rollouts, with what advantages need of them: KL penalties and values."""
        answers = [
            [rollouts.answers[p][i].tokens.tolist() if drawn else [] for i, drawn in zip(row, there, strict=True)]
            for p, (row, there) in enumerate(zip(kept_PM.tolist(), drawn_PM.tolist(), strict=True))
        ]
        lengths_PM = torch.tensor([[len(a) for a in row] for row in answers])
        longest = max(1, int(lengths_PM.max()))
        batch = Batch(
            places=rollouts.places,
            prompts=rollouts.prompts,
            answers=answers,
            mask_PMT=torch.arange(longest) < lengths_PM[:, :, None],
        )
        in_reward = self.algorithm.kl_place == "reward"
        if not (in_reward or self.algorithm.critic):
            return batch
        rows = batch.rows(range(len(answers)))
        packs, places = self._pack(batch, rows, threads)
        if in_reward:
            with self.original() as original:
                start_PMT = _spread(batch, places, self._no_grad(packs, self._logprobs(original), threads))
            policy_PMT = _spread(batch, places, self._no_grad(packs, self._logprobs(self.model), threads))
            estimate_PMT = estimate_kl(policy_PMT - start_PMT, self.algorithm.kl_estimator)
            batch.penalty_PMT = (self.config.objective.kl * estimate_PMT).masked_fill(~batch.mask_PMT, 0.0)
        if critic is not None:
            batch.values_PMT = _spread(batch, places, self._no_grad(packs, self._values(critic), threads))
        return batch

    def watch(self, rollouts: Rollouts, t: int, threads: int) -> tuple[Metrics, Seen]:
        """Sums over one rollout of each problem, whatever came of it: entropy, and KL to what the run began with; and
        the policy's log-probabilities there, for `moved`.

        Not over the kept ones: what a rule picks is not how the policy is.
        """
        everything = self.config.evaluation.watch
        if not (everything or self.config.guard):
            return {}, []
        seed = self.config.loop.seed
        chosen = [
            [rollouts.answers[p][sample_seed(seed, f"watch {t}", place) % rollouts.first].tokens.tolist()]
            for p, place in enumerate(rollouts.places)
        ]
        packs = self._packs(rollouts.prompts, chosen, threads)
        if not everything:
            return {}, [*zip(packs, self._no_grad(packs, self._logprobs(self.model), threads), strict=True)]
        policy = self._no_grad(packs, self._logprobs(self.model, entropy=True), threads)
        with self.original() as original:
            reference = self._no_grad(packs, self._logprobs(original), threads)
        sums = {"watched": 0.0, "entropy": 0.0, "kl_start": 0.0}
        for pack, (logprobs_BT, entropy_BT), start_BT in zip(packs, policy, reference, strict=True):
            mask_BT = pack.mask_BT
            sums["watched"] += float(mask_BT.sum())
            sums["entropy"] += float(entropy_BT[mask_BT].sum())
            sums["kl_start"] += float(k3(logprobs_BT - start_BT)[mask_BT].sum())
        return sums, [(pack, logprobs_BT) for pack, (logprobs_BT, _) in zip(packs, policy, strict=True)]

    def moved(self, seen: Seen, threads: int) -> Metrics:
        """Sums over the rollouts of `watch`: tokens, and the KL of the policy that was to the policy that is."""
        sums = {"moved": 0.0, "moved_tokens": 0.0}
        after = self._no_grad([pack for pack, _ in seen], self._logprobs(self.model), threads)
        for (pack, before_BT), after_BT in zip(seen, after, strict=True):
            sums["moved_tokens"] += float(pack.mask_BT.sum())
            sums["moved"] += float(k3(before_BT - after_BT)[pack.mask_BT].sum())
        return sums

    @contextmanager
    def original(self) -> Iterator[nn.Module]:
        """The model as it was when the run began."""
        if self.reference is not None:
            yield self.reference
        else:
            with without_adapters(self.model), self.routers.holding(self.start) if self.routers else nullcontext():
                yield self.model

    # -- the update -------------------------------------------------------------------------------------------------

    def update(self, run: TrainingRun, batch: Batch, t: int) -> Metrics:
        """Move the weights: `epochs` times over the batch, in `updates` updates, each on its share of the problems.

        Returns the means of what the updates say of themselves, the same on every process.
        """
        config = self.config
        several = config.updates * config.epochs > 1
        shares = [self._share(batch, u, run.threads, several) for u in range(config.updates)]
        totals: Metrics = {"loss": 0.0, "clip_fraction": 0.0, "kl": 0.0}
        for share in shares * config.epochs:
            sums = self._add_gradient(run, self.model, share, [
                partial(self._policy_loss, batch, share, i) for i in range(len(share.packs))
            ])  # fmt: skip
            if (critic := run.modules.get("critic")) is not None:
                found = self._add_gradient(run, critic, share, [
                    partial(self._value_loss, critic, batch, share, i) for i in range(len(share.packs))
                ])  # fmt: skip
                sums |= {"value_loss": found.pop("loss", 0.0), **found}
            norms = run.optimize(t)
            sums["grad_norm"] = norms["policy"]
            sums |= {"value_grad_norm": norms["critic"]} if "critic" in norms else {}
            for name, value in sums.items():
                totals[name] = totals.get(name, 0.0) + value / len(shares) / config.epochs
        return totals

    def _share(self, batch: Batch, number: int, threads: int, several: bool) -> _Share:
        """What update `number` learns from. Rollouts that move nothing are counted, and not computed."""
        config, algorithm = self.config, self.algorithm
        # Every n-th problem, so that all processes have a part in each update.
        problems = [p for p, place in enumerate(batch.places) if place % config.updates == number]
        everything = batch.rows(problems)
        assert batch.advantages is not None
        wanted_PM = None
        if not algorithm.critic and algorithm.kl_place != "loss":
            wanted_PM = batch.advantages.flatten(2).any(2) if batch.advantages.ndim == 3 else batch.advantages != 0
        packs, rows = self._pack(batch, batch.rows(problems, wanted_PM), threads)
        computed = [row for share in rows for row in share]
        counts = {
            "answers": float(len(everything)),
            "tokens": float(sum(len(batch.answers[p][m]) for p, m in everything)),
            "computed answers": float(len(computed)),
            "computed tokens": float(sum(len(batch.answers[p][m]) for p, m in computed)),
        }
        if batch.weights_PM is not None and batch.drawn_tokens_P is not None:
            # What M of all scored rollouts have in the mean: it does not depend on which are kept.
            M = batch.weights_PM.shape[1]
            known = [p for p in problems if batch.drawn_tokens_P[p] > 0]
            counts |= {"answers": float(M * len(known)), "tokens": float(M * batch.drawn_tokens_P[known].sum())}
        totals = self.processes.sums(counts)
        unit = "tokens" if algorithm.aggregate == "token" else "answers"
        shown = totals[unit] / max(totals[f"computed {unit}"], 1.0)
        old: list[Tensor | None] = [None] * len(packs)
        reference: list[Tensor | None] = [None] * len(packs)
        if several:
            # With one update the policy that drew the rollouts is the one being differentiated.
            old = [*self._no_grad(packs, self._logprobs(self.model), threads)]
        if algorithm.kl_place == "loss":
            with self.original() as original:
                reference = [*self._no_grad(packs, self._logprobs(original), threads)]
        return _Share(packs, rows, old, reference, totals["answers"], totals["tokens"], shown)

    def _policy_loss(self, batch: Batch, share: _Share, i: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Pack i's part of the loss of an update."""
        config, algorithm, pack, rows = self.config, self.algorithm, share.packs[i], share.rows[i]
        logprobs_BT = self._logprobs(self.model)(pack)
        old_BT = share.old[i]
        assert batch.advantages is not None
        return policy_loss(
            logprobs_BT,
            logprobs_BT.detach() if old_BT is None else old_BT,
            _gather(batch.advantages, rows, pack),
            pack.mask_BT,
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            aggregate=algorithm.aggregate,
            total=share.tokens if algorithm.aggregate == "token" else share.answers,
            max_tokens=config.max_tokens,
            weights_B=None if batch.weights_PM is None else _gather(batch.weights_PM, rows, pack),
            ref_logprobs_BT=share.reference[i],
            kl_coef=config.objective.kl if algorithm.kl_place == "loss" else 0.0,
            kl_estimator=algorithm.kl_estimator,
        )

    def _value_loss(self, critic: nn.Module, batch: Batch, share: _Share, i: int) -> tuple[Tensor, dict[str, Tensor]]:
        pack, rows = share.packs[i], share.rows[i]
        assert batch.values_PMT is not None
        assert batch.targets is not None
        returns_PMT, known_PMT = batch.targets
        values_BT = self._values(critic)(pack)
        old_BT, returns_BT, known_BT = (_gather(x, rows, pack) for x in (batch.values_PMT, returns_PMT, known_PMT))
        return value_loss(values_BT, old_BT, returns_BT, known_BT, total=share.tokens)

    def _add_gradient(self, run: TrainingRun, module: nn.Module, share: _Share, pieces: list[Piece]) -> Metrics:
        """Add the pieces' gradient, summed over processes, to the module's; returns the sums of what they say."""
        if self.processes.sharded:
            idle = partial(self._idle, module)
            pieces = pieces + [idle] * (self.processes.most(len(pieces)) - len(pieces))
        sums = self.processes.add_gradients(module, pieces, run.threads)
        self.processes.sum_gradients(module)
        sums = {"loss": 0.0, **self.processes.sums(sums)}
        return {name: value if name == "loss" else value * share.shown for name, value in sums.items()}

    def _idle(self, module: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """A pass that adds nothing, for a process that has fewer packs than another."""
        pack = self._idle_pack()
        found = (self._logprobs if module is self.model else self._values)(module)(pack)
        return found.sum() * 0.0, {}

    # -- passes -----------------------------------------------------------------------------------------------------

    def _pack(self, batch: Batch, rows: list[Row], threads: int) -> tuple[list[Pack], list[list[Row]]]:
        """Packs of some rollouts, and which of them each row of each pack is."""
        answers: list[list[list[int]]] = [[] for _ in batch.prompts]
        for p, m in rows:
            answers[p].append(batch.answers[p][m])
        packs = self._packs(batch.prompts, answers, threads)
        return packs, [[rows[i] for i in pack.index_B.tolist()] for pack in packs]

    def _packs(self, prompts: list[list[int]], answers: list[list[list[int]]], threads: int) -> list[Pack]:
        packs = self.packer.pack(prompts, answers, self.config.pass_tokens, threads)
        return [pack.to(self.model.device) for pack in packs]

    def _idle_pack(self) -> Pack:
        """The smallest pack there is, for a process that has nothing to pass while others do."""
        return self._packs([[0]], [[[0]]], 1)[0]

    def _logprobs(self, model: nn.Module, entropy: bool = False) -> Callable[[Pack], Any]:
        def compute(pack: Pack) -> Any:
            with autocast(self.dtype, pack.ids_RL.device):
                found = self.packer.logprobs(model, pack, self.config.temperature, entropy)
            return found if entropy else found[0]

        return compute

    def _values(self, critic: nn.Module) -> Callable[[Pack], Tensor]:
        def compute(pack: Pack) -> Tensor:
            with autocast(self.dtype, pack.ids_RL.device):
                values_BT: Tensor = critic(self.packer, pack)
            return values_BT.float()

        return compute

    def _no_grad(self, packs: Sequence[Pack], compute: Callable[[Pack], Out], threads: int) -> list[Out]:
        """What `compute` says of each pack, without gradient."""

        def work(pack: Pack) -> Out:
            with torch.no_grad():
                return compute(pack)

        if not self.processes.sharded:
            return side_by_side(work, packs, min(threads, len(packs)))
        # Asked before the first pass: with sharded weights every pass communicates.
        idle = self.processes.most(len(packs)) - len(packs)
        found = [work(pack) for pack in packs]
        for _ in range(idle):
            work(self._idle_pack())
        return found


def _gather(values: Tensor, rows: list[Row], pack: Pack) -> Tensor:
    """The values of a pack's rows: (B,) of (P, M), or (B, T) of (P, M, T)."""
    p, m = torch.tensor(rows).T
    found = values[p, m]
    if found.is_floating_point():
        found = found.float()  # advantages are float64, and the passes are not
    return (found[:, : pack.T] if found.ndim == 2 else found).to(pack.mask_BT.device)


def _spread(batch: Batch, rows: list[list[Row]], values: list[Tensor]) -> Tensor:
    """What was found for each pack's rows, as (P, M, T)."""
    found = torch.zeros(batch.mask_PMT.shape)
    for row, value_BT in zip(rows, values, strict=True):
        p, m = torch.tensor(row).T
        found[p, m, : value_BT.shape[1]] = value_BT.detach().float().cpu()
    return found
