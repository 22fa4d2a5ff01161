"""Default MoE against its formula, written out by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.moe.brute import calls, gradients, loss, moved, vectors
from tests.moe.tiny import TINY, answer, inputs
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.moe import densified, densify
from reachlab.moe.sites import find_layers


def softmax(logits_TE: Tensor) -> Tensor:
    return logits_TE.softmax(1)


def share_of_sigmoids(logits_TE: Tensor) -> Tensor:
    scores_TE = logits_TE.sigmoid()
    return scores_TE / scores_TE.sum(1, keepdim=True)


SHARES: dict[str, Callable[[Tensor], Tensor]] = {
    "olmoe": softmax,
    "qwen3_moe": softmax,
    "mixtral": softmax,
    "gpt_oss": softmax,
    "deepseek_v3": share_of_sigmoids,
}
"""p of a family: what π is a multiple of."""
RENORMALISED = ("mixtral", "gpt_oss", "deepseek_v3")
every_family = pytest.mark.parametrize("name", SHARES)


def build(name: str, implementation: str = "grouped_mm", dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    model = TINY[name].build().to(dtype)
    model.set_experts_implementation(implementation)
    return model.train()


def warmed(model: PreTrainedModel, **options: Any) -> None:
    """Densify, and give Ê something to hold."""
    densify(model, "default", **options)
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    loss(model, **inputs(model, seed=5)).backward()  # type: ignore[no-untyped-call]
    still.step()
    model.zero_grad()
    assert all(v.any() for v in vectors(model))


def by_hand(model: PreTrainedModel, name: str, defaults: list[Tensor], whole: bool = False) -> None:
    """Hooks on a plain model: y + D − stop_gradient(D), or, `whole`, y + D; the weights with the gradient of π."""
    for site, vectors_ED in zip(find_layers(model), defaults, strict=True):
        held: list[Tensor] = []

        def on_router(module: nn.Module, args: Any, output: Any, held: list[Tensor] = held) -> Any:
            logits, weights_TK, indices_TK = output
            p_TE = SHARES[name](logits.reshape(-1, logits.shape[-1]).double())
            C_T1 = (weights_TK.double().sum(1) / p_TE.gather(1, indices_TK).sum(1)).detach()[:, None]
            if whole and name in RENORMALISED:
                C_T1 = weights_TK.double().sum(1, keepdim=True).detach() / p_TE.sum(1, keepdim=True).detach()
            pi_TE = C_T1 * p_TE
            held.append(pi_TE.scatter(1, indices_TK, 0.0))
            return logits, pi_TE.gather(1, indices_TK).to(weights_TK.dtype), indices_TK

        def on_experts(
            module: nn.Module, args: Any, output: Tensor, held: list[Tensor] = held, vectors_ED: Tensor = vectors_ED
        ) -> Tensor:
            D_TD = held.pop() @ vectors_ED.double()
            return output + (D_TD if whole else D_TD - D_TD.detach()).to(output.dtype)

        site.router.register_forward_hook(on_router)
        site.experts.register_forward_hook(on_experts)


# -- forward="sparse" -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm", "eager"])
@pytest.mark.parametrize("name", ["olmoe", "mixtral", "deepseek_v3"])
def test_sparse_leaves_every_bit_and_every_router_row_learns(
    name: str, implementation: str, dtype: torch.dtype
) -> None:
    model = build(name, implementation, dtype)
    given = inputs(model)
    before = {mode: answer(model.train(mode), **given) for mode in (True, False)}
    densify(model, "default")
    for mode in (True, False, True):
        assert torch.equal(answer(model.train(mode), **given), before[mode])
    # The last token alone: most experts are inactive for it.
    logits = answer(model.train(), **given)
    logits[-1, -1].tanh().sum().backward()  # type: ignore[no-untyped-call]
    router = find_layers(model)[-1].router
    weight = next(p for p in router.parameters() if p.ndim == 2)
    assert weight.grad is not None
    assert (weight.grad != 0).any(1).all()
    for each in vectors(model):
        assert each.dtype == torch.float32
        assert not each.requires_grad


@pytest.mark.parametrize("update", ["before_use", "per_step"])
@pytest.mark.parametrize("implementation", ["eager", "batched_mm"])
@every_family
def test_the_whole_gradient_is_that_of_the_surrogate(name: str, implementation: str, update: str) -> None:
    model, plain = (build(name, implementation, torch.float64) for _ in range(2))
    warmed(model, update=update)
    given = inputs(model)
    found = loss(model, **given)
    found.backward()  # type: ignore[no-untyped-call]
    by_hand(plain, name, vectors(model))
    expected = loss(plain, **given)
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    theirs = gradients(plain)
    # Routers compute in float32 whatever the model's dtype is.
    for parameter, gradient in gradients(model).items():
        worst = 1e-5 * float(theirs[parameter].abs().max())
        torch.testing.assert_close(gradient, theirs[parameter], rtol=1e-5, atol=worst, msg=parameter)


def test_a_routers_gradient_by_finite_differences() -> None:
    """Of L(y + D(θ) − D(θ₀)), with the active weights, and so their gradient, the model's own."""
    model = build("olmoe", "batched_mm", torch.float64)
    warmed(model, update="per_step")
    given = inputs(model)
    loss(model, **given).backward()  # type: ignore[no-untyped-call]
    last = find_layers(model)[-1]
    weight_ED = last.router.weight
    assert isinstance(weight_ED, Tensor)
    with calls(model) as seen, torch.no_grad():
        model(**given)
    hidden_TD, indices_TK, defaults_ED = seen[-1].hidden_TD, seen[-1].indices_TK, vectors(model)[-1].double()

    def defaults_of(weight_ED: Tensor) -> Tensor:
        pi_TE = (hidden_TD @ weight_ED.T).softmax(1)
        return pi_TE.scatter(1, indices_TK, 0.0) @ defaults_ED

    plain = build("olmoe", "batched_mm", torch.float64)
    router, experts = find_layers(plain)[-1].router, find_layers(plain)[-1].experts
    moving_ED = weight_ED.detach().clone()
    # The router's own softmax is in float32, too coarse for differences.
    router.register_forward_hook(
        lambda m, args, out: (out[0], (args[0] @ moving_ED.T).softmax(1).gather(1, indices_TK), indices_TK)
    )
    experts.register_forward_hook(lambda m, args, out: out + defaults_of(moving_ED) - defaults_of(weight_ED))
    assert weight_ED.grad is not None
    # A wide step: the model's norms compute in float32.
    direction_ED, step = torch.randn(weight_ED.shape, generator=torch.Generator().manual_seed(3)), 1e-2
    for _ in range(4):
        ends = []
        with torch.no_grad():
            for sign in (1, -1):
                moving_ED = weight_ED + sign * step * direction_ED
                ends.append(float(loss(plain, **given)))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((weight_ED.grad * direction_ED).sum()) == pytest.approx(slope, rel=5e-3)
        direction_ED = direction_ED.roll(1, 0)


