"""DeepSpeed's ZeRO: an optimizer that holds flat float32 pieces of parameters, and not the model's own.

    param._hp_mapping.hp_fragment      this process's piece of a parameter, a view of its group's flat tensor; the
                                       mapping is None where the piece lies in other processes (stages 1 and 2)
    fp32_groups_flat                   copies of a model in half precision, and nothing says whose (stage 0)
    param.ds_id                        a parameter that is whole only while its own module runs (stage 3)

deepspeed/utils/mixed_precision_linkage.py and runtime/zero/partition_parameters.py, version 0.19.8.
"""

import torch
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.reduce import anywhere


def refuse_stage_3(model: nn.Module) -> None:
    """Pass a model whose parameters are there.

    Raises:
        ReachlabError: ZeRO stage 3 has taken them apart.
    """
    if hasattr(next(model.parameters(), None), "ds_id"):
        raise ReachlabError(
            "densify does not work under DeepSpeed's ZeRO stage 3, where no process holds the experts: use stage 2, or "
            "FSDP2"
        )


def holds_pieces(model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer moves pieces of the model's parameters, in this process or another.

    A small group may have no piece in this process. So processes ask each other, where all ask at the same optimizer.
    """
    tensors = [group["params"] for group in optimizer.param_groups]
    if any(len(some) != 1 or some[0].ndim != 1 for some in tensors):
        return False
    parameters = [p for p in model.parameters() if hasattr(p, "_hp_mapping")]
    if not parameters:
        return False
    flat = {_memory(some[0]) for some in tensors}
    pieces = [p._hp_mapping.hp_fragment for p in parameters if p._hp_mapping is not None]
    (found,) = anywhere(parameters[0].device, any(_memory(piece) in flat for piece in pieces))
    return found


def refuse_copies(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Pass an optimizer that is another model's.

    Whose copies an optimizer holds, nobody says. Copies of a model in half precision are float32, and as many numbers
    as the model trains (DeepSpeed's stage 0: runtime/fp16/fused_optimizer.py).

    Raises:
        ReachlabError: it seems to hold float32 copies of what this model trains.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    held = [p for group in optimizer.param_groups for p in group["params"]]
    half = bool(trained) and all(p.dtype in (torch.float16, torch.bfloat16) for p in trained)
    if not half or any(p.dtype != torch.float32 for p in held):
        return
    if sum(p.numel() for p in held) == sum(p.numel() for p in trained):
        raise ReachlabError(
            "an optimizer seems to step float32 copies of this model's parameters, and densify cannot tell whose they "
            "are: call reachlab.moe.densifying.densified(model).commit() before each step"
        )


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
