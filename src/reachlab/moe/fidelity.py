"""How close the router's gradient in use is to the dense one: one pass, both gradients, a layer at a time.

    in use    G  = ∂L/∂W as the method gives it
    dense     G* = Σ_tokens Σ_{all i} ⟨g, E_i(x)⟩ ∂π_i/∂W,         g = ∂L/∂y of the same pass
    fidelity  cos(G, G*) and |G| / |G*|,   the mean over batches

W are all parameters of a layer's router. π and its gradient are those of `scores`; the sum runs over all E experts,
every one of which is asked about every token. The values of the pass stay those of the model: G* is the derivative that
the layer would have at that place were all experts on, not the gradient of another model whose forward pass is dense.
That holds for forward="default" too: its y, and so g, has the default vectors in it, and G* has the experts' true
answers in their place. Ours; DenseMixer's gradient is G*.

A measured pass changes nothing: it is an evaluation pass (no dropout) in which only the methods act as in training,
averages do not move, parameters' gradients are left as found. A loss should be the language model's alone: a balancing
loss adds to G, and not to G*.

`compare` asks what other methods would give *at the same values*: each layer's output is held at what the model as it
is makes of the batch, and has the other method's derivative. On several processes each measures its own batches.

Axes. T: tokens, E: experts, D: width of an expert's answer, B: rows of a batch (with T tokens each), V: entries of the
vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.densifying import Densified, densified, densify
from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.layer import HookedLayer, in_backward
from reachlab.moe.signals import Routing
from reachlab.next_token_loss import next_token_loss

Batch = Mapping[str, Tensor]
"""What `model(**batch)` takes: input_ids, and an attention_mask where there is padding; on the model's device."""
Loss = Callable[[nn.Module, Batch], Tensor]
"""loss(model, batch): a scalar."""
Candidate = tuple[str, dict[str, Any]]
"""A method's name and options, as of `densify`."""

CANDIDATES: dict[str, Candidate] = {
    "topk": ("topk", {}),
    **{f"default/{name}": ("default", {"estimator": name}) for name in ESTIMATORS.places},
}
"""What `compare` compares unless told: plain top-k, and every estimator of ours of default vectors."""


@dataclass(frozen=True)
class Fidelity:
    """One layer's router gradient beside the dense one."""

    layer: str
    cosine: float
    """1: the same direction; 0 where the gradient in use is zero."""
    ratio: float
    """The length of the gradient in use over the dense one's."""


