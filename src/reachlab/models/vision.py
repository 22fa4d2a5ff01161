"""Vision-language models: prompts with pictures, as the model's own processor makes them.

A prompt with pictures is a `Seen`: its token ids, in which a picture is a run of placeholder tokens, and beside them
what the processor made of the pixels. It is a list of ids to everything that only counts or joins tokens; what feeds a
model asks `pixels` for the rest. A picture is encoded once where its prompt is computed once: by the sampler's prefill
and in a pack, for all of the prompt's answers.

Positions are counted on from the prompt's last, except in families with multimodal rotary embeddings (Qwen-VL's
M-RoPE), where a picture's tokens are placed by row and column, and the text goes on after the largest of these.

The processor travels with its tokenizer, so whoever can encode a text can encode a picture.

Axes. K: tokens of all answers of a pack, P: prompts, R, L: rows and tokens of what the model is fed, B: rows that are
padded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.chat import written_by
from reachlab.models.reading import reader_of
from reachlab.pictures.reference import open_picture
from reachlab.types import Chat, Illustrated, Text

PLACEHOLDER = "<image>"
PER_TOKEN = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
"""What a processor returns a token, and not a picture."""
CROSSED = {"cross_attention_mask", "aspect_ratio_ids"}
"""What only processors of families with cross-attention return (Mllama)."""
REFUSALS = (ValueError, TypeError, RuntimeError, IndexError, KeyError, ZeroDivisionError)
"""What processors raise of pictures that they cannot do with."""


class Seen(list[int]):
    """The ids of a prompt with pictures.

    `pixels` is what the model's forward pass takes beside the ids, for these pictures alone; `kinds` says of each token
    whether it is a picture's (1) or text (0).
    """

    def __init__(self, ids: Sequence[int], pixels: Mapping[str, Tensor], kinds: Sequence[int]):
        super().__init__(ids)
        self.pixels, self.kinds = dict(pixels), list(kinds)


def is_vision(config: Any) -> bool:
    """Whether a configuration is that of a model that takes pictures."""
    return getattr(config, "vision_config", None) is not None


def attach(tokenizer: PreTrainedTokenizerBase, processor: Any) -> None:
    """Let the processor travel with its tokenizer."""
    tokenizer.processor = processor


def processor_of(tokenizer: PreTrainedTokenizerBase) -> Any:
    """The processor that belongs to a tokenizer; None for a model that takes no pictures."""
    return getattr(tokenizer, "processor", None)


def encode_seen(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Illustrated]) -> list[Seen]:
    """The tokens and pixels of prompts with pictures, which stand before their texts.

    Raises:
        ReachlabError: a model that takes no pictures, a picture that cannot be had, or one the processor refuses.
    """
    # Together where a picture is a row of what comes back, for a call of the processor costs more than a small picture.
    alike = len(prompts) > 1 and all(
        len(p.images) == 1 and isinstance(p.prompt, str) == isinstance(prompts[0].prompt, str) for p in prompts
    )
    if alike:
        try:
            inputs = _process(tokenizer, prompts, padding=True)
        except (*REFUSALS, ReachlabError):
            return [_alone(tokenizer, prompt) for prompt in prompts]  # which finds the one that is to blame
        values = {name: value for name, value in inputs.items() if name not in PER_TOKEN}
        if all(len(value) == len(prompts) for value in values.values()):
            return [
                _seen(
                    tokenizer,
                    {name: inputs[name][i] for name in PER_TOKEN if name in inputs},
                    {name: value[i : i + 1] for name, value in values.items()},
                )
                for i in range(len(prompts))
            ]
    return [_alone(tokenizer, prompt) for prompt in prompts]


def _alone(tokenizer: PreTrainedTokenizerBase, prompt: Illustrated) -> Seen:
    try:
        inputs = _process(tokenizer, [prompt])
    except REFUSALS as error:
        sizes = ", ".join(f"{p.width} x {p.height}" for p in map(open_picture, prompt.images))
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ReachlabError(
            f"{type(processor_of(tokenizer)).__name__} cannot make inputs of {prompt.images[0][:80]} ({sizes} pixels): "
            f"{reason}"
        ) from error
    values = {name: value for name, value in inputs.items() if name not in PER_TOKEN}
    return _seen(tokenizer, {name: inputs[name][0] for name in PER_TOKEN if name in inputs}, values)


def _process(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Illustrated], **more: Any) -> Any:
    texts = [written(tokenizer, prompt) for prompt in prompts]
    return processor_of(tokenizer)(
        text=texts,
        images=[[open_picture(reference) for reference in prompt.images] for prompt in prompts],
        add_special_tokens=False,  # `_seen` opens the prompt, and nothing closes it
        return_tensors="pt",
        **more,
    )


def _seen(tokenizer: PreTrainedTokenizerBase, tokens: Mapping[str, Tensor], pixels: Mapping[str, Tensor]) -> Seen:
    grouped = "token_type_ids" in tokens and bool(tokens["token_type_ids"].any())
    if grouped or CROSSED & set(pixels):
        how = "see each other, not only what came before" if grouped else "are seen through cross-attention"
        raise ReachlabError(
            f"{type(processor_of(tokenizer)).__name__}: in this family a picture's tokens {how}, which is not computed "
            "here; families whose pictures are tokens in causal attention are (LLaVA, Qwen-VL, Idefics ...)"
        )
    real = tokens["attention_mask"].bool()
    ids = tokens["input_ids"][real]
    if "mm_token_type_ids" in tokens:
        kinds = tokens["mm_token_type_ids"][real].tolist()
    else:
        mark = placeholder_id(tokenizer)
        kinds = [int(i == mark) for i in ids.tolist()]
    (opened,) = reader_of(tokenizer).opened([ids.tolist()])
    more = len(opened) - len(kinds)
    return Seen(opened, pixels, [0] * more + kinds if more > 0 else kinds[-more:])


def placeholder_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that stands for a part of a picture; None for a model that takes none."""
    placeholder = getattr(processor_of(tokenizer), "image_token_id", None)
    return None if placeholder is None else int(placeholder)


