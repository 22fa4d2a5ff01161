"""How many tokens a checkpoint was made for, prompt and answer together.

`max_position_embeddings`, or what a scaling of its rotary positions makes of it: YaRN states the length before it and a
factor (Qwen's cards say so, with `max_position_embeddings` left as it was, DeepSeek's with it raised), linear and
dynamic scaling a factor; llama3 and longrope, and Gemma 3, state the length that comes out. This is what vLLM reads
(`_get_and_verify_max_len`). A sliding window limits what a layer looks back at and not where it may stand. Families
that state no length (Bloom, Mamba) have none.

Dynamic NTK and longrope turn all of a text's tokens by other angles once the text is longer than the original length.
Beyond it what a token's probability is depends on how many come after it, and in a batch on the other texts: what is
sampled token by token is then not what is scored or trained on. Here such a checkpoint has its original length, where
`steady` says so. (vLLM, which knows the longest text when it starts, keeps to one set of angles.)
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint_files import find_checkpoint


def positions(path: str | Path, *, elsewhere: bool = False) -> int | None:
    """The longest sequence that the checkpoint at `path` promises to handle, and that can be computed here, or
    `elsewhere` (by vLLM); None where it promises nothing."""
    config = AutoConfig.from_pretrained(find_checkpoint(path), local_files_only=True).get_text_config()
    limits = stated(config), None if elsewhere else steady(config)
    return min((n for n in limits if n is not None), default=None)


def steady(config: Any) -> int | None:
    """The longest sequence whose tokens are turned by angles that depend on their positions alone; None: any."""
    limits = []
    for rope in _scalings(config):
        kind, most = rope.get("rope_type", rope.get("type")), getattr(config, "max_position_embeddings", None)
        if kind == "dynamic":
            limits.append(most)
        elif kind == "longrope" and rope.get("short_factor") != rope.get("long_factor"):
            first = rope.get("original_max_position_embeddings")
            limits.append(first or getattr(config, "original_max_position_embeddings", None) or most)
    return min((int(n) for n in limits if n), default=None)


def refuse_unsteady(config: Any, longest: int) -> None:
    """See that sequences of up to `longest` tokens can be sampled and trained on.

    Raises:
        ReachlabError: they cannot, for what a token's probability is would depend on what comes after it.
    """
    most = steady(config)
    if most is not None and longest > most:
        raise ReachlabError(
            f"{config.model_type}: sequences of up to {longest:,} tokens, and beyond {most:,} this checkpoint's rotary "
            "positions (dynamic or longrope) turn with a text's length, so that no token has one probability: keep "
            f"prompt and answer within {most:,}, or make the positions fixed in its config.json (longrope: the same "
            "short_factor and long_factor)"
        )


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
    parameters = getattr(config, "rope_parameters", None)
    if not isinstance(parameters, Mapping):
        return
    kinds = [inner for inner in parameters.values() if isinstance(inner, Mapping)]
    yield from kinds or [parameters]
