"""What is known of the trainer that calls: its model, what of it cannot be watched, and how to leave it as it was.

transformers gives a callback the model and the arguments, but neither the trainer, through whose `log` a number reaches
the user's trackers, nor what says how weights are held. So the trainer is looked for among those who call.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

from reachlab.engines.probe import resting
from reachlab.errors import ReachlabError
from reachlab.training.processes import Processes

OLDEST, BEYOND = (5, 22), (6, 0)
"""Versions of transformers: the first that is supported, and the first that is not."""


def calling_trainer() -> Trainer:
    """The trainer in whose event this is called.

    Raises:
        ReachlabError: there is none among the callers, or its version is not supported.
    """
    said = transformers.__version__
    if not OLDEST <= tuple(int(n) for n in said.split(".")[:2]) < BEYOND:
        raise ReachlabError(
            f"watching is tested with transformers {OLDEST[0]}.{OLDEST[1]} up to {BEYOND[0]}.0, and this is {said}: "
            "install one of these"
        )
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Trainer):
            return owner
        frame = frame.f_back  # type: ignore[assignment]
    raise ReachlabError(
        "PassAtKCallback is for transformers' Trainer and what is made of it, and no such one has called"
    )


def watched_model(trainer: Trainer) -> PreTrainedModel:
    """The model that is trained, as transformers knows it; adapters of PEFT are inside it.

    Raises:
        ReachlabError: its weights are not whole in this process, or it is no model that can be drawn from so.
    """
    model: Any = trainer.model
    if trainer.is_fsdp_enabled or any(
        isinstance(p, DTensor) or hasattr(p, "ds_id") or type(p).__name__ == "FlatParameter" for p in model.parameters()
    ):
        raise ReachlabError(
            "PassAtKCallback draws from whole weights, and here each process holds a part of them (FSDP, ZeRO-3, "
            "tensor parallel): take DDP, or sample the checkpoints that the trainer saves (`reachlab sample`)"
        )
    if trainer.state.is_hyper_param_search:
        raise ReachlabError("PassAtKCallback keeps one training a folder, and a search is many: leave it out there")
    for adapter in getattr(model, "peft_config", {}).values():
        if getattr(adapter, "is_prompt_learning", False) or getattr(adapter, "alora_invocation_tokens", None):
            raise ReachlabError(
                f"PassAtKCallback draws from the weights, and {type(adapter).__name__} is beside them: take LoRA or "
                "another adapter that is inside the layers"
            )
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not isinstance(model, PreTrainedModel):
        raise ReachlabError(f"PassAtKCallback draws from a model of transformers, and this is a {type(model).__name__}")
    return model


def tokenizer_of(trainer: Trainer, given: Any) -> PreTrainedTokenizerBase:
    """What the trainer encodes with, or what the user gives.

    Raises:
        ReachlabError: there is none, or it is none.
    """
    found = given if given is not None else trainer.processing_class
    if found is None:
        raise ReachlabError(
            "this trainer has no processing_class: give the tokenizer to it, or to PassAtKCallback(tokenizer=...)"
        )
    return found


def processes_of(trainer: Trainer, model: nn.Module) -> Processes:
    """The trainer's processes."""
    accelerator = trainer.accelerator
    return Processes(next(model.parameters()).device, accelerator.process_index, accelerator.num_processes)


def computes_in(trainer: Trainer, model: PreTrainedModel) -> torch.dtype:
    """What a forward pass of the training computes in: a narrow type where the trainer casts to one."""
    narrow = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(trainer.accelerator.mixed_precision)
    return narrow if narrow is not None and model.device.type != "cpu" else model.dtype


@contextmanager
def undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """A while after which the training goes on as if it had not been: the state of every generator, which modules are
    in training mode, the number of torch's threads and the forward pass are what they were."""
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    random_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda_states = torch.cuda.get_rng_state_all() if cuda else []
    threads, switching = torch.get_num_threads(), sys.getswitchinterval()
    # Where it trains in a narrow type, accelerate has put a forward pass of its own around the model's.
    own, wrapped = (vars(model).get(name) for name in ("_original_forward", "forward"))
    if own is not None:
        vars(model)["forward"] = own
    try:
        with resting(model):
            yield
    finally:
        if own is not None:
            vars(model)["forward"] = wrapped
        sys.setswitchinterval(switching)
        torch.set_num_threads(threads)
        random.setstate(random_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda_states)
            torch.cuda.empty_cache()
