"""Vision-language models small enough to test with, of three families: what their pixels and positions are differs."""

from functools import cache
from typing import Any

import transformers as hf
from tests.tiny import loud
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from reachlab.models.build import build_model, give_sight
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import train_tokenizer
from reachlab.models.vision import attach
from reachlab.tasks.registry import load_task

TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0, "eos_token_id": 1,
    "bos_token_id": None,
}  # fmt: skip
EYES: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48}
FAMILIES = ("llava", "idefics3", "qwen2_5_vl")

Made = tuple[PreTrainedModel, PreTrainedTokenizerBase]


def tokenizer(*special: str) -> PreTrainedTokenizerBase:
    made = train_tokenizer("char", [load_task("scenes").alphabet() or ""])
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def llava() -> Made:
    made = tokenizer()
    shape = ModelConfig(
        family="llava", hidden=32, layers=2, heads=4, kv_heads=2, intermediate=48, image_size=32, patch=8
    )
    give_sight(shape, made)
    return loud(build_model(shape, made, seed=0)), made


def idefics3() -> Made:
    """Its pixels have an axis of pictures within a prompt."""
    rows = [f"<row_{a}_col_{b}>" for a in range(1, 7) for b in range(1, 7)]
    made = tokenizer("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *rows)
    side = {"longest_edge": 32}
    eyes = Idefics3ImageProcessorPil(size=side, max_image_size=side, do_image_splitting=False)
    attach(made, hf.Idefics3Processor(image_processor=eyes, tokenizer=made, image_seq_len=4))
    config = hf.Idefics3Config(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(made)},
        vision_config={**EYES, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8},
        image_token_id=made.convert_tokens_to_ids("<image>"), scale_factor=2, tie_word_embeddings=True,
    )  # fmt: skip
    return loud(hf.Idefics3ForConditionalGeneration(config)), made


def qwen2_5_vl() -> Made:
    """Multimodal rotary positions; a picture's patches lie end to end. Its processor class wants torchvision for
    videos, which is not installed here, so it is put together by hand."""
    names = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    made = tokenizer(*names)
    start, end, image, video = made.convert_tokens_to_ids(list(names))
    processor = object.__new__(hf.Qwen2_5_VLProcessor)
    processor.image_processor = Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 48 * 48}
    )
    processor.tokenizer, processor.video_processor, processor.chat_template = made, None, None
    processor.image_token, processor.image_token_id = "<|image_pad|>", image
    processor.video_token, processor.video_token_id = "<|video_pad|>", video
    attach(made, processor)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = hf.Qwen2_5_VLConfig(
        text_config={**TEXT, "vocab_size": len(made), "rope_parameters": rope},
        vision_config={
            **EYES, "depth": 2, "num_heads": 4, "patch_size": 8, "out_hidden_size": 32, "window_size": 32,
            "fullatt_block_indexes": [1],
        },
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
        tie_word_embeddings=True,
    )  # fmt: skip
    return loud(hf.Qwen2_5_VLForConditionalGeneration(config)), made


@cache
def seeing(family: str) -> Made:
    """A tiny model whose answers differ from picture to picture, and its tokenizer. Do not train it."""
    return {"llava": llava, "idefics3": idefics3, "qwen2_5_vl": qwen2_5_vl}[family]()
