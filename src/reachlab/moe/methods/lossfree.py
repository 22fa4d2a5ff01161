"""Loss-free balancing: experts are selected by their scores and a bias, which grows while they have too few tokens.

    A = top-k of s + b        weights from s alone, by the family's own formula
    b_i ← b_i + u · sign(mean_j load_j − load_i)        once an optimizer step; load_i: tokens sent to expert i

Source: Wang et al., arXiv 2408.15664, with u = 0.001. The load is that of all micro-batches and processes, without
padding. The router's gradient is the top-k's.

Most families with sigmoid scores have such a bias already (DeepSeek-V3's e_score_correction_bias, after the same
paper), which transformers never moves. There it is theirs that moves: it is part of their checkpoint, and stays when
the method goes. In the other families the bias is ours, kept beside the checkpoint, and acts in evaluation too.

Axes. T: tokens, E: experts, K: experts that a token visits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.method import Method
from reachlab.moe.scores import active_weights, score
from reachlab.moe.signals import Layer, Routing, Shape
from reachlab.moe.sites import LayerSite, selects_top_k

THEIRS = "e_score_correction_bias"
"""What routers that hold a bias of their own call it."""


@dataclass(kw_only=True, eq=False)
class LossFree(Method):
    """Balance by a bias on the selection."""

    rate: float = 0.001
    """u, how far a bias moves each optimizer step, in units of the scores."""

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ReachlabError(f"rate={self.rate} must be above 0")

    def check(self, site: LayerSite) -> None:
        """Whose bias it is.

        Raises:
            ReachlabError: the router has no bias, and does not take the K largest scores either.
        """
        self.theirs = site.family.bias or _held(site) is not None
        if not self.theirs and not selects_top_k(site):
            raise ReachlabError(
                f"{site.name}: lossfree cannot add its bias to the selection of {site.family.router}, which does not "
                "simply take the K largest scores (it selects within groups of experts)"
            )
        self.acts_when_frozen = not self.theirs

    def prepare(self, shape: Shape, device: torch.device) -> None:
        """Begin without bias."""
        super().prepare(shape, device)
        self.bias_E: Tensor | None = None if self.theirs else torch.zeros(shape.E, device=device)
        self.load_E = torch.zeros(shape.E, device=device)

    def route(self, layer: Layer, routing: Routing) -> tuple[Tensor, Tensor] | None:
        """Select by s + b, unless the router has done so itself; and count."""
        selected = None
        if self.theirs:
            self.bias_E = routing.bias_E if layer.site.family.bias else _held(layer.site)
            if layer.updating and (self.bias_E is None or self.bias_E.dtype != torch.float32):
                raise ReachlabError(
                    f"{layer.name}: lossfree moves the router's own bias by {self.rate} a step and needs it in "
                    f"float32, but it is {'switched off' if self.bias_E is None else self.bias_E.dtype}"
                )
            indices_TK = routing.indices_TK
        else:
            selected = _, indices_TK = self._select(layer.site, routing)
        if layer.updating:
            ones_T = torch.ones_like(indices_TK[:, 0], dtype=torch.float32)
            tokens_T = ones_T if routing.tokens_T is None else ones_T * routing.tokens_T
            self.load_E.index_add_(0, indices_TK.reshape(-1), tokens_T.repeat_interleave(indices_TK.shape[1]))
        return selected

    def _select(self, site: LayerSite, routing: Routing) -> tuple[Tensor, Tensor]:
        assert self.bias_E is not None
        scores_TE = score(routing.logits_TE, site.score)
        indices_TK = (scores_TE.detach() + self.bias_E).topk(routing.indices_TK.shape[1], -1).indices
        weights_TK = active_weights(
            scores_TE, indices_TK, renormalised=site.renormalised, scale=site.scale, factors_E=site.factors
        )
        return weights_TK.to(routing.weights_TK.dtype), indices_TK

    def pending(self) -> list[Tensor]:
        """The load since the last commit."""
        return [self.load_E]

    def commit(self) -> None:
        """Move every bias by u, towards the mean load."""
        if self.bias_E is None:
            return  # theirs, of a layer that no pass has come to (experts for images, in a text)
        # The mean of integers is rounded; E times the difference is not.
        short_E = self.load_E.sum() - self.shape.E * self.load_E
        self.bias_E.view(-1).add_(self.rate * short_E.sign())
        self.load_E.zero_()

    def state(self) -> dict[str, Tensor]:
        """The bias, where it is ours."""
        return {} if self.theirs or self.bias_E is None else {"bias": self.bias_E}

    def acts_with(self, state: dict[str, Tensor]) -> bool:
        """Where the bias is ours; theirs is in no state of ours."""
        return bool(state)

    def borrowed(self, block: nn.Module) -> dict[str, Tensor]:
        """The bias, where it is theirs."""
        return {f"{THEIRS}.{at}": bias for at, bias in enumerate(_named(block))} if self.theirs else {}


def _named(module: nn.Module) -> list[Tensor]:
    """The biases within a module, as buffers or frozen parameters."""
    return [bias for m in module.modules() if isinstance(bias := getattr(m, THEIRS, None), Tensor)]


def _held(site: LayerSite) -> Tensor | None:
    """The bias that a router holds."""
    return next(iter(_named(site.router)), None)
