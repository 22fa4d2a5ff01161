"""Where a model's mixture-of-experts layers are, and whether their routers are what the table of families says.

A router and an experts module belong together when they are alone in the smallest block that holds both. A row of the
table (`families.py`) is held against a copy of the router with random parameters: its weights for random tokens must be
the row's formula of its logits.

Axes. T: tokens, E: experts, K: experts that a token visits.
"""

import math
from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.families import FAMILIES, READ_FROM, REFUSED, RouterFamily, row_of
from reachlab.moe.scores import SCORES, Score, active_weights, mixture, score


@dataclass(frozen=True)
class LayerSite:
    """A layer that can be densified: the block that holds both its router and its experts."""

    name: str
    """The block's qualified name in the model."""
    router: nn.Module
    experts: nn.Module
    family: RouterFamily

    @cached_property
    def num_experts(self) -> int:
        """E, as wide as the router's logits (all processes' experts together)."""
        return _trial(self, tokens=1)[1][0].shape[-1]

    @cached_property
    def top_k(self) -> int:
        """K, as many as the router gives weights to."""
        return _trial(self, tokens=1)[1][2].shape[-1]

    @property
    def score(self) -> Score:
        """The score function, or its name."""
        how: Score = self.family.score if self.family.score in SCORES else getattr(self.router, self.family.score)
        return how

    @property
    def renormalised(self) -> bool:
        """Whether the weights of the active experts are divided by their sum."""
        if self.family.after and self.score == "softmax":
            return True
        flag = self.family.renormalise
        return flag if isinstance(flag, bool) else bool(getattr(self.router, flag))

    @property
    def scale(self) -> float:
        """What all weights are multiplied by."""
        return math.prod(_value(self.router, factor) for factor in filter(None, self.family.scale.split(" * ")))

    @property
    def factors(self) -> Tensor | float:
        """g, what each expert's weight is multiplied by; a parameter of the router, or 1."""
        return getattr(self.router, self.family.factors) if self.family.factors else 1.0

    def mixture(self, logits_TE: Tensor, weights_TK: Tensor, indices_TK: Tensor) -> Tensor:
        """π of all experts, (T, E), from what the router returned; differentiable in its logits. See `scores`.

        Args:
            logits_TE: (T, E), the router's.
            weights_TK: (T, K), what it gives the active experts.
            indices_TK: (T, K), int64, which these are.
        """
        scores_TE = score(logits_TE, self.score)
        # A softmax is a distribution over all experts as it stands.
        divide = self.renormalised and self.score not in ("softmax", "probabilities")
        return mixture(scores_TE, indices_TK, weights_TK, renormalised=divide, factors_E=self.factors)


def find_layers(model: nn.Module) -> list[LayerSite]:
    """Every layer whose choice of experts is learnt, in the model's order.

    A router and an experts module belong together when they are alone in the smallest block that holds both.

    Raises:
        ReachlabError: the model has no mixture-of-experts layers; its family is refused; a router is not in the table.
    """
    modules = dict(model.named_modules())
    for module in modules.values():
        if refusal := row_of(module, REFUSED):
            raise ReachlabError(f"{type(model).__name__}: {refusal.model} cannot be densified: {refusal.reason}")
    sites = [_site(modules, name) for name, module in modules.items() if has_seam(module)]
    if not sites:
        raise ReachlabError(
            f"no mixture-of-experts layers in {type(model).__name__} (none whose experts transformers can swap)"
        )
    if not any(site.family.learnt for site in sites):
        raise ReachlabError(f"no layer of {type(model).__name__} learns which experts a token visits")
    return [site for site in sites if site.family.learnt]


def has_seam(module: nn.Module) -> bool:
    """Whether transformers lets this experts module be computed in several ways."""
    return all(hasattr(module, name) for name in ("num_experts", "has_gate", "has_bias", "is_transposed"))


@torch.no_grad()
def verify(site: LayerSite, seed: int = 0) -> None:
    """Hold a layer's row of the table against its router: random tokens, and random parameters in a copy of the router.

    Neither the router nor the global random state is touched.

    Args:
        site: the layer.
        seed: of the tokens and the parameters.

    Raises:
        ReachlabError: the router's weights are not what the row says.
    """
    site, (logits_TE, weights_TK, indices_TK, *shared) = _trial(site, tokens=64, seed=seed)
    scores_TE = score(logits_TE, site.score)
    # Where shared experts take part in the normalisation, the router returns their weights too.
    scale_T1 = site.scale - sum((more.float().sum(1, keepdim=True) for more in shared), torch.zeros(()))
    formula_TK = active_weights(
        scores_TE, indices_TK, renormalised=site.renormalised, scale=scale_T1, factors_E=site.factors
    )
    error = float(((formula_TK - weights_TK).abs().amax() / weights_TK.abs().amax()).nan_to_num(math.inf))
    if error > _rounding(logits_TE, weights_TK):
        raise ReachlabError(
            f"{site.name}: the weights of {site.family.router} are not {site.family.formula} (they differ by up to "
            f"{error:.1e} of the largest): this version of transformers computes something else; correct the row in "
            "reachlab.moe.families.FAMILIES"
        )


