"""Distilling: a model learns its teacher's right answers, and nothing of the prompts (`next_token.py`)."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from reachlab.errors import ReachlabError
from reachlab.models.chat import end_tokens
from reachlab.models.checkpoint import load_model, load_tokenizer
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.models.origin import origin_of
from reachlab.models.pinning import locate
from reachlab.plugins import facts_of
from reachlab.prompting.prompted_task import prompted_task
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.training.beginning import Claim, Trained, config_identity, makers_of, placed, run_folder, settle
from reachlab.training.config import DistillConfig
from reachlab.training.loop import TrainingRun
from reachlab.training.lora import adapt, check_adapters
from reachlab.training.next_token import NextTokenTrainer, launched
from reachlab.training.recipes import say, settle_distill, settled_optimizer
from reachlab.training.routing import route, settled_balance
from reachlab.training.text import (
    Documents,
    document_batches,
    solutions,
    teacher_samples,
)
from reachlab.training.trackers import check_trackers


def distill(config: DistillConfig, notify: Callable[[str], None] = lambda _: None) -> bool:
    """Train a model on its teacher's right answers; the same command again goes on with a killed run. `notify` hears
    remarks.

    Returns whether this is the process that speaks for all.

    Raises:
        ReachlabError: no checkpoint, no teacher, nothing right to learn from, a folder that holds another run.
    """
    check_adapters(config.weights)
    check_trackers(config.loop.track)
    folder, remarks = run_folder(config.out), list[str]()
    located = locate(config.model, [folder], remarks.append)
    config = replace(config, model=located.folder)
    origin = origin_of(find_checkpoint(config.model))
    given, config = config, settle_distill(config, origin)
    config = replace(config, balance=settled_balance(config.balance, origin.here))
    prompted = prompted_task(config.task, config.ask, config.model)
    task, seed = prompted.task, config.loop.seed
    if config.teacher == "solver":
        documents = solutions(task, seed)
    else:
        documents = teacher_samples(SampleStore(RunFolder(config.teacher)), task, seed, config.answers == "right")
    if config.tokens_of:
        config = replace(config, loop=replace(config.loop, steps=_steps_of(config, documents)))

    run_identity = {
        **config_identity(config),
        "ask": prompted.identity,
        "model": hash_model(config.model, rehash=config.rehash),
    }
    del run_identity["tokens_of"]  # the steps say it
    facts = {**located.facts, "teacher": config.teacher, **facts_of(makers_of(config))}
    claim = Claim(folder, "distill", run_identity, facts)
    with launched(config) as processes:
        settle(config.loop)
        model, tokenizer = load_model(config.model)
        route(model, config.routing, config.balance, find_checkpoint(config.model))
        adapt(model, config.weights, processes)
        trained = {"policy": Trained(placed(model, processes.device), settled_optimizer(config.optimizer))}
        run = TrainingRun(claim, config.loop, trained, tokenizer, processes)
        if not run.finished:
            remarks += filter(None, (prompted.remark, say(given, config, origin)))
            for remark in remarks if processes.main else ():
                notify(remark)
            ends = end_tokens(run.tokenizer, find_checkpoint(config.model))
            batches = document_batches(
                documents, run.tokenizer, config.batch, config.length, answer_only=True, ends=ends
            )
            NextTokenTrainer(run, batches, config).train("distill")
            if processes.main and (remark := _cut(run, config)):
                notify(remark)
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
