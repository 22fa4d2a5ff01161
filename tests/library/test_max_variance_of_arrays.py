"""Against the rule of tensors, which is held against brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reachlab.errors import InvalidArgumentError
from reachlab.library.max_variance_of_arrays import keep_most_variance
from reachlab.rl.rules.max_variance import max_variance

REWARDS = st.sampled_from([0.0, 1.0, 0.5, -2.0, 3.25, float("nan")])


@given(
    rewards_PN=st.tuples(st.integers(1, 4), st.integers(1, 9)).flatmap(lambda s: arrays(float, s, elements=REWARDS)),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_it_keeps_as_much_variance_as_the_rule_of_tensors(rewards_PN: np.ndarray, share: float, seed: int) -> None:
    m = 1 + int(share * (rewards_PN.shape[1] - 1))
    kept_PM = keep_most_variance(rewards_PN, m, seed)
    assert all(len(set(kept_M)) == m for kept_M in kept_PM.tolist())
    tensors_PM = max_variance(torch.from_numpy(rewards_PN), m, torch.Generator().manual_seed(seed)).numpy()
    mine_PM, theirs_PM = (np.take_along_axis(rewards_PN, at_PM, axis=1) for at_PM in (kept_PM, tensors_PM))
    assert (np.isnan(mine_PM).sum(axis=1) == np.isnan(theirs_PM).sum(axis=1)).all()
    for mine_M, theirs_M in zip(mine_PM, theirs_PM, strict=True):
        scored = [row[~np.isnan(row)] for row in (mine_M, theirs_M)]
        if len(scored[0]):
            assert scored[0].var() == pytest.approx(scored[1].var(), abs=1e-9)


def test_ties_are_the_seeds() -> None:
    rewards_PN = np.zeros((1, 40))
    assert (keep_most_variance(rewards_PN, 4, 0) == keep_most_variance(rewards_PN, 4, 0)).all()
    assert len({tuple(keep_most_variance(rewards_PN, 4, seed)[0]) for seed in range(9)}) > 5


def test_infinite_rewards_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="a reward is infinite"):
        keep_most_variance(np.array([[0.0, np.inf]]), 1, 0)
