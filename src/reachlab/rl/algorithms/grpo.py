"""GRPO: A = (r − mean r) / (std r + ε) over the rollouts of a prompt; no critic.

    loss = mean over answers of mean over tokens of −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + β k3

Source: *DeepSeekMath* (arXiv 2402.03300), eq. 3 and 4. Departure: β is 0 unless asked for, where the paper has 0.04.
"""

from reachlab.rl.advantages import standardised
from reachlab.rl.algorithm import Algorithm

GRPO = Algorithm(
    name="grpo",
    advantage=standardised,
    aggregate="sequence",
    clip_low=0.2,
    clip_high=0.2,
    kl_place="loss",
    compares_rollouts=True,
    kl_estimator="k3",
)
