import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.training.config import OptimizerConfig
from reachlab.training.muon import Muon
from reachlab.training.optimizer import build_optimizers, clip, learning_rate_scale


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
    wsd = rates(10, warmup=2, schedule="wsd", decay=0.4)
    assert wsd == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 3 / 4, 2 / 4, 1 / 4])
    assert rates(3, warmup=10) == pytest.approx([1 / 11, 2 / 11, 3 / 11])


@given(steps=st.integers(1, 200), warmup=st.integers(0, 250), decay=st.floats(0, 1), t=st.integers(0, 199))
def test_wsd_rises_stays_and_falls(steps: int, warmup: int, decay: float, t: int) -> None:
    t = min(t, steps - 1)
    found = learning_rate_scale(OptimizerConfig(schedule="wsd", warmup=warmup, decay=decay), t, steps)
    if t < warmup:
        assert found == (t + 1) / (warmup + 1)
    elif t <= steps - decay * steps:
        assert found == 1
    else:
        assert found == pytest.approx((steps - t) / min(decay * steps, steps - warmup))
    whole = OptimizerConfig(schedule="wsd", warmup=warmup, decay=1)
    linear = OptimizerConfig(schedule="linear", warmup=warmup)
    assert learning_rate_scale(whole, t, steps) == pytest.approx(learning_rate_scale(linear, t, steps))


@pytest.mark.parametrize(
    ("most", "wanted"), [(1.0, [0.6, 0.8]), (10.0, [3.0, 4.0]), (0.0, [3.0, 4.0])], ids=["clipped", "small", "off"]
)
def test_the_gradient_is_clipped_to_its_bound(most: float, wanted: list[float]) -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip(layer, most) == pytest.approx(5.0)
    assert layer.weight.grad.tolist()[0] == pytest.approx(wanted, rel=1e-4)


def test_without_a_gradient_the_norm_is_zero() -> None:
    assert clip(nn.Linear(2, 1), 1.0) == 0


@pytest.mark.parametrize("field", ["lr", "muon_lr", "weight_decay", "warmup", "clip"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_settings_that_cannot_be(field: str, value: float) -> None:
    with pytest.raises(ReachlabError, match=rf"{field}={value} (must be 0 or more|is no number)"):
        OptimizerConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("decay", [-0.1, 1.1, math.nan])
def test_a_decay_is_a_share(decay: float) -> None:
    with pytest.raises(ReachlabError, match=r"decay=.* is (a share of the steps: 0 to 1|no number)"):
        OptimizerConfig(schedule="wsd", decay=decay)
