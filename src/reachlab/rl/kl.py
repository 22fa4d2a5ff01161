"""Estimates of KL(π ‖ π_ref) from one sampled token: what each one's value and gradient mean.

With x ~ π and l = log π(x) − log π_ref(x):

    k1 = l        k2 = l² / 2        k3 = exp(−l) − 1 + l

*Value*, in expectation over x ~ π. k1 and k3 are KL(π ‖ π_ref) exactly; k1 has the larger variance and may be
negative, k3 never is. k2 is ½ E[l²], equal to the KL only to second order in l.

*As a term of the loss*, differentiated at fixed samples, what counts is E[∇k]:

    k1:  E[∇ log π] = 0                       nothing but noise
    k2:  E[l ∇ log π] = ∇ KL(π ‖ π_ref)       the right one
    k3:  −E_ref[∇ log π] = ∇ KL(π_ref ‖ π)    the gradient of the other direction

*In the reward*, where k is a constant and REINFORCE multiplies it by ∇ log π, it is E[k ∇ log π]:

    k1:  ∇ KL(π ‖ π_ref)                      the right one
    k3:  ∇ KL(π ‖ π_ref) − ∇ KL(π_ref ‖ π)    near π_ref the two cancel: hardly any pull

All of it holds on-policy. A loss term also sees only the token's own distribution: that an early token leads to states
with a larger KL later is seen by a KL in the reward alone.

Source: Schulman, *Approximating KL Divergence* (2020), for the values; for the gradients *On a few pitfalls in KL
divergence gradient estimation for RL* (arXiv 2506.09477), and `tests/rl/test_kl.py`, which enumerates them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import KLEstimator


def k1(log_ratio: Tensor) -> Tensor:
    """l."""
    return log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    """l² / 2."""
    return log_ratio.square() / 2


def k3(log_ratio: Tensor) -> Tensor:
    """exp(−l) − 1 + l, with the digits that are left where l is small."""
    return torch.expm1(-log_ratio) + log_ratio


ESTIMATORS: dict[KLEstimator, Callable[[Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}


def estimate_kl(log_ratio: Tensor, estimator: KLEstimator) -> Tensor:
    """The estimate of KL(π ‖ π_ref) of each token, in nats, from log π − log π_ref at tokens drawn from π.

    Raises:
        ReachlabError: an unknown estimator.

    Example:
        >>> estimate_kl(torch.tensor([0.0, 0.1], dtype=torch.float64), "k3").round(decimals=4).tolist()
        [0.0, 0.0048]
    """
    if estimator not in ESTIMATORS:
        raise ReachlabError(f"KL: estimator = {estimator!r}; choose 'k1', 'k2' or 'k3'")
    return ESTIMATORS[estimator](log_ratio)
