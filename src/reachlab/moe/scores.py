"""From what a router gives K active experts to what it would give all E.

A router scores every expert, s = score(logits), and weighs the experts of its top-k set A by

    w_i = scale · g_i · s_i              or, renormalised,      w_i = scale · g_i · s_i / Σ_{j∈A} s_j

where g_i is a learnt factor of each expert, 1 in almost all families. (Softmax over the logits of A alone is softmax
over all, renormalised.) The mixture that `densify` differentiates extends w to the experts that are not in A:

    π_i = C · p_i      p_i = g_i · s_i              or, renormalised,     p_i = g_i · s_i / Σ_{all j} s_j
    C = stop_gradient(Σ_{i∈A} w_i / Σ_{i∈A} p_i)

so π_i = w_i on A, up to rounding. Its gradient is that of the dense mixture of all experts at the scale of the top-k:
the normaliser of the top-k is held constant, and where the family renormalises, s / Σ s is a distribution over *all*
experts, so that what all of them have in common has no gradient. C comes from the router's own weights, and so holds
what a router adds to its normaliser: an epsilon, a floor, the scores of shared experts.

Source: Default MoE (arXiv 2504.12463v3), which knows softmax without renormalisation, where C = 1; the rest is ours.

Axes. T: tokens, E: experts, K: experts that a token visits.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Score = str | Callable[[Tensor], Tensor]
"""A key of `SCORES`, or the function itself."""


def _softmax(logits_TE: Tensor) -> Tensor:
    return logits_TE.softmax(-1)


def _as_they_are(logits_TE: Tensor) -> Tensor:
    return logits_TE


SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": _softmax,
    "sigmoid": torch.sigmoid,
    "probabilities": _as_they_are,
}
"""Score functions; "probabilities" is for routers whose logits have been through the softmax already."""


def score(logits_TE: Tensor, how: Score) -> Tensor:
    """s of every expert: (T, E), in float32, or float64 where the logits are; they are what a router returns first.

    Args:
        logits_TE: (T, E), the router's.
        how: a key of `SCORES`, or a function of the logits.
    """
    function = SCORES[how] if isinstance(how, str) else how
    return function(logits_TE.to(torch.promote_types(logits_TE.dtype, torch.float32)))


def active_weights(
    scores_TE: Tensor, indices_TK: Tensor, *, renormalised: bool, scale: Tensor | float, factors_E: Tensor | float = 1.0
) -> Tensor:
    """w of the active experts, (T, K): the router's own formula.

    Args:
        scores_TE: s. indices_TK: the active experts.
        renormalised: whether s is divided by its sum over the active experts.
        scale: a number, or one a token (T, 1).
        factors_E: g, or 1.
    """
    active_TK = scores_TE.gather(1, indices_TK)
    if renormalised:
        active_TK = active_TK / active_TK.sum(1, keepdim=True)
    return scale * (torch.ones_like(scores_TE) * factors_E).gather(1, indices_TK) * active_TK


def mixture(
    scores_TE: Tensor,
    indices_TK: Tensor,
    weights_TK: Tensor,
    *,
    renormalised: bool,
    factors_E: Tensor | float = 1.0,
) -> Tensor:
    """π of every expert: (T, E), with the scores' dtype; the router's weights on the active experts.

    Args:
        scores_TE: s (`score`).
        indices_TK: the active experts. weights_TK: what the router gives them; only their sum is used, as a constant.
        renormalised: whether the family divides by the sum over the active experts.
        factors_E: g, or 1.
    """
    shares_TE = scores_TE * factors_E
    if renormalised:
        shares_TE = shares_TE / scores_TE.sum(1, keepdim=True).clamp(min=TINY)
    given_T1 = weights_TK.detach().to(shares_TE.dtype).sum(1, keepdim=True)
    taken_T1 = shares_TE.detach().gather(1, indices_TK).sum(1, keepdim=True)
    # Scores may underflow to 0; then so do the router's weights.
    return shares_TE * (given_T1 / taken_T1.clamp(min=TINY))


TINY = torch.finfo(torch.float32).tiny
"""The smallest sum that is divided by."""
