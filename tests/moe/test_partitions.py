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


def copies(model: nn.Module, more: int = 0) -> torch.optim.Optimizer:
    """As stage 0 has them: one flat float32 tensor."""
    size = sum(p.numel() for p in model.parameters()) + more
    return torch.optim.SGD([nn.Parameter(torch.zeros(size))], lr=0.1)


def test_a_step_over_flat_copies_is_refused_until_the_loop_commits() -> None:
    model = TINY["olmoe"].build().bfloat16().train()
    dense = densify(model, "default", update="per_step")
    step = copies(model).step
    step()
    for seed in range(2):  # accumulated
        loss(model, **inputs(model, seed=seed)).backward()  # type: ignore[no-untyped-call]
    copies(model, more=1).step()  # another model's
    torch.optim.SGD(TINY["olmoe"].build().bfloat16().parameters(), lr=0.1).step()
    with pytest.raises(ReachlabError, match=r"float32 copies of this model's parameters"):
        step()
    dense.commit()
    assert all(v.any() for v in vectors(model))
    step()
    model.eval()(**inputs(model))
    step()


@pytest.mark.parametrize(("half", "update"), [(False, "per_step"), (True, "before_use")])
def test_what_waits_for_no_step_or_has_no_copies_is_passed(half: bool, update: str) -> None:
    model = TINY["olmoe"].build().train()
    model = model.bfloat16() if half else model
    densify(model, "default", update=update)
    loss(model, **inputs(model)).backward()  # type: ignore[no-untyped-call]
    copies(model).step()


def test_stage_3_is_refused() -> None:
    model = TINY["olmoe"].build()
    next(model.parameters()).ds_id = 0
    with pytest.raises(ReachlabError, match="stage 3"):
        densify(model)
