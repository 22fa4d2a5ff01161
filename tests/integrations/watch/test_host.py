import random
import sys

import numpy as np
import torch
from tests.tiny import tiny_model

from reachlab.integrations.watch.host import undisturbed


def state() -> tuple[object, ...]:
    return random.random(), np.random.rand(), float(torch.rand(1)), torch.get_num_threads(), sys.getswitchinterval()  # noqa: NPY002


def test_what_happens_meanwhile_is_not_noticed() -> None:
    model = tiny_model().train()
    model.get_submodule("lm_head").eval()
    modes = [module.training for module in model.modules()]

    def own() -> None: ...

    def around() -> None: ...

    vars(model).update(_original_forward=own, forward=around)  # as accelerate leaves it
    found = []
    for disturbing in (False, True):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        if disturbing:
            with undisturbed(model):
                assert not any(module.training for module in model.modules())
                assert vars(model)["forward"] is own
                state()
                torch.set_num_threads(torch.get_num_threads() + 1)
                sys.setswitchinterval(0.0007)
        found.append(state())
    assert found[0] == found[1]
    assert [module.training for module in model.modules()] == modes
    assert vars(model)["forward"] is around
