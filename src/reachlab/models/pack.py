"""A pack: what one forward pass is fed for many answers, and where their tokens and log-probabilities lie in it.

`pack_building.py` makes them, `packing.py` says why and computes with them.

Axes. B: answers, T: tokens of an answer, K: answer tokens of all of them, R, L: rows and tokens of what the model is
fed.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from reachlab.models.packed_attention import Layout


@dataclass(frozen=True)
class Pack:
    """B answers and their prompts, as one forward pass takes them; `logprobs` and `values` are (B, T)."""

    index_B: Tensor
    """Which answers these are, counted through all prompts' answers in the order `Packer.pack` got them."""
    targets_BT: Tensor
    """Tokens of the answers, 0 after their ends."""
    mask_BT: Tensor
    """True on an answer's tokens."""
    ids_RL: Tensor
    """What the model is fed: one row, or padded rows where the model does not fit."""
    positions_RL: Tensor | None
    """Given for one row, and where they depend on pictures; (3, R, L) with M-RoPE."""
    slots_K: Tensor
    """Where in the flattened (B, T) the K answer tokens are."""
    from_K: Tensor
    """Where each is predicted: index in the row; for padded rows, in the flattened (R, L - 1 - first)."""
    first: int
    """Padded rows: the first position from which something is predicted."""
    layout: Layout | None = field(repr=False)
    pixels: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """The pictures of its prompts (of every row, where rows are padded), as the model takes them."""

    @property
    def B(self) -> int:  # noqa: N802
        """Answers."""
        return self.targets_BT.shape[0]

    @property
    def T(self) -> int:  # noqa: N802
        """Tokens of the longest answer."""
        return self.targets_BT.shape[1]

    @property
    def tokens(self) -> int:
        """Tokens the model computes, padding included where there is any."""
        return self.ids_RL.numel()

    def to(self, device: torch.device | str) -> "Pack":
        """The pack on another device."""
        layout = self.layout and Layout([_moved(block, device) for block in self.layout.blocks], self.layout.longest)
        seen = {name: value.to(device) for name, value in self.pixels.items()}
        moved: Pack = replace(_moved(self, device), layout=layout, pixels=seen)
        return moved

    def rows(self, values_K: Tensor) -> Tensor:
        """One value an answer token, as (B, T), zero elsewhere."""
        flat = values_K.new_zeros(self.targets_BT.numel()).index_copy(0, self.slots_K, values_K)
        return flat.view(self.targets_BT.shape)


def inputs(pack: Pack) -> dict[str, Any]:
    """What the model is called with."""
    if pack.layout is None:
        placed = {} if pack.positions_RL is None else {"position_ids": pack.positions_RL}
        return {"input_ids": pack.ids_RL, "use_cache": False, **placed, **pack.pixels}
    # Masks live as long as one forward pass and its gradient.
    layout = replace(pack.layout, biases={})
    # A mask of four dimensions keeps transformers from making one of L x L; nobody reads it.
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=pack.ids_RL.device)
    return {
        "input_ids": pack.ids_RL,
        "position_ids": pack.positions_RL,
        "attention_mask": mask,
        "use_cache": False,
        "packed": layout,
        **pack.pixels,
    }


def _moved(thing: Any, device: torch.device | str) -> Any:
    """A dataclass with its tensors on another device."""
    tensors = {f.name: getattr(thing, f.name) for f in fields(thing) if isinstance(getattr(thing, f.name), Tensor)}
    return replace(thing, **{name: tensor.to(device) for name, tensor in tensors.items()})
