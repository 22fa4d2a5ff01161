import copy
from collections.abc import Sequence
from dataclasses import fields
from random import Random
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import loud, tiny_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.models.pack import Pack
from reachlab.models.packed_attention import NAME
from reachlab.models.packing import Packer
from reachlab.threads import side_by_side

V = 29
Prompts = list[list[int]]
Answers = list[list[list[int]]]

SHAPE: dict[str, Any] = {
    "vocab_size": V,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
WIDE = {**SHAPE, "head_dim": 8}
WINDOW = {**WIDE, "sliding_window": 4}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 12}
DEEPSEEK = {
    **SHAPE, **EXPERTS, "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 1, "topk_group": 1,
    "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 6,
    "first_k_dense_replace": 1,
}  # fmt: skip
GPT2 = {"vocab_size": V, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64}
NO_TEXT = {"bos_token_id": None, "eos_token_id": None}
FITTING: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", SHAPE),
    "mistral, a window": ("Mistral", WINDOW),
    "qwen2, a window above": (
        "Qwen2",
        {**SHAPE, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", WIDE),
    "gemma2, soft caps": ("Gemma2", {**WINDOW, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0}),
    "gemma3": (
        "Gemma3Text",
        {**WINDOW, "query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "gpt-oss, sinks": ("GptOss", {**WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt2, learned positions": ("GPT2", {**GPT2, **NO_TEXT, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}),
    "phi": ("Phi", SHAPE),
    "mixtral": ("Mixtral", {**SHAPE, "num_local_experts": 4}),
    "olmoe": ("Olmoe", {**SHAPE, "num_experts": 4, "num_experts_per_tok": 2}),
    "deepseek, values narrower than keys": ("DeepseekV3", DEEPSEEK),
}
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "mamba": ("Mamba", {"vocab_size": V, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}),
    "lfm2, a convolution": ("Lfm2", {**SHAPE, "layer_types": ["conv", "full_attention"]}),
    "bloom, positions in the mask": ("Bloom", {"vocab_size": V, "hidden_size": 16, "n_layer": 2, "n_head": 4}),
    "llama4, chunks": (
        "Llama4Text", {**WIDE, "intermediate_size_mlp": 24, "num_local_experts": 2, "attention_chunk_size": 4},
    ),
    "llama, a window that attention is not told": ("Llama", {**SHAPE, "sliding_window": 1000}),
}  # fmt: skip


def build(family: tuple[str, dict[str, Any]], dtype: torch.dtype = torch.float64) -> Any:
    name, shape = family
    config = getattr(transformers, f"{name}Config")(**shape)
    model = transformers.AutoModelForCausalLM.from_config(config)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # the others have no float64
    model = loud(model).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("sinks"):
                parameter.normal_(generator=torch.Generator().manual_seed(1))
    return model


def draw(seed: int, prompts: Sequence[int], answers: Sequence[Sequence[int]]) -> tuple[Prompts, Answers]:
    """Random tokens of given lengths."""
    rng = Random(seed)
    return (
        [[rng.randrange(V) for _ in range(n)] for n in prompts],
        [[[rng.randrange(V) for _ in range(n)] for n in row] for row in answers],
    )


RAGGED = draw(0, (5, 1, 9, 3), ((4, 1, 12, 2), (), (7, 7, 1), (11,)))


def alone(model: Any, prompts: Prompts, answers: Answers, temperature: float) -> list[tuple[Tensor, Tensor]]:
    """log π and entropy of every answer's tokens, each sequence by itself."""
    found = []
    for prompt, row in zip(prompts, answers, strict=True):
        for answer in row:
            logits = model(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0, len(prompt) - 1 : -1]
            all_TV = (logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature).log_softmax(-1)
            entropy = -(all_TV.exp() * all_TV).sum(-1).detach()
            found.append((all_TV.gather(1, torch.tensor(answer)[:, None])[:, 0], entropy))
    return found


def in_packs(packer: Packer, model: Any, packs: Sequence[Pack], temperature: float) -> list[tuple[Tensor, Tensor]]:
    """The same, from packs, in the order of the answers."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for pack in packs:
        logprobs_BT, entropy_BT = packer.logprobs(model, pack, temperature, entropy=True)
        assert entropy_BT is not None
        assert logprobs_BT.shape == (pack.B, pack.T) == pack.mask_BT.shape
        assert not logprobs_BT[~pack.mask_BT].any()
        for b, index in enumerate(pack.index_B.tolist()):
            assert index not in found
            mask_T = pack.mask_BT[b]
            found[index] = logprobs_BT[b, mask_T], entropy_BT[b, mask_T]
    return [found[i] for i in range(len(found))]


def gradient(found: Sequence[tuple[Tensor, Tensor]], model: nn.Module) -> list[Tensor]:
    """Of a sum in which every token has a weight of its own."""
    loss = torch.stack([(x * torch.arange(1, len(x) + 1).cos()).sum() * (i + 1) for i, (x, _) in enumerate(found)])
    wanted = [p for p in model.parameters() if p.requires_grad]
    found_grads = torch.autograd.grad(loss.sum(), wanted, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found_grads, strict=True)]


def assert_same(
    found: Sequence[tuple[Tensor, Tensor]], wanted: Sequence[tuple[Tensor, Tensor]], tolerance: float = 1e-5
) -> None:
    assert len(found) == len(wanted)
    for pair, wanted_pair in zip(found, wanted, strict=True):
        for a, b in zip(pair, wanted_pair, strict=True):
            torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance, check_dtype=False)


def assert_same_gradient(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float = 1e-5) -> None:
    # Norms are computed in float32 whatever the model's type, and some gradients are sums that cancel.
    largest = max(float(b.abs().max()) for b in wanted)
    for a, b in zip(found, wanted, strict=True):
        assert float((a - b).abs().max()) <= tolerance * largest


@pytest.mark.parametrize("name", FITTING)
def test_packs_are_each_sequence_by_itself(name: str) -> None:
    model = build(FITTING[name])
    untouched = copy.deepcopy(model)
    packer = Packer(model)
    assert packer.fits
    wanted = alone(untouched, *RAGGED, 0.7)
    gradients = gradient(wanted, untouched)
    for tokens, pieces in ((1000, 1), (20, 2)):
        packs = packer.pack(*RAGGED, tokens, pieces)
        found = in_packs(packer, model.train(), packs, 0.7)
        assert_same(found, wanted)
        assert_same_gradient(gradient(found, model), gradients)


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_that_cannot_be_packed_gets_padded_rows(name: str) -> None:
    model = build(OTHERS[name], torch.float32)
    before = model.config._attn_implementation
    packer = Packer(model)
    assert not packer.fits
    assert model.config._attn_implementation == before
    wanted = alone(model, *RAGGED, 0.7)
    gradients = gradient(wanted, model)
    for tokens, pieces in ((1000, 1), (40, 2)):
        found = in_packs(packer, model, packer.pack(*RAGGED, tokens, pieces), 0.7)
        assert_same(found, wanted, 1e-4)
        assert_same_gradient(gradient(found, model), gradients, 1e-4)


@pytest.mark.parametrize("name", [*FITTING, *OTHERS])
def test_sums_are_those_of_each_sequence_by_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reachlab.models.packing.HEAD_ROWS", 5)
    monkeypatch.setattr("reachlab.models.packing.HEAD_LOGITS", 1)
    model = build({**FITTING, **OTHERS}[name], torch.float64 if name in FITTING else torch.float32)
    wanted = torch.stack([x.sum() for x, _ in alone(model, *RAGGED, 1.0)]).double()
    packer = Packer(model)
    packs = packer.pack(*RAGGED, 40)
    found = torch.cat([packer.sums(model, pack) for pack in packs])
    assert (found.dtype, found.requires_grad) == (torch.float64, False)
    order = torch.cat([pack.index_B for pack in packs]).argsort()
    torch.testing.assert_close(found[order], wanted, atol=1e-4, rtol=1e-5)


def test_a_head_is_asked_alone_only_where_nothing_follows_it() -> None:
    alone = {name: Packer(build(FITTING[name])).head_alone for name in ("qwen3", "olmoe", "gemma2, soft caps")}
    assert alone == {"qwen3": True, "olmoe": True, "gemma2, soft caps": False}


def test_a_new_model_is_packed_in_any_precision() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**WIDE)).to(dtype)
        assert Packer(model).fits


Trio = tuple[Packer, Any, Any]
"""A packer, its model, and the model as it was."""


@pytest.fixture(scope="module")
def packed() -> Trio:
    model = build(FITTING["qwen3"])
    untouched = copy.deepcopy(model)
    return Packer(model), model, untouched


@pytest.fixture(scope="module")
def padded() -> Trio:
    model = build(OTHERS["lfm2, a convolution"])
    return Packer(model), model, model


@pytest.fixture(scope="module", params=["packed", "padded"])
def either(request: pytest.FixtureRequest) -> Trio:
    found: Trio = request.getfixturevalue(request.param)
    return found


lengths = st.lists(st.tuples(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=4)), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(groups=lengths, tokens=st.integers(1, 60), pieces=st.integers(1, 4), seed=st.integers(0, 99))
def test_whatever_the_groups_and_the_budget(
    either: Trio,
    groups: list[tuple[int, list[int]]],
    tokens: int,
    pieces: int,
    seed: int,
) -> None:
    packer, model, untouched = either
    prompts, answers = draw(seed, [n for n, _ in groups], [row for _, row in groups])
    flat = [(p, a) for p, row in zip(prompts, answers, strict=True) for a in row]
    packs = packer.pack(prompts, answers, tokens, pieces)
    again = packer.pack(prompts, answers, tokens, pieces)
    assert [p.ids_RL.tolist() for p in packs] == [p.ids_RL.tolist() for p in again]
    assert sorted(i for p in packs for i in p.index_B.tolist()) == list(range(len(flat)))
    assert len(packs) >= min(pieces, len(flat))
    for pack in packs:
        assert pack.tokens <= tokens or pack.B == 1
        for b, index in enumerate(pack.index_B.tolist()):
            assert pack.targets_BT[b, pack.mask_BT[b]].tolist() == flat[index][1]
    with torch.no_grad():
        assert_same(in_packs(packer, model, packs, 1.0), alone(untouched, prompts, answers, 1.0))


def test_a_prompt_is_fed_once_and_nothing_is_padding(packed: Trio) -> None:
    prompts, answers = RAGGED
    (pack,) = packed[0].pack(prompts, answers, 1000)
    used = [(p, row) for p, row in zip(prompts, answers, strict=True) if row]
    assert pack.tokens == sum(len(p) for p, _ in used) + sum(len(a) - 1 for _, row in used for a in row)


def test_packs_cost_about_the_same(packed: Trio) -> None:
    prompts, answers = draw(3, [8] * 12, [[Random(i * 8 + j).randrange(6, 15) for j in range(8)] for i in range(12)])
    for pieces in (2, 3):
        packs = packed[0].pack(prompts, answers, 300, pieces)
        assert len(packs) % pieces == 0
        sizes = [pack.tokens for pack in packs]
        assert max(sizes) <= 300
        assert min(sizes) > 0.8 * max(sizes)


def test_values_are_those_of_the_states_before_each_token(either: Trio) -> None:
    packer, _, untouched = either
    body, reference = copy.deepcopy(untouched.base_model), untouched.base_model
    head = nn.Linear(16, 1).double()
    prompts, answers = RAGGED
    wanted = []
    for prompt, row in zip(prompts, answers, strict=True):
        for answer in row:
            hidden = reference(input_ids=torch.tensor([prompt + answer]), use_cache=False).last_hidden_state[0]
            wanted.append(head(hidden)[len(prompt) - 1 : -1, 0])
    found: dict[int, Tensor] = {}
    for pack in packer.pack(prompts, answers, 30, 2):
        values_BT = packer.values(body, head, pack)
        assert not values_BT[~pack.mask_BT].any()
        found |= {i: values_BT[b, pack.mask_BT[b]] for b, i in enumerate(pack.index_B.tolist())}
    pairs = [(found[i], found[i].detach()) for i in range(len(wanted))]
    wanted_pairs = [(x, x.detach()) for x in wanted]
    assert_same(pairs, wanted_pairs)
    assert_same_gradient(gradient(pairs, body), gradient(wanted_pairs, reference))


def test_threads_do_not_disturb_each_other() -> None:
    model = build(FITTING["mistral, a window"])
    packer = Packer(model)
    packs = packer.pack(*RAGGED, 15, 4)

    def work(pack: Pack) -> list[Tensor]:
        logprobs_BT, _ = packer.logprobs(model, pack)
        return [logprobs_BT.detach(), *torch.autograd.grad(logprobs_BT.sum(), list(model.parameters()))]

    wanted = [work(pack) for pack in packs]
    for found, one in zip(side_by_side(work, packs * 3, 4), wanted * 3, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, one, strict=True))


def test_a_layer_computed_again_in_the_backward_pass_is_the_same(packed: Trio) -> None:
    packer, model, _ = packed
    packs = packer.pack(*RAGGED, 40)
    wanted = gradient(in_packs(packer, model, packs, 1.0), model)
    for reentrant in (False, True):
        again = copy.deepcopy(model).train()
        again.enable_input_require_grads()
        again.gradient_checkpointing_enable({"use_reentrant": reentrant})
        found = in_packs(packer, again, packs, 1.0)
        loss = torch.stack([(x * torch.arange(1, len(x) + 1).cos()).sum() * (i + 1) for i, (x, _) in enumerate(found)])
        torch.autograd.backward(loss.sum())  # reentrant checkpoints know no torch.autograd.grad
        assert_same_gradient([p.grad for p in again.parameters()], wanted)


@pytest.mark.parametrize("name", ["qwen3", "gemma2, soft caps", "mixtral"])
def test_mixed_precision(name: str) -> None:
    model = build(FITTING[name], torch.float32)
    wanted = gradient(in_packs(packer := Packer(model), model, packer.pack(*RAGGED, 1000), 1.0), model)
    with torch.autocast("cpu", torch.bfloat16):
        found = in_packs(packer, model, packer.pack(*RAGGED, 1000), 1.0)
    assert found[0][0].dtype == torch.float32
    gradients = gradient(found, model)
    assert all(g.dtype == torch.float32 for g in gradients)
    angle = torch.nn.functional.cosine_similarity(
        torch.cat([g.flatten() for g in gradients]), torch.cat([g.flatten() for g in wanted]), dim=0
    )
    assert angle > 0.98


def test_lora() -> None:
    peft = pytest.importorskip("peft")
    model = build(FITTING["qwen3"])
    lora = peft.get_peft_model(
        model, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    untouched = copy.deepcopy(lora)
    packer = Packer(lora)
    assert packer.fits
    found, wanted = in_packs(packer, lora, packer.pack(*RAGGED, 25), 1.0), alone(untouched, *RAGGED, 1.0)
    assert_same(found, wanted)
    assert_same_gradient(gradient(found, lora), gradient(wanted, untouched))
    with lora.disable_adapter(), untouched.disable_adapter(), torch.no_grad():
        assert_same(in_packs(packer, lora, packer.pack(*RAGGED, 25), 1.0), alone(untouched, *RAGGED, 1.0))


@pytest.mark.parametrize("name", ["qwen3", "mistral, a window", "gemma2, soft caps", "gpt-oss, sinks"])
def test_without_a_pack_the_model_is_as_before(name: str) -> None:
    model = build(FITTING[name], torch.float32)
    ids_BT = torch.randint(V, (2, 12), generator=torch.Generator().manual_seed(0))
    mask_BT = torch.ones_like(ids_BT)
    mask_BT[1, :5] = 0
    words: dict[str, Any] = {"attention_mask": mask_BT, "max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    with torch.no_grad():
        plain, behind = model(input_ids=ids_BT).logits, model(input_ids=ids_BT, attention_mask=mask_BT).logits
        text = model.generate(ids_BT, **words)
        assert Packer(model).fits
        assert model.config._attn_implementation == NAME
        torch.testing.assert_close(model(input_ids=ids_BT).logits, plain, atol=1e-4, rtol=1e-4)
        again = model(input_ids=ids_BT, attention_mask=mask_BT).logits
        torch.testing.assert_close(again[mask_BT.bool()], behind[mask_BT.bool()], atol=1e-4, rtol=1e-4)
        assert torch.equal(model.generate(ids_BT, **words), text)
    assert NAME not in model.config.to_json_string()


def test_the_models_of_this_house_fit(qwen3: PreTrainedModel, olmoe: PreTrainedModel) -> None:
    assert Packer(tiny_model("qwen3")).fits
    assert Packer(tiny_model("olmoe")).fits


def test_a_model_that_always_makes_all_logits() -> None:
    for family in (FITTING["llama"], OTHERS["lfm2, a convolution"]):
        model = build(family)
        whole = model.forward
        wanted = alone(copy.deepcopy(model), *RAGGED, 1.0)
        model.forward = lambda logits_to_keep=None, whole=whole, **words: whole(**words)
        packer = Packer(model)
        assert_same(in_packs(packer, model, packer.pack(*RAGGED, 30), 1.0), wanted)


def test_attention_that_is_given_what_we_do_not_know() -> None:
    model = build(FITTING["llama"])
    whole = model.forward
    model.forward = lambda **words: whole(**words, slopes=torch.ones(4))
    assert not Packer(model).fits


def test_a_pack_moves_whole(packed: Trio) -> None:
    (pack,) = packed[0].pack(*RAGGED, 1000)
    moved = pack.to("meta")
    assert pack.layout is not None
    assert moved.layout is not None
    things: list[Any] = [moved, *moved.layout.blocks]
    for thing in things:
        tensors = [getattr(thing, f.name) for f in fields(thing) if isinstance(getattr(thing, f.name), Tensor)]
        assert len(tensors) >= 7
        assert all(t.device.type == "meta" for t in tensors)


def test_nothing_to_pack(packed: Trio) -> None:
    assert packed[0].pack([], [], 10) == []
    assert packed[0].pack([[1], []], [[], []], 10) == []


@pytest.mark.parametrize(
    ("prompts", "answers", "tokens", "pieces"),
    [([[1]], [[[]]], 10, 1), ([[]], [[[1]]], 10, 1), ([[1]], [[[1]]], 0, 1), ([[1]], [[[1]]], 10, 0)],
    ids=["empty answer", "empty prompt", "no tokens", "no pieces"],
)
def test_what_cannot_be_packed(packed: Trio, prompts: Prompts, answers: Answers, tokens: int, pieces: int) -> None:
    with pytest.raises(ReachlabError, match="packing"):
        packed[0].pack(prompts, answers, tokens, pieces)
