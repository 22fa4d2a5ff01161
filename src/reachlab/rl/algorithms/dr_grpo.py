"""Dr. GRPO ("GRPO done right"): GRPO without its two divisions, by the group's deviation and by the answer's length.

    A = r − mean r,   loss = Σ over tokens of −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) / (answers × max_tokens)

Dividing by the deviation weighs up questions that are nearly always or nearly never solved; dividing by the length
makes long wrong answers cheap. No KL.

Source: *Understanding R1-Zero-Like Training: A Critical Perspective* (arXiv 2503.20783).
"""

from reachlab.rl.advantages import centred
from reachlab.rl.algorithm import Algorithm

DR_GRPO = Algorithm(
    name="dr_grpo",
    advantage=centred,
    aggregate="constant",
    clip_low=0.2,
    clip_high=0.2,
    kl_place="none",
    compares_rollouts=True,
)
