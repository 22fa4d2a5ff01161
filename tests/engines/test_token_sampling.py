import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.engines.config import Decoding
from reachlab.engines.token_sampling import sample_at_once, sample_tokens
from reachlab.errors import ReachlabError

GRID = 1 << 14
ALMOST_ONE = 1 - 2**-24


def expected(logits_V: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """The distribution asked for, in float64, one rule after the other."""
    probs = (logits_V.double() / decoding.temperature).softmax(0)
    order = probs.argsort(descending=True, stable=True)
    kept = order[: decoding.top_k or None]
    if decoding.top_p < 1:
        before = probs[kept].cumsum(0) - probs[kept]
        kept = kept[before < decoding.top_p * probs[kept].sum()]
    out = torch.zeros_like(probs)
    out[kept] = probs[kept]
    return out / out.sum()


def integrate(logits_V: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """The share of the uniforms on [0, 1) that leads to each token."""
    grid_B = (torch.arange(GRID) + 0.5) / GRID
    tokens_B, _ = sample_tokens(logits_V.expand(GRID, -1), grid_B, decoding)
    return torch.bincount(tokens_B, minlength=len(logits_V)).double() / GRID


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (3, 1.0), (0, 0.8), (0, 0.05), (5, 0.6), (100, 0.9)])
@pytest.mark.parametrize("vocabulary", [1, 2, 17])
def test_the_share_of_uniforms_is_the_probability(
    temperature: float, top_k: int, top_p: float, vocabulary: int
) -> None:
    logits_V = torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary)) * 2
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p)
    share, wanted = integrate(logits_V, decoding), expected(logits_V, decoding)
    # Each token owns an interval; its two ends may each be off by a point of the grid.
    assert (share - wanted).abs().max() <= 1.01 / GRID
    assert not share[wanted == 0].any()


@settings(deadline=None)
@given(
    st.lists(st.floats(-30, 30, width=32) | st.just(-math.inf), min_size=1, max_size=40),
    st.integers(0, 2**24 - 1),
    st.sampled_from([1.0, 0.7, 3.0]),
    st.sampled_from([(0, 1.0), (2, 1.0), (0, 0.5)]),
)
def test_a_token_that_cannot_be_is_never_chosen(
    logits: list[float], u: int, temperature: float, truncation: tuple[int, float]
) -> None:
    if all(x == -math.inf for x in logits):
        logits[0] = 0.0
    logits_BV = torch.tensor([logits])
    decoding = Decoding(temperature=temperature, top_k=truncation[0], top_p=truncation[1])
    tokens_B, logprobs_B = sample_tokens(logits_BV, torch.tensor([u / 2**24]), decoding)
    assert logits[int(tokens_B)] > -math.inf
    # Of logits at the edge of the truncation whose float32 probabilities are equal, any may be the one that is kept.
    possible = expected(logits_BV[0], decoding) > 0
    assert logits[int(tokens_B)] >= float(logits_BV[0][possible].min()) - 1e-5
    assert float(logprobs_B) == pytest.approx(float(logits_BV[0].double().log_softmax(0)[int(tokens_B)]), abs=2e-5)


@pytest.mark.parametrize("u", [0.0, ALMOST_ONE])
def test_the_ends_of_the_unit_interval(u: float) -> None:
    logits_BV = torch.tensor([[-math.inf, 0.0, 1.0, -math.inf], [0.0, -math.inf, -100.0, 5.0]])
    tokens_B, _ = sample_tokens(logits_BV, torch.full((2,), u), Decoding())
    assert tokens_B.tolist() == ([1, 0] if u == 0 else [2, 3])


def test_the_last_uniform_of_a_large_vocabulary() -> None:
    """Rounding in the running sum must not lead beyond the last token that can be."""
    logits_BV = torch.randn(16, 50_000, generator=torch.Generator().manual_seed(0))
    logits_BV[:, 40_000:] = -math.inf
    tokens_B, _ = sample_tokens(logits_BV, torch.full((16,), ALMOST_ONE), Decoding())
    assert (tokens_B < 40_000).all()


def test_temperature_zero_takes_the_likeliest() -> None:
    logits_BV = torch.tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    for u in (0.0, 0.5, ALMOST_ONE):
        tokens_B, logprobs_B = sample_tokens(logits_BV, torch.full((2,), u), Decoding(temperature=0))
        assert tokens_B.tolist() == [1, 0]
        assert torch.allclose(logprobs_B, logits_BV.log_softmax(-1).amax(-1))


