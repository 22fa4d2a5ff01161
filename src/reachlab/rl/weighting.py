"""Importance weights that undo the selection's bias: Horvitz–Thompson over the kept rollouts.

A rule that keeps the rollouts that teach most changes what their mean estimates. With P_i the probability that rollout
i is kept, given all rewards, and S the number of scored rollouts,

    w_i = (M / S) / P_i,    E[1/M Σ_{i kept} w_i x_i] = 1/S Σ_{i scored} x_i    for any x,

where x_i is a rollout's gradient, say. This asks P_i > 0 of every scored rollout, and a rule gives some of them 0. So
the rule keeps M − random_keep, and `random_keep` more are drawn evenly from what it left:

    P_i = q_i + (1 − q_i) · random_keep / (S − (M − random_keep))

P_i is exact. A rule's choice depends on the rewards alone and is uniform among equal ones, so q_i is how many rollouts
of that reward it keeps over how many there are; a rule says it itself (`Rule.share_kept`), as one that is blind to
rewards has to.

x must not depend on what was kept: advantages are to be normalised over all N (``normalise="all"``). And what is
estimated is the mean over the rollouts that were drawn: if their number depends on their rewards (the budgets *waves*
and *pilot_commit*), that mean is itself biased. The price of being unbiased is variance: a class of which 1 in 50 is
kept has weights of 50.

Source: Horvitz and Thompson, *A Generalization of Sampling Without Replacement from a Finite Universe* (1952). PODS
(arXiv 2504.13818) leaves its selection unweighted, which optimises another objective.
"""

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.rules.rule import Rule


def select_weighted(
    rule: Rule, rewards_PN: Tensor, m: int, random_keep: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Keep M − random_keep rollouts by the rule, the rest by chance: indices (P, M) int64, weights (P, M) as rewards.

    Args:
        rule: keeps M − random_keep.
        rewards_PN: finite; NaN is unscored: kept only for want of others, with weight 0.
        m: rollouts to keep. random_keep: how many of them to draw evenly, 0 to M.
        generator: on the rewards' device.

    Raises:
        ReachlabError: `m` or `random_keep` out of range; infinite rewards; a scored reward that is never kept,
            which can be where `random_keep` is 0.
    """
    prompts, n = rewards_PN.shape
    if not 1 <= m <= n:
        raise ReachlabError(f"importance weights: cannot keep {m} of {n} rollouts; choose 1 to {n}")
    if not 0 <= random_keep <= m:
        raise ReachlabError(f"importance weights: random_keep = {random_keep} of {m} kept rollouts; choose 0 to {m}")
    chosen_PA = rewards_PN.new_empty(prompts, 0, dtype=torch.int64)
    if random_keep < m:
        chosen_PA = rule.keep(rewards_PN, m - random_keep, generator)
    kept_PM = torch.cat([chosen_PA, _draw(rewards_PN, chosen_PA, random_keep, generator)], dim=1)

    share_PN = rule.share_kept(rewards_PN, chosen_PA)
    scored_PN = ~rewards_PN.isnan()
    scored_P1 = scored_PN.sum(dim=1, keepdim=True).double()
    left_P1 = scored_P1 - scored_PN.gather(1, chosen_PA).sum(dim=1, keepdim=True)
    kept_PN = share_PN + (1 - share_PN) * (random_keep / left_P1.clamp(min=1)).clamp(max=1)
    if (scored_PN & (kept_PN == 0)).any():
        raise ReachlabError(
            f"importance weights: the rule {rule.name!r} never keeps some of the rewards, which no weight can undo; "
            "draw a random_keep of 1 or more"
        )
    weights_PN = (m / scored_P1 / kept_PN).masked_fill(~scored_PN, 0.0)
    return kept_PM, weights_PN.gather(1, kept_PM).to(rewards_PN.dtype)


def _draw(rewards_PN: Tensor, chosen_PA: Tensor, random_keep: int, generator: torch.Generator | None) -> Tensor:
    """So many that are not chosen yet, scored ones first, each as likely as another: (P, random_keep)."""
    order_PN = torch.rand(rewards_PN.shape, generator=generator, device=rewards_PN.device, dtype=torch.float64)
    order_PN += rewards_PN.isnan()
    order_PN.scatter_(1, chosen_PA, 2.0)
    return order_PN.argsort(dim=1)[:, :random_keep]
