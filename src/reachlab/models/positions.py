"""How many tokens a checkpoint was made for, prompt and answer together.

`max_position_embeddings`, or what a scaling of its rotary positions makes of it: YaRN states the length before it and a
factor (Qwen's cards say so, with `max_position_embeddings` left as it was, DeepSeek's with it raised), linear and
dynamic scaling a factor; llama3 and longrope, and Gemma 3, state the length that comes out. This is what vLLM reads
(`_get_and_verify_max_len`). A sliding window limits what a layer looks back at and not where it may stand. Families
that state no length (Bloom, Mamba) have none.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from reachlab.models.checkpoint import find_checkpoint


def positions(path: str | Path) -> int | None:
    """The longest sequence that the checkpoint at `path` promises to handle; None where it promises nothing."""
    config = AutoConfig.from_pretrained(find_checkpoint(path), local_files_only=True).get_text_config()
    return stated(config)


def stated(config: Any) -> int | None:
    """As `positions`, of a text model's configuration."""
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return None
    if "gemma3" in str(getattr(config, "model_type", "")):
        return most
    longest = float(most)
    for rope in _scalings(config):
        kind, factor = rope.get("rope_type", rope.get("type")), float(rope.get("factor") or 1)
        if kind in ("yarn", "linear", "dynamic"):
            longest = max(longest, float(rope.get("original_max_position_embeddings") or most) * factor)
    return int(longest)


def _scalings(config: Any) -> Iterator[Mapping[str, Any]]:
    """The settings of the rotary positions: of all layers, or of each kind of layer."""
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, Mapping):
        return
    kinds = [inner for inner in found.values() if isinstance(inner, Mapping)]
    yield from kinds or [found]
