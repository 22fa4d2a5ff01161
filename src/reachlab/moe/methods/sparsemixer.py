"""SparseMixer-v2: in training experts are drawn, not taken, and the gradient estimates what the others would have done.

For k = 1 … K, over the experts not drawn before (s: logits, m: their maximum there):

    keep    those with (m − s_i) / max(|s_i|, m) ≤ 2ε                     p = softmax of s over them
    draw    i ~ p in training;  i = argmax p in evaluation
    weigh   w = c p_i;  c = 1 in evaluation, and where i = argmax p;  else 1 by a chance of 1/4, and 1/3
    learn   ∂w/∂s = ∂p_i/∂s          (c is in the value alone)

¼ f′(1) + ¾ f′(1/3) is f(1) − f(0), exactly so for polynomials of third degree (the papers' "Heun's third order"): the
loss's slope is taken at the end of the way from no answer to the answer, or a third along, and so follows what leaving
the answer out would change.

Sources: Liu et al., arXiv 2310.00811; version 2, for the top-k: GRIN, arXiv 2409.12136, with ε = 0.01. PhiMoE's router
in transformers computes the same for K = 2 (with 0.3333 for 1/3).

ε is small: a token whose largest logit leads by more than 2 % has one expert to draw, with p = 1 and so no gradient. A
router with large logits hardly learns.

The weights are SparseMixer's own, in evaluation too, so the model is another function than before `densify`: this is a
method to train with from the start. Departures, for families that are not PhiMoE's:
- a family's scale multiplies w; where it renormalises the top-k, w is also divided by K (each draw is a mixture of its
  own, and their mean's weights sum to one where their sum's would sum to K);
- K > 2 goes on in the same way;
- refused: scores that are no distribution to draw from (sigmoid ...), learnt factors of experts, and routers that
  select by more than their scores (a bias, groups).

Axes. T: tokens, E: experts, K: experts that a token visits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.moe.method import Method
from reachlab.moe.signals import Layer, Routing
from reachlab.moe.sites import LayerSite, selects_top_k


@dataclass(kw_only=True, eq=False)
class SparseMixer(Method):
    """Drawn experts, with a gradient of third order."""

    jitter: float = 0.01
    """ε: experts whose logits are farther below the largest, relative to their size, than 2ε are not drawn."""

    acts_when_frozen = True

    def __post_init__(self) -> None:
        if not self.jitter > 0:
            raise ReachlabError(f"jitter={self.jitter} must be above 0")

    def check(self, site: LayerSite) -> None:
        """Only softmax routers that take the largest scores.

        Raises:
            ReachlabError: any other, with the reason.
        """
        reason = None
        if site.score != "softmax":
            reason = f"its scores are not a softmax of its logits ({site.family.formula})"
        elif not selects_top_k(site):
            reason = "it does not simply take the K largest scores (a bias or groups of experts have a say)"
        if reason:
            raise ReachlabError(f"{site.name}: sparsemixer cannot draw experts for {site.family.router}: {reason}")

    def route(self, layer: Layer, routing: Routing) -> tuple[Tensor, Tensor] | None:
        """Draw experts, or take the likeliest."""
        K = routing.indices_TK.shape[1]
        weights_TK, indices_TK = sparsemixer(routing.logits_TE, K, self.jitter, drawn=layer.drawing)
        scale = layer.site.scale / (K if layer.site.renormalised else 1)
        return (scale * weights_TK).to(routing.weights_TK.dtype), indices_TK


def sparsemixer(logits_TE: Tensor, K: int, jitter: float, *, drawn: bool) -> tuple[Tensor, Tensor]:
    """Weights and experts, (T, K) both.

    Args:
        logits_TE: s; computed with in float32 at least.
        K: how many experts a token.
        jitter: ε.
        drawn: whether they are drawn (training), from torch's global generator, or the likeliest taken.
    """
    left_TE = logits_TE.to(torch.promote_types(logits_TE.dtype, torch.float32))
    size_TE = left_TE.detach().abs()
    weights, indices = [], []
    for _ in range(K):
        most_T1 = left_TE.detach().amax(-1, keepdim=True)
        far_TE = (most_T1 - left_TE.detach()) / size_TE.clamp(min=most_T1) > 2 * jitter
        near_TE = left_TE.masked_fill(far_TE, -torch.inf)
        p_TE = near_TE.softmax(-1)
        best_T1 = p_TE.argmax(-1, keepdim=True)
        index_T1 = best_T1
        if drawn:
            noise_TE = -torch.empty_like(near_TE).exponential_().log()
            index_T1 = (near_TE.detach() + noise_TE).argmax(-1, keepdim=True)
        weight_T1 = p_TE.gather(-1, index_T1)
        if drawn:
            whole_T1 = (index_T1 == best_T1) | (torch.rand_like(weight_T1) > 0.75)
            seen_T1 = weight_T1.detach() * torch.where(whole_T1, 1.0, 1 / 3)
            weight_T1 = seen_T1 + (weight_T1 - weight_T1.detach())
        weights.append(weight_T1)
        indices.append(index_T1)
        left_TE = left_TE.scatter(-1, index_T1, -torch.inf)
    return torch.cat(weights, -1), torch.cat(indices, -1)
