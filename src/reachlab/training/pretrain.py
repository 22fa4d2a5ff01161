"""Pretraining: a new model and its tokenizer, from a task's attempts or from text (`next_token.py`)."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.models.build import build_model, give_sight
from reachlab.models.tokenizer import Kind, train_tokenizer
from reachlab.plugins import facts_of
from reachlab.runs import RunFolder
from reachlab.tasks.registry import load_task
from reachlab.training.beginning import Claim, Trained, config_identity, makers_of, placed, run_folder, settle
from reachlab.training.config import PretrainConfig
from reachlab.training.corpus.packed import check_room, open_packed, pack
from reachlab.training.corpus.sources import is_text
from reachlab.training.corpus.survey import survey
from reachlab.training.corpus.windows import window_batches, windows_in_order
from reachlab.training.loop import TrainingRun
from reachlab.training.next_token import NextTokenTrainer, launched
from reachlab.training.processes import Processes
from reachlab.training.routing import route, settled_balance
from reachlab.training.text import (
    attempts,
    document_batches,
)

VOCABULARY_DOCUMENTS = 5000
"""Documents of a task that a new tokenizer learns from."""
VOCABULARY_CHARACTERS = 1 << 24
"""Characters of text that a new tokenizer learns from, in whole documents."""


def pretrain(config: PretrainConfig, notify: Callable[[str], None] = lambda _: None) -> bool:
    """Train a new model from nothing; the same command again goes on with a killed run. `notify` hears remarks.

    Returns whether this is the process that speaks for all.

    Raises:
        ReachlabError: data that cannot be read, a shape that cannot be, a folder that holds another run.
    """
    run_folder(config.out)
    config = replace(config, balance=settled_balance(config.balance, here=True))
    with launched(config) as processes:
        (_pretrain_on_text if is_text(config.data) else _pretrain_on_task)(config, processes, notify)
        return processes.main


def _pretrain_on_task(config: PretrainConfig, processes: Processes, notify: Callable[[str], None]) -> None:
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
        NextTokenTrainer(run, batches, config).train("pretrain")


def _pretrain_on_text(config: PretrainConfig, processes: Processes, notify: Callable[[str], None]) -> None:
    # One process reads and writes; the others are told what it found.
    corpus = processes.by_main(lambda: survey(config.data, config.text.glob, config.text.held_out))
    if processes.main:
        for remark in corpus.remarks():
            notify(remark)
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
            notify(f"{config.data}: {corpus.documents:,} documents, {learn:,} tokens to learn from, {keep:,} held out")
        batches = window_batches(tokens.train_N, config.batch, config.length, config.loop.seed)
        held_out = partial(windows_in_order, tokens.held_out_N, config.batch, config.length, config.text.eval_tokens)
        NextTokenTrainer(run, batches, config, held_out, config.text.eval_every).train("pretrain")
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
    run_identity = {**config_identity(replace(config, model=shape)), **facts}
    # Where the tokens lie changes nothing.
    run_identity["text"] = {name: value for name, value in run_identity["text"].items() if name != "cache"}
    claim = Claim(RunFolder(config.out), "pretrain", run_identity, {"data": config.data, **facts_of(makers_of(config))})
    return TrainingRun(claim, config.loop, trained, tokenizer, processes)
