"""One line for any transformers MoE: `densify(model, "default")`.

A method (`methods/`) is put at every mixture-of-experts layer, and its state moves once per optimizer step: every
optimizer that holds a parameter of the model says so by itself, through torch's hook for all optimizers. Deep copies
and pickles of the model keep their method and state; a checkpoint does not hold them, `save` puts them beside it.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe.layer import HookedLayer, Pulse
from reachlab.moe.method import Method
from reachlab.moe.methods import METHODS
from reachlab.moe.partitions import holds_pieces, refuse_copies, refuse_stage_3
from reachlab.moe.reduce import add_up, anywhere
from reachlab.moe.sites import find_layers, verify

ATTRIBUTE = "_reachlab_densified"
"""Where a model keeps its `Densified`."""
_LIVING: "WeakSet[Densified]" = WeakSet()


def densify(model: nn.Module, method: str = "default", **options: Any) -> "Densified":
    """Give every router of a mixture-of-experts model the gradient of a method.

    Args:
        model: any transformers model with mixture-of-experts layers (docs/moe.md lists the families), by itself or
            wrapped (PEFT). Densify before DDP, FSDP, DeepSpeed or torch.compile wrap it.
        method: one of `METHODS`: "default" (Default MoE, arXiv 2504.12463), "topk" ...
        options: the fields of the method's class, e.g. forward="default", estimator="probed".

    Raises:
        ReachlabError: a dense model, a family or router that cannot be densified (with the reason), one that already
            is, an unknown method or option.
    """
    if not isinstance(model, nn.Module):
        raise ReachlabError(
            f"densify takes a loaded model, such as transformers gives, and this is a {type(model).__name__}"
        )
    if densified(model) is not None:
        raise ReachlabError("this model has been densified already: call reachlab.moe.undensify(model) first")
    model = _unwrapped(model)
    refuse_stage_3(model)
    layers = find_layers(model)
    for site in layers:
        verify(site)
    methods = [make_method(method, options) for _ in layers]
    for site, one in zip(layers, methods, strict=True):
        one.check(site)
    dense = Densified(model, method, options)
    for site, one in zip(layers, methods, strict=True):
        dense.add(HookedLayer(site, one, dense.pulse))
    dense.attach()
    return dense


def _unwrapped(model: nn.Module) -> nn.Module:
    """The transformers model in a wrapper (PEFT), where there is one: its layers' names are those of its checkpoint."""
    inside = [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    alone = bool(inside) and set(inside) <= set(inside[0].modules())
    return inside[0] if alone else model


def undensify(model: nn.Module) -> None:
    """Take every hook away: the model is as it was before `densify`.

    Raises:
        ReachlabError: it has not been densified.
    """
    dense = densified(model)
    if dense is None:
        raise ReachlabError("this model has not been densified")
    dense.detach()


def densified(model: nn.Module) -> "Densified | None":
    """What `densify` made of a model, or of one inside it; None where it has not been called."""
    if not _LIVING:
        return None  # asked several times a step of models that have no routers
    for module in model.modules():
        if (dense := vars(module).get(ATTRIBUTE)) is not None:
            assert isinstance(dense, Densified)
            return dense
    return None


def make_method(name: str, options: dict[str, Any]) -> Method:
    """A method with its options.

    Raises:
        ReachlabError: no such method, or option.
    """
    if name not in METHODS:
        raise ReachlabError(f"method {name!r}: choose one of {', '.join(METHODS)}")
    allowed = set(inspect.signature(METHODS[name]).parameters)
    if unknown := sorted(set(options) - allowed):
        raise ReachlabError(
            f"{name} has no option {unknown[0]!r}; it takes {', '.join(sorted(allowed)) if allowed else 'none'}"
        )
    return METHODS[name](**options)


class Densified:
    """A model's layers under a method. Made by `densify`; `densified(model)` finds it again."""

    def __init__(self, model: nn.Module, method: str, options: dict[str, Any]):
        self.model, self.method, self.options = model, method, options
        self.layers: list[HookedLayer] = []
        self.pulse = Pulse()

    def add(self, layer: HookedLayer) -> None:
        """Put a layer under the method."""
        layer.block = self.model.get_submodule(layer.name)
        layer.method.prepare(layer.shape, layer.device)
        self.layers.append(layer)

    def attach(self) -> None:
        """Put all hooks in place."""
        for layer in self.layers:
            layer.attach()
        self._handles: list[Any] = []
        for module in self._inside():
            self._handles.append(module.register_forward_pre_hook(self._begin, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._end, always_call=True))
        self._marked = [self.model, *(m for m in self._inside() if m is not self.model)]
        for module in self._marked:
            setattr(module, ATTRIBUTE, self)
        _watch_optimizers()
        _LIVING.add(self)

    def _inside(self) -> list[PreTrainedModel]:
        """The model's own parts that pass for models (its body without the head), and hold its layers."""
        routers = {layer.router for layer in self.layers}
        models = [m for m in self.model.modules() if isinstance(m, PreTrainedModel)]
        return [m for m in models if not routers.isdisjoint(m.modules())]

    def narrow(self, part: nn.Module) -> None:
        """Be of a part that holds all layers (a copied body), and let go of the rest."""
        self.model, self._marked = part, [m for m in part.modules() if ATTRIBUTE in vars(m)]

    def detach(self) -> None:
        """Take all hooks away."""
        for layer in self.layers:
            layer.detach()
        for handle in self._handles:
            handle.remove()
        for module in self._marked:
            delattr(module, ATTRIBUTE)
        _LIVING.discard(self)

    @contextmanager
    def learning(self, on: bool = True) -> Iterator[None]:
        """Passes with gradients are training passes here, or none is, whatever modes the modules are in."""
        before, self.pulse.learns = self.pulse.learns, on
        try:
            yield
        finally:
            self.pulse.learns = before

    def commit(self) -> None:
        """One optimizer step is over: sums are added up over processes, and states move.

        Optimizers call it by themselves before they step; a loop without a torch optimizer calls it.

        Raises:
            ReachlabError: a layer met outputs that are not finite. They were left out of its state.
        """
        with torch.no_grad():
            problems = [(layer, p) for layer in self.layers if (p := layer.method.problem()) is not None]
            # One look at each device for all layers that lie on it.
            anywhere_bad = any(torch.stack(some).any().item() for some in _by_device([p for _, p in problems]))
            # A process without a pass of its own still has a part in the sums, and in the error.
            learned, troubled = anywhere(self.layers[0].device, self.pulse.learned, anywhere_bad)
            if not learned:
                return  # several optimizers, one step
            self.pulse.learned = False
            for tensors in _by_device([t for layer in self.layers for t in layer.method.pending()]):
                add_up(tensors)
            for layer in self.layers:
                layer.method.commit()
        if troubled:
            self._complain([layer for layer, problem in problems if problem])

    def _complain(self, bad: list[HookedLayer]) -> None:
        for layer in bad:
            layer.method.forgive()
        where = f"{bad[0].name} (and {len(bad) - 1} more)" if bad else "another process"
        raise ReachlabError(
            f"{where}: experts' outputs were not finite in this step; their averages are as they were. Look at the "
            "batch, or lower the learning rate"
        )

    def state(self) -> dict[str, Tensor]:
        """All layers' state, by "layer name:tensor"; the tensors themselves."""
        return {f"{layer.name}:{key}": t for layer in self.layers for key, t in layer.method.state().items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a state.

        Raises:
            ReachlabError: it is another model's: layers or shapes differ.
        """
        self._load(self.state(), state)

    def moved(self) -> dict[str, Tensor]:
        """All that steps move and no optimizer knows of: the state, and what methods move of the model's own (a bias
        that its routers came with); the tensors themselves."""
        borrowed = {
            f"{layer.name}:{key}": t for layer in self.layers for key, t in layer.method.borrowed(layer.block).items()
        }
        return self.state() | borrowed

    def load_moved(self, moved: Mapping[str, Tensor]) -> None:
        """Take over what `moved` said.

        Raises:
            ReachlabError: it is another model's.
        """
        own = self.moved()
        self._load(own, moved)
        with torch.no_grad():
            for name in own.keys() - self.state().keys():
                own[name].copy_(moved[name])

    @contextmanager
    def holding(self, moved: Mapping[str, Tensor]) -> Iterator[None]:
        """With what `moved` said at another time in place, for a while."""
        now = {name: tensor.clone() for name, tensor in self.moved().items()}
        self.load_moved(moved)
        try:
            yield
        finally:
            self.load_moved(now)

    def _load(self, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Take over the state among the tensors in `state`, which are to be those of `own`."""
        if missing := sorted(set(own) ^ set(state)):
            side = "lacks" if missing[0] in own else "has, and this model lacks,"
            raise ReachlabError(f"the saved router state {side} {missing[0]}")
        for name, tensor in own.items():
            if tensor.shape != state[name].shape:
                raise ReachlabError(
                    f"the saved router state's {name} has the shape {tuple(state[name].shape)}, this model's "
                    f"{tuple(tensor.shape)}: it is of a model with other experts"
                )
        for layer in self.layers:
            prefix = f"{layer.name}:"
            held = layer.method.state()
            layer.method.load({key: state[f"{prefix}{key}"] for key in held})

    @property
    def acts_when_frozen(self) -> bool:
        """Whether a method also acts outside training."""
        return any(layer.method.acts_when_frozen for layer in self.layers)

    @property
    def answers_when_frozen(self) -> bool:
        """Whether one does so at the experts' output."""
        return any(layer.method.answers_when_frozen for layer in self.layers)

    def metrics(self) -> dict[str, float]:
        """What the methods say of themselves, by "layer name/metric"."""
        return {f"{layer.name}/{k}": float(v) for layer in self.layers for k, v in layer.method.metrics().items()}

    # -- hooks of the model -----------------------------------------------------------------------------------------

    def _begin(self, model: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        refuse_stage_3(self.model)
        here = self.pulse.here
        here.differentiated = torch.is_grad_enabled()
        mask = kwargs.get("attention_mask")
        if mask is None and len(args) > 1:
            names = list(inspect.signature(type(model).forward).parameters)[1:]
            mask = dict(zip(names, args, strict=False)).get("attention_mask")
        if isinstance(mask, Tensor) and mask.ndim == 2:
            here.mask = mask

    def _end(self, model: PreTrainedModel, args: tuple[Any, ...], output: Any) -> None:
        here = self.pulse.here
        here.differentiated, here.mask = False, None

    # -- copies -----------------------------------------------------------------------------------------------------

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _watch_optimizers()
        _LIVING.add(self)

    @property
    def waits(self) -> bool:
        """Whether passes have been made whose sums a step is to take over."""
        return self.pulse.learned and any(layer.method.pending() for layer in self.layers)

    def holds(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimizer moves a parameter of this model, whole or in pieces."""
        own = {id(p) for p in self.model.parameters()}
        whole = any(id(p) in own for group in optimizer.param_groups for p in group["params"])
        return whole or holds_pieces(self.model, optimizer)


def _by_device(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """A model may be spread over devices."""
    groups: dict[torch.device, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.device, []).append(tensor)
    return list(groups.values())


_watching: list[Any] = []


def _watch_optimizers() -> None:
    if not _watching:
        _watching.append(register_optimizer_step_pre_hook(_before_step))


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    for dense in list(_LIVING):
        if dense.holds(optimizer):
            dense.commit()
        elif dense.waits:
            refuse_copies(dense.model, optimizer)