def written(tokenizer: PreTrainedTokenizerBase, prompt: Illustrated) -> str:
    """The prompt as text, with a placeholder a picture.

    Raises:
        ReachlabError: a model that takes no pictures, or no chat where the prompt is one.
    """
    processor = processor_of(tokenizer)
    if processor is None:
        raise ReachlabError(
            f"the problem shows a picture ({prompt.images[0][:80]}), and this checkpoint reads text alone; take a "
            "vision-language model's, with its preprocessor_config.json"
        )
    mark = str(getattr(processor, "image_token", PLACEHOLDER))
    for text in _texts_of(prompt.prompt):
        # The processor encodes it, and would take the name for the token.
        if name := reader_of(tokenizer).literal(text.replace(mark, "")):
            raise ReachlabError(
                f"what is said beside a picture holds {name!r}, a special token of this checkpoint; write it otherwise"
            )
    # What a question says of pictures in the processor's own words is no picture.
    if isinstance(prompt.prompt, str):
        return _placed(tokenizer, mark) * len(prompt.images) + prompt.prompt.replace(mark, "")
    return _chat(processor, prompt, mark)


def _texts_of(prompt: Text) -> list[str]:
    """What somebody says in a prompt, without a template's words."""
    if isinstance(prompt, Chat):
        return [str(message["content"]) for message in prompt.messages]
    return [prompt[start:stop] for start, stop in getattr(prompt, "said", ())]


def pixels(prompts: Sequence[Sequence[int]], device: torch.device | str | None = None) -> dict[str, Tensor]:
    """What a forward pass over these prompts takes beside ids: all their pictures, in order; nothing where there are
    none."""
    seen = [prompt.pixels for prompt in prompts if isinstance(prompt, Seen)]
    if not seen:
        return {}
    inputs = {}
    for name in seen[0]:
        values = [one[name] for one in seen]
        inputs[name] = _joined(values).to(device or values[0].device)
    return inputs


def _joined(values: Sequence[Tensor]) -> Tensor:
    """Along the first axis; where prompts have pictures of different numbers or sizes, padded with zeros."""
    shapes = [value.shape[1:] for value in values]
    if len(set(shapes)) > 1:
        largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
        padded = []
        for value in values:
            room = value.new_zeros(len(value), *largest)
            room[(slice(None), *(slice(n) for n in value.shape[1:]))] = value
            padded.append(room)
        values = padded
    return torch.cat(list(values))


