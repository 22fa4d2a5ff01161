from typing import Any

import pytest
import torch

from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.methods.default import Default
from reachlab.moe.signals import Shape


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_a_method_moves_with_all_that_it_keeps(estimator: str) -> None:
    options: dict[str, Any] = {"estimator": estimator}
    method = Default(**options)
    method.prepare(Shape(4, 2, 8), torch.device("cpu"))
    method.to(torch.device("meta"))
    assert method.shape == Shape(4, 2, 8)
    assert {tensor.device.type for tensor in method.state().values()} == {"meta"}
