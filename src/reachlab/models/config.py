"""What a new model looks like. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of a model built from nothing."""

    family: Literal["qwen3", "olmoe", "llava"] = "qwen3"
    """qwen3 is dense; olmoe is a sparse mixture of experts; llava is qwen3 that sees: a SigLIP tower, whose patches
    stand before the text as tokens."""
    hidden: int = 96
    """Width of the residual stream."""
    layers: int = 4
    """Number of blocks."""
    heads: int = 4
    """Attention heads; must divide the width."""
    kv_heads: int = 0
    """Key/value heads (grouped-query attention); 0: as many as heads."""
    intermediate: int = 0
    """Width inside an MLP or one expert; 0: twice the residual width (dense), or the width (MoE)."""
    experts: int = 8
    """Experts a layer (olmoe)."""
    active_experts: int = 2
    """Experts a token visits (olmoe)."""
    image_size: int = 64
    """Width and height to which pictures are brought, in pixels (llava)."""
    patch: int = 16
    """Pixels of a patch's side; a picture is (image_size / patch)² tokens (llava)."""
    vision_layers: int = 2
    """Blocks of the tower, as wide as the text's (llava)."""
    positions: int = 2048
    """Longest sequence the checkpoint promises to handle."""
    tokenizer: Literal["auto", "char", "number", "bpe"] = "auto"
    """char: a character a token; number: a whole number a token; bpe: byte-level BPE; auto: bpe for text, number for
    tasks."""
    vocab_size: int = 2048
    """Upper bound of the vocabulary."""

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in (
            "hidden",
            "layers",
            "heads",
            "experts",
            "active_experts",
            "positions",
            "vocab_size",
            "image_size",
            "patch",
            "vision_layers",
        ):
            if getattr(self, name) < 1:
                raise ReachlabError(f"{name}={getattr(self, name)} must be 1 or more")
        if self.image_size % self.patch:
            raise ReachlabError(f"image_size={self.image_size} must be a multiple of patch={self.patch}")
        if self.kv_heads < 0 or self.intermediate < 0:
            raise ReachlabError("kv_heads and intermediate must be 0 (chosen for you) or more")


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """An adapter, and where the merged checkpoint goes."""

    adapter: Positional[str]
    """Folder of an adapter, as PEFT saves it."""
    base: str = ""
    """The model under it, a folder or ORG/NAME of the hub; nothing: the one that the adapter names."""
    out: str
    """Folder of the merged checkpoint, e.g. models/merged."""
