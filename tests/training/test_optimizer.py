import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.training.config import OptimizerConfig
from reachlab.training.muon import Muon
from reachlab.training.optimizer import (
    build_optimizers,
    clip_and_step,
    learning_rate_scale,
    set_learning_rates,
)


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
@pytest.mark.parametrize("method", ["muon", "adamw"])
def test_every_parameter_has_one_optimizer(family: str, method: str, request: pytest.FixtureRequest) -> None:
    model: PreTrainedModel = request.getfixturevalue(family)
    optimizers = build_optimizers(model, OptimizerConfig(method=method, weight_decay=0.1))  # type: ignore[arg-type]
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    muon = {id(p) for o in optimizers if isinstance(o, Muon) for group in o.param_groups for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in muon}
    wanted = {
        name for name, p in model.named_parameters() if p.ndim > 1 and "embed" not in name and "lm_head" not in name
    }
    assert names == (wanted if method == "muon" else set())
    decayed = {id(p) for o in optimizers for group in o.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in model.parameters() if p.ndim > 1}


def test_a_frozen_parameter_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    held = [p for o in build_optimizers(model, OptimizerConfig()) for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in held} == {id(p) for p in model[1].parameters()}


def test_schedules() -> None:
    def rates(steps: int, **settings: object) -> list[float]:
        config = OptimizerConfig(**settings)  # type: ignore[arg-type]
        return [learning_rate_scale(config, t, steps) for t in range(steps)]

    assert rates(4) == [1, 1, 1, 1]
    assert rates(5, warmup=3) == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1])
    assert rates(6, warmup=2, schedule="linear") == pytest.approx([1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4])
    cosine = rates(100, schedule="cosine")
    assert cosine[0] == pytest.approx(1)
    assert cosine[50] == pytest.approx(0.5)
    assert cosine[99] == pytest.approx(0.5 - 0.5 * math.cos(math.pi / 100))
    assert all(a > b for a, b in pairwise(cosine))
    assert rates(3, warmup=10) == pytest.approx([1 / 11, 2 / 11, 3 / 11])


def test_learning_rates_scale_from_their_own_base() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Embedding(2, 3))
    config = OptimizerConfig(method="muon", lr=0.1, muon_lr=0.5, schedule="linear")
    optimizers = build_optimizers(model, config)
    for t, scale in ((0, 1.0), (5, 0.5), (9, 0.1), (5, 0.5)):
        assert set_learning_rates(optimizers, config, t, 10) == pytest.approx(0.1 * scale)
        assert optimizers[1].param_groups[0]["lr"] == pytest.approx(0.5 * scale)


def test_the_gradient_is_clipped_to_its_bound() -> None:
    for clip, wanted in ((1.0, [0.6, 0.8]), (10.0, [3.0, 4.0]), (0.0, [3.0, 4.0])):
        layer = nn.Linear(2, 1, bias=False)
        nn.init.zeros_(layer.weight)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        layer.weight.grad = torch.tensor([[3.0, 4.0]])
        assert clip_and_step(layer, [optimizer], OptimizerConfig(clip=clip)) == pytest.approx(5.0)
        assert (-layer.weight).tolist()[0] == pytest.approx(wanted, rel=1e-4)
        assert layer.weight.grad is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_moves_nothing(bad: float) -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.clone()
    layer.weight.grad = torch.tensor([[bad, 1.0]])
    norm = clip_and_step(layer, build_optimizers(layer, OptimizerConfig()), OptimizerConfig())
    assert not math.isfinite(norm)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("field", ["lr", "muon_lr", "weight_decay", "warmup", "clip"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_settings_that_cannot_be(field: str, value: float) -> None:
    with pytest.raises(ReachlabError, match=rf"optimizer\.{field}={value} must be 0 or more"):
        OptimizerConfig(**{field: value})  # type: ignore[arg-type]
