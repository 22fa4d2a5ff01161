import sys
from collections.abc import Iterator

import pytest
import torch
from tests.tiny import loud
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from reachlab.engines import kernels
from reachlab.engines.config import Decoding
from reachlab.engines.kernels import compiled, lacking, why_not
from reachlab.engines.token_sampling import sample_at_once, sample_tokens
from reachlab.engines.transformers import TransformersDecoder

CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12], [3]]
SEEDS = [[*range(20)], [*range(20, 25)], [7]]


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "numba", None)
    compiled.cache_clear()
    yield
    compiled.cache_clear()


def small(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=vocabulary, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return loud(LlamaForCausalLM(config))


def drawn(
    tokenizer: PreTrainedTokenizerBase, decoding: Decoding, *, fused: bool
) -> tuple[list[list[int]], list[float]]:
    decoder = TransformersDecoder(small(len(tokenizer)), tokenizer, 8)
    answers = [answer for row in decoder.generate(PROMPTS, SEEDS, decoding) for answer in row]
    assert decoder.fused_cpu is fused
    return [answer.tokens.tolist() for answer in answers], [answer.logprob for answer in answers]


def test_with_numba_nothing_is_lacking() -> None:
    assert compiled()
    assert (why_not(), lacking(CPU)) == ("", "")


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(temperature=0, max_tokens=8),
        Decoding(temperature=1, max_tokens=8),
        Decoding(temperature=0.6, top_p=0.9, top_k=12, max_tokens=8),
    ],
)
def test_without_numba_the_same_tokens_are_drawn(
    decoding: Decoding, tokenizer: PreTrainedTokenizerBase, request: pytest.FixtureRequest
) -> None:
    tokens, logprobs = drawn(tokenizer, decoding, fused=True)
    request.getfixturevalue("without_numba")
    other_tokens, other_logprobs = drawn(tokenizer, decoding, fused=False)
    assert other_tokens == tokens
    assert other_logprobs == pytest.approx(logprobs, abs=1e-4)


@pytest.mark.usefixtures("without_numba")
def test_without_numba_tokens_are_drawn_by_torch() -> None:
    torch.manual_seed(0)
    logits_BV, uniforms_B = torch.randn(5, 30), torch.rand(5)
    for decoding in (Decoding(), Decoding(temperature=0)):
        for found, wanted in zip(
            sample_tokens(logits_BV, uniforms_B, decoding), sample_at_once(logits_BV, uniforms_B, decoding), strict=True
        ):
            assert torch.equal(found, wanted)


@pytest.mark.usefixtures("without_numba")
def test_what_is_lost_is_said_where_it_is() -> None:
    assert lacking(CPU) == (
        "numba is not installed: drawing on a CPU takes up to three times as long; pip install 'reachlab[fast]'"
    )
    assert lacking(torch.device("meta")) == ""


def test_a_numba_that_does_not_go_with_this_numpy_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "numba":
                raise ImportError("Numba needs NumPy 1.24 or less.\nGot NumPy 2.4")

    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.setattr(kernels, "is_installed", lambda _: True)
    assert why_not() == "numba cannot be imported (Numba needs NumPy 1.24 or less. Got NumPy 2.4)"
