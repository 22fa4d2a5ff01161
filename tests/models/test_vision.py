from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.models import vlm
from tests.models.vlm import FAMILIES, llava, seeing
from tests.tiny import tiny_model, tiny_tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import Gemma3Processor, PreTrainedTokenizerBase
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, load_tokenizer, save_model
from reachlab.models.checkpoint_files import hash_model
from reachlab.models.config import ModelConfig
from reachlab.models.pack_building import PackBudget, padded
from reachlab.models.packing import Packer
from reachlab.models.tokenizer import encode_prompts
from reachlab.models.vision import Places, Seen, attach, pixels, processor_of, written
from reachlab.pictures.reference import NOISE, open_picture
from reachlab.tasks.registry import load_task
from reachlab.types import Chat, Filled, Illustrated, Problem

PROBLEMS = load_task("scenes,size=32").problems("test", 5)


def marks(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [i for token, i in tokenizer.get_vocab().items() if token in ("<image>", "<|image_pad|>", "<|video_pad|>")]


def asked(problem: Problem) -> Illustrated:
    assert isinstance(problem.asked, Illustrated)
    return problem.asked


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_are_those_of_generate(family: str) -> None:
    model, tokenizer = seeing(family)
    decoder = TransformersDecoder(model, tokenizer)
    prompts = encode_prompts(tokenizer, [p.asked for p in PROBLEMS])
    found = decoder.generate(prompts, [[0, 1]] * 5, Decoding(max_tokens=8, temperature=0))
    for problem, row in zip(PROBLEMS, found, strict=True):
        given = processor_of(tokenizer)(
            text=[written(tokenizer, asked(problem))], images=[[open_picture(problem.images[0])]], return_tensors="pt"
        )
        whole = model.generate(**given, max_new_tokens=8, do_sample=False)
        wanted = whole[0, given["input_ids"].shape[1] :].tolist()
        assert [c.tokens.tolist() for c in row] == [wanted, wanted]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("packed", [True, False])
def test_logprobs_are_those_of_the_sampler_and_see_the_picture(family: str, packed: bool) -> None:
    """In a pack, where a picture is encoded once for all answers, and in padded rows."""
    model, tokenizer = seeing(family)
    prompts = encode_prompts(tokenizer, [p.asked for p in PROBLEMS])
    found = TransformersDecoder(model, tokenizer).generate(prompts, [list(range(9))] * 5, Decoding(max_tokens=7))
    # A placeholder that such a model writes is fed as another token.
    kept = [[c for c in row if not set(c.tokens.tolist()) & set(marks(tokenizer))][:3] for row in found]
    answers = [[c.tokens.tolist() for c in row] for row in kept]
    packer = Packer(model)
    assert packer.fits
    packs = packer.pack(prompts, answers, 120) if packed else padded(prompts, answers, PackBudget(200), Places(model))
    assert len(packs) > 1
    drawn = torch.tensor([c.logprob for row in kept for c in row], dtype=torch.float64)
    assert len(drawn) > 10
    logprobs = torch.zeros_like(drawn)
    for pack in packs:
        logprobs[pack.index_B] = packer.sums(model, pack)
    torch.testing.assert_close(logprobs, drawn, rtol=0, atol=2e-4)
    unseen = encode_prompts(tokenizer, [Illustrated(p.prompt, (NOISE + p.images[0],)) for p in PROBLEMS])
    others = torch.cat([packer.sums(model, pack) for pack in packer.pack(unseen, answers, 1 << 20)])
    assert (others.sort().values - logprobs.sort().values).abs().max() > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_a_pack_are_those_of_padded_rows(family: str) -> None:
    """The tower's too: a picture's gradient is the sum over its prompt's answers."""
    model, tokenizer = seeing(family)
    prompts = encode_prompts(tokenizer, [p.asked for p in PROBLEMS[:2]])
    answers = [[[5, 6, 7], [8, 9]], [[4, 3]]]
    packer = Packer(model)
    gradients = []
    for packs in (packer.pack(prompts, answers, 1 << 20), padded(prompts, answers, PackBudget(1 << 20), Places(model))):
        model.zero_grad()
        for pack in packs:
            packer.logprobs(model, pack)[0].sum().backward()  # type: ignore[no-untyped-call]
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert any("vision" in name or "visual" in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        scale = gradients[1][name].abs().max() + 1e-3
        assert (gradient - gradients[1][name]).abs().max() < 1e-3 * scale, name
    model.zero_grad()


def test_a_placeholder_in_an_answer_is_no_picture() -> None:
    model, tokenizer = llava()
    mark = processor_of(tokenizer).image_token_id
    prompts = encode_prompts(tokenizer, [PROBLEMS[0].asked])
    packer = Packer(model)
    answers = [[[5, mark, 7], [6, 8]]]
    (pack,), (rows,) = (
        packer.pack(prompts, answers, 1 << 20),
        padded(prompts, answers, PackBudget(1 << 20), Places(model)),
    )
    found = packer.sums(model, pack)[pack.index_B.argsort()]
    assert found.isfinite().all()
    torch.testing.assert_close(packer.sums(model, rows)[rows.index_B.argsort()], found, rtol=0, atol=1e-4)


def test_many_are_encoded_as_one_is() -> None:
    for family in FAMILIES:
        _, tokenizer = seeing(family)
        together = encode_prompts(tokenizer, [p.asked for p in PROBLEMS])
        for problem, many in zip(PROBLEMS, together, strict=True):
            (one,) = encode_prompts(tokenizer, [problem.asked])
            assert isinstance(one, Seen)
            assert isinstance(many, Seen)
            assert (one, one.kinds) == (many, many.kinds)
            assert all(torch.equal(one.pixels[name], value) for name, value in many.pixels.items())
            assert 0 < sum(one.kinds) < len(one)


def test_texts_and_pictures_in_one_list_keep_their_order() -> None:
    _, tokenizer = seeing("llava")
    mixed = encode_prompts(tokenizer, ["area:", PROBLEMS[0].asked, "spread r g:"])
    assert [isinstance(prompt, Seen) for prompt in mixed] == [False, True, False]
    assert tokenizer.decode(mixed[2]) == "spread r g:"
    assert pixels(mixed).keys() == {"pixel_values"}
    assert pixels([mixed[0]]) == {}


def test_two_pictures_and_sizes_that_differ() -> None:
    """Idefics3's pixels are padded to the prompt with the most pictures."""
    a, b = PROBLEMS[0].images[0], PROBLEMS[1].images[0]
    for family in ("llava", "idefics3"):
        model, tokenizer = seeing(family)
        prompts = encode_prompts(tokenizer, [Illustrated("area:", (a, b)), Illustrated("area:", (a,))])
        both = TransformersDecoder(model, tokenizer).generate(prompts, [[1], [2]], Decoding(max_tokens=6))
        alone = [TransformersDecoder(model, tokenizer).generate([p], [[s]], Decoding(max_tokens=6))[0]
                 for p, s in zip(prompts, (1, 2), strict=True)]  # fmt: skip
        assert [row[0].tokens.tolist() for row in both] == [row[0].tokens.tolist() for row in alone]


def test_a_checkpoint_keeps_its_processor(tmp_path: Path) -> None:
    model, tokenizer = llava()
    save_model(tmp_path / "a", model, tokenizer)
    loaded, again = load_model(tmp_path / "a")
    assert type(loaded) is type(model)
    (before,), (after,) = encode_prompts(tokenizer, [PROBLEMS[0].asked]), encode_prompts(again, [PROBLEMS[0].asked])
    assert before == after
    assert isinstance(before, Seen)
    assert isinstance(after, Seen)
    assert torch.equal(before.pixels["pixel_values"], after.pixels["pixel_values"])
    was = hash_model(tmp_path / "a")
    text = (tmp_path / "a" / "processor_config.json").read_text()
    (tmp_path / "a" / "processor_config.json").write_text(text.replace('"patch_size": 8', '"patch_size": 16'))
    assert hash_model(tmp_path / "a") != was


def test_a_text_model_says_that_it_cannot_see(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="reads text alone"):
        encode_prompts(tiny_tokenizer(), [PROBLEMS[0].asked])
    model, tokenizer = llava()
    save_model(tmp_path / "a", model, tokenizer)
    for name in ("processor_config.json", "preprocessor_config.json"):
        (tmp_path / "a" / name).unlink(missing_ok=True)
    with pytest.raises(ReachlabError, match="reads text alone"):
        encode_prompts(load_tokenizer(tmp_path / "a"), [PROBLEMS[0].asked])
    assert not Places(tiny_model())


def test_families_whose_pictures_see_ahead_are_refused() -> None:
    """Gemma 3: what is causal here would be another model."""
    made = vlm.tokenizer("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    for name, token in (("boi", "<start_of_image>"), ("eoi", "<end_of_image>"), ("image", "<image_soft_token>")):
        setattr(made, f"{name}_token", token)
        setattr(made, f"{name}_token_id", made.convert_tokens_to_ids(token))
    eyes = Gemma3ImageProcessorPil(size={"height": 32, "width": 32})
    attach(made, Gemma3Processor(image_processor=eyes, tokenizer=made, image_seq_length=4))
    with pytest.raises(ReachlabError, match=r"Gemma3Processor: .* see each other, not only what came before"):
        encode_prompts(made, [asked(PROBLEMS[0])])


def test_a_picture_that_the_processor_refuses_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 2)).save(tmp_path / "thin.png")
    _, tokenizer = seeing("qwen2_5_vl")
    prompts = [PROBLEMS[0].asked, Illustrated("area:", (str(tmp_path / "thin.png"),))]
    with pytest.raises(ReachlabError, match=r"cannot make inputs of .*thin.* \(2000 x 2 pixels\): .*aspect ratio"):
        encode_prompts(tokenizer, prompts)


def test_a_chat_wants_a_template_and_gets_the_picture_before_the_text() -> None:
    _, tokenizer = llava()
    chat = replace(asked(PROBLEMS[0]), prompt=Chat(({"role": "user", "content": "area:"},)))
    with pytest.raises(ReachlabError, match="no chat template"):
        encode_prompts(tokenizer, [chat])
    processor_of(tokenizer).chat_template = (
        "{% for m in messages %}{% for c in m.content %}"
        "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %}"
    )
    assert written(tokenizer, chat) == "<image>area:"
    assert encode_prompts(tokenizer, [chat]) == encode_prompts(tokenizer, [replace(chat, prompt="area:")])
    # What the text itself says of pictures is none.
    for prompt in ("<image>area<image>:", Chat(({"role": "user", "content": "<image>area<image>:"},))):
        assert written(tokenizer, replace(chat, prompt=prompt)) == "<image>area:"
    with pytest.raises(ReachlabError, match="no user says anything"):
        encode_prompts(tokenizer, [replace(chat, prompt=Chat(({"role": "system", "content": "area:"},)))])


@pytest.mark.parametrize(("wrong", "said"), [({"patch": 7}, "multiple of patch"), ({"vision_layers": 0}, "1 or more")])
def test_shapes_that_cannot_be(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        ModelConfig(family="llava", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_with_pictures_is_opened_once_and_never_closed(family: str) -> None:
    _, tokenizer = getattr(vlm, family)()
    bare = encode_prompts(tokenizer, [p.asked for p in PROBLEMS])
    around = TemplateProcessing(single="<pad> $A <eos>", special_tokens=[("<pad>", 0), ("<eos>", 1)])
    tokenizer.backend_tokenizer.post_processor = around
    for plain, opened in zip(bare, encode_prompts(tokenizer, [p.asked for p in PROBLEMS]), strict=True):
        assert isinstance(plain, Seen)
        assert isinstance(opened, Seen)
        assert (opened, opened.kinds) == ([0, *plain], [0, *plain.kinds])


def test_a_special_token_said_beside_a_picture_is_refused() -> None:
    _, tokenizer = seeing("llava")
    prompt, images = str(PROBLEMS[0].prompt), PROBLEMS[0].images
    said = Filled(f"{prompt} <eos>", [(0, len(prompt) + 6)])
    with pytest.raises(ReachlabError, match="said beside a picture holds '<eos>', a special token"):
        encode_prompts(tokenizer, [Illustrated(said, images)])
