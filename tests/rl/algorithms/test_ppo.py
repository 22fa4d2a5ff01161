from dataclasses import replace

import pytest
import torch
from tests.rl.policy import CASES, Case, Rows, clipped_cost, compare, deviation, every_case, mean, with_rewards

from reachlab.errors import ReachlabError
from reachlab.rl.algorithms.ppo import PPO, critic_targets, whitened_gae


@pytest.mark.parametrize("beta", [0.0, 0.3])
@every_case
def test_value_and_gradient(given: Case, beta: float) -> None:
    old, reference = given.rows(given.logprobs(given.old_TV)), given.rows(given.logprobs(given.reference_TV))
    values = given.rows(given.values_PMT)

    def paper(new: Rows) -> float:
        estimates, olds, news = [], [], []
        for p, rewards in enumerate(given.rewards()):
            for m, reward in enumerate(rewards):
                length = len(new[p][m])
                steps = [-beta * (a - b) for a, b in zip(old[p][m], reference[p][m], strict=True)]
                steps[-1] += reward
                # λ = 1, γ = 1: what is still to come, less what was expected.
                estimates += [sum(steps[t:]) - values[p][m][t] for t in range(length)]
                olds += old[p][m]
                news += new[p][m]
        advantages = [(a - mean(estimates)) / (deviation(estimates) + 1e-8) for a in estimates]
        return mean([clipped_cost(n, o, a, 0.2, 0.2) for n, o, a in zip(news, olds, advantages, strict=True)])

    compare(PPO, given, paper, beta)


def test_the_critic_learns_returns_of_scored_answers() -> None:
    given = with_rewards(CASES["partial"], [[0.5, 0.0, torch.nan, 0.25], [0.75, 0.5, 0.0, 0.25]])
    returns_PMT, mask_PMT = critic_targets(given.scored(PPO))
    expected_PMT = given.scored(PPO).rewards_PM[:, :, None].expand(2, 3, 3)
    assert mask_PMT[0, 1].sum() == 0
    assert torch.equal(mask_PMT[1], given.mask_PMT[1])
    assert torch.allclose(returns_PMT[mask_PMT], expected_PMT[mask_PMT])  # λ = 1, γ = 1: the reward itself
    assert not returns_PMT[~mask_PMT].any()


def test_refuses() -> None:
    scored = CASES["binary"].scored(PPO)
    with pytest.raises(ReachlabError, match="normalise='kept'"):
        whitened_gae(replace(scored, normalise="all"))
    with pytest.raises(ValueError, match="critic"):
        whitened_gae(replace(scored, values_PMT=None))
