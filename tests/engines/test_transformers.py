from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
import torch
import transformers
from scipy.stats import chisquare
from tests.tiny import loud, tiny_config
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines import transformers as transformers_engine
from reachlab.engines.config import Decoding
from reachlab.engines.decoder import Completion
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.models.build import build_model
from reachlab.models.tokenizer import train_tokenizer

SHAPE = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 1,
    "bos_token_id": None,
}  # fmt: skip
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
EQUAL = "the tokens of model.generate"
FAMILIES: dict[str, tuple[dict[str, Any], str]] = {
    "Llama": ({}, EQUAL),
    "Mistral": ({"head_dim": 8, "sliding_window": 4}, EQUAL),
    "Mixtral": ({"num_local_experts": 4, "sliding_window": 5}, EQUAL),
    "Qwen2": ({}, EQUAL),
    "Qwen3": ({"head_dim": 8}, EQUAL),
    "Qwen3Moe": ({"head_dim": 8, **MOE}, EQUAL),
    "Olmoe": ({"num_experts": 4, "num_experts_per_tok": 2}, EQUAL),
    "Olmo2": ({}, EQUAL),
    "Gemma": ({"head_dim": 8}, EQUAL),
    "Gemma2": ({"head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8}, EQUAL),
    "Gemma3Text": ({"head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8}, EQUAL),
    "Phi": ({}, EQUAL),
    "Phi3": ({}, EQUAL),
    "SmolLM3": ({}, EQUAL),
    "Starcoder2": ({"sliding_window": 4}, EQUAL),
    "Granite": ({}, EQUAL),
    "Cohere": ({}, EQUAL),
    "GPTNeoX": ({}, EQUAL),
    "GPT2": ({}, EQUAL),
    "OPT": ({"ffn_dim": 48, "word_embed_proj_dim": 32}, EQUAL),
    "DeepseekV3": (
        {
            "num_key_value_heads": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4, "v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2,
            "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16, "first_k_dense_replace": 1,
        },
        EQUAL,
    ),
    "GptOss": ({"head_dim": 8, "sliding_window": 4, "num_local_experts": 4, "num_experts_per_tok": 2}, EQUAL),
    "Doge": ({}, "DogeAttention: this family's attention cannot be decoded here .uses a mask of its own."),
    "Bloom": ({}, "BloomForCausalLM: the transformers engine decodes families whose"),
    "Falcon": ({}, "FalconForCausalLM: the transformers engine decodes families whose"),
    "StableLm": ({}, "StableLmForCausalLM: the transformers engine decodes families whose"),
    "Mamba": ({}, "MambaForCausalLM: .* this one has linear_attention"),
    "Llama4Text": (
        {"head_dim": 8, "intermediate_size_mlp": 32, "num_local_experts": 4},
        "Llama4ForCausalLM: .* this one has chunked_attention",
    ),
}  # fmt: skip
"""What becomes of a family: equal to transformers' own decoding, or refused for a reason."""

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15], [3], [9, 9, 4, 20]]
GREEDY = Decoding(temperature=0, max_tokens=12)


def build(family: str, vocabulary: int) -> PreTrainedModel:
    config = getattr(transformers, f"{family}Config")(**{**SHAPE, **FAMILIES[family][0], "vocab_size": vocabulary})
    torch.manual_seed(0)
    return loud(AutoModelForCausalLM.from_config(config))


def generate(model: PreTrainedModel, prompt: list[int], tokens: int) -> list[int]:
    """transformers' own greedy answer."""
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    settings: dict[str, Any] = {
        "do_sample": False,
        "max_new_tokens": tokens,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    found: torch.Tensor = model.generate(ids, attention_mask=mask, **settings)
    return found[0, len(prompt) :].tolist()


@torch.no_grad()
def logprob(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> float:
    """Sum of the answer's log-probabilities, by one ordinary forward pass."""
    ids = torch.tensor([[*prompt, *answer]])
    logprobs = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
    return float(logprobs.gather(1, ids[0, len(prompt) :, None]).sum())


def seeds(*counts: int, run: int = 0) -> list[list[int]]:
    return [[1_000_003 * run + 1000 * p + i for i in range(n)] for p, n in enumerate(counts)]


def tokens(found: list[list[Completion]]) -> list[list[list[int]]]:
    return [[c.tokens.tolist() for c in row] for row in found]


@pytest.fixture(params=["qwen3", "olmoe"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A dense model and a mixture of experts; both have two query heads a key head."""
    found: PreTrainedModel = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_are_transformers_own_or_the_family_is_refused(
    family: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    model, outcome = build(family, len(tokenizer)), FAMILIES[family][1]
    engine = TransformersDecoder(model, tokenizer)
    if outcome is not EQUAL:
        with pytest.raises(ReachlabError, match=outcome) as error:
            engine.generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY)
        assert "\n" not in str(error.value)
        return
    found = engine.generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY)
    wanted = [generate(model, prompt, 12) for prompt in PROMPTS]
    assert [row[0].tokens.tolist() for row in found] == wanted
    for prompt, (answer,) in zip(PROMPTS, found, strict=True):
        assert answer.logprob == pytest.approx(logprob(model, prompt, answer.tokens.tolist()), abs=1e-3)


@pytest.mark.parametrize("kv_heads", [1, 4])
def test_one_key_head_and_as_many_as_query_heads(kv_heads: int, tokenizer: PreTrainedTokenizerBase) -> None:
    config = tiny_config()
    object.__setattr__(config, "kv_heads", kv_heads)
    model = loud(build_model(config, tokenizer, 0))
    found = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY)
    assert [row[0].tokens.tolist() for row in found] == [generate(model, p, 12) for p in PROMPTS]


def test_log_probabilities_are_those_of_an_ordinary_forward_pass(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    decoding = Decoding(temperature=0.9, top_p=0.95, max_tokens=14)
    found = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(9, 3, 20, 1), decoding)
    for prompt, row in zip(PROMPTS, found, strict=True):
        for answer in row:
            assert answer.logprob == pytest.approx(logprob(model, prompt, answer.tokens.tolist()), abs=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 7, 16, 33, 500])
def test_a_sample_is_the_same_in_any_batch(
    rows: int, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Prompts of other lengths, counts that are no multiple of a block, rows that outnumber the samples."""
    decoding = Decoding(max_tokens=10)
    alone = TransformersDecoder(model, tokenizer, 1)
    wanted = [
        [alone.generate([p], [[s]], decoding)[0][0] for s in row[::6]]
        for p, row in zip(PROMPTS, seeds(19, 1, 40, 5), strict=True)
    ]
    found = TransformersDecoder(model, tokenizer, rows).generate(PROMPTS, seeds(19, 1, 40, 5), decoding)
    assert [len(row) for row in found] == [19, 1, 40, 5]
    for ours, theirs in zip(found, wanted, strict=True):
        assert tokens([ours[::6]]) == tokens([theirs])
        assert [a.text for a in ours[::6]] == [a.text for a in theirs]
        assert [a.logprob for a in ours[::6]] == pytest.approx([a.logprob for a in theirs], abs=1e-4)


def test_many_samples_of_one_prompt_share_it_over_blocks(
    qwen3: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    decoding = Decoding(max_tokens=10)
    wide = TransformersDecoder(qwen3, tokenizer, 64).generate([PROMPTS[1]], seeds(150), decoding)
    narrow = TransformersDecoder(qwen3, tokenizer, 5).generate([PROMPTS[1]], seeds(150), decoding)
    assert tokens(wide) == tokens(narrow)
    assert len({tuple(t) for t in tokens(wide)[0]}) > 100


def test_more_prompts_than_fit_one_prefill(
    qwen3: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, len(tokenizer), rng.integers(1, 20)).tolist() for _ in range(30)]
    engine = TransformersDecoder(qwen3, tokenizer, 24)
    counts = rng.integers(0, 6, 30).tolist()
    wanted = engine.generate(prompts, seeds(*counts), Decoding(max_tokens=6))
    assert [len(row) for row in wanted] == counts
    monkeypatch.setattr(transformers_engine, "PREFILL_TOKENS", 40)
    assert tokens(engine.generate(prompts, seeds(*counts), Decoding(max_tokens=6))) == tokens(wanted)


def test_threads_change_nothing(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    engine, decoding = TransformersDecoder(model, tokenizer, 16), Decoding(max_tokens=8)
    one = engine.generate(PROMPTS, seeds(9, 1, 30, 5), decoding)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        three = engine.generate(PROMPTS, seeds(9, 1, 30, 5), decoding)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert tokens(one) == tokens(three)


@pytest.mark.parametrize("decoding", [Decoding(max_tokens=2), Decoding(temperature=0.7, top_k=5, max_tokens=2)])
def test_pairs_of_tokens_are_as_frequent_as_they_are_likely(
    decoding: Decoding, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    n, prompt = 6000, PROMPTS[0]
    (row,) = TransformersDecoder(model, tokenizer).generate([prompt], seeds(n, run=3), decoding)
    seen = Counter(tuple(a.tokens.tolist()) for a in row)

    @torch.no_grad()
    def after(ids: list[int]) -> torch.Tensor:
        probs = (model(input_ids=torch.tensor([ids])).logits[0, -1].double() / decoding.temperature).softmax(-1)
        kept = probs.topk(decoding.top_k or len(probs)).indices
        cut = torch.zeros_like(probs)
        cut[kept] = probs[kept]
        return cut / cut.sum()

    likely: dict[tuple[int, ...], float] = {}
    for first, p in enumerate(after(prompt).tolist()):
        if first == tokenizer.eos_token_id:
            likely[(first,)] = p
        elif p:
            likely |= {(first, t): p * q for t, q in enumerate(after([*prompt, first]).tolist()) if q}
    assert set(seen) <= set(likely)
    common = [pair for pair, p in likely.items() if p * n >= 5]
    observed = [seen[pair] for pair in common]
    expected = [likely[pair] * n for pair in common]
    rest = n - sum(expected)
    if rest > 1:
        observed, expected = [*observed, n - sum(observed)], [*expected, rest]
    assert len(common) >= 10
    assert chisquare(observed, expected, sum_check=False).pvalue > 1e-4


def test_the_end_token_ends_an_answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    eos = tokenizer.eos_token_id
    found = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(*[50] * 4), Decoding(max_tokens=16))
    answers = [a for row in found for a in row]
    assert {a.finish for a in answers} == {"stop", "length"}
    for answer in answers:
        ids = answer.tokens.tolist()
        assert eos not in ids[:-1]
        assert answer.finish == ("stop" if ids[-1] == eos else "length")
        assert answer.finish == "stop" or len(ids) == 16
        assert answer.tokens.dtype == np.int32
        assert answer.text == tokenizer.decode([i for i in ids if i != eos], skip_special_tokens=True)


def test_a_model_may_have_several_end_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    model = loud(build_model(tiny_config(), tokenizer, 0))
    assert model.generation_config is not None
    model.generation_config.eos_token_id = [5, 6]
    found = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(*[30] * 4), Decoding(max_tokens=16))
    lasts = Counter(a.tokens.tolist()[-1] for row in found for a in row if a.finish == "stop")
    assert set(lasts) == {1, 5, 6}
    assert all(not {1, 5, 6} & set(a.tokens.tolist()[:-1]) for row in found for a in row)


@pytest.mark.parametrize("pieces", [[(0, 1)], [(1, 1)], [(2, 2)], [(0, 3), (1, 1)], [(3, 2), (2, 3)], [(1, 4)]])
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_stop_string_cuts_where_it_first_appears(pieces: list[tuple[int, int]], kind: Literal["char", "bpe"]) -> None:
    """The same seeds without stop strings say what every answer would have been; pieces of it are made to stop."""
    tokenizer = train_tokenizer(kind, ["12 11 9 3=36:11*3=33;33-9=24;24+12=36 naïve 漢字"] * 3, 290)
    model = loud(build_model(tiny_config(), tokenizer, 0))
    engine, decoding = TransformersDecoder(model, tokenizer, 24), Decoding(max_tokens=14)
    whole = [a for row in engine.generate(PROMPTS, seeds(*[40] * 4), decoding) for a in row]
    longest = max((a.text for a in whole), key=len)
    stop = tuple(longest[start : start + length] for start, length in pieces)
    cut = engine.generate(PROMPTS, seeds(*[40] * 4), Decoding(max_tokens=14, stop=stop))
    stopped = 0
    for full, ours in zip(whole, (a for row in cut for a in row), strict=True):
        ids = full.tokens.tolist()
        texts = [tokenizer.decode(ids[: t + 1], skip_special_tokens=True) for t in range(len(ids))]
        at = next((t for t, text in enumerate(texts) if any(s in text for s in stop)), None)
        if at is None:
            assert (ours.text, ours.finish) == (full.text, full.finish)
            assert ours.tokens.tolist() == ids
            continue
        stopped += 1
        assert ours.tokens.tolist() == ids[: at + 1]
        assert ours.finish == "stop"
        assert ours.text == texts[at][: min(texts[at].find(s) for s in stop if s in texts[at])]
    assert stopped > 0


def test_one_token_is_an_answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    found = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(3, 1, 20, 2), Decoding(max_tokens=1))
    assert {len(a.tokens) for row in found for a in row} == {1}
    first = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(3, 1, 20, 2), Decoding(max_tokens=5))
    assert [[a.tokens[0] for a in row] for row in found] == [[a.tokens[0] for a in row] for row in first]


def test_bfloat16(tokenizer: PreTrainedTokenizerBase) -> None:
    model = loud(build_model(tiny_config(), tokenizer, 0)).bfloat16()
    decoding = Decoding(max_tokens=8)
    found = TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(5, 1, 20, 2), decoding)
    for prompt, row in zip(PROMPTS, found, strict=True):
        for answer in row:
            assert answer.logprob == pytest.approx(logprob(model, prompt, answer.tokens.tolist()), rel=0.05, abs=0.5)
    assert model.dtype == torch.bfloat16


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training: bool, tokenizer: PreTrainedTokenizerBase) -> None:
    model = loud(build_model(tiny_config(), tokenizer, 0)).train(training)
    model.set_attn_implementation("eager")
    engine = TransformersDecoder(model, tokenizer)
    before = {name: p.clone() for name, p in model.named_parameters()}
    engine.generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY)
    with pytest.raises(ReachlabError, match="prompt 1 has no token"):
        engine.generate([[3], []], seeds(1, 1), GREEDY)

    def fail(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY, progress=fail)
    assert model.training is training
    assert model.config._attn_implementation == "eager"
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in model.named_parameters())
    assert model(input_ids=torch.tensor([[3, 4]])).logits.requires_grad


