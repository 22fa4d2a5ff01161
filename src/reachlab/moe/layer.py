"""One mixture-of-experts layer, heard at its router and at its experts; a `Method` acts on what is heard.

    logits, w_TK, A_TK = router(x_TD)            `HookedLayer.on_route`: the method may route otherwise
    E_i(x) for the S = T·K slots (x, i ∈ A)      `HookedLayer.on_outputs`: the method may average them
    y_TD = Σ_k w_k E_k(x)                        `HookedLayer.on_output`: the method may answer otherwise

Nothing of transformers is replaced. The router and the experts get forward hooks. The experts' own outputs, before
they are weighted and summed, pass through the norm that `grouped_mm` and `batched_mm` put behind the experts of
families that have one (`post_expert_norm`); the others get one that listens and changes nothing. So every
implementation stays the one the model had, bit for bit. Implementations without that norm (eager, vendor kernels)
visit the experts a second time, without gradient, when a method wants their outputs.

Axes. T: tokens, E: experts, K: experts that a token visits, S: token-expert pairs, D: width of an expert's answer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.here import Pass, Visit
from reachlab.moe.method import Method
from reachlab.moe.signals import Routing, Shape, Slots
from reachlab.moe.sites import LayerSite

HEARD = ("grouped_mm", "batched_mm")
"""Implementations that put a norm behind the experts."""


class HookedLayer:
    """A layer's site, its method and the hooks between them."""

    def __init__(self, site: LayerSite, method: Method, pulse: "Pulse"):
        self.site, self.method, self.pulse = site, method, pulse
        self.name, self.router, self.experts = site.name, site.router, site.experts
        self.block: nn.Module = site.router
        """What holds both; `Densified.add` knows it."""
        down: Tensor = self.experts.down_proj  # type: ignore[assignment]
        self.shape = Shape(site.num_experts, site.top_k, down.shape[2 if self.experts.is_transposed else 1])
        self.device = down.device
        self.offset = _first_expert(site)
        self.visit_here = Visit()
        self.listeners: list[Callable[[Routing], None]] = []

    # -- attaching --------------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Put the hooks in place."""
        self._handles: list[Any] = [
            self.router.register_forward_hook(self.on_route),
            self.experts.register_forward_hook(self.on_output, with_kwargs=True),
        ]
        if not self.method.hears_outputs:
            return
        if getattr(self.experts, "has_post_expert_norm", None) is False:
            self.experts.has_post_expert_norm = True  # type: ignore[assignment]
            self.experts.post_expert_norm = self.on_outputs  # type: ignore[assignment]
        elif isinstance(norm := getattr(self.experts, "post_expert_norm", None), nn.Module):
            self._handles.append(norm.register_forward_hook(self._after_norm))

    def detach(self) -> None:
        """Leave the layer as it was found."""
        for handle in self._handles:
            handle.remove()
        if "post_expert_norm" in vars(self.experts):
            del self.experts.post_expert_norm
            self.experts.has_post_expert_norm = False  # type: ignore[assignment]

    # -- what happens in a forward pass -----------------------------------------------------------------------------

    def on_route(self, router: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """The router has spoken."""
        logits, weights, indices = output[:3]
        acts = self.learning or self.method.acts_when_frozen
        if not (acts or self.listeners):
            return None
        if logits.device != self.device:  # the model was moved after densify
            self.device = logits.device
            self.method.to(self.device)
        E, K = logits.shape[-1], indices.shape[-1]
        logits_TE, indices_TK, weights_TK = logits.reshape(-1, E), indices.reshape(-1, K), weights.reshape(-1, K)
        pi_TE = self.site.mixture(logits_TE, weights_TK, indices_TK)
        tokens_T = self.pulse.tokens_of(len(pi_TE))
        bias_E = args[1] if self.site.family.bias else None
        routing = Routing(logits_TE, pi_TE, weights_TK, indices_TK, tokens_T, bias_E)
        rerouted = self.method.route(self, routing) if acts else None
        if rerouted is not None:
            routing.weights_TK, routing.indices_TK = rerouted
        for listen in self.listeners:
            listen(routing)
        self.visit_here.routing = routing if acts else None
        if rerouted is None:
            return None
        return type(output)((logits, rerouted[0].view_as(weights), rerouted[1].view_as(indices), *output[3:]))

    def on_outputs(self, outputs_SD: Tensor) -> Tensor:
        """The experts have answered: grouped_mm in the order of the experts, batched_mm in that of the tokens."""
        routing = self.visit_here.routing
        if routing is not None and not self.visiting and self.updating:
            self._hear(outputs_SD, routing, by_expert=self.implementation == "grouped_mm")
        return outputs_SD

    def _after_norm(self, norm: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        self.on_outputs(output)

    def on_output(self, experts: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Any:
        """The experts' answers are weighted and summed."""
        routing = self.visit_here.routing
        if self.visiting or routing is None:
            return None
        hidden = args[0] if args else kwargs["hidden_states"]
        hidden_TD = hidden.reshape(-1, hidden.shape[-1])
        if self.method.hears_outputs and self.updating and self.implementation not in HEARD:
            K = routing.indices_TK.shape[1]
            outputs_SD = self.visit(hidden_TD.repeat_interleave(K, 0), routing.indices_TK.reshape(-1))
            self._hear(outputs_SD, routing)
        try:
            result_TD = self.method.answer(self, hidden_TD, output.reshape(-1, output.shape[-1]), routing)
        finally:
            if self.updating:
                self.pulse.learned = True
            self.visit_here.routing = None
        return result_TD.view_as(output)

    def visit(self, hidden_SD: Tensor, experts_S: Tensor) -> Tensor:
        """E_i(x) of any tokens and experts, (S, D), without gradient.

        Args:
            hidden_SD: (S, hidden width), tokens.
            experts_S: (S,), int64, which expert each visits.
        """
        self.visit_here.visiting = True
        try:
            with torch.no_grad():
                ones_S1 = torch.ones_like(hidden_SD[:, :1])
                outputs_SD: Tensor = self.experts(hidden_SD, experts_S[:, None], ones_S1)
                return outputs_SD
        finally:
            self.visit_here.visiting = False

    # -- when -------------------------------------------------------------------------------------------------------

    @property
    def visiting(self) -> bool:
        """Whether this thread asks the experts for a method, and not for the model."""
        return self.visit_here.visiting

    @property
    def learning(self) -> bool:
        """Whether this is a training pass; averages are frozen in any other."""
        on = self.experts.training if self.pulse.learns is None else self.pulse.learns
        return on and (torch.is_grad_enabled() or self.pulse.here.differentiated)

    @property
    def drawing(self) -> bool:
        """Whether a method that routes by chance does so. In a loop of somebody's own that is the module's mode, with
        gradients or without: where that loop recomputes whole models, the first run has none, and has to draw the
        same."""
        return self.experts.training if self.pulse.learns is None else self.learning

    @property
    def updating(self) -> bool:
        """Whether this pass counts: a training pass, and not the recomputation of one."""
        return self.learning and not self.pulse.frozen and not in_backward()

    @property
    def implementation(self) -> str:
        """What computes the experts."""
        return str(self.experts.config._experts_implementation)  # type: ignore[union-attr]

    # -- what is heard ----------------------------------------------------------------------------------------------

    def _hear(self, outputs_SD: Tensor, routing: Routing, by_expert: bool = False) -> None:
        experts_S = routing.indices_TK.reshape(-1)
        weights_S = self._weights(routing).reshape(-1)
        if self.offset is not None:
            experts_S = self._local(experts_S, self.offset)
        if by_expert:
            experts_S, order_S = torch.sort(experts_S)
            weights_S = weights_S[order_S]
        # Averages are float32 under autocast too.
        with torch.no_grad(), torch.autocast(outputs_SD.device.type, enabled=False):
            self.method.hear(self, Slots(outputs_SD.detach(), experts_S, weights_S))

    def _weights(self, routing: Routing) -> Tensor:
        weights_TK = routing.weights_TK.detach().float()
        return weights_TK if routing.tokens_T is None else weights_TK * routing.tokens_T[:, None]

    @property
    def experts_here(self) -> int:
        """How many experts this process holds."""
        return int(self.experts.num_experts)  # type: ignore[arg-type]

    def _local(self, experts_S: Tensor, offset: int) -> Tensor:
        """Ids as this process's experts see them: those that live elsewhere are sentinels, past the last."""
        local_S = experts_S - offset
        return local_S.where((local_S >= 0) & (local_S < self.experts_here), self.experts_here)


class Pulse:
    """What a model's layers share: whether passes are learned from, and whether one has been since the last step."""

    def __init__(self) -> None:
        self.here = Pass()
        self.learns: bool | None = None
        """Whether passes with gradients are training passes. None, in a loop of somebody's own: as the experts' mode
        says (`model.train()`). A training run says it where it takes gradients: what lies on the way there
        (packers, samplers, probes) sets modes as it likes."""
        self.learned = False
        self.frozen = False
        """Whether passes are looked at and do not count, training ones too."""

    def tokens_of(self, T: int) -> Tensor | None:
        """Which of a layer's T tokens are real; None where all are, or where the mask is of other tokens."""
        mask = self.here.mask
        return None if mask is None or mask.numel() != T else mask.reshape(-1).bool()


def in_backward() -> bool:
    """Whether autograd is at work: a forward pass inside it is a recomputation."""
    if torch.compiler.is_compiling():
        return False  # a compiled checkpoint is traced once, and its recomputation does not run this code
    return bool(torch._C._current_graph_task_id() != -1)


def _first_expert(site: LayerSite) -> int | None:
    """The global number of this process's first expert, under expert parallelism; None without.

    Raises:
        ReachlabError: tokens are sent to their experts' processes, where nobody knows whose they are.
    """
    if not getattr(site.experts, "_is_expert_parallel", False):
        return None
    for cell in getattr(site.experts.forward, "__closure__", None) or ():
        held = cell.cell_contents
        if hasattr(held, "num_local_experts"):
            if getattr(held, "needs_shared_batch", False):
                return int(held.ep_mesh.get_local_rank()) * int(held.num_local_experts)
            raise ReachlabError(
                f"{site.name}: under expert parallelism densify needs every process to see the whole batch: load the "
                'model with DistributedConfig(..., ep_implementation="all_reduce")'
            )
    return 0