class Places:
    """Where a model puts tokens: positions in one axis, or in the three of M-RoPE."""

    def __init__(self, model: Any):
        # Whatever is wrapped around the model.
        inside = (getattr(part, "get_rope_index", None) for part in model.modules())
        self._index = next((module for module in inside if module is not None), None)
        self._placeholder = getattr(model.config, "image_token_id", None)

    def __bool__(self) -> bool:
        return self._index is not None

    def of(self, prompt: Sequence[int]) -> Tensor:
        """The positions of a prompt's tokens, (3, T); for a text all three are alike."""
        if self._index is None or not isinstance(prompt, Seen):
            return torch.arange(len(prompt)).expand(3, -1)
        grids = {name: value for name, value in prompt.pixels.items() if name.endswith("grid_thw")}
        kinds = torch.tensor([prompt.kinds], dtype=torch.int)
        positions: Tensor = self._index(torch.tensor([list(prompt)]), mm_token_type_ids=kinds, **grids)[0]
        return positions[:, 0].cpu()

    def fed(self, ids_K: Tensor) -> Tensor:
        """An answer's ids as the model is fed them: a placeholder in it, for which there is no picture, is some other
        token."""
        return ids_K if self._placeholder is None else ids_K.masked_fill(ids_K == self._placeholder, 0)

    def fed_after(self, prompts: Sequence[Sequence[int]], ids_BL: Tensor) -> Tensor:
        """The same of rows that begin with these prompts."""
        after_BL = torch.arange(ids_BL.shape[1]) >= torch.tensor([len(prompt) for prompt in prompts])[:, None]
        return torch.where(after_BL, self.fed(ids_BL), ids_BL)

    def rows(self, prompts: Sequence[Sequence[int]], length: int) -> Tensor:
        """The positions of rows of `length` tokens that begin with these prompts, (3, B, length)."""
        placed = torch.empty(3, len(prompts), length, dtype=torch.long)
        for b, prompt in enumerate(prompts):
            placed[:, b, : len(prompt)] = self.of(prompt)
            placed[:, b, len(prompt) :] = self.after(prompt) + torch.arange(length - len(prompt))
        return placed

    def pack(self, position_RL: Tensor, prompts: Sequence[Sequence[int]], owner_K: Tensor) -> Tensor:
        """The positions of a pack's one row, (3, 1, L): its prompts, then K tokens of answers, each to prompt
        `owner_K`. `position_RL` are where tokens stand in their own sequences, (1, L)."""
        prompt_positions = torch.cat([self.of(prompt) for prompt in prompts], 1)
        # An answer goes on where the picture's rows and columns end.
        shift_P = torch.tensor([self.after(prompt) - len(prompt) for prompt in prompts])
        answer_positions_K = position_RL[0, prompt_positions.shape[1] :] + shift_P[owner_K]
        return torch.cat([prompt_positions, answer_positions_K.expand(3, -1)], 1)[:, None]

    def after(self, prompt: Sequence[int]) -> int:
        """The position of the first token after a prompt."""
        if self._index is None or not isinstance(prompt, Seen):
            return len(prompt)
        return int(self.of(prompt).max()) + 1


def set_text_attention(model: PreTrainedModel, name: str) -> None:
    """Let the part of a model that reads and writes text attend by `name`; its eyes go on as they are."""
    if is_vision(model.config):
        model.get_decoder().set_attn_implementation(name)
    else:
        model.set_attn_implementation(name)


def _placed(tokenizer: PreTrainedTokenizerBase, mark: str) -> str:
    """A picture's place in a plain text."""
    # What Qwen's chat template puts around a picture; other families have nothing there.
    around = ("<|vision_start|>", "<|vision_end|>")
    all_there = all(i not in (None, tokenizer.unk_token_id) for i in tokenizer.convert_tokens_to_ids(list(around)))
    return mark.join(around) if all_there else mark


def _chat(processor: Any, prompt: Illustrated, mark: str) -> str:
    if getattr(processor, "chat_template", None) is None and processor.tokenizer.chat_template is None:
        raise ReachlabError("the prompt is a chat, and this checkpoint's processor has no chat template")
    chat = prompt.prompt
    assert isinstance(chat, Chat)
    messages: list[dict[str, Any]] = [
        {**message, "content": message["content"].replace(mark, "")} for message in chat.messages
    ]
    for message in messages:
        message["content"] = [{"type": "text", "text": message["content"]}]
    last = next((m for m in reversed(messages) if m["role"] == "user"), None)
    if last is None:
        raise ReachlabError(
            "the prompt shows a picture, and no user says anything in it that the picture could go with"
        )
    last["content"] = [*({"type": "image"} for _ in prompt.images), *last["content"]]
    return written_by(processor, messages, chat.options)
