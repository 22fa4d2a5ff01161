import torch
from hypothesis import given
from tests.rl.rules.groups import groups
from torch import Tensor

from reachlab.rl.rules.max_reward import max_reward


@given(groups())
def test_max_reward_keeps_the_highest(group: tuple[Tensor, int]) -> None:
    rewards_PN, m = group
    found = rewards_PN.gather(1, max_reward(rewards_PN, m)).sort(dim=1, descending=True).values
    assert torch.equal(found, rewards_PN.topk(m, dim=1).values)
