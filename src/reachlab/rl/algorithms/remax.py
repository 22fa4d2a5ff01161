"""ReMax: REINFORCE whose baseline is the reward of the prompt's greedy answer.

    A_t = r − r_greedy − β Σ_{u≥t} k1_u,   loss = −mean over answers of Σ_t ρ A_t

The greedy answer costs one rollout more a prompt and no critic. A token answers only for the KL of what follows it;
without a KL all tokens of an answer have the same advantage.

Source: *ReMax: A Simple, Effective, and Efficient Reinforcement Learning Method for Aligning Large Language Models*
(arXiv 2310.10505), algorithm 1. Departures: a prompt whose greedy answer is unscored has no baseline, and advantages 0;
ρ stands for log π, as in RLOO.
"""

from torch import Tensor

from reachlab.rl.advantages import discounted_sums, learnable
from reachlab.rl.algorithm import Algorithm, Scored


def greedy_advantages(scored: Scored) -> Tensor:
    """Advantages (P, M), or (P, M, T) with a KL in the reward; 0 where the rollout or its baseline is unscored.

    Raises:
        ValueError: no `greedy_P`.
    """
    if scored.greedy_P is None:
        raise ValueError("remax needs the greedy answers' rewards")
    advantages_PM = scored.rewards_PM - scored.greedy_P[:, None]
    if scored.penalty_PMT is None:
        return advantages_PM.nan_to_num(0.0)
    known_PMT = learnable(scored) & ~advantages_PM.isnan()[:, :, None]
    ahead_PMT = discounted_sums(scored.penalty_PMT.masked_fill(~known_PMT, 0.0), 1.0)
    return (advantages_PM[:, :, None] - ahead_PMT).masked_fill(~known_PMT, 0.0)


REMAX = Algorithm(
    name="remax",
    advantage=greedy_advantages,
    aggregate="sum",
    clip_low=None,
    clip_high=None,
    kl_place="reward",
    compares_rollouts=False,
    kl_estimator="k1",
    greedy_baseline=True,
)
