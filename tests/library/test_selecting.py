import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

import reachlab as rl
from reachlab.moe import densified, undensify
from reachlab.rl.rules.max_variance import max_variance


def test_tensors_and_arrays_are_the_rule_s() -> None:
    rewards_PN = torch.rand(5, 12, generator=torch.Generator().manual_seed(0))
    kept_PM = rl.max_variance(rewards_PN, 4)
    assert torch.equal(kept_PM, max_variance(rewards_PN, 4))
    arrays_PM = rl.max_variance(rewards_PN.numpy(), 4)
    assert isinstance(arrays_PM, np.ndarray)
    assert arrays_PM.tolist() == kept_PM.tolist()
    assert rl.max_variance(rewards_PN[0], 4).tolist() == kept_PM[0].tolist()
    assert rl.max_variance(np.array([[0, 1, 0, 1]]), 2).shape == (1, 2)


def test_unscored_rollouts_come_last() -> None:
    rewards_PN = np.array([[np.nan, 0.0, 1.0, np.nan, 0.5]])
    assert set(rl.max_variance(rewards_PN, 2)[0].tolist()) == {1, 2}
    assert set(rl.max_variance(rewards_PN, 3)[0].tolist()) == {1, 2, 4}


def test_ties_are_broken_by_a_seed() -> None:
    rewards_PN = np.repeat([[0.0, 1.0]], 8, axis=1)
    found = {tuple(sorted(rl.max_variance(rewards_PN, 4, seed=seed)[0].tolist())) for seed in range(8)}
    assert len(found) > 1
    again = [rl.max_variance(rewards_PN, 4, seed=3).tolist() for _ in range(2)]
    assert again[0] == again[1]


def test_without_a_seed_ties_are_broken_alike_and_torch_s_random_numbers_stay() -> None:
    rewards_PN = np.repeat([[0.0, 1.0]], 64, axis=1)
    before = torch.get_rng_state()
    found = {tuple(rl.max_variance(rewards_PN, 4)[0].tolist()) for _ in range(4)}
    assert len(found) == 1
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ValueError, match="max_variance: seed='x' must be a whole number"):
        rl.max_variance(rewards_PN, 4, seed="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rewards", "m", "message"),
    [
        (np.zeros((2, 3)), 4, "m=4 must be a whole number, 1 to N=3"),
        (np.zeros((2, 3)), 0, "m=0 must be"),
        (np.zeros((2, 3)), True, "m=True must be"),
        (np.zeros((2, 3, 4)), 2, r"rewards have axes P, N, and these the shape \(2, 3, 4\)"),
        ([["a"]], 1, "rewards must be numbers"),
        (np.zeros((0, 3)), 1, "rewards have axes P, N"),
    ],
)
def test_what_is_no_table_is_refused(rewards: object, m: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rl.max_variance(rewards, m)


def test_densify(olmoe: PreTrainedModel, qwen3: PreTrainedModel) -> None:
    dense = rl.densify(olmoe)
    try:
        assert densified(olmoe) is dense
    finally:
        undensify(olmoe)
    with pytest.raises(ValueError, match="mixture"):
        rl.densify(qwen3)
