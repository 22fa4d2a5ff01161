from copy import deepcopy

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.training.policy_engine import PolicyEngine
from reachlab.training.processes import Processes

PROMPTS = [[3, 4, 5], [6, 7]]
SEEDS = [[1, 2, 3], [4, 5]]
DECODING = Decoding(max_tokens=5)


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
def test_answers_are_those_of_the_weights_as_they_are(
    family: str, tokenizer: PreTrainedTokenizerBase, request: pytest.FixtureRequest
) -> None:
    model: PreTrainedModel = deepcopy(request.getfixturevalue(family))
    engine = PolicyEngine(model, tokenizer, Processes(torch.device("cpu")), torch.float32)

    def drawn() -> list[list[int]]:
        with engine.ready():
            return [a.tokens.tolist() for row in engine.generate(PROMPTS, SEEDS, DECODING) for a in row]

    def fresh() -> list[list[int]]:
        found = TransformersDecoder(model, tokenizer).generate(PROMPTS, SEEDS, DECODING)
        return [a.tokens.tolist() for row in found for a in row]

    before = drawn()
    assert before == fresh()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    assert drawn() == fresh() != before
