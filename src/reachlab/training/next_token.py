"""Next-token training: what pretraining and distilling have in common.

loss = − mean over learned tokens of log p(y_t | y_<t)

The mean is over the whole batch, in however many pieces and processes it is computed.

Axes. B: sequences, T: tokens.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.models.devices import autocast, choose_device
from reachlab.moe import densified
from reachlab.next_token_loss import next_token_loss
from reachlab.threads import side_by_side
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.guard import SEQUENCES, check
from reachlab.training.loop import Metrics, TrainingRun
from reachlab.training.processes import Processes
from reachlab.training.routing import Balance, watched
from reachlab.training.text import (
    Tokens,
    ahead,
)

Batches = Callable[[int], Tokens]


@contextmanager
def launched(config: PretrainConfig | DistillConfig) -> Iterator[Processes]:
    """The processes that the launcher started.

    Raises:
        ReachlabError: more of them than there are sequences for.
    """
    processes = Processes.start(choose_device(config.loop.device))
    try:
        if config.batch < processes.world * config.accumulate:
            raise ReachlabError(
                f"batch={config.batch} cannot be shared by {processes.world} processes in {config.accumulate} pieces "
                f"each: raise --batch to {processes.world * config.accumulate}"
            )
        yield processes
    finally:
        processes.close()


@dataclass(frozen=True)
class NextTokenTrainer:
    """Predicts every learned token, step after step."""

    run: TrainingRun
    batches: Batches
    """The whole step's batches, of which a process takes its slice."""
    config: PretrainConfig | DistillConfig
    held_out: Callable[[], Iterable[Tokens]] = tuple
    """What the validation loss is measured on."""
    eval_every: int = 0

    @cached_property
    def balance(self) -> Balance:
        """What is asked of the routers."""
        return Balance(self.run.model, self.config.balance, self.run.processes.world * self.config.accumulate)

    def train(self, label: str) -> None:
        """Take the steps that are left."""
        run = self.run
        self.batches(run.step)  # data that cannot be used is found before anything is written
        seen = math.fsum(run.logged("tokens"))
        upcoming = ahead(self.batches, run.step, run.loop.steps)
        run.model.train()

        def step(t: int) -> Metrics:
            nonlocal seen
            began = time.perf_counter()
            metrics = self.learn(self._agreed(upcoming), t)
            metrics |= recorder.scalars() if recorder else {}
            seen += metrics["tokens"]
            metrics["tokens_seen"] = seen
            metrics["tokens_per_second"] = metrics["tokens"] / (time.perf_counter() - began)
            metrics |= guard(t)
            if self.eval_every and ((t + 1) % self.eval_every == 0 or t + 1 == run.loop.steps):
                metrics |= self.validate()
            if recorder:
                recorder.reset()
            return metrics

        with watched(run.model) as recorder:
            guard = self._guarded()
            try:
                run.train(step, label)
            finally:
                upcoming.close()

    def _guarded(self) -> Callable[[int], Metrics]:
        """What measures the loss of the first step's first sequences after step t, and stops the run if it has leapt.

        What it was at the start is in the first line of the metrics, where a run that goes on finds it.
        """
        run, config = self.run, self.config
        limit = config.guard if isinstance(config, DistillConfig) else 0.0
        if not limit:
            return lambda t: {}
        first = next(iter(self.batches(0).split(-(-config.batch // SEQUENCES))))
        if run.step:
            (start,) = run.logged("guard_start", until=1)
        else:
            start = self._mean_nats([first])

        def measure(t: int) -> Metrics:
            began = time.perf_counter()
            now = self._mean_nats([first])
            check("raised the loss above its start", now - start, limit, run.optimizer_config, t + 1)
            measured = {"guard_loss": now, "seconds_guard": time.perf_counter() - began}
            return measured if t else {"guard_start": start, **measured}

        return measure

    def _agreed(self, upcoming: Iterator[Tokens]) -> Tokens:
        """The next batch; where one process fails to make it, all stop."""
        with self.run.processes.agreed():
            return next(upcoming)

    def learn(self, batch: Tokens, t: int) -> Metrics:
        """One update on a batch."""
        run, processes = self.run, self.run.processes
        learned = float(batch.learn_BT[:, 1:].sum())
        sums: Metrics = {}
        for part in batch.split(processes.world)[processes.rank].split(self.config.accumulate):
            pieces = [
                partial(piece_loss, run.model, b, run.device, learned, self.balance, self._dtype)
                for b in part.split(self._at_once)
            ]
            for name, value in processes.add_gradients(run.model, pieces, run.threads).items():
                sums[name] = sums.get(name, 0.0) + value
        processes.sum_gradients(run.model)
        cut: Metrics = {} if batch.cut is None else {"cut": float(batch.cut)}
        return {**processes.sums(sums), "grad_norm": run.optimize(t)["policy"], "tokens": learned, **cut}

    def validate(self) -> Metrics:
        """Mean loss (nats) and perplexity of the held-out tokens, over all processes."""
        began = time.perf_counter()
        loss = torch.tensor(self._mean_nats(self.held_out()), dtype=torch.float64)
        seconds = time.perf_counter() - began
        return {"val_loss": float(loss), "val_perplexity": float(loss.exp()), "seconds_eval": seconds}

    def _mean_nats(self, batches: Iterable[Tokens]) -> float:
        """The loss of batches without learning from them, over all processes."""
        run, processes = self.run, self.run.processes
        nats, tokens = 0.0, 0.0
        run.model.eval()
        for batch in batches:
            tokens += float(batch.learn_BT[:, 1:].sum())
            pieces = batch.share(processes.rank, processes.world).split(self._at_once)
            nats += math.fsum(side_by_side(self._nats, pieces, run.threads))
        run.model.train()
        return processes.sums({"nats": nats})["nats"] / tokens

    def _nats(self, batch: Tokens) -> float:
        with torch.no_grad():
            return float(_nats(self.run.model, batch, self.run.device, self._dtype))

    @property
    def _at_once(self) -> int:
        """How many pieces of a batch are passed side by side."""
        model = self.run.model
        # Layers that are listened to add up what they hear, pass after pass.
        return 1 if densified(model) is not None or self.run.processes.sharded else self.run.threads

    @property
    def _dtype(self) -> torch.dtype:
        config = self.config
        name = config.dtype if isinstance(config, PretrainConfig) else config.weights.dtype
        dtype: torch.dtype = getattr(torch, name)
        return dtype


def piece_loss(
    model: PreTrainedModel,
    batch: Tokens,
    device: torch.device,
    learned: float,
    balance: Balance,
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Cross-entropy (nats) of the learned tokens over `learned`, the number of them in the whole batch.

    What `balance` asks of a sparse model's routers is added. `dtype` is what the model computes in.
    """
    if not balance.active:
        return _nats(model, batch, device, dtype) / learned, {}
    mask_BT = batch.attention_BT.to(device)
    nats = _nats(model, batch, device, dtype, attention_mask=mask_BT)
    extra, metrics = balance.losses(mask_BT)
    return nats / learned + extra, metrics


def _nats(model: PreTrainedModel, batch: Tokens, device: torch.device, dtype: torch.dtype, **more: Any) -> torch.Tensor:
    """The sum of the learned tokens' cross-entropies."""
    ids_BT, learn_BT = batch.ids_BT.to(device), batch.learn_BT.to(device)
    with autocast(dtype, device):
        # Padding lies to the right, where a causal model cannot see it; a mask would only cost time.
        out = model(**{"input_ids": ids_BT, **batch.seen(model, device)}, use_cache=False, **more)
    return next_token_loss(out.logits, ids_BT, learn_BT)
