"""What a captured step computes, on a CPU too: the shapes are padded all the same, and only the capture is CUDA's."""

from typing import Literal

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model, tiny_tokenizer

from reachlab.engines import cuda_graph as captured
from reachlab.engines import transformers as engine
from reachlab.engines.config import Decoding
from reachlab.engines.cuda_graph import CudaGraphSteps
from reachlab.engines.transformers import TransformersDecoder

PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 3, 4], [5]]
SEEDS = [list(range(20)), list(range(50, 57)), list(range(80, 99))]


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
@pytest.mark.parametrize("bucket", [4, 64])
def test_padded_steps_draw_the_same_samples(
    family: Literal["qwen3", "olmoe"], bucket: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer, decoding = tiny_model(family), tiny_tokenizer(), Decoding(max_tokens=14)
    plain = TransformersDecoder(model, tokenizer, 16)
    plain.fused_cpu = False
    wanted = plain.generate(PROMPTS, SEEDS, decoding)
    monkeypatch.setattr(captured, "BUCKET", bucket)
    begin = engine._Batch.__init__

    def with_padding(self: engine._Batch, *args: object) -> None:
        begin(self, *args)  # type: ignore[arg-type]
        self.fused_cpu, self.cuda_graph = None, CudaGraphSteps(self.model, self.cache)

    monkeypatch.setattr(engine._Batch, "__init__", with_padding)
    found = TransformersDecoder(model, tokenizer, 16).generate(PROMPTS, SEEDS, decoding)
    for mine, theirs in zip(wanted, found, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert np.array_equal(a.tokens, b.tokens)
            assert a.logprob == pytest.approx(b.logprob, abs=1e-4)


def test_a_batch_that_shrinks_meets_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers end one by one, so the batch passes through many sizes; the samples stay what they are."""
    model, tokenizer, decoding = tiny_model(), tiny_tokenizer(), Decoding(max_tokens=14)
    seeds = [list(range(p * 100, p * 100 + 40)) for p in range(3)]
    plain = TransformersDecoder(model, tokenizer, 22)
    plain.fused_cpu = False
    monkeypatch.setattr(engine, "BLOCK_ROWS", 2)
    wanted = plain.generate(PROMPTS, seeds, decoding)
    begin, forward = engine._Batch.__init__, CudaGraphSteps.forward
    keys: list[tuple[int, int]] = []

    def with_padding(self: engine._Batch, *args: object) -> None:
        begin(self, *args)  # type: ignore[arg-type]
        self.fused_cpu, self.cuda_graph = None, CudaGraphSteps(self.model, self.cache)

    def noted(self: CudaGraphSteps, key: tuple[int, int], *inputs: torch.Tensor) -> torch.Tensor:
        keys.append(key)
        return forward(self, key, *inputs)

    monkeypatch.setattr(engine._Batch, "__init__", with_padding)
    monkeypatch.setattr(CudaGraphSteps, "forward", noted)
    found = TransformersDecoder(model, tokenizer, 22).generate(PROMPTS, seeds, decoding)
    assert len({blocks for blocks, _ in keys}) > 1
    assert {blocks for blocks, _ in keys} <= {1, 2, 4, 8, 11}
    for mine, theirs in zip(wanted, found, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert np.array_equal(a.tokens, b.tokens)
            assert a.logprob == pytest.approx(b.logprob, abs=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_graph_on_a_gpu_draws_what_the_cpu_draws() -> None:
    model, tokenizer, decoding = tiny_model(), tiny_tokenizer(), Decoding(max_tokens=14, temperature=0)
    wanted = TransformersDecoder(model, tokenizer, 16).generate(PROMPTS, SEEDS, decoding)
    found = TransformersDecoder(model.to("cuda"), tokenizer, 16).generate(PROMPTS, SEEDS, decoding)
    assert [[c.text for c in row] for row in wanted] == [[c.text for c in row] for row in found]
