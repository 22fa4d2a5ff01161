"""An adapter of PEFT put into its base: W + scale · B A for every adapted weight, so that any engine can load it.

Source: LoRA, arXiv 2106.09685; `merge_and_unload` of PEFT does the sum, for every kind of adapter that has one.
"""

import json
from pathlib import Path
from typing import Any

from reachlab.errors import NotFoundError, ReachlabError
from reachlab.extras import need
from reachlab.models.checkpoint import load_model, save_model
from reachlab.models.checkpoint_files import TOKENIZER_FILES
from reachlab.models.dtypes import own_dtype

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
COPIED = (
    *TOKENIZER_FILES,
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", "chat_template.jinja"),
)


def merge_adapter(adapter: str | Path, out: str | Path, base: str = "") -> Path:
    """Write the checkpoint that an adapter makes of its base, in the base's own dtype, and return its folder.

    Args:
        adapter: folder with adapter_config.json and adapter_model.safetensors.
        out: folder of the new checkpoint; it appears whole or not at all.
        base: the model under the adapter; "" is the one that its configuration names.

    Raises:
        ReachlabError: no adapter, no base, weights of the adapter that have no place in the base, a kind of adapter
            that cannot be merged, or a folder that is in use.
    """
    folder, target = Path(adapter), Path(out)
    named = _base_of(folder)
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise ReachlabError(f"{target}: already there; name another folder, or delete it")
    need("peft", what="merging")
    import peft

    base = base or named
    try:
        model, tokenizer = load_model(base, own_dtype(base))
    except ReachlabError as error:
        raise ReachlabError(f"{folder}: the base it names is not to be had ({error}); name it with --base") from error
    if any((folder / name).is_file() for name in TOKENIZER_FILES):
        tokenizer = _beside(folder, model)
    try:
        adapted = peft.PeftModel.from_pretrained(model, str(folder))
        _check_places(folder, adapted, peft)
        merged = adapted.merge_and_unload(safe_merge=True)
    except ReachlabError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ReachlabError(f"{folder}: cannot be merged into {base}: {reason[0][:300]}") from error
    save_model(target, merged, tokenizer)
    return target


def _base_of(folder: Path) -> str:
    if not (folder / CONFIG).is_file():
        raise NotFoundError(f"{folder}: no adapter of PEFT here ({CONFIG} is missing)")
    if not (folder / WEIGHTS).is_file():
        raise ReachlabError(f"{folder}: an adapter without weights ({WEIGHTS} is missing)")
    try:
        named = json.loads((folder / CONFIG).read_text("utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise ReachlabError(f"{folder / CONFIG}: not readable: {error}") from error
    return str(named or "")


def _beside(folder: Path, model: Any) -> Any:
    """The adapter's own tokenizer, as files; it may not know more tokens than the base has embeddings."""
    from transformers import AutoTokenizer

    try:
        known = len(AutoTokenizer.from_pretrained(folder, local_files_only=True))
    except Exception as error:
        raise ReachlabError(f"{folder}: its tokenizer cannot be loaded: {str(error).splitlines()[0]}") from error
    rows = model.get_input_embeddings().weight.shape[0]
    if known > rows:
        raise ReachlabError(
            f"{folder}: its tokenizer has {known} tokens and the base {rows} embeddings; resize the base as it was "
            "resized for training, save it, and name it with --base"
        )
    return {name: (folder / name).read_bytes() for name in COPIED if (folder / name).is_file()}


def _check_places(folder: Path, adapted: Any, peft: Any) -> None:
    """Every weight of the file is in the model, and every adapted layer got one: PEFT goes on without."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        stored = set(file.keys())
    found = set(peft.get_peft_model_state_dict(adapted))
    if missing := sorted(found - stored):
        raise ReachlabError(f"{folder}: {WEIGHTS} lacks {missing[0]} and {len(missing) - 1} more; is it of this base?")
    if strange := sorted(stored - found):
        raise ReachlabError(f"{folder}: {strange[0]} and {len(strange) - 1} more have no place in the base")
