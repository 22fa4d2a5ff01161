"""Tokenizers in the shapes that published checkpoints have, trained on the spot."""

import json
from collections.abc import Callable
from string import printable
from typing import Any

from tests.models.chats import CHATML, GEMMA, LLAMA3, MISTRAL
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TEXT = [
    "Question: what is 1 + 2 ? Answer: 3",
    "return 's' . x , y != z ! don't",
    "system user assistant think step by step",
    printable,
] * 5


def _made(backend: Tokenizer, marks: list[str], around: str = "", **about: Any) -> PreTrainedTokenizerBase:
    """`around` is what is put around a text, such as ``<s> $A``."""
    if around:
        known = [(mark, backend.token_to_id(mark)) for mark in marks if mark in around]
        backend.post_processor = TemplateProcessing(single=around, special_tokens=known)
    template = about.pop("chat_template", None)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **about)
    tokenizer.chat_template = template
    return tokenizer


def _byte(marks: list[str], around: str = "", **about: Any) -> PreTrainedTokenizerBase:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=about.pop("add_prefix_space", False))
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(TEXT, trainer)
    return _made(backend, marks, around, **about)


def _sentence(
    normalizer: Any, pre_tokenizer: Any, decoder: Any, marks: list[str], **about: Any
) -> PreTrainedTokenizerBase:
    special = about.pop("special", True)
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    if normalizer is not None:
        backend.normalizer = normalizer
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoder
    marks = ["<unk>", *marks, *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=marks, show_progress=False)
    backend.train_from_iterator(TEXT, trainer)
    # Bytes are pieces like others, and no added tokens.
    state = json.loads(backend.to_str())
    state["added_tokens"] = [
        {**token, "special": special} for token in state["added_tokens"] if not token["content"].startswith("<0x")
    ]
    backend = Tokenizer.from_str(json.dumps(state))
    return _made(backend, marks[:3], unk_token="<unk>", **about)


STRIP = decoders.Strip(" ", 1, 0)


def gpt2() -> PreTrainedTokenizerBase:
    """One mark that opens, closes and pads, and nothing put around a text."""
    mark = "<|endoftext|>"
    return _byte([mark], bos_token=mark, eos_token=mark)


def prefix_space() -> PreTrainedTokenizerBase:
    """A byte level that puts a space before a text."""
    return _byte(["<|endoftext|>"], eos_token="<|endoftext|>", add_prefix_space=True)


def qwen() -> PreTrainedTokenizerBase:
    """No BOS; <think> is an added token and no special one."""
    found = _byte(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], eos_token="<|im_end|>", chat_template=CHATML)
    found.add_tokens(["<think>", "</think>"])
    return found


def llama3(template: str = LLAMA3) -> PreTrainedTokenizerBase:
    """A BOS by the post-processor, and one more by the template."""
    marks = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    about = {"bos_token": marks[0], "eos_token": marks[1], "chat_template": template}
    return _byte(marks, f"{marks[0]} $A", **about)


def llama3_by_template() -> PreTrainedTokenizerBase:
    """A BOS that only the chat template writes."""
    marks = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    return _byte(marks, bos_token=marks[0], eos_token=marks[1], chat_template=LLAMA3)


def deepseek() -> PreTrainedTokenizerBase:
    """A BOS by the post-processor, which a template of plain text writes too."""
    marks = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]
    return _byte(marks, f"{marks[0]} $A", bos_token=marks[0], eos_token=marks[1])


def closing() -> PreTrainedTokenizerBase:
    """Opens and closes every text."""
    return _byte(["<s>", "</s>"], "<s> $A </s>", bos_token="<s>", eos_token="</s>", chat_template=MISTRAL)


def glm() -> PreTrainedTokenizerBase:
    """Opens a text with two tokens, neither of which it calls BOS."""
    return _byte(["[gMASK]", "<sop>", "<eop>"], "[gMASK] <sop> $A", eos_token="<eop>")


def llama2(special: bool = True) -> PreTrainedTokenizerBase:
    """A dummy prefix by the normalizer, before every piece between marks."""
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), STRIP])
    about: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": MISTRAL}
    return _sentence(normalizer, None, decoder, ["<s>", "</s>"], special=special, around="<s> $A", **about)


def unmarked() -> PreTrainedTokenizerBase:
    """`llama2`, whose list of added tokens does not say that its marks are special."""
    return llama2(special=False)


def llama2_first() -> PreTrainedTokenizerBase:
    """A dummy prefix by the pre-tokenizer, before a text alone."""
    pre = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), STRIP])
    about: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": MISTRAL}
    return _sentence(None, pre, decoder, ["<s>", "</s>"], around="<s> $A", **about)


def gemma() -> PreTrainedTokenizerBase:
    """SentencePiece without a prefix; BOS by the post-processor, and by the template."""
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    about: dict[str, Any] = {"bos_token": "<bos>", "eos_token": "<eos>", "chat_template": GEMMA, "around": "<bos> $A"}
    found = _sentence(normalizers.Replace(" ", "▁"), None, decoder, ["<bos>", "<eos>"], **about)
    found.add_special_tokens({"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]})
    return found


def t5(words: bool = True) -> PreTrainedTokenizerBase:
    """Unigram, closed with EOS; spaces are dropped (`words`) or kept as marks."""
    backend = Tokenizer(models.Unigram())
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace]) if words else metaspace
    )
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    marks = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=marks, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(TEXT, trainer)
    return _made(backend, marks, "$A </s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def unigram() -> PreTrainedTokenizerBase:
    """`t5` with its spaces kept."""
    return t5(words=False)


SHAPES: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    shape.__name__: shape
    for shape in (
        *(gpt2, prefix_space, qwen, llama3, llama3_by_template, deepseek, closing, glm),
        *(llama2, unmarked, llama2_first, gemma, t5, unigram),
    )
}