def mean_nats(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats of the tokens that are not padding, a scalar; no balancing loss.

    Args:
        model: anything whose call returns `logits`, (B, T, V).
        batch: input_ids, and an attention_mask where there is padding.
    """
    ids_BT, mask_BT = batch["input_ids"], batch.get("attention_mask")
    learn_BT = torch.ones_like(ids_BT).bool() if mask_BT is None else mask_BT.bool()
    logits_BTV = model(**batch, use_cache=False).logits
    return next_token_loss(logits_BTV, ids_BT, learn_BT) / learn_BT[:, 1:].sum()


def fidelity(model: nn.Module, batches: Sequence[Batch], loss: Loss = mean_nats) -> list[Fidelity]:
    """The router gradient that a model's method gives, beside the true dense one; a result a layer.

    A model that has not been densified has its own, the top-k's.

    Args:
        model: densified or not.
        batches: what is measured on, on the model's device; results are means over them.
        loss: the scalar whose gradient it is.

    Raises:
        ReachlabError: no batches; a dense model, or one of a family that is refused; experts on other processes.
    """
    dense = densified(model)
    own = None if dense else densify(model, "topk")
    try:
        measured = [_measure(dense or own, model, batch, loss) for batch in batches]  # type: ignore[arg-type]
    finally:
        if own:
            own.detach()
    return _means(measured)


def compare(
    model: nn.Module,
    batches: Sequence[Batch],
    *,
    warm_up: Sequence[Batch] = (),
    candidates: Mapping[str, Candidate] = CANDIDATES,
    loss: Loss = mean_nats,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[str, list[Fidelity]]:
    """The fidelity that several methods have on one model, at the values of the model as it is.

    Args:
        model: densified or not. Its own method and state come first in the result, as "in use", if it is.
        batches: what is measured on.
        warm_up: what fills the averages of candidates that have some, an update a batch; not from `batches`. They
            begin without any state.
        candidates: methods by the names that the result has.
        loss: as of `fidelity`.
        progress: called with 1 for every batch that is done.

    A method that routes otherwise in training (SparseMixer) has its derivative taken at values that are not its own.

    Raises:
        ReachlabError: as of `fidelity`; an unknown method or option.
    """
    own = densified(model)
    # Without a method of its own, the model as it is is the top-k.
    as_it_is = own or densify(model, "topk")
    as_it_is.detach()
    others = {"in use": own} if own else {}
    try:
        for name, (method, options) in candidates.items():
            others[name] = densify(model, method, **options)
            others[name].detach()
        for batch in warm_up:
            held = _values(as_it_is, model, batch, loss)
            for name in candidates:
                if not others[name].state():
                    continue
                with _attached(others[name]), _acting(others[name], frozen=False), _held(others[name], held):
                    loss(model, batch)
                    others[name].commit()
            progress(1)
        measured: dict[str, list[list[Fidelity]]] = {}
        for batch in batches:
            held = _values(as_it_is, model, batch, loss)
            for name, one in others.items():
                with _attached(one):
                    measured.setdefault(name, []).append(_measure(one, model, batch, loss, held))
            progress(1)
    finally:
        if own:
            own.attach()
    return {name: _means(results) for name, results in measured.items()}


def _means(measured: Sequence[Sequence[Fidelity]]) -> list[Fidelity]:
    if not measured:
        raise ReachlabError("fidelity needs at least one batch to measure on")
    return [
        Fidelity(
            of_layer[0].layer,
            sum(one.cosine for one in of_layer) / len(of_layer),
            sum(one.ratio for one in of_layer) / len(of_layer),
        )
        for of_layer in zip(*measured, strict=True)
    ]


# -- one pass -------------------------------------------------------------------------------------------------------


class _Tap:
    """What flows through one layer in a pass; its output's value may be held."""

    def __init__(self, layer: HookedLayer, held: Tensor | None = None):
        self.layer, self.held = layer, held
        self.routing: Routing | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Listen, behind the method."""
        self.layer.listeners.append(self.on_route)
        handle = self.layer.experts.register_forward_hook(self.on_output, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
            self.layer.listeners.remove(self.on_route)

    def on_route(self, routing: Routing) -> None:
        if not in_backward():
            self.routing = routing

    def on_output(self, experts: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Any:
        if self.layer.visiting:
            return None
        if self.held is not None:
            output = self.held + (output - output.detach())
        if not in_backward():
            self.y = output
            self.hidden = (args[0] if args else kwargs["hidden_states"]).detach()
        return output

    def dense(self, g_TD: Tensor) -> Tensor:
        """⟨g, E_i(x)⟩ of every token and expert, (T, E)."""
        hidden_TD = self.hidden.reshape(-1, self.hidden.shape[-1])
        columns = []
        for expert in range(self.layer.shape.E):
            answers_TD = self.layer.visit(hidden_TD, torch.full((len(hidden_TD),), expert, device=hidden_TD.device))
            columns.append((g_TD.float() * answers_TD.float()).sum(1))
        return torch.stack(columns, 1)


def _measure(
    dense: Densified, model: nn.Module, batch: Batch, loss: Loss, held: Sequence[Tensor] | None = None
) -> list[Fidelity]:
    """A pass under an attached method, and both gradients of every router."""
    if any(layer.offset is not None for layer in dense.layers):
        raise ReachlabError(
            "the dense gradient needs all experts on one process: load the model without expert parallelism"
        )
    with _acting(dense, frozen=True), _learnable(dense), _held(dense, held) as taps:
        value = loss(model, batch)
        routers = [list(filter(torch.is_floating_point, layer.router.parameters())) for layer in dense.layers]
        ys = [tap.y for tap in taps]
        gradients = iter(
            torch.autograd.grad(value, [*ys, *(p for ps in routers for p in ps)], retain_graph=True, allow_unused=True)
        )
        of_outputs = [next(gradients) for _ in ys]
        measured = []
        for tap, g, parameters in zip(taps, of_outputs, routers, strict=True):
            used = _flat([next(gradients) for _ in parameters], parameters)
            assert tap.routing is not None
            pi_TE = tap.routing.pi_TE
            dense_TE = tap.dense(g.reshape(len(pi_TE), -1)).to(pi_TE.dtype)
            true = _flat(
                torch.autograd.grad(pi_TE, parameters, dense_TE, retain_graph=True, allow_unused=True), parameters
            )
            lengths = used.norm(), true.norm()
            cosine = used @ true / (lengths[0] * lengths[1]).clamp(min=torch.finfo(used.dtype).tiny)
            measured.append(Fidelity(tap.layer.name, float(cosine), float(lengths[0] / lengths[1])))
        return measured


def _flat(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """One vector, float64; parameters without a gradient have zeros."""
    parts = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, parameters, strict=True)]
    return torch.cat([part.flatten().double() for part in parts])


def _values(dense: Densified, model: nn.Module, batch: Batch, loss: Loss) -> list[Tensor]:
    """What each layer makes of a batch in evaluation."""
    with _attached(dense), _acting(dense, frozen=True), _held(dense, None) as taps:
        with dense.learning(False), torch.no_grad():
            loss(model, batch)
        return [tap.y for tap in taps]


@contextmanager
def _attached(dense: Densified) -> Iterator[None]:
    dense.attach()
    try:
        yield
    finally:
        dense.detach()


@contextmanager
def _held(dense: Densified, values: Sequence[Tensor] | None) -> Iterator[list[_Tap]]:
    """Taps in all layers, which hold the outputs at given values."""
    taps = [_Tap(layer, values[at] if values else None) for at, layer in enumerate(dense.layers)]
    with ExitStack() as stack:
        for tap in taps:
            stack.enter_context(tap.open())
        yield taps


@contextmanager
def _acting(dense: Densified, frozen: bool) -> Iterator[None]:
    """An evaluation pass in which the methods act as in training; `frozen` keeps it from counting."""
    modes = {module: module.training for module in dense.model.modules()}
    devices = {layer.device for layer in dense.layers if layer.device.type == "cuda"}
    dense.model.eval()
    dense.pulse.frozen = frozen
    try:
        with dense.learning(), torch.enable_grad(), torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        dense.pulse.frozen = False
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _learnable(dense: Densified) -> Iterator[None]:
    """Routers that are frozen (LoRA) have a gradient too, for the time."""
    asleep = [
        p for layer in dense.layers for p in layer.router.parameters() if p.is_floating_point() and not p.requires_grad
    ]
    for parameter in asleep:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in asleep:
            parameter.requires_grad_(False)
