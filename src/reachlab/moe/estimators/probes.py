"""Probes: a few tokens of a pass also visit an expert that they were not routed to, for the averages only.

    x uniformly among the pass's tokens,    i ∉ A(x) with probability π_i(x) / Π(x),    Π(x) = Σ_{i∉A} π_i(x)

A probe weighs Π(x). So Σ over probes of Π f(x, i) estimates (M / T) Σ_x Σ_{i∉A} π_i(x) f(x, i) without bias: it sees
what top-k never shows, an expert's answers to the tokens routed past it, and where the router's gradient asks for it.
Drawing in proportion to π puts the probes where they count; uniform draws with weights gave the same means from more of
them.

Random numbers are a hash of (draw, process, place): they leave torch's generators alone, a resumed run draws what an
undisturbed one would have, and they can be compiled.

Axes. T: tokens, E: experts, D: width of an expert's answer, M: probes, N: random numbers.
"""

import math
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from reachlab.moe.signals import Layer, Routing


@dataclass(frozen=True)
class Probes:
    """M token-expert pairs and what the experts answered."""

    tokens_M: Tensor
    experts_M: Tensor
    weights_M: Tensor
    """Π; 0 for padding, and where the router leaves nothing to inactive experts."""
    outputs_MD: Tensor


def probe(layer: Layer, hidden_TD: Tensor, routing: Routing, share: float, draw: Tensor) -> Probes:
    """Send a share of the tokens, at least one, to an inactive expert each.

    Args:
        layer: whose experts are visited.
        hidden_TD: the tokens.
        routing: how they were routed.
        share: of the tokens.
        draw: the number of this draw, an integer scalar.
    """
    T, E = routing.pi_TE.shape
    M = math.ceil(share * T)
    mass_TE = routing.inactive().detach()
    if routing.tokens_T is not None:
        mass_TE = mass_TE * routing.tokens_T[:, None]
    which_2M = uniform(draw, _process(layer), torch.arange(2 * M, device=mass_TE.device)).view(2, M)
    tokens_M = (which_2M[0] * T).long().clamp(max=T - 1)
    reached_ME = mass_TE[tokens_M].cumsum(1)
    weights_M = reached_ME[:, -1]
    experts_M = (reached_ME <= which_2M[1, :, None] * weights_M[:, None]).sum(1).clamp(max=E - 1)
    # Rounding may end at the last expert though it is active.
    weights_M = weights_M.where(mass_TE[tokens_M, experts_M] > 0, 0.0)
    return Probes(tokens_M, experts_M, weights_M, layer.visit(hidden_TD[tokens_M], experts_M))


def uniform(draw: Tensor, process: int, place_N: Tensor) -> Tensor:
    """Numbers in [0, 1), float32: a hash of three integers (splitmix64's mixing, arXiv 1805.01407 among others)."""
    x_N = (draw * _signed(0x9E3779B97F4A7C15) + process) * _signed(0xD1B54A32D192ED03) + place_N
    for multiplier, shift in ((0xBF58476D1CE4E5B9, 30), (0x94D049BB133111EB, 27)):
        x_N = (x_N ^ _right(x_N, shift)) * _signed(multiplier)
    return _right(x_N ^ _right(x_N, 31), 40).float() * 2.0**-24


def _right(x_N: Tensor, bits: int) -> Tensor:
    """A shift that fills with zeros: torch's keeps the sign."""
    return (x_N >> bits) & ((1 << (64 - bits)) - 1)


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def _process(layer: Layer) -> int:
    """Processes with different tokens draw differently; under expert parallelism all see the same tokens."""
    alone = layer.offset is not None or not dist.is_available() or not dist.is_initialized()
    return 0 if alone else dist.get_rank()
