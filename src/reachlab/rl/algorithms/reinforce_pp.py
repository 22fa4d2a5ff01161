"""REINFORCE++: the return of each token, whitened over the whole batch; PPO's clipping, no critic.

    G_t = r − β Σ_{u≥t} k1_u,   A = (G − mean G) / (std G + ε) over all tokens of the step

A batch-wide deviation does not depend on which prompt an answer belongs to, so a group whose rollouts nearly agree is
not blown up. It also has no baseline of its own: rollouts of easy prompts are pushed up, of hard ones down.

Source: *REINFORCE++* (arXiv 2501.03262). Its variant with a group baseline has a k2 loss; this one, the
plain algorithm, has k1 in the reward. Where γ < 1, G is the discounted sum.
"""

from torch import Tensor

from reachlab.rl.advantages import discounted_sums, learnable, refuse_over_all, token_rewards, whiten
from reachlab.rl.algorithm import Algorithm, Scored


def whitened_returns(scored: Scored) -> Tensor:
    """Advantages (P, M, T); 0 for unscored rollouts, which enter no statistic.

    Raises:
        ReachlabError: ``normalise='all'`` while fewer than all rollouts are kept.
    """
    refuse_over_all(scored, "reinforce_pp")
    returns_PMT = discounted_sums(token_rewards(scored), scored.gamma)
    return whiten(returns_PMT, learnable(scored), scored.total)


REINFORCE_PP = Algorithm(
    name="reinforce_pp",
    advantage=whitened_returns,
    aggregate="token",
    clip_low=0.2,
    clip_high=0.2,
    kl_place="reward",
    compares_rollouts=False,
    kl_estimator="k1",
    per_token=True,
)