@torch.no_grad()
def selects_top_k(site: LayerSite) -> bool:
    """Whether the active experts are those with the K largest scores, without a bias or groups of experts."""
    site, (logits_TE, weights_TK, indices_TK, *_) = _trial(site, tokens=64)
    scores_TE = score(logits_TE, site.score)
    chosen_TK = scores_TE.gather(1, indices_TK).sort(1, descending=True).values
    # The scores, not the indices: in bfloat16 many experts tie.
    return torch.allclose(chosen_TK, scores_TE.topk(indices_TK.shape[1], 1).values, _rounding(logits_TE, weights_TK))


@torch.no_grad()
def _trial(site: LayerSite, tokens: int, seed: int = 0) -> tuple[LayerSite, tuple[Tensor, ...]]:
    """The site with a copy of its router whose parameters are random, and what that returns for random tokens."""
    generator = torch.Generator().manual_seed(seed)
    # Nobody who listens to the router is to hear this; nor is a listener to be copied.
    deaf: dict[int, Any] = {
        id(hooks): OrderedDict() for hooks in (site.router._forward_hooks, site.router._forward_pre_hooks)
    }
    router = deepcopy(site.router, deaf).eval()
    matrix = next(p for p in router.parameters() if p.ndim == 2)
    for tensor in [*router.parameters(), *router.buffers()]:
        if tensor.is_floating_point():
            drawn = torch.empty(tensor.shape)
            if tensor.ndim > 1:
                drawn.normal_(std=2 / tensor.shape[-1] ** 0.5, generator=generator)
            else:  # biases and factors
                drawn.uniform_(0.5, 1.5, generator=generator)
            tensor.data.copy_(drawn)
    shape = (1, tokens, matrix.shape[1]) if site.family.batched else (tokens, matrix.shape[1])
    arguments = [torch.randn(shape, generator=generator).to(matrix)]
    if site.family.bias:
        arguments.append(torch.rand(matrix.shape[0], generator=generator).to(matrix.device))
    site, returned = replace(site, router=router), router(*arguments)
    if wrong := _misfit(site, returned):
        raise ReachlabError(
            f"{site.name}: {site.family.router} of transformers {transformers.__version__} {wrong}, unlike that of "
            f"{READ_FROM}, which Reachlab knows: install that version"
        )
    return site, returned


def _misfit(site: LayerSite, returned: object) -> str:
    """In what a router is not the one that its row is about; empty if it may be."""
    row = site.family
    named = [row.score, row.renormalise, row.factors, *(f.removeprefix("1/") for f in row.scale.split(" * "))]
    for name in named:
        if isinstance(name, str) and name and name not in SCORES and not hasattr(site.router, name):
            return f"has no {name}"
    match returned:
        case (Tensor(), Tensor() as weights, Tensor() as indices, *_):
            if weights.is_floating_point() and indices.dtype == torch.int64 and weights.shape == indices.shape:
                return ""
    return "does not return (logits, weights, indices)"


def _rounding(*tensors: Tensor) -> float:
    """How far two ways to compute the same numbers may come out apart, relative to them, in the coarsest dtype."""
    return max(1e-5, *(4 * torch.finfo(tensor.dtype).eps for tensor in tensors))


def _value(router: nn.Module, factor: str) -> float:
    name = factor.removeprefix("1/")
    value = float(getattr(router, name))
    return value if name == factor else 1 / value


def _site(modules: dict[str, nn.Module], experts: str) -> LayerSite:
    """The site of an experts module, by its qualified name."""
    block = experts
    while block:
        block = block.rpartition(".")[0]
        inside = {name: m for name, m in modules[block].named_modules() if "original_module" not in name.split(".")}
        if sum(map(has_seam, inside.values())) > 1:
            break
        pairs = [(module, row) for module in inside.values() if (row := row_of(module, FAMILIES))]
        if len(pairs) == 1:
            return LayerSite(block, pairs[0][0], modules[experts], pairs[0][1])
        if pairs:
            break
    block = experts.rpartition(".")[0]
    beside = ", ".join(type(module).__name__ for module in modules[block].children())
    raise ReachlabError(
        f"{block}: no router here that Reachlab knows (the block holds {beside}), so what it would give to inactive "
        "experts is unknown; add a row for its class to reachlab.moe.families.FAMILIES"
    )
