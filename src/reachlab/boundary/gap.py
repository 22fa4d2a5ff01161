"""The sampling-efficiency gap: ΔSE = pass@k(base) − pass@1(trained).

How far a trained model's single answer is from what its base reaches in k. Near 0 the training has put the base's whole
reach into one answer; the paper found it large, and nearly alike, for every RL algorithm.

Source: section 4.3 of arXiv 2504.13837, with k = 256.
"""

from dataclasses import dataclass

K = 256
"""k unless another is asked for; fewer samples make it less."""


@dataclass(frozen=True, slots=True)
class Gap:
    """ΔSE at k, a share, with its interval."""

    k: int
    value: float
    low: float
    high: float


def sampling_efficiency_gap(base_pass_k: float, trained_pass_1: float) -> float:
    """ΔSE from two numbers of a table, in their own unit (shares or percent).

    Example:
        >>> sampling_efficiency_gap(base_pass_k=0.75, trained_pass_1=0.25)
        0.5
    """
    return base_pass_k - trained_pass_1
