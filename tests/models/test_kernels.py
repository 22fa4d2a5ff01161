from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.models import kernels, packed_attention
from reachlab.models.packed_attention import Layout
from reachlab.models.packing import _logprobs_at, _pack

groups = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=4)), min_size=1, max_size=4
)


def layout_of(groups: list[tuple[int, list[int]]]) -> Layout:
    """The layout of a pack of prompts and answers of these lengths."""
    prompts = [[0] * n for n, _ in groups]
    owners = [p for p, (_, lengths) in enumerate(groups) for _ in lengths]
    answers = [[0] * n for _, lengths in groups for n in lengths]
    pack = _pack(prompts, [(p, i, a) for i, (p, a) in enumerate(zip(owners, answers, strict=True))])
    assert pack.layout is not None
    return pack.layout


def draw(layout: Layout, heads: int, key_heads: int, width: int, seed: int = 0) -> list[torch.Tensor]:
    """Queries, keys and values (1, heads, L, width) of a pack."""
    L = int(layout.rows_N4[:, 3].sum())
    generator = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(1, n, L, width, generator=generator) for n in (heads, key_heads, key_heads)]


def brute(layout: Layout, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """One query at a time, in float64: (L, heads, width)."""
    q, k, v = (x[0].double() for x in (q, k, v))
    group = len(q) // len(k)
    out = torch.zeros(q.shape[1], len(q), q.shape[2], dtype=torch.float64)
    for before, W, own, T in layout.rows_N4.tolist():
        for t in range(T):
            seen = [*range(before, before + W), *range(own, own + t + 1)]
            for h in range(len(q)):
                weights = (q[h, own + t] @ k[h // group, seen].T * scale).softmax(-1)
                out[own + t, h] = weights @ v[h // group, seen]
    return out


@settings(max_examples=60)
@given(
    groups=groups,
    key_heads=st.integers(1, 2),
    repeat=st.integers(1, 3),
    width=st.sampled_from((4, 8, 12)),
    scale=st.sampled_from((0.01, 0.5, 5.0)),
)
def test_every_query_attends_to_its_prompt_and_what_came_before(
    groups: list[tuple[int, list[int]]], key_heads: int, repeat: int, width: int, scale: float
) -> None:
    layout = layout_of(groups)
    q, k, v = draw(layout, key_heads * repeat, key_heads, width)
    with torch.no_grad():
        found, _ = packed_attention.attend(torch.nn.Identity(), q, k, v, None, scale, packed=layout)
    torch.testing.assert_close(found[0].double(), brute(layout, q, k, v, scale), atol=2e-5, rtol=2e-5)


def test_it_is_what_the_gathered_rows_give_and_only_where_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a gradient, a window that hides, half precision or a width it does not know, torch's kernel is asked."""
    calls: list[int] = []
    kernel = kernels.attend

    def counting(*arguments: object) -> None:
        calls.append(1)
        kernel(*arguments)

    monkeypatch.setattr(kernels, "attend", counting)
    rng = Random(0)
    layout = layout_of([(rng.randint(1, 30), [rng.randint(1, 40) for _ in range(4)]) for _ in range(5)])
    q, k, v = draw(layout, 4, 2, 8)
    module = torch.nn.Identity()
    with torch.no_grad():
        found, _ = packed_attention.attend(module, q, k, v, None, 0.3, packed=layout)
        packed_attention.attend(module, q, k, v, None, 0.3, sliding_window=1000, packed=layout)
    assert len(calls) == 2
    wanted, _ = packed_attention.attend(module, q, k, v, None, 0.3, packed=layout)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        packed_attention.attend(module, q, k, v, None, 0.3, sliding_window=4, packed=layout)
        packed_attention.attend(module, q, k, v, None, 0.3, softcap=3.0, packed=layout)
        packed_attention.attend(module, q.bfloat16(), k.bfloat16(), v.bfloat16(), None, 0.3, packed=layout)
        packed_attention.attend(module, q[..., :6], k[..., :6], v[..., :6], None, 0.3, packed=layout)
        packed_attention.attend(module, q, k, v[..., :4], None, 0.3, packed=layout)
    assert len(calls) == 2
    assert layout.windows == {1000, 4}


def test_scores_far_apart_and_what_is_not_a_number() -> None:
    layout = layout_of([(3, [5, 1])])
    q, k, v = draw(layout, 1, 1, 4)
    with torch.no_grad():
        found, _ = packed_attention.attend(torch.nn.Identity(), 1e3 * q, 1e3 * k, v, None, 1.0, packed=layout)
        torch.testing.assert_close(found[0].double(), brute(layout, 1e3 * q, 1e3 * k, v, 1.0), atol=1e-4, rtol=1e-4)
        k[0, 0, 0] = float("nan")
        found, _ = packed_attention.attend(torch.nn.Identity(), q, k, v, None, 1.0, packed=layout)
    # All sequences see the prompt's first token.
    assert np.isnan(found.numpy()).all()


@settings(max_examples=40)
@given(K=st.integers(1, 5), V=st.integers(1, 70), scale=st.sampled_from((0.1, 3.0, 60.0)), seed=st.integers(0, 99))
def test_log_softmax_at_a_target(K: int, V: int, scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits_KV = scale * torch.randn(K, V, generator=generator)
    targets_K = torch.randint(V, (K,), generator=generator)
    wanted_K = logits_KV.double().log_softmax(-1).gather(1, targets_K[:, None])[:, 0]
    torch.testing.assert_close(_logprobs_at(logits_KV, targets_K).double(), wanted_K, atol=2e-5, rtol=2e-5)


def test_logits_that_are_not_numbers_stay_so() -> None:
    logits_KV = torch.zeros(2, 9)
    logits_KV[1, 4] = float("nan")
    assert _logprobs_at(logits_KV, torch.tensor([3, 3])).isnan().tolist() == [False, True]
    logits_KV[1, 4] = float("-inf")
    found_K = _logprobs_at(logits_KV, torch.tensor([3, 3]))
    assert found_K.tolist() == pytest.approx([-np.log(9), -np.log(8)])
