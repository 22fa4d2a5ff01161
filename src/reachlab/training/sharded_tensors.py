"""Weights that every process holds a slice of, made whole and cut again; and the buckets in which gradients travel."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

Module = TypeVar("Module", bound=nn.Module)

BUCKET = 1 << 24
"""Numbers in one message: enough to make its start cheap, few enough to copy beside the gradients."""


def frozen_names(model: nn.Module) -> set[str]:
    """Names of the parameters that are not trained."""
    return {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}


def buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Neighbours of one type, up to `BUCKET` numbers together."""
    bucket: list[nn.Parameter] = []
    for p in parameters:
        if bucket and (bucket[0].dtype != p.dtype or sum(q.numel() for q in bucket) + p.numel() > BUCKET):
            yield bucket
            bucket = []
        bucket.append(p)
    if bucket:
        yield bucket


def hollow_copy(model: Module) -> Module:
    """A copy of the model without weights: its parameters are empty."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().new_empty(0), requires_grad=False) for p in model.parameters()
    }
    return deepcopy(model, memo)


def whole_tensor(tensor: Tensor) -> Tensor:
    """A tensor whole; communicates when it is sharded."""
    whole: Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach()


def sharded_like(value: Any, model: Tensor | None) -> Any:
    """`value`, of which every process has the whole, sharded as `model` is; counters and the like stay as they are.

    Args:
        value: a tensor, or anything else.
        model: the tensor whose placement it gets; None: none.
    """
    if not isinstance(value, Tensor) or not isinstance(model, DTensor) or value.shape != model.shape:
        return value
    # No source rank: each process cuts its own slice, and nothing is sent.
    return distribute_tensor(value.to(model.device), model.device_mesh, model.placements, src_data_rank=None)
