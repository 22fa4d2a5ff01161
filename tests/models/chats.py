"""Chat templates and end tokens in the shapes that published checkpoints have, on a tokenizer made here."""

import json
from dataclasses import dataclass
from pathlib import Path
from string import printable

from transformers import PreTrainedTokenizerBase

from reachlab.models.tokenizer import train_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
DEEPSEEK_MATH = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}User: {{ m.content }}\n\n"
    "{% elif m.role == 'assistant' %}Assistant: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
    "<｜User｜>{{ m.content }}{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """A checkpoint's folder name, its chat template, its tokenizer's end token, those it generates to, its marks."""

    name: str
    template: str
    eos: str
    ends: tuple[str, ...]
    marks: tuple[str, ...] = ()
    came_from: str = ""


IM = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
LLAMA = ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
TURN = ("<bos>", "<start_of_turn>", "<end_of_turn>")
SENTENCE = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
INSTRUCT = (
    Shape("Qwen2.5-7B-Instruct", CHATML, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), IM),
    Shape("base", CHATML, "<|im_end|>", ("<|im_end|>",), IM),  # a copy, called so
    Shape("SmolLM2-135M-Instruct", CHATML, "<|im_end|>", ("<|im_end|>",), IM),
    Shape("Llama-3.1-8B-Instruct", LLAMA3, "<|eot_id|>", ("<|end_of_text|>", "<|eot_id|>"), LLAMA),
    Shape("Mistral-7B-Instruct-v0.3", MISTRAL, "</s>", ("</s>",), ("<s>", "</s>")),
    Shape("gemma-2-2b-it", GEMMA, "<eos>", ("<eos>", "<end_of_turn>"), (*TURN, "<eos>")),
    Shape("gemma-7b-it", GEMMA, "<eos>", ("<eos>",), (*TURN, "<eos>")),
    Shape("DeepSeek-R1-Distill-Qwen-7B", R1, "<｜end▁of▁sentence｜>", ("<｜end▁of▁sentence｜>",), SENTENCE),
    Shape("model", DEEPSEEK_MATH, "<｜end▁of▁sentence｜>", ("<｜end▁of▁sentence｜>",), SENTENCE),
)
BASE = (
    Shape("Qwen2.5-7B", CHATML, "<|endoftext|>", ("<|endoftext|>",), IM),
    Shape("Qwen2.5-Math-7B", CHATML, "<|endoftext|>", ("<|endoftext|>",), IM),
    Shape("Llama-3.2-1B", LLAMA3, "<|end_of_text|>", ("<|end_of_text|>",), LLAMA),
    Shape("deepseek-math-7b-base", DEEPSEEK_MATH, "<｜end▁of▁sentence｜>", ("<｜end▁of▁sentence｜>",), SENTENCE),
    Shape("copy", DEEPSEEK_MATH, "</s>", ("</s>",), ("<s>", "</s>"), "deepseek-ai/deepseek-math-7b-base"),
    Shape("SmolLM2-135M", "", "<|endoftext|>", ("<|endoftext|>",), IM),
)


def made(shape: Shape, parent: Path) -> tuple[PreTrainedTokenizerBase, Path]:
    """The tokenizer of a shape, in a folder with the configurations that say where its model stops."""
    tokenizer = train_tokenizer("char", [printable])
    tokenizer.add_special_tokens({"additional_special_tokens": list(shape.marks), "eos_token": shape.eos})
    if bos := next((mark for mark in shape.marks if mark in ("<s>", "<bos>") or "begin" in mark), None):
        tokenizer.add_special_tokens({"bos_token": bos})
    tokenizer.chat_template = shape.template or None
    folder = parent / shape.name
    tokenizer.save_pretrained(folder)
    ends = tokenizer.convert_tokens_to_ids(list(shape.ends))
    (folder / "config.json").write_text(json.dumps({"eos_token_id": ends[0], "_name_or_path": shape.came_from}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends if len(ends) > 1 else ends[0]}))
    return tokenizer, folder
