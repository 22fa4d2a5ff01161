import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tests.tiny import loud
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config
from transformers import Qwen3ForCausalLM as Qwen3

from reachlab.engines.config import Decoding
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, save_model
from reachlab.training.lora import add_lora, merged, without_adapters
from reachlab.training.policy_engine import PolicyEngine
from reachlab.training.processes import Processes

pytest.importorskip("peft")

RANK, ALPHA = 2, 6
IDS = torch.tensor([[1, 5, 2, 7, 3], [4, 4, 9, 6, 8]])
KINDS = ["dense, tied head", "dense, biases and a head of its own", "experts"]


def biased() -> PreTrainedModel:
    return loud(Qwen3(Qwen3Config(
        vocab_size=21, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, attention_bias=True, tie_word_embeddings=False,
    )))  # fmt: skip


@pytest.fixture(params=KINDS)
def base(request: pytest.FixtureRequest, qwen3: PreTrainedModel, olmoe: PreTrainedModel) -> PreTrainedModel:
    """A model of one's own, in float64."""
    model = deepcopy(dict(zip(KINDS, (qwen3, biased(), olmoe), strict=True))[request.param]).double()
    model.set_experts_implementation("eager")  # the grouped product does not know float64
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("proj.bias"):
                p.normal_(generator=torch.Generator().manual_seed(1))
    return model


@pytest.fixture
def adapted(base: PreTrainedModel) -> PreTrainedModel:
    """The same with adapters that do something."""
    return stir(with_adapters(base), seed=0)


def with_adapters(base: PreTrainedModel) -> PreTrainedModel:
    model = deepcopy(base)
    add_lora(model, RANK, ALPHA)
    return model


def stir(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.normal_(std=0.2, generator=generator)
    return model


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=IDS).logits
    return found


def everything(model: nn.Module) -> dict[str, tuple[int, bool, Tensor]]:
    """Every parameter by name: which object it is, whether it is trained, and its numbers."""
    found = model.named_parameters(remove_duplicate=False)
    return {name: (id(p), p.requires_grad, p.detach().clone()) for name, p in found}


def unchanged(before: dict[str, tuple[int, bool, Tensor]], model: nn.Module) -> bool:
    after = everything(model)
    return after.keys() == before.keys() and all(
        before[k][:2] == after[k][:2] and torch.equal(before[k][2], after[k][2]) for k in before
    )


def test_adapters_begin_as_nothing_and_alone_are_trained(base: PreTrainedModel) -> None:
    model = with_adapters(base)
    assert torch.equal(logits(model), logits(base))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    layers = {name.split(".lora_")[0] for name in trained}
    head = base.get_output_embeddings()
    assert layers == {name for name, m in base.named_modules() if isinstance(m, nn.Linear) and m is not head}


def test_the_scale_is_twice_the_rank_unless_given(qwen3: PreTrainedModel) -> None:
    for alpha, scale in ((0, 2.0), (3, 0.5)):
        model = deepcopy(qwen3)
        add_lora(model, 6, alpha)
        layer = model.get_submodule("model.layers.0.self_attn.q_proj")
        assert layer.scaling == {"default": scale}


def test_merged_weights_are_the_sum(base: PreTrainedModel, adapted: PreTrainedModel) -> None:
    before = everything(adapted)
    plain = {name: p.detach() for name, p in base.named_parameters(remove_duplicate=False)}
    expected, seen = dict(plain), logits(adapted)
    for name in plain:
        layer = name.removesuffix(".weight")
        if (down := before.get(f"{layer}.lora_A.default.weight")) is not None:
            expected[name] = plain[name] + ALPHA / RANK * before[f"{layer}.lora_B.default.weight"][2] @ down[2]
    assert not all(torch.equal(expected[name], plain[name]) for name in plain)
    with merged(adapted):
        found = {name: p.detach() for name, p in adapted.named_parameters(remove_duplicate=False)}
        assert found.keys() == plain.keys()
        for name in plain:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=1e-12, msg=name)
        torch.testing.assert_close(logits(adapted), seen, rtol=1e-9, atol=1e-9)
    assert unchanged(before, adapted)
    assert torch.equal(logits(adapted), seen)
    assert (logits(base) - seen).abs().max() > 0.1


def test_the_adapters_come_back_after_an_error(adapted: PreTrainedModel) -> None:
    before, seen = everything(adapted), logits(adapted)
    for context in (merged, without_adapters):
        with pytest.raises(ZeroDivisionError), context(adapted):
            raise ZeroDivisionError
        assert unchanged(before, adapted)
        assert torch.equal(logits(adapted), seen)


def test_without_adapters_it_is_the_base(base: PreTrainedModel, adapted: PreTrainedModel) -> None:
    before, seen = everything(adapted), logits(adapted)
    with without_adapters(adapted):
        assert torch.equal(logits(adapted), logits(base))
    assert unchanged(before, adapted)
    assert torch.equal(logits(adapted), seen)


def test_a_model_without_adapters_is_left_alone(base: PreTrainedModel) -> None:
    before = everything(base)
    for context in (merged, without_adapters):
        with context(base):
            assert unchanged(before, base)
        assert unchanged(before, base)


def test_the_checkpoint_is_an_ordinary_one(
    base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    adapted = stir(with_adapters(base.float()), seed=0)
    with merged(adapted):
        head, inner = adapted.get_output_embeddings(), adapted.get_input_embeddings()
        assert (head.weight is inner.weight) == base.config.tie_word_embeddings
        save_model(tmp_path / "model", adapted, tokenizer)
    found, _ = load_model(tmp_path)
    torch.testing.assert_close(logits(found), logits(adapted), rtol=1e-4, atol=1e-4)
    assert {name for name, _ in found.named_parameters()} == {name for name, _ in base.named_parameters()}


def greedy(model: PreTrainedModel, prompt: list[int], length: int, ends: set[int]) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        while len(ids) < len(prompt) + length and (len(ids) == len(prompt) or ids[-1] not in ends):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_what_is_sampled_is_the_adapted_models(base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    model = with_adapters(base.float())
    engine = PolicyEngine(model, tokenizer, Processes(torch.device("cpu")), torch.float32)
    prompts = [[1, 5, 2], [4, 9, 6, 8]]
    said = []
    # The adapters move between two calls of the same engine, as they do in training.
    for seed in (0, 1, 2):
        stir(model, seed)
        with engine.ready():
            found = engine.generate(prompts, [[0], [1]], Decoding(temperature=0.0, max_tokens=6))
        tokens = [answer.tokens.tolist() for (answer,) in found]
        ends = {int(e) for e in engine.engine.ends} if engine.engine else set()
        assert tokens == [greedy(model, prompt, 6, ends) for prompt in prompts]
        said.append(tokens)
    assert said[0] != said[1] != said[2]


def test_nothing_to_adapt_is_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=16))
    with pytest.raises(ReachlabError, match="GPT2LMHeadModel: no linear layer for --lora-rank"):
        add_lora(model, RANK, ALPHA)


def test_a_missing_package_is_named(qwen3: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ReachlabError, match=r"--lora-rank needs peft, which is in reachlab\[lora\]"):
        add_lora(deepcopy(qwen3), RANK, ALPHA)
