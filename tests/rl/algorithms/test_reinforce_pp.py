from dataclasses import replace

import pytest
import torch
from tests.rl.policy import CASES, Case, Rows, clipped_cost, compare, deviation, every_case, mean

from reachlab.errors import ReachlabError
from reachlab.rl.algorithms.reinforce_pp import REINFORCE_PP, whitened_returns


@pytest.mark.parametrize("beta", [0.0, 0.3])
@every_case
def test_value_and_gradient(given: Case, beta: float) -> None:
    old, reference = given.rows(given.logprobs(given.old_TV)), given.rows(given.logprobs(given.reference_TV))

    def paper(new: Rows) -> float:
        returns, olds, news = [], [], []
        for p, rewards in enumerate(given.rewards()):
            for m, reward in enumerate(rewards):
                for t, log_new in enumerate(new[p][m]):
                    later = sum(a - b for a, b in zip(old[p][m][t:], reference[p][m][t:], strict=True))
                    returns.append(reward - beta * later)
                    olds.append(old[p][m][t])
                    news.append(log_new)
        advantages = [(g - mean(returns)) / (deviation(returns) + 1e-8) for g in returns]
        return mean([clipped_cost(n, o, a, 0.2, 0.2) for n, o, a in zip(news, olds, advantages, strict=True)])

    compare(REINFORCE_PP, given, paper, beta)


def test_a_discount_by_hand() -> None:
    given = CASES["partial"]
    lengths, rewards = given.mask_PMT.sum(dim=2).tolist(), given.rewards()
    returns = [
        r * 0.5 ** (length - 1 - t)
        for rs, ls in zip(rewards, lengths, strict=True)
        for r, length in zip(rs, ls, strict=True)
        for t in range(length)
    ]
    found_PMT = whitened_returns(replace(given.scored(REINFORCE_PP), gamma=0.5))
    expected = [(g - mean(returns)) / deviation(returns) for g in returns]
    assert found_PMT[given.mask_PMT].tolist() == pytest.approx(expected)
    assert not found_PMT[~given.mask_PMT].any()


def test_refuses_statistics_over_all() -> None:
    scored = CASES["binary"].scored(REINFORCE_PP)
    with pytest.raises(ReachlabError, match="normalise='kept'"):
        whitened_returns(replace(scored, normalise="all"))
    everything = replace(scored, kept_PM=torch.arange(3).repeat(2, 1), rewards_PN=scored.rewards_PM)
    assert torch.equal(whitened_returns(replace(everything, normalise="all")), whitened_returns(everything))
