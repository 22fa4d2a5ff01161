"""Whether an estimator of default vectors keeps what `moe/estimators/estimator.py` promises of it.

Axes: T tokens, E experts, M vectors, D width of an expert's answer.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import OlmoeForCausalLM

from reachlab.checks.contract import Contract
from reachlab.checks.method import try_method
from reachlab.checks.mixture import logits, tiny_mixture, train
from reachlab.errors import ReachlabError
from reachlab.moe import densify
from reachlab.moe.densifying import Densified
from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.estimators.estimator import Estimator
from reachlab.moe.methods.default import Default
from reachlab.moe.signals import Routing

OPTIONS: dict[str, Any] = {"update": "per_step", "share": 0.5}


def check_estimator(estimator: type[Estimator]) -> None:
    """Let an estimator hear a small mixture of experts, within the method ``default``.

    Raises:
        ContractError: it does not do what an estimator promises.
    """
    contract = Contract(f"the estimator {estimator.__name__}")
    contract.holds(
        0 <= getattr(estimator, "beta", -1.0) < 1,
        "has no beta",
        "it says how much of a vector stays at an update, 0 or more and below 1",
    )
    contract.holds(
        estimator.hears or estimator.hear is Estimator.hear,
        "has a `hear`, and does not say hears = True",
        "it would never be called: hearing costs a sort, and is asked for",
    )
    with ESTIMATORS.trying(estimator) as name, torch.random.fork_rng(devices=[]):
        model = tiny_mixture()
        found = densify(model, "default", estimator=name, **OPTIONS)
        _check_vectors(_stand(found), found, contract)
        train(model)
        contract.holds(
            all(vectors_ED.isfinite().all() for vectors_ED in _vectors(found))
            and any(v.any() for v in _vectors(found)),
            "has vectors of zeros, or not finite ones, after it has heard three steps",
            "they move at each commit",
        )
        _check_frozen(name, contract)
        _check_stand_ins(model, found, contract)
        _check_poison(model, found, contract)
        try_method("default", {"estimator": name, **OPTIONS}, contract)


def _stand(found: Densified) -> Estimator:
    method = found.layers[0].method
    assert isinstance(method, Default)
    return method.stand


def _vectors(found: Densified) -> list[Tensor]:
    return [layer.method.stand.vectors().clone() for layer in found.layers if isinstance(layer.method, Default)]


def _check_frozen(name: str, contract: Contract) -> None:
    """Where the vectors are a part of the answer, they are asked for outside training too."""
    model = tiny_mixture()
    found = densify(model, "default", estimator=name, forward="default", **OPTIONS)
    train(model)
    before = _vectors(found)
    logits(model, 9)
    contract.holds(
        all(torch.equal(*pair) for pair in zip(before, _vectors(found), strict=True)),
        "moves its vectors outside training",
        "they are frozen there",
    )


def _check_vectors(stand: Estimator, found: Densified, contract: Contract) -> None:
    shape, vectors_ED = found.layers[0].shape, stand.vectors()
    contract.holds(
        vectors_ED.shape == (shape.E, shape.D),
        f"has vectors of shape {tuple(vectors_ED.shape)} for {shape.E} experts of width {shape.D}",
        "`vectors` are (E, D)",
    )
    contract.holds(not vectors_ED.any(), "begins with vectors that are not 0", "nothing has been heard yet")


def _check_stand_ins(model: OlmoeForCausalLM, found: Densified, contract: Contract) -> None:
    """Weights of the inactive experts, with the router's gradient; vectors without."""
    heard: list[Routing] = []
    layer = found.layers[0]
    layer.listeners.append(heard.append)
    model.train()
    logits(model)
    model.eval()
    layer.listeners.clear()
    weights_TM, vectors_MD = _stand(found).stand_ins(heard[0])
    T, E = heard[0].pi_TE.shape
    contract.holds(
        weights_TM.shape == (T, len(vectors_MD)) and vectors_MD.shape[1] == layer.shape.D,
        f"has stand-ins of shapes {tuple(weights_TM.shape)} and {tuple(vectors_MD.shape)} for {T} tokens of width "
        f"{layer.shape.D}",
        "`stand_ins` are weights (T, M) and vectors (M, D)",
    )
    contract.holds(
        weights_TM.requires_grad and not vectors_MD.requires_grad,
        "has weights without gradient, or vectors with one",
        "the router learns through the weights (`Routing.inactive()`), and the vectors are constants",
    )
    if weights_TM.shape[1] % E == 0:
        active_TE = torch.zeros(T, E, dtype=torch.bool).scatter_(1, heard[0].indices_TK, True)
        contract.holds(
            not weights_TM.view(T, -1, E).movedim(1, 0)[:, active_TE].any(),
            "stands in for experts that answer themselves",
            "the weight of an active expert is 0",
        )


def _check_poison(model: OlmoeForCausalLM, found: Densified, contract: Contract) -> None:
    """Answers that are not finite are told of and left out."""
    experts = [p for layer in found.layers for p in layer.experts.parameters()]
    kept = [p.detach().clone() for p in experts]
    with torch.no_grad():
        for parameter in experts:
            parameter.fill_(torch.inf)
    model.train()
    logits(model)
    model.eval()
    told = False
    try:
        found.commit()
    except ReachlabError:
        told = True
    with torch.no_grad():
        for parameter, before in zip(experts, kept, strict=True):
            parameter.copy_(before)
    contract.holds(
        told and all(vectors_ED.isfinite().all() for vectors_ED in _vectors(found)),
        "takes answers that are not finite",
        "they are left out, and `problem` says so (`Average` and `Regression` do)",
    )