# -- forward="default" ------------------------------------------------------------------------------------------------


@every_family
def test_default_is_the_papers_output_in_training_and_in_evaluation(name: str) -> None:
    model = build(name)
    warmed(model, forward="default")
    for mode in (True, False):
        given, before = inputs(model, seed=int(mode)), vectors(model)
        with calls(model.train(mode)) as seen:
            answer(model, **given)
        now = vectors(model)
        assert [torch.equal(a, b) for a, b in zip(before, now, strict=True)] == [not mode] * len(now)
        for call, defaults_ED in zip(seen, now, strict=True):
            p_TE = SHARES[name](call.logits_TE.float())
            if name in RENORMALISED:  # all experts' weights sum to what the active ones' would have
                p_TE = p_TE / p_TE.sum(1, keepdim=True)
            scale = float(getattr(model.config, "routed_scaling_factor", 1.0)) if name in RENORMALISED else 1.0
            expected_TD = torch.zeros_like(call.output_TD)
            for t in range(len(p_TE)):
                for i in range(p_TE.shape[1]):
                    active = i in call.indices_TK[t].tolist()
                    expected_TD[t] += scale * p_TE[t, i] * (call.answers_TED[t, i] if active else defaults_ED[i])
            torch.testing.assert_close(call.output_TD, expected_TD, rtol=1e-4, atol=1e-5)


