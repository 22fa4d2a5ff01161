"""Next-token training: pretraining on text, distilling a teacher's right answers.

loss = − mean over learned tokens of log p(y_t | y_<t)

The mean is over the whole batch, in however many pieces and processes it is computed.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.models.build import build_model, give_sight
from reachlab.models.chat import end_tokens
from reachlab.models.checkpoint import find_checkpoint, hash_model, load_model, load_tokenizer
from reachlab.models.devices import autocast, choose_device
from reachlab.models.origin import origin_of
from reachlab.models.pinning import locate
from reachlab.models.tokenizer import Kind, train_tokenizer
from reachlab.moe import densified
from reachlab.prompting.asking import asked_task
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.threads import side_by_side
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.corpus.packed import check_room, open_packed, pack
from reachlab.training.corpus.sources import is_text
from reachlab.training.corpus.survey import survey
from reachlab.training.corpus.windows import window_batches, windows_in_order
from reachlab.training.guard import SEQUENCES, check
from reachlab.training.loop import Claim, Metrics, Trained, TrainingRun, identity, placed, run_folder, settle
from reachlab.training.lora import adapt
from reachlab.training.processes import Processes
from reachlab.training.recipes import say, settle_distill, settled_optimizer
from reachlab.training.routing import Balance, route, settled_balance, watched
from reachlab.training.text import (
    Documents,
    Tokens,
    ahead,
    attempts,
    document_batches,
    solutions,
    teacher_samples,
)

Batches = Callable[[int], Tokens]

VOCABULARY_DOCUMENTS = 5000
"""Documents of a task that a new tokenizer learns from."""
VOCABULARY_CHARACTERS = 1 << 24
"""Characters of text that a new tokenizer learns from, in whole documents."""


def pretrain(config: PretrainConfig, tell: Callable[[str], None] = lambda _: None) -> bool:
    """Train a new model from nothing; the same command again goes on with a killed run. `tell` hears remarks.

    Returns whether this is the process that speaks for all.

    Raises:
        ReachlabError: data that cannot be read, a shape that cannot be, a folder that holds another run.
    """
    run_folder(config.out)
    config = replace(config, balance=settled_balance(config.balance, here=True))
    with _processes(config) as processes:
        (_pretrain_on_text if is_text(config.data) else _pretrain_on_task)(config, processes, tell)
        return processes.main


def _pretrain_on_task(config: PretrainConfig, processes: Processes, tell: Callable[[str], None]) -> None:
    task = load_task(config.data)
    if config.text.eval_every:
        raise ReachlabError("--eval-every measures held-out text: --data text:PATH, datasets:PATH or stdlib")
    documents = attempts(task, config.loop.seed)

    def vocabulary() -> Iterator[str]:
        # A finite task's stream repeats; what it shows in one epoch is enough.
        yield from (f"{d.prompt}{d.answer}" for d in documents(0, VOCABULARY_DOCUMENTS))
        yield from task.alphabet() or ""

    run = _new_model(config, processes, "number", vocabulary, {})
    if not run.finished:
        batches = document_batches(documents, run.tokenizer, config.batch, config.length, answer_only=False)
        Learner(run, batches, config).train("pretrain")


def _pretrain_on_text(config: PretrainConfig, processes: Processes, tell: Callable[[str], None]) -> None:
    # One process reads and writes; the others are told what it found.
    corpus = processes.by_main(lambda: survey(config.data, config.text.glob, config.text.held_out))
    if processes.main:
        for remark in corpus.remarks():
            tell(remark)
    if config.text.eval_every and not corpus.held_out_documents:
        raise ReachlabError(f"{config.data}: no document is held out of {corpus.documents}; give a larger --held-out")
    run = _new_model(config, processes, "bpe", lambda: corpus.sample(VOCABULARY_CHARACTERS), {"data_hash": corpus.hash})
    own = run.path / "tokens"
    if not run.finished:
        folder = Path(config.text.cache) if config.text.cache else own

        def tokenize() -> Path:
            check_room(corpus, run.tokenizer, config.length)  # before anything is written
            run.claim.make()
            return pack(corpus, run.tokenizer, folder)

        tokens = open_packed(processes.by_main(tokenize))
        if processes.main:
            learn, keep = len(tokens.train_N), len(tokens.held_out_N)
            tell(f"{config.data}: {corpus.documents:,} documents, {learn:,} tokens to learn from, {keep:,} held out")
        batches = window_batches(tokens.train_N, config.batch, config.length, config.loop.seed)
        held_out = partial(windows_in_order, tokens.held_out_N, config.batch, config.length, config.text.eval_tokens)
        Learner(run, batches, config, held_out, config.text.eval_every).train("pretrain")
    if processes.main:
        shutil.rmtree(own, ignore_errors=True)


def _new_model(
    config: PretrainConfig,
    processes: Processes,
    kind: Kind,
    vocabulary: Callable[[], Iterable[str]],
    facts: dict[str, Any],
) -> TrainingRun:
    """A run that begins with random weights and a tokenizer made for its text."""
    if config.model.tokenizer != "auto":
        kind = config.model.tokenizer
    shape = replace(config.model, tokenizer=kind)

    settle(config.loop)
    tokenizer = processes.by_main(lambda: train_tokenizer(kind, vocabulary(), shape.vocab_size))
    if shape.family == "llava":
        give_sight(shape, tokenizer)
    model = build_model(shape, tokenizer, config.loop.seed)
    route(model, config.routing, config.balance)
    trained = {"policy": Trained(placed(model, processes.device), config.optimizer)}
    known = {**identity(replace(config, model=shape)), **facts}
    # Where the tokens lie changes nothing.
    known["text"] = {name: value for name, value in known["text"].items() if name != "cache"}
    claim = Claim(RunFolder(config.out), "pretrain", known, {"data": config.data})
    return TrainingRun(claim, config.loop, trained, tokenizer, processes)


def distill(config: DistillConfig, tell: Callable[[str], None] = lambda _: None) -> bool:
    """Train a model on its teacher's right answers; the same command again goes on with a killed run. `tell` hears
    remarks.

    Returns whether this is the process that speaks for all.

    Raises:
        ReachlabError: no checkpoint, no teacher, nothing right to learn from, a folder that holds another run.
    """
    folder, remarks = run_folder(config.out), list[str]()
    found = locate(config.model, [folder], remarks.append)
    config = replace(config, model=found.folder)
    origin = origin_of(find_checkpoint(config.model))
    said, config = config, settle_distill(config, origin)
    config = replace(config, balance=settled_balance(config.balance, origin.here))
    asked = asked_task(config.task, config.ask, config.model)
    task, seed = asked.task, config.loop.seed
    if config.teacher == "solver":
        documents = solutions(task, seed)
    else:
        documents = teacher_samples(SampleStore(RunFolder(config.teacher)), task, seed, config.answers == "right")
    if config.tokens_of:
        config = replace(config, loop=replace(config.loop, steps=_steps_of(config, documents)))

    known = {**identity(config), "ask": asked.identity, "model": hash_model(config.model, rehash=config.rehash)}
    del known["tokens_of"]  # the steps say it
    claim = Claim(folder, "distill", known, {**found.facts, "teacher": config.teacher})
    with _processes(config) as processes:
        settle(config.loop)
        model, tokenizer = load_model(config.model)
        route(model, config.routing, config.balance, find_checkpoint(config.model))
        adapt(model, config.weights, processes)
        trained = {"policy": Trained(placed(model, processes.device), settled_optimizer(config.optimizer))}
        run = TrainingRun(claim, config.loop, trained, tokenizer, processes)
        if not run.finished:
            remarks += filter(None, (asked.remark, say(said, config, origin)))
            for remark in remarks if processes.main else ():
                tell(remark)
            ends = end_tokens(run.tokenizer, find_checkpoint(config.model))
            batches = document_batches(
                documents, run.tokenizer, config.batch, config.length, answer_only=True, ends=ends
            )
            Learner(run, batches, config).train("distill")
            if processes.main and (remark := _cut(run, config)):
                tell(remark)
        return processes.main


def _cut(run: TrainingRun, config: DistillConfig) -> str:
    """A remark on answers that were longer than --length, if there were any."""
    cut = sum({row["step"]: row.get("cut") or 0.0 for row in run.folder.metrics()}.values())
    if not cut:
        return ""
    return (
        f"{cut:,.0f} of {config.batch * config.loop.steps:,} sequences were longer than --length {config.length} and "
        "were cut: their ends were not learned; raise --length to learn them"
    )


def _steps_of(config: DistillConfig, documents: Documents) -> int:
    """Steps until as many tokens are learned as the run `config.tokens_of` learned.

    Raises:
        ReachlabError: that run is none, has not finished, or learned nothing.
    """
    other = RunFolder(config.tokens_of)
    if not other.exists("model/config.json"):
        raise ReachlabError(f"--tokens-of {other.url}: not a finished training run")
    wanted = sum({row["step"]: row.get("tokens", 0.0) for row in other.metrics()}.values())
    if not wanted:
        raise ReachlabError(
            f"--tokens-of {other.url}: its metrics.jsonl counts no tokens; name a distilled model's run"
        )
    batches = document_batches(documents, load_tokenizer(config.model), config.batch, config.length, answer_only=True)
    learned = 0.0
    for step in count():
        learned += float(batches(step).learn_BT[:, 1:].sum())
        if learned >= wanted:
            return step + 1
    raise AssertionError("count() has no end")


@contextmanager
def _processes(config: PretrainConfig | DistillConfig) -> Iterator[Processes]:
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
class Learner:
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
            found = {"guard_loss": now, "seconds_guard": time.perf_counter() - began}
            return found if t else {"guard_start": start, **found}

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
                partial(next_token_loss, run.model, b, run.device, learned, self.balance, self._dtype)
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
            return float(_summed(self.run.model, batch, self.run.device, self._dtype))

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
        found: torch.dtype = getattr(torch, name)
        return found


def next_token_loss(
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
    if not balance.asked:
        return _summed(model, batch, device, dtype) / learned, {}
    mask_BT = batch.attention_BT.to(device)
    nats = _summed(model, batch, device, dtype, attention_mask=mask_BT)
    extra, said = balance.losses(mask_BT)
    return nats / learned + extra, said


def _summed(
    model: PreTrainedModel, batch: Tokens, device: torch.device, dtype: torch.dtype, **more: Any
) -> torch.Tensor:
    """The sum of the learned tokens' cross-entropies."""
    ids_BT, learn_BT = batch.ids_BT.to(device), batch.learn_BT[:, 1:].to(device)
    with autocast(dtype, device):
        # Padding lies to the right, where a causal model cannot see it; a mask would only cost time.
        out = model(**{"input_ids": ids_BT, **batch.seen(model, device)}, use_cache=False, **more)
    chosen = learn_BT.nonzero(as_tuple=True)
    return F.cross_entropy(out.logits[chosen].float(), ids_BT[:, 1:][chosen], reduction="sum")
