"""What the fused CPU decoder computes, where matrices are wider than a panel and samples begin alike."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import loud
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines import transformers as engine
from reachlab.engines.config import Decoding
from reachlab.engines.fused_cpu import FusedCpuDecoder
from reachlab.engines.fused_cpu_kernels import exp, gate
from reachlab.engines.fused_cpu_weights import PANEL
from reachlab.engines.transformers import TransformersDecoder

PROMPTS = [[*range(3, 12)] * 4, [8, 9], [5, 6, 7, 8, 9]]


def wide(heads: int, kv_heads: int, intermediate: int, vocabulary: int = 1000) -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=heads * 8, intermediate_size=intermediate, num_hidden_layers=2, num_attention_heads=heads,
        num_key_value_heads=kv_heads, head_dim=8, vocab_size=vocabulary, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return loud(LlamaForCausalLM(config))


@torch.no_grad()
def own_logprob(model: PreTrainedModel, prompt: list[int], answer: np.ndarray) -> float:
    ids = torch.tensor([[*prompt, *answer.tolist()]])
    logprobs = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
    return float(logprobs.gather(1, ids[0, len(prompt) :, None]).sum())


@pytest.mark.parametrize(
    ("heads", "kv_heads", "intermediate"), [(9, 3, PANEL), (4, 4, PANEL + 1), (6, 1, 2 * PANEL + 7), (4, 2, 40)]
)
def test_panels_of_any_width(heads: int, kv_heads: int, intermediate: int, tokenizer: PreTrainedTokenizerBase) -> None:
    model = wide(heads, kv_heads, intermediate)
    decoder = TransformersDecoder(model, tokenizer)
    found = decoder.generate(PROMPTS, [[1, 2, 3]] * 3, Decoding(max_tokens=8))
    assert decoder.fused_cpu
    for prompt, row in zip(PROMPTS, found, strict=True):
        for answer in row:
            assert answer.logprob == pytest.approx(own_logprob(model, prompt, answer.tokens), abs=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 0.4])
def test_samples_that_begin_alike_are_computed_once(
    temperature: float, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over blocks of one prompt, with rows that end and begin anew, and blocks that move."""
    model = wide(4, 2, 40, len(tokenizer))
    monkeypatch.setattr(engine, "BLOCK_ROWS", 4)
    counts: list[int] = []
    logits = FusedCpuDecoder.logits

    def counted(self: FusedCpuDecoder, rows: np.ndarray, ids_B: torch.Tensor, *others: Any) -> torch.Tensor:
        counts.append(len(rows))
        return logits(self, rows, ids_B, *others)

    seeds = [list(range(p * 100, p * 100 + n)) for p, n in enumerate([30, 3, 17])]
    decoding = Decoding(temperature=temperature, max_tokens=12)
    alone = TransformersDecoder(model, tokenizer, 1)
    wanted = [[alone.generate([p], [[s]], decoding)[0][0] for s in row] for p, row in zip(PROMPTS, seeds, strict=True)]
    monkeypatch.setattr(FusedCpuDecoder, "logits", counted)
    found = TransformersDecoder(model, tokenizer, 24).generate(PROMPTS, seeds, decoding)
    for ours, theirs in zip(found, wanted, strict=True):
        assert [a.tokens.tolist() for a in ours] == [a.tokens.tolist() for a in theirs]
        assert [a.logprob for a in ours] == pytest.approx([a.logprob for a in theirs], abs=1e-4)
    # A prompt's samples may be at different tokens, for a row that ends takes the next one.
    assert max(counts) <= (6 if temperature == 0 else 24)
    assert sum(counts) < sum(len(a.tokens) - 1 for row in found for a in row)


def test_the_exponential_and_the_gate() -> None:
    x_V = np.linspace(-86, 86, 9973).astype(np.float32)
    ours = np.array([exp.py_func(x) for x in x_V[::97]])
    assert np.allclose(ours, np.exp(x_V[::97].astype(np.float64)), rtol=5e-6)
    g_NBF = np.random.default_rng(0).normal(0, 9, (4, 5, 7)).astype(np.float32)
    g_NBF[0, 0, :3] = -200, 200, 0
    out_BF = np.empty((5, 12), np.float32)
    gate(g_NBF, out_BF)
    g, u = (torch.from_numpy(x).transpose(0, 1).reshape(5, 14)[:, :12].double() for x in (g_NBF[:2], g_NBF[2:]))
    assert np.allclose(out_BF, torch.nn.functional.silu(g) * u, atol=1e-5)