@every_family
def test_the_gradient_of_default_is_that_of_its_output(name: str) -> None:
    model, plain = (build(name, "batched_mm", torch.float64) for _ in range(2))
    warmed(model, forward="default")
    given = inputs(model)
    found = loss(model, **given)
    found.backward()  # type: ignore[no-untyped-call]
    by_hand(plain, name, vectors(model), whole=True)
    expected = loss(plain, **given)
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)
    theirs = gradients(plain)
    for parameter, gradient in gradients(model).items():
        worst = 1e-5 * float(theirs[parameter].abs().max())
        torch.testing.assert_close(gradient, theirs[parameter], rtol=1e-5, atol=worst, msg=parameter)


# -- Ê ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 0.7])
@pytest.mark.parametrize("average", ["weighted", "plain"])
@pytest.mark.parametrize("update", ["before_use", "per_step"])
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm", "eager"])
def test_the_defaults_are_the_papers_average(implementation: str, update: str, average: str, beta: float) -> None:
    model = build("olmoe", implementation)
    densify(model, "default", update=update, average=average, beta=beta)
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    expected = [torch.zeros_like(v) for v in vectors(model)]
    for v in vectors(model):
        assert not v.any()
    for seed in range(3):
        with calls(model) as seen:
            loss(model, **inputs(model, tokens=1 if seed == 2 else 12, seed=seed)).backward()  # type: ignore[no-untyped-call]
        before = [v.clone() for v in expected]
        expected = [moved(v, [c], beta, average == "weighted") for v, c in zip(expected, seen, strict=True)]
        for held, now, old in zip(vectors(model), expected, before, strict=True):
            wanted = now if update == "before_use" else old
            torch.testing.assert_close(held.double(), wanted.double(), rtol=1e-4, atol=1e-6)
        still.step()
        for held, now in zip(vectors(model), expected, strict=True):
            torch.testing.assert_close(held.double(), now, rtol=1e-4, atol=1e-6)
    # The last pass had two tokens: some experts were not told anything, and keep what they had.
    idle = [set(range(6)) - set(call.indices_TK.flatten().tolist()) for call in seen]
    assert all(idle)
    for held, old, experts in zip(vectors(model), before, idle, strict=True):
        for i in experts:
            torch.testing.assert_close(held[i].double(), old[i].double(), rtol=1e-4, atol=1e-6)


def test_the_defaults_of_a_bfloat16_model_are_float32() -> None:
    model = build("olmoe", dtype=torch.bfloat16)
    densify(model, "default", beta=0.0)
    with calls(model) as seen:
        answer(model, **inputs(model)).float().sum().backward()  # type: ignore[no-untyped-call]
    for held, call in zip(vectors(model), seen, strict=True):
        assert held.dtype == torch.float32
        assert not torch.equal(held, held.bfloat16().float()), "it was rounded"
        torch.testing.assert_close(held.double(), moved(held * 0, [call], 0.0), rtol=0.03, atol=0.01)


@pytest.mark.parametrize("forward", ["sparse", "default"])
def test_each_backward_pass_has_the_defaults_of_its_own_forward_pass(forward: str) -> None:
    """Two forward passes before one backward pass, where the second has moved Ê."""
    model = build("olmoe", "batched_mm")  # of the averages' own dtype: a cast would be a copy
    warmed(model, forward=forward)
    state = vectors(model)
    one, two = inputs(model, seed=1), inputs(model, seed=2)
    (loss(model, **one) + loss(model, **two)).backward()  # type: ignore[no-untyped-call]
    together = gradients(model)
    model.zero_grad()
    restored = densified(model)
    assert restored is not None
    for layer, v in zip(restored.layers, state, strict=True):
        layer.method.state()["routed.vectors"].copy_(v)
    for given in (one, two):
        loss(model, **given).backward()  # type: ignore[no-untyped-call]
    for name, gradient in gradients(model).items():
        worst = 1e-4 * float(gradient.abs().max())
        torch.testing.assert_close(together[name], gradient, rtol=1e-4, atol=worst, msg=name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"forward": "dense"}, "forward='dense': choose one of sparse, default"),
        ({"estimator": "best"}, "estimator='best': choose one of routed"),
        ({"update": "never"}, "update='never': choose one of before_use, per_step"),
        ({"average": "median"}, "average='median': choose one of weighted, plain"),
        ({"beta": 1.0}, "beta=1.0 must be at least 0 and below 1"),
        ({"beta": -0.1}, "beta=-0.1 must be"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        densify(TINY["olmoe"].build(), "default", **options)
