"""What routers do, heard over any number of passes: how sure they are, whom they send where, whom they forget.

    p = π / Σ π                                        a token's shares of all E experts (softmax families: the softmax)
    entropy      H = mean over tokens of −Σ_i p_i log p_i           nats; H / log E is 1 for a router that knows nothing
    top-k mass   mean over tokens of Σ_{i∈A} p_i                    what the mixture keeps of the dense one
    load         f_i = slots of i / all slots                       its deviation and maximum over its mean, 1/E
    co-activation  C_ij = share of tokens that visit i and j        C_ii = K f_i

The first four are the field's (Switch Transformer, arXiv 2101.03961; OLMoE, arXiv 2409.02060, which also has the
co-activation, there per expert). Ours: padding is left out, several processes are summed, and the default vectors of
a method that has them are told with their norms, ages and cosines, beside the norms of what the experts really answer.

Sums are kept on the layer's device, and nobody waits for it until something is asked: the recorder may watch every
step of a training. Its cost is one product of a (E, T) and a (T, E) matrix and some passes over (T, E) a layer.

Axes. T: tokens, E: experts, K: experts that a token visits, S: token-expert pairs, D: width of an expert's answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from reachlab.moe.densifying import Densified, densified, densify
from reachlab.moe.here import Turns, Visit
from reachlab.moe.layer import HookedLayer, in_backward
from reachlab.moe.methods.default import Default
from reachlab.moe.reduce import add_up
from reachlab.moe.scores import TINY
from reachlab.moe.signals import Routing

LISTENED = 512
"""Tokens of a pass whose experts are asked again for the norms of their answers."""


# -- pure functions -------------------------------------------------------------------------------------------------


def shares(pi_TE: Tensor) -> Tensor:
    """p, (T, E): weights of all experts as a distribution."""
    positive_TE: Tensor = pi_TE.clamp(min=0)  # a learnt factor of an expert may be negative
    shares_TE: Tensor = positive_TE / positive_TE.sum(1, keepdim=True).clamp(min=TINY)
    return shares_TE


def entropies(p_TE: Tensor) -> Tensor:
    """−Σ_i p_i log p_i of every token, (T,), in nats."""
    nats_T: Tensor = torch.special.entr(p_TE).sum(1)
    return nats_T


def visits(indices_TK: Tensor, E: int) -> Tensor:
    """1 where a token visits an expert, (T, E) float32. Its square VᵀV counts who is visited together.

    Args:
        indices_TK: (T, K), int64.
        E: experts.
    """
    return torch.zeros(len(indices_TK), E, device=indices_TK.device).scatter_(1, indices_TK, 1.0)


def cosines(vectors_ED: Tensor) -> Tensor:
    """Cosines of all pairs, (E, E); 0 with a vector of zeros."""
    unit_ED = vectors_ED / vectors_ED.norm(dim=1, keepdim=True).clamp(min=TINY)
    cosines_EE: Tensor = unit_ED @ unit_ED.T
    return cosines_EE


def default_vectors(layer: HookedLayer) -> tuple[Tensor, Tensor] | None:
    """The default vectors of a layer's method, Ê (E, D), and their ages (E,); None where it has none."""
    if not isinstance(layer.method, Default):
        return None
    stand = layer.method.stand
    return stand.vectors(), next(iter(stand.memories().values())).age_E


