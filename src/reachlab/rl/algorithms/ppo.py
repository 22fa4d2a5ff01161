"""PPO: a critic's values, generalised advantages, and a clipped ratio.

    r_t = −β k1_t, plus the task's reward on the last token;   A = GAE(r, V), whitened over the batch
    loss = mean over tokens of −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A),   the critic's: `losses.value_loss`

Sources: PPO (arXiv 1707.06347), GAE (arXiv 1506.02438); the per-token KL in the reward as in *InstructGPT* (arXiv
2203.02155). Departure: λ is 1 unless asked (`Scored.lam` says why).
"""

from torch import Tensor

from reachlab.rl.advantages import gae, learnable, refuse_over_all, token_rewards, whiten
from reachlab.rl.algorithm import Algorithm, Scored


def whitened_gae(scored: Scored) -> Tensor:
    """Advantages (P, M, T); 0 for unscored rollouts, which enter no statistic.

    Raises:
        ReachlabError: ``normalise='all'`` while fewer than all rollouts are kept.
        ValueError: no `values_PMT`.
    """
    refuse_over_all(scored, "ppo")
    return whiten(_estimate(scored)[0], learnable(scored), scored.total)


def critic_targets(scored: Scored) -> tuple[Tensor, Tensor]:
    """Returns for the critic to learn, and the tokens it learns from, which leave out unscored rollouts: (P, M, T).

    Raises:
        ValueError: no `values_PMT`.
    """
    return _estimate(scored)[1], learnable(scored)


def _estimate(scored: Scored) -> tuple[Tensor, Tensor]:
    if scored.values_PMT is None:
        raise ValueError("ppo needs the critic's values")
    return gae(token_rewards(scored), scored.values_PMT, learnable(scored), scored.gamma, scored.lam)


PPO = Algorithm(
    name="ppo",
    advantage=whitened_gae,
    aggregate="token",
    clip_low=0.2,
    clip_high=0.2,
    kl_place="reward",
    compares_rollouts=False,
    kl_estimator="k1",
    per_token=True,
    critic_targets=critic_targets,
)
