"""Next-token training: pretraining on text, distilling a teacher's right answers.

loss = − mean over learned tokens of log p(y_t | y_<t)
"""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional as F  # noqa: N812
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.models.build import build_model
from reachlab.models.checkpoint import hash_model, load_model
from reachlab.models.tokenizer import train_tokenizer
from reachlab.runs import RunFolder
from reachlab.sampling.store import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.gradient import backward
from reachlab.training.loop import Metrics, TrainingRun, identity
from reachlab.training.text import (
    Tokens,
    ahead,
    attempts,
    correct_samples,
    document_batches,
    read_text,
    solutions,
    text_batches,
)

VOCABULARY_DOCUMENTS = 5000
"""Documents that a new tokenizer learns from."""


def pretrain(config: PretrainConfig) -> None:
    """Train a new model from nothing; the same command again goes on with a killed run.

    Raises:
        ReachlabError: data that cannot be read, a shape that cannot be, a folder that holds another run.
    """
    kind, _, path = config.data.partition(":")
    seed = config.loop.seed
    if kind == "text":
        text = read_text(path)
        vocabulary = [text]
    else:
        task = load_task(config.data)
        documents = attempts(task, seed)
        # A finite task's stream repeats; what it shows in one epoch is enough.
        vocabulary = [f"{prompt}{answer}" for prompt, answer in documents(0, VOCABULARY_DOCUMENTS)]
        vocabulary += list(task.alphabet() or "")

    def start() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        tokenizer = train_tokenizer(config.model.tokenizer, vocabulary, config.model.vocab_size)
        return build_model(config.model, tokenizer, seed), tokenizer

    folder = RunFolder(config.out)
    claim = partial(folder.claim, "pretrain", identity(config), {"data": config.data})
    run = TrainingRun(folder, claim, config.loop, config.optimizer, start)
    if kind == "text":
        batches = text_batches(path, run.tokenizer, config.batch, config.length, seed)
    else:
        batches = document_batches(documents, run.tokenizer, config.batch, config.length, answer_only=False)
    _train(run, batches, "pretrain")


def distill(config: DistillConfig) -> None:
    """Train a model on its teacher's right answers; the same command again goes on with a killed run.

    Raises:
        ReachlabError: no checkpoint, no teacher, nothing right to learn from, a folder that holds another run.
    """
    task = load_task(config.task)
    seed = config.loop.seed
    if config.teacher == "solver":
        documents = solutions(task, seed)
    else:
        documents = correct_samples(SampleStore(RunFolder(config.teacher)), task, seed)
    folder = RunFolder(config.out)
    known = {**identity(config), "model": hash_model(config.model)}
    claim = partial(folder.claim, "distill", known, {"model_path": config.model, "teacher": config.teacher})
    run = TrainingRun(folder, claim, config.loop, config.optimizer, lambda: load_model(config.model))
    batches = document_batches(documents, run.tokenizer, config.batch, config.length, answer_only=True)
    _train(run, batches, "distill")


def _train(run: TrainingRun, batches: Callable[[int], Tokens], label: str) -> None:
    """Predict every learned token, step after step."""
    if run.finished:
        return
    batches(run.step)  # data that cannot be used is found before anything is written
    upcoming = ahead(batches, run.step, run.loop.steps)
    run.model.train()

    def step(t: int) -> Metrics:
        batch = next(upcoming)
        learned = float(batch.learn_BT[:, 1:].sum())
        # The balance of a sparse model's load is one of the whole batch: it does not add up from pieces.
        whole = bool(getattr(run.model.config, "router_aux_loss_coef", 0.0))
        parts = batch.split(1 if whole else run.threads)
        pieces = [partial(next_token_loss, run.model, b, run.device, learned) for b in parts]
        sums = backward(run.model, pieces, run.threads)
        return {**sums, "grad_norm": run.optimize(t)["policy"], "tokens": learned}

    try:
        run.train(step, label)
    finally:
        upcoming.close()


def next_token_loss(
    model: PreTrainedModel, batch: Tokens, device: torch.device, learned: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Cross-entropy (nats) of the learned tokens over `learned`, the number of them in the whole batch.

    A sparse model's load-balancing loss is added at the model's own weight.
    """
    ids_BT, learn_BT = batch.ids_BT.to(device), batch.learn_BT[:, 1:].to(device)
    balance = getattr(model.config, "router_aux_loss_coef", 0.0)
    if balance:
        mask_BT = batch.attention_BT.to(device)
        out = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False, output_router_logits=True)
    else:
        # Padding lies to the right, where a causal model cannot see it; a mask would only cost time.
        out = model(input_ids=ids_BT, use_cache=False)
    chosen = learn_BT.nonzero(as_tuple=True)
    loss = F.cross_entropy(out.logits[chosen].float(), ids_BT[:, 1:][chosen], reduction="sum") / learned
    if not balance:
        return loss, {}
    return loss + balance * out.aux_loss, {"balance": out.aux_loss.detach()}