@pytest.mark.parametrize("temperature", [1e-30, 1e-38, 1e-45])
def test_a_temperature_near_zero_is_no_overflow(temperature: float) -> None:
    logits_BV = torch.tensor([[-50.0, 80.0, 79.0]])
    tokens_B, logprobs_B = sample_tokens(logits_BV, torch.tensor([0.5]), Decoding(temperature=temperature))
    assert tokens_B.tolist() == [1]
    assert torch.allclose(logprobs_B, logits_BV.log_softmax(-1)[:, 1])


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(temperature=0.5), Decoding(top_k=2), Decoding(top_p=0.5), Decoding(temperature=0)],
)
def test_the_log_probability_is_the_models_own(decoding: Decoding) -> None:
    generator = torch.Generator().manual_seed(1)
    logits_BV = torch.randn(200, 30, generator=generator) * 3
    tokens_B, logprobs_B = sample_tokens(logits_BV, torch.rand(200, generator=generator), decoding)
    own_B = logits_BV.double().log_softmax(-1).gather(1, tokens_B[:, None])[:, 0]
    assert (logprobs_B - own_B).abs().max() < 1e-5
    assert tokens_B.dtype == torch.int64
    assert logprobs_B.dtype == torch.float32


def test_a_row_is_chosen_as_if_it_were_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    logits_BV, uniforms_B = torch.randn(50, 20, generator=generator), torch.rand(50, generator=generator)
    decoding = Decoding(temperature=0.8, top_k=7, top_p=0.9)
    together = sample_tokens(logits_BV, uniforms_B, decoding)[0]
    alone = [int(sample_tokens(logits_BV[i : i + 1], uniforms_B[i : i + 1], decoding)[0]) for i in range(50)]
    assert together.tolist() == alone


def test_bfloat16_logits_are_read_in_float32() -> None:
    logits_BV = torch.randn(8, 20, generator=torch.Generator().manual_seed(3)).bfloat16()
    uniforms_B = torch.linspace(0, 0.99, 8)
    for ours, wanted in zip(
        sample_tokens(logits_BV, uniforms_B, Decoding()),
        sample_tokens(logits_BV.float(), uniforms_B, Decoding()),
        strict=True,
    ):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 0.5])
def test_logits_that_are_not_numbers(temperature: float) -> None:
    logits_BV = torch.tensor([[0.0, 1.0], [math.nan, 1.0]])
    with pytest.raises(ReachlabError, match="the model's logits are not finite"):
        sample_tokens(logits_BV, torch.tensor([0.5, 0.5]), Decoding(temperature=temperature))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": -1.0}, "temperature=-1.0 must be 0 or more"),
        ({"temperature": math.inf}, "temperature=inf must be 0 or more"),
        ({"temperature": math.nan}, "temperature=nan is no number"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0"),
        ({"top_p": 1.1}, "top_p=1.1 must be above 0 and at most 1"),
        ({"top_k": -1}, r"top_k=-1 must be 0 \(off\) or more"),
        ({"max_tokens": 0}, "max_tokens=0 must be 1 or more"),
        ({"stop": ("a", "")}, "a stop string is empty"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        Decoding(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (40, 1.0), (0, 0.9), (300, 0.7), (5000, 1.0)])
def test_the_kernel_chooses_what_operations_over_all_rows_choose(temperature: float, top_k: int, top_p: float) -> None:
    """Rows longer than a chunk, several draws from a row, and half of the vocabulary impossible."""
    generator = torch.Generator().manual_seed(4)
    logits_BV = torch.randn(6, 1300, generator=generator) * 3
    logits_BV[:, ::2] = -math.inf
    places_B, uniforms_B = torch.arange(300).numpy() % 6, torch.rand(300, generator=generator)
    decoding = Decoding(temperature=temperature, top_k=top_k, top_p=top_p)
    tokens_B, logprobs_B = sample_tokens(logits_BV, uniforms_B, decoding, places_B)
    wanted_B, own_B = sample_at_once(logits_BV[places_B], uniforms_B, decoding)
    # A uniform within rounding of a boundary may fall to either side.
    assert (tokens_B != wanted_B).sum() <= 1
    assert (logprobs_B - own_B)[tokens_B == wanted_B].abs().max() < 2e-5


def test_equal_logits_at_the_edge_of_the_truncation() -> None:
    logits_BV = torch.zeros(1, 1000)
    uniforms_B = (torch.arange(500) + 0.5) / 500
    tokens_B, _ = sample_tokens(logits_BV, uniforms_B, Decoding(top_k=10), torch.zeros(500, dtype=torch.long).numpy())
    assert torch.equal(torch.bincount(tokens_B), torch.full((10,), 50))
    tokens_B, _ = sample_tokens(logits_BV, uniforms_B, Decoding(top_p=0.25), torch.zeros(500, dtype=torch.long).numpy())
    assert torch.equal(torch.bincount(tokens_B), torch.full((250,), 2))


@pytest.mark.parametrize("wrong", [math.nan, -math.nan, math.inf])
def test_one_logit_that_is_no_number_among_many(wrong: float) -> None:
    logits_BV = torch.randn(3, 1300)
    logits_BV[1, 777] = wrong
    for decoding in (Decoding(), Decoding(temperature=0), Decoding(top_p=0.9)):
        with pytest.raises(ReachlabError, match="the model's logits are not finite"):
            sample_tokens(logits_BV, torch.full((3,), 0.5), decoding)
    with pytest.raises(ReachlabError, match="the model's logits are not finite"):
        sample_tokens(torch.full((1, 4), -math.inf), torch.tensor([0.5]), Decoding())
