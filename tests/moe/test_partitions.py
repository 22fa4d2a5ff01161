"""An optimizer over flat pieces of a model's parameters, as DeepSpeed's ZeRO makes them, is the model's."""

from types import SimpleNamespace

import pytest
import torch
from tests.moe.brute import loss, vectors
from tests.moe.tiny import TINY, inputs
from torch import nn

from reachlab.errors import ReachlabError
from reachlab.moe import densify


def test_a_step_over_flat_pieces_moves_the_state() -> None:
    model = TINY["olmoe"].build().train()
    densify(model, "default", update="per_step")
    flat, strange = (nn.Parameter(torch.zeros(64)) for _ in range(2))
    for number, parameter in enumerate(model.parameters()):
        piece = SimpleNamespace(hp_fragment=flat[:32]) if number == 1 else None
        parameter._hp_mapping = piece
    loss(model, **inputs(model)).backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD([strange], lr=0.1).step()
    assert not any(v.any() for v in vectors(model))
    torch.optim.SGD([flat], lr=0.1).step()
    assert all(v.any() for v in vectors(model))


def test_stage_3_is_refused() -> None:
    model = TINY["olmoe"].build()
    next(model.parameters()).ds_id = 0
    with pytest.raises(ReachlabError, match="stage 3"):
        densify(model)
