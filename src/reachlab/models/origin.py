"""Where a checkpoint comes from, and how large it is: what defaults of training are chosen by.

`build_model` marks what is pretrained here in the model's configuration, and every save keeps the mark, so it travels
with a copied folder. A checkpoint without it counts as pretrained elsewhere: the careful defaults.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from reachlab.errors import ReachlabError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MARK, HERE = "pretrained_by", "reachlab"
"""The field of config.json, and what it says of a model that is made here."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Of a checkpoint."""

    here: bool
    """Whether it was pretrained from nothing by `reachlab pretrain`, whatever training followed."""
    parameters: int
    """Numbers in its weights."""


def mark(model: "PreTrainedModel") -> None:
    """Say in a model's configuration that it is pretrained here."""
    setattr(model.config, MARK, HERE)


def origin_of(folder: Path) -> Origin:
    """The origin of the checkpoint in `folder` (`find_checkpoint`).

    Raises:
        ReachlabError: a configuration or weights that cannot be read.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        here = config.get(MARK) == HERE
        parameters = sum(map(_in_safetensors, folder.glob("*.safetensors")))
        parameters = parameters or sum(map(_in_bin, folder.glob("pytorch_model*.bin")))
    except Exception as error:
        raise ReachlabError(f"{folder}: not readable as a checkpoint: {str(error).splitlines()[0][:200]}") from error
    return Origin(here=here, parameters=parameters)


def _in_safetensors(file: Path) -> int:
    """From the header alone: eight bytes of its length, then JSON."""
    with file.open("rb") as handle:
        header = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _in_bin(file: Path) -> int:
    tensors = torch.load(file, map_location="meta", mmap=True, weights_only=True)
    return sum(tensor.numel() for tensor in tensors.values())
