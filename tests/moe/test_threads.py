"""One densified model passed by several threads at once: everybody says what one thread says."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from tests.tiny import tiny_model
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.measures.entropy import EntropyMeter
from reachlab.measures.scorer import Scorer
from reachlab.models.pack import Pack
from reachlab.models.packing import Packer
from reachlab.moe import densified, densify
from reachlab.moe.instruments import Recorder
from reachlab.threads import side_by_side
from reachlab.training.critic import Critic
from reachlab.training.gradient import backward
from reachlab.types import Problem

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("default", {"forward": "default", "estimator": "routed", "update": "per_step"}),
    "linear": ("default", {"forward": "default", "estimator": "linear", "update": "per_step"}),
    "lossfree": ("lossfree", {}),
    "sparsemixer": ("sparsemixer", {}),
}
COUNTS = (1, 2, 4)


def build(method: str) -> PreTrainedModel:
    """A tiny model whose method has something to say."""
    model = tiny_model("olmoe")
    name, options = METHODS[method]
    state = densify(model, name, **options).state()
    for key, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(key))))
    return model


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's number of threads; afterwards it is what it was."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def draw(*lengths: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, 18, (n,), generator=generator).tolist() for n in lengths]


PROMPTS = draw(*range(3, 11), seed=1)
ANSWERS = [draw(4, 2, 6, 5, 3, seed=p) for p in range(len(PROMPTS))]


def passed(packer: Packer, compute: Callable[[Any], Tensor], count: int) -> list[Tensor]:
    """What is computed of small packs, side by side."""

    def work(pack: Any) -> Tensor:
        with torch.no_grad():
            return compute(pack)

    return side_by_side(work, packer.pack(PROMPTS, ANSWERS, 24), count)


def same(found: dict[int, list[Tensor]]) -> None:
    assert len(found[1]) > 8
    for count in COUNTS:
        for one, other in zip(found[1], found[count], strict=True):
            assert torch.equal(one, other), count


@pytest.mark.parametrize("method", METHODS)
def test_packs(method: str) -> None:
    """The policy's, the reference's and the critic's passes."""
    model = build(method)
    packer, reference, critic = Packer(model), deepcopy(model), Critic(model)
    torch.nn.init.normal_(critic.head.weight, generator=torch.Generator().manual_seed(2))
    for compute in (
        lambda pack: packer.logprobs(model, pack)[0],
        lambda pack: packer.logprobs(reference, pack)[0],
        lambda pack: critic(packer, pack),
    ):
        same({count: passed(packer, compute, count) for count in COUNTS})


@pytest.mark.parametrize("method", METHODS)
def test_samples(method: str, tokenizer: PreTrainedTokenizerBase, threads: Callable[[int], None]) -> None:
    model, found = build(method), {}
    seeds = [[100 * p + i for i in range(8)] for p in range(len(PROMPTS))]
    for count in COUNTS:
        threads(count)
        rows = TransformersDecoder(model, tokenizer, rows=16).generate(PROMPTS, seeds, Decoding(max_tokens=8))
        found[count] = [(answer.tokens.tolist(), answer.logprob) for row in rows for answer in row]
    for count in COUNTS:
        assert [tokens for tokens, _ in found[count]] == [tokens for tokens, _ in found[1]]
        assert [p for _, p in found[count]] == pytest.approx([p for _, p in found[1]], abs=1e-4)
    packer = Packer(model)
    answers = [[tokens for tokens, _ in found[1][8 * p : 8 * p + 8]] for p in range(len(PROMPTS))]
    for pack in packer.pack(PROMPTS, answers, 10_000):
        scored = packer.sums(model, pack).tolist()
        assert [found[1][i][1] for i in pack.index_B.tolist()] == pytest.approx(scored, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_scores_and_entropies(method: str, tokenizer: PreTrainedTokenizerBase, threads: Callable[[int], None]) -> None:
    model = build(method)
    problems = [Problem(id=str(n), prompt=f"{n}=", answer=n) for n in range(12, 20)]
    scores, entropies = {}, {}
    for count in COUNTS:
        threads(count)
        scorer = Scorer(model, tokenizer, tokens=24)
        assert scorer.threads == count
        scores[count] = scorer.logprobs(scorer.pack(PROMPTS, ANSWERS))
        meter = EntropyMeter(model, tokenizer, problems, samples=4, max_tokens=6)
        assert meter.threads == count
        entropies[count] = meter.measure(1.0).nats
    for count in COUNTS:
        assert scores[count] == pytest.approx(scores[1], abs=1e-4)
        assert entropies[count] == pytest.approx(entropies[1], abs=1e-5)


def trained(method: str, count: int) -> list[Tensor]:
    """The gradients of policy and critic."""
    model = build(method)
    packer, critic = Packer(model), Critic(model)
    assert densified(critic) is not None
    assert densified(critic) is not densified(model)
    torch.nn.init.normal_(critic.head.weight, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(0)

    def policy_loss(pack: Pack) -> tuple[Tensor, dict[str, Tensor]]:
        return packer.logprobs(model, pack)[0].sum(), {}

    def value_loss(pack: Pack) -> tuple[Tensor, dict[str, Tensor]]:
        return critic(packer, pack).square().sum(), {}

    packs = packer.pack(PROMPTS, ANSWERS, 24)
    backward(model, [partial(policy_loss, pack) for pack in packs], count)
    backward(critic, [partial(value_loss, pack) for pack in packs], count)
    return [p.grad for m in (model, critic) for p in m.parameters() if p.grad is not None]


@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_policy_and_critic(method: str) -> None:
    """They add up what they hear, pass after pass, however many threads there are."""
    found = [trained(method, count) for count in COUNTS]
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_an_evaluation_beside_a_training_pass_is_an_evaluation() -> None:
    """The method learns from the one and not from the other, and neither answers what the other was asked."""
    model = build("default")
    model.eval()
    packer, routers = Packer(model), densified(model)
    assert routers is not None
    packs = packer.pack(PROMPTS, ANSWERS, 24)
    with torch.no_grad():
        alone = [packer.logprobs(model, pack)[0] for pack in packs]
    lone = deepcopy(model)
    with densified(lone).learning():  # type: ignore[union-attr]
        packer.logprobs(lone, packs[0])

    def work(number: int) -> Tensor:
        with torch.set_grad_enabled(number == 0):
            return packer.logprobs(model, packs[number])[0].detach()

    with routers.learning():
        found = side_by_side(work, range(len(packs)), 4)
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))
    for layer, other in zip(routers.layers, densified(lone).layers, strict=True):  # type: ignore[union-attr]
        assert torch.equal(layer.method.stand.routed.sums_ED, other.method.stand.routed.sums_ED)  # type: ignore[attr-defined]


def test_a_recorder_counts_every_thread() -> None:
    model = build("lossfree")
    packer, found = Packer(model), []
    for count in COUNTS:
        with Recorder(model) as recorder:
            passed(packer, lambda pack: packer.logprobs(model, pack)[0], count)
            found.append([(r.tokens, r.load) for r in recorder.read()])
    assert found[1:] == found[:1] * 2
