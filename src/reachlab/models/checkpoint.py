"""Load and save causal language models and tokenizers in transformers' own format."""

import contextlib
import glob
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from reachlab.errors import ReachlabError
from reachlab.hub import weight_files
from reachlab.models.checkpoint_files import PROCESSOR_FILES, TOKENIZER_FILES, Dtype, find_checkpoint
from reachlab.models.vision import attach, processor_of
from reachlab.moe import densified, restore
from reachlab.moe import save as save_routers
from reachlab.moe.storage import changes_the_function
from reachlab.runs import sync_folder

hf_logging.disable_progress_bar()


def load_model(path: str | Path, dtype: Dtype = "float32") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer from a local folder, in evaluation mode.

    Where its routers' method is a part of what it computes (Default MoE's forward="default", a bias of `lossfree`,
    `sparsemixer`), it is put on the model.

    Raises:
        ReachlabError: no folder, no weights, no tokenizer, or not a causal language model.
    """
    folder = find_checkpoint(path)
    tokenizer = load_tokenizer(folder)
    if not weight_files(folder):
        raise ReachlabError(f"{folder}: no weights here (*.safetensors)")
    kind = AutoModelForImageTextToText if _sees(folder) else AutoModelForCausalLM
    try:
        model, problems = kind.from_pretrained(
            folder, dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True
        )
    except Exception as error:
        raise ReachlabError(f"{folder}: not loadable as a causal language model: {_first_line(error)}") from error
    if problems["missing_keys"]:
        # transformers would go on with random numbers in their place.
        missing = sorted(problems["missing_keys"])
        raise ReachlabError(
            f"{folder}: the weights lack {missing[0]}" + f" and {len(missing) - 1} more" * (len(missing) > 1)
        )
    if changes_the_function(folder):
        restore(model, folder)
    model.eval()
    return model, tokenizer


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer that lies beside the weights; one without padding, or with a padding token that the model does
    not know, pads with its end-of-text token.

    Raises:
        ReachlabError: there is none, or its end-of-text token is none of the model's.
    """
    folder = find_checkpoint(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ReachlabError(
            f"{folder}: a checkpoint without a tokenizer; copy tokenizer.json and "
            "tokenizer_config.json beside config.json"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise ReachlabError(f"{folder}: its tokenizer cannot be loaded: {_first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise ReachlabError(f"{folder}: its tokenizer has no end-of-text token (eos_token in tokenizer_config.json)")
    tokenizer.embeddings = embeddings = _embeddings(folder)
    if embeddings is not None and tokenizer.eos_token_id >= embeddings:
        raise ReachlabError(
            f"{folder}: its end-of-text token {tokenizer.eos_token!r} is number {tokenizer.eos_token_id} and the model "
            f"has {embeddings} embeddings; resize the model, or name another eos_token in tokenizer_config.json"
        )
    pad = tokenizer.pad_token_id
    if pad is None or (embeddings is not None and pad >= embeddings):  # added for padding, and the model not resized
        tokenizer.pad_token = tokenizer.eos_token
    if _sees(folder):
        attach(tokenizer, _load_processor(folder))
    return tokenizer


def _embeddings(folder: Path) -> int | None:
    """How many tokens the model has embeddings for, if its configuration says so."""
    config = json.loads((folder / "config.json").read_bytes())
    text = config.get("text_config")
    size = (text if isinstance(text, dict) else config).get("vocab_size")
    return size if isinstance(size, int) else None


def _load_processor(folder: Path) -> Any:
    """What prepares pictures for the model; none where the files for it are missing, and then it reads text alone."""
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        return None
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise ReachlabError(f"{folder}: its processor cannot be loaded: {_first_line(error)}") from error
    return processor if hasattr(processor, "image_processor") else None


def _sees(folder: Path) -> bool:
    """Whether a checkpoint is of a vision-language model."""
    try:
        return isinstance(json.loads((folder / "config.json").read_bytes()).get("vision_config"), dict)
    except (ValueError, AttributeError) as error:
        raise ReachlabError(f"{folder}: its config.json cannot be used: {_first_line(error)}") from error


def save_folder(folder: str | Path, fill: Callable[[Path], None]) -> None:
    """Make a folder whole or not at all: `fill` writes into a temporary one, which is fsynced and renamed into place.

    Raises:
        ReachlabError: the disk is full or not writable; an older folder of that name is untouched.
    """
    folder = Path(folder)
    restore_folder(folder)
    mark = uuid.uuid4().hex[:8]
    temporary = folder.with_name(f".{folder.name}.{mark}.tmp")
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        for file in filter(Path.is_file, temporary.rglob("*")):
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        sync_folder(temporary)
        if folder.exists():
            old = folder.with_name(f".{folder.name}.{mark}.old")
            folder.rename(old)
            temporary.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.rename(folder)
        sync_folder(folder.parent)
    except (OSError, RuntimeError) as error:
        # safetensors and torch.save report a full disk as errors of their own.
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary, ignore_errors=True)
        raise ReachlabError(f"{folder}: not written: {_first_line(error)}") from error


def restore_folder(folder: str | Path) -> None:
    """Clear away what a process that was killed inside `save_folder` left: the older folder comes back if none
    replaced it."""
    folder = Path(folder)
    for old in folder.parent.glob(f".{glob.escape(folder.name)}.*.old"):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(folder)
    for unfinished in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        shutil.rmtree(unfinished, ignore_errors=True)


TokenizerFiles = Mapping[str, bytes]
"""A tokenizer as it was once written: what each file holds, by name."""


def save_model(folder: str | Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | TokenizerFiles) -> None:
    """Save weights, configuration, tokenizer and what its routers keep (`moe/`), whole or not at all."""

    def fill(path: Path) -> None:
        model.save_pretrained(path)
        save_tokenizer(path, tokenizer)
        if (routers := densified(model)) is not None and (routers.state() or routers.acts_when_frozen):
            save_routers(model, path)

    save_folder(folder, fill)


def save_tokenizer(path: str | Path, tokenizer: PreTrainedTokenizerBase | TokenizerFiles) -> None:
    """Save a tokenizer, with its processor where it has one."""
    if isinstance(tokenizer, Mapping):
        for name, data in tokenizer.items():
            (Path(path) / name).write_bytes(data)
        return
    # A processor saves its tokenizer too.
    (processor_of(tokenizer) or tokenizer).save_pretrained(path)


def tokenizer_files(tokenizer: PreTrainedTokenizerBase) -> TokenizerFiles:
    """What `save_tokenizer` writes. Once it is loaded again, transformers writes other files for the same tokenizer:
    how it was loaded goes into them, and how it was last used."""
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(folder, tokenizer)
        return read_files(Path(folder))


def read_files(folder: Path, but: Collection[str] = ()) -> TokenizerFiles:
    """What the files of a folder hold, but for some."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.name not in but}


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