# -- readings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """A layer's default vectors."""

    norms: list[float]
    """|Ê_i|."""
    ages: list[int]
    """Steps since the expert was last heard."""
    cosines: list[list[float]]
    """Of all pairs."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a layer did; E experts of which a token visits `active`."""

    layer: str
    experts: int
    active: int
    tokens: int
    """Without padding, of all processes."""
    entropy: float
    """In nats, a token."""
    mass: float
    """The active experts' share of the mixture."""
    load: list[float]
    """Each expert's share of the slots; their sum is 1."""
    coactivation: list[list[float]]
    """The share of tokens that visit both of two experts; on the diagonal, one."""
    outputs: list[float] | None = None
    """Mean norm of each expert's answers (nan: none was heard), where they were listened to."""
    vectors: Vectors | None = None

    @property
    def entropy_share(self) -> float:
        """The entropy, of the largest that there can be."""
        return self.entropy / math.log(self.experts) if self.experts > 1 else 0.0

    @property
    def load_cv(self) -> float:
        """The load's coefficient of variation: its standard deviation over its mean; 0 is perfect balance."""
        return math.sqrt(sum((f * self.experts - 1) ** 2 for f in self.load) / self.experts)

    @property
    def load_max(self) -> float:
        """The largest load over the mean one: how much longer the fullest expert works."""
        return max(self.load) * self.experts

    @property
    def unused(self) -> list[int]:
        """Experts that no token visited."""
        return [expert for expert, share in enumerate(self.load) if share == 0]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it; what is not a number there is None."""
        derived = {name: getattr(self, name) for name in ("entropy_share", "load_cv", "load_max", "unused")}
        vectors = vars(self.vectors) if self.vectors else None
        outputs = None if self.outputs is None else [None if math.isnan(o) else o for o in self.outputs]
        return {**vars(self), "outputs": outputs, "vectors": vectors, **derived}


def unused_warnings(readings: Sequence[Reading]) -> list[str]:
    """A sentence for each layer with experts that no token visited."""
    return [
        f"{r.layer}: {_listed(r.unused)} of {r.experts} got none of {r.tokens:,} tokens"
        for r in readings
        if r.tokens and r.unused
    ]


def _listed(experts: Sequence[int]) -> str:
    named = ", ".join(map(str, experts[:8])) + (f" and {len(experts) - 8} more" if len(experts) > 8 else "")
    return f"expert{'s' * (len(experts) > 1)} {named}"


# -- the recorder ---------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Ear:
    """A layer's sums since the last reset."""

    layer: HookedLayer
    outputs: bool
    learned: bool
    here: Visit = field(default_factory=Visit)
    turns: Turns = field(default_factory=Turns)
    sums: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        E = self.layer.shape.E
        shapes: list[tuple[tuple[int, ...], torch.dtype]] = [
            ((), torch.int64),  # tokens
            ((E, E), torch.int64),  # who is visited together
            ((2,), torch.float32),  # entropy, mass
            ((2, E), torch.float32),  # norms of answers, and how many
        ]
        self.sums = [torch.zeros(s, dtype=dtype, device=self.layer.device) for s, dtype in shapes]

    @torch.no_grad()
    def listen(self, routing: Routing) -> None:
        """A router has spoken, and the method has said what is made of it."""
        if in_backward() or (self.learned and not self.layer.learning):
            return  # the recomputation of a pass that has been heard; a pass that is not learned from
        self.here.routing = routing if self.outputs else None
        p_TE = shares(routing.pi_TE)
        told_T2 = torch.stack([entropies(p_TE), p_TE.gather(1, routing.indices_TK).sum(1)], 1)
        visits_TE = visits(routing.indices_TK, self.layer.shape.E)
        count: Tensor | int = len(visits_TE)
        if routing.tokens_T is not None:
            told_T2 = told_T2 * routing.tokens_T[:, None]
            visits_TE = visits_TE * routing.tokens_T[:, None]
            count = routing.tokens_T.sum()
        told_now_2, together_now_EE = told_T2.float().sum(0), (visits_TE.T @ visits_TE).long()
        tokens, together_EE, told_2, _ = self.sums
        with self.turns:
            tokens += count
            told_2 += told_now_2
            together_EE += together_now_EE

    def hear(self, experts: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        """The experts have answered: some tokens' are asked once more, each by itself."""
        routing, layer = self.here.routing, self.layer
        if routing is None or layer.visiting or in_backward():
            return
        self.here.routing = None
        hidden = args[0] if args else kwargs["hidden_states"]
        hidden_TD, indices_TK = hidden.detach().reshape(-1, hidden.shape[-1]), routing.indices_TK
        if routing.tokens_T is not None:
            hidden_TD, indices_TK = hidden_TD[routing.tokens_T], indices_TK[routing.tokens_T]
        step = max(1, len(hidden_TD) // LISTENED)
        hidden_TD, indices_TK = hidden_TD[::step], indices_TK[::step]
        experts_S = indices_TK.reshape(-1)
        norms_S = layer.visit(hidden_TD.repeat_interleave(indices_TK.shape[1], 0), experts_S).float().norm(dim=1)
        norms_E, counts_E = self.sums[3]
        with self.turns:
            norms_E.index_add_(0, experts_S, norms_S)
            counts_E.index_add_(0, experts_S, torch.ones_like(norms_S))


class Recorder:
    """Listens to all routers of a model while it is entered.

        with Recorder(model) as recorder:
            for batch in batches:
                ...                                # training, evaluation, generation
                metrics |= recorder.scalars()
                recorder.reset()

    A model that has not been densified is listened to all the same, and left as it was.

    Args:
        model: as of `densify`.
        outputs: also measure how large the experts' answers are: up to `LISTENED` tokens of each pass visit their
            experts a second time.
        learned: hear the passes alone that are learned from.

    Raises:
        ReachlabError: on entering: a dense model, or one of a family that is refused; with `outputs`, one whose
            experts are spread over processes.
    """

    def __init__(self, model: nn.Module, *, outputs: bool = False, learned: bool = False):
        self.model, self.outputs, self.learned = model, outputs, learned
        self.ears: list[_Ear] = []

    def __enter__(self) -> Self:
        dense = densified(self.model)
        self._own = None if dense else densify(self.model, "topk")
        self._found: Densified = dense or self._own  # type: ignore[assignment]
        self.ears = [_Ear(layer, self.outputs, self.learned) for layer in self._found.layers]
        self._handles = []
        for ear in self.ears:
            ear.layer.listeners.append(ear.listen)
            if self.outputs:
                self._handles.append(ear.layer.experts.register_forward_hook(ear.hear, with_kwargs=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ear in self.ears:
            ear.layer.listeners.remove(ear.listen)
        for handle in self._handles:
            handle.remove()
        if self._own:
            self._own.detach()

    def reset(self) -> None:
        """Begin anew."""
        for ear in self.ears:
            for tensor in ear.sums:
                tensor.zero_()

    def read(self) -> list[Reading]:
        """What was heard since the last reset, a reading a layer. With several processes all of them ask."""
        return [_reading(ear, sums) for ear, sums in zip(self.ears, self._sums(), strict=True)]

    def scalars(self) -> dict[str, float]:
        """The same in a few numbers for a training's metrics; with several processes all of them ask.

        Means over layers of `router_entropy` (nats), `router_mass`, `load_cv` and `load_max`; `load_cv/LAYER` of each
        layer; `unused_experts` is their number in the whole model; `vector_norm`, `vector_age` are means over all
        default vectors, where there are any.
        Empty if nothing was heard.
        """
        rows, names = [], []
        for ear, (tokens, together_EE, told_2, _) in zip(self.ears, self._sums(), strict=True):
            if tokens:
                names.append(ear.layer.name)
                load_E = together_EE.diagonal().double() / together_EE.trace()
                spread = (load_E * len(load_E)).std(correction=0), load_E.max() * len(load_E), (load_E == 0).sum()
                rows.append(torch.stack([*(told_2.double() / tokens), *spread]))
        if not rows:
            return {}
        stacked = torch.stack(rows)
        keys = ("router_entropy", "router_mass", "load_cv", "load_max", "unused_experts")
        summary = dict(zip(keys, stacked.mean(0).tolist(), strict=True))
        spreads = stacked[:, keys.index("load_cv")].tolist()
        summary |= {f"load_cv/{name}": spread for name, spread in zip(names, spreads, strict=True)}
        summary["unused_experts"] = round(summary["unused_experts"] * len(rows))
        both = [
            torch.stack([vectors_ED.norm(dim=1).mean(), age_E.float().mean()]).to(self.ears[0].layer.device)
            for vectors_ED, age_E in filter(None, (default_vectors(ear.layer) for ear in self.ears))
        ]
        if both:
            summary["vector_norm"], summary["vector_age"] = torch.stack(both).mean(0).tolist()
        return summary

    def _sums(self) -> list[list[Tensor]]:
        """Each layer's sums over all processes, on the host: one message and one wait a type of number."""
        device = self.ears[0].layer.device
        of_layers: list[list[Tensor]] = [[] for _ in self.ears]
        for dtype in (torch.int64, torch.float32):  # the order of an ear's sums
            mine = [[t for t in ear.sums if t.dtype == dtype] for ear in self.ears]
            flat = torch.cat([t.reshape(-1).to(device) for sums in mine for t in sums])
            add_up([flat])
            parts = iter(torch.split(flat.cpu(), [t.numel() for sums in mine for t in sums]))
            for kept, sums in zip(of_layers, mine, strict=True):
                kept += [next(parts).view(t.shape) for t in sums]
        return of_layers


def _reading(ear: _Ear, sums: Sequence[Tensor]) -> Reading:
    tokens, together_EE, told_2, (norms_E, counts_E) = sums
    some = tokens.clamp(min=1)
    defaults = default_vectors(ear.layer)
    return Reading(
        layer=ear.layer.name,
        experts=ear.layer.shape.E,
        active=ear.layer.shape.K,
        tokens=int(tokens),
        entropy=float(told_2[0] / some),
        mass=float(told_2[1] / some),
        load=(together_EE.diagonal().double() / together_EE.trace().clamp(min=1)).tolist(),
        coactivation=(together_EE.double() / some).tolist(),
        outputs=(norms_E / counts_E).tolist() if ear.outputs else None,
        vectors=_vectors(*defaults) if defaults else None,
    )


def _vectors(vectors_ED: Tensor, age_E: Tensor) -> Vectors:
    return Vectors(norms=vectors_ED.norm(dim=1).tolist(), ages=age_E.tolist(), cosines=cosines(vectors_ED).tolist())