def test_weights_are_read_anew_at_every_call(tokenizer: PreTrainedTokenizerBase) -> None:
    model = loud(build_model(tiny_config(), tokenizer, 0))
    engine = TransformersDecoder(model, tokenizer)
    first = engine.generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-1.3)
    second = engine.generate(PROMPTS, seeds(1, 1, 1, 1), GREEDY)
    assert tokens(second) != tokens(first)
    assert [row[0].tokens.tolist() for row in second] == [generate(model, p, 12) for p in PROMPTS]


def test_progress_counts_samples_and_tokens(qwen3: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    told: list[tuple[int, int]] = []
    engine, asked = TransformersDecoder(qwen3, tokenizer, 8), seeds(9, 1, 30, 5)
    found = engine.generate(PROMPTS, asked, Decoding(max_tokens=6), lambda *more: told.append(more))
    assert sum(samples for samples, _ in told) == 45
    assert sum(drawn for _, drawn in told) == sum(len(c.tokens) for row in found for c in row)
    assert told[0] == (0, 8)  # before any has finished


def test_nothing_to_draw(qwen3: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    engine = TransformersDecoder(qwen3, tokenizer)
    assert engine.generate([], [], GREEDY) == []
    assert engine.generate(PROMPTS[:2], [[], []], GREEDY) == [[], []]
    assert [len(row) for row in engine.generate(PROMPTS, [[], [1], [], [2, 3]], GREEDY)] == [0, 1, 0, 2]


def test_weights_that_are_not_numbers(tokenizer: PreTrainedTokenizerBase) -> None:
    model = loud(build_model(tiny_config(), tokenizer, 0))
    with torch.no_grad():
        model.get_parameter("model.norm.weight").fill_(float("nan"))
    with pytest.raises(ReachlabError, match="logits are not finite"):
        TransformersDecoder(model, tokenizer).generate(PROMPTS, seeds(1, 1, 1, 1), Decoding(max_tokens=4))
