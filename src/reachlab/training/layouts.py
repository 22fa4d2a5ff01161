"""What a parameter is, which decides how it moves: not how many axes it has.

A linear map is a matrix; it is stored as one (out, in), turned (in, out) as in GPT-2, as filters (out, in, …) of a
convolution, or with others in a stack (experts, …). A table is looked up: embeddings, positions, and the output layer,
whose rows are embeddings too. Everything else is a vector, or several in one tensor: norms, biases (gpt-oss stacks
those of its experts: two axes), scales, decays, and tokens of a picture's tower.

The module that holds a parameter says which it is. Of a bare parameter its name has to: a map only where it calls
itself a weight or a projection, so that what is unknown is left to AdamW without decay.
"""

from typing import Literal

from torch import nn
from transformers.pytorch_utils import Conv1D

Layout = Literal["rows", "columns", "filters", "groups", "table", "vector"]
"""rows: (…, out, in); columns: (…, in, out); filters: (out, in, …), flattened behind the first axis; groups: several
maps that nothing here takes apart, as filters of which each sees a part of the channels; table; vector."""

MATRICES: tuple[Layout, ...] = ("rows", "columns", "filters")
"""What is a linear map, one or a stack of them."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def layouts(model: nn.Module) -> dict[nn.Parameter, Layout]:
    """What each parameter of the model is; one that two modules share is a table where it is one for either."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    layout_of: dict[nn.Parameter, Layout] = {}
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            layout = "table" if module is head and p.ndim > 1 else _layout(module, name, p)
            if layout_of.get(p) != "table":
                layout_of[p] = layout
    return layout_of


def _layout(module: nn.Module, name: str, p: nn.Parameter) -> Layout:
    kind = type(module).__name__.lower()
    if p.ndim < 2 or "bias" in name:
        return "vector"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "table"
    if isinstance(module, nn.Linear):
        return "rows"
    if isinstance(module, Conv1D):
        return "columns"
    if isinstance(module, _CONVOLUTIONS):
        return "filters" if module.groups == 1 else "groups"
    if isinstance(module, nn.modules.conv._ConvNd):
        return "groups"  # transposed: (in, out, …), no matrix as it lies
    if "norm" in kind:
        return "vector"
    if "expert" in kind or hasattr(module, "is_transposed"):
        # Two axes of DBRX hold all experts under each other.
        return "groups" if p.ndim != 3 else "columns" if _turned(module) else "rows"
    if name.endswith(("weight", "proj", "projection")) and p.ndim < 4 and 1 not in p.shape:
        return "rows"
    return "table" if "emb" in name or "pos" in name else "vector"


def _turned(experts: nn.Module) -> bool:
    """Whether stacked experts hold (in, out): transformers says so of most; the shapes of the two maps say it too."""
    if isinstance(turned := getattr(experts, "is_transposed", None), bool):
        return turned
    up, down = getattr(experts, "gate_up_proj", None), getattr(experts, "down_proj", None)
    if not isinstance(up, nn.Parameter) or not isinstance(down, nn.Parameter):
        return False
    return up.shape[2] == 2 * down.shape[1] and up.shape[1] == down.shape[2]
