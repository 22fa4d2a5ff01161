"""Sums over processes: what a step's tokens say must not depend on how they were split."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def add_up(tensors: Sequence[Tensor]) -> None:
    """Add tensors of one device up over all processes, in place, in one message; alone, nothing happens."""
    if not tensors or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() < 2:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def anywhere(device: torch.device, *flags: bool) -> list[bool]:
    """Which of some flags are up in any process; alone, they are what they are."""
    raised = torch.tensor(flags, dtype=torch.float32, device=device)
    add_up([raised])
    return [bool(flag) for flag in raised.tolist()]
