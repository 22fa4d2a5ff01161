"""Which dtype a checkpoint's weights are in: what its configuration says, or else what most of them are stored as."""

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint_files import Dtype, find_checkpoint

DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16")
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def own_dtype(path: str | Path) -> Dtype:
    """The checkpoint's own dtype.

    Raises:
        ReachlabError: it does not say, or it is not one that we compute in.
    """
    folder = find_checkpoint(path)
    dtype = _named_in(json.loads((folder / "config.json").read_text(encoding="utf-8"))) or _stored(folder)
    if dtype not in DTYPES:
        what = f"its weights are {dtype}" if dtype else "it does not say what its weights are"
        raise ReachlabError(f"{folder}: {what}; say what to compute in: --dtype {' or '.join(DTYPES)}")
    return dtype


def _named_in(config: dict[str, Any]) -> str | None:
    for part in (config, config.get("text_config") or {}):
        dtype = part.get("dtype") or part.get("torch_dtype")  # the second is the name of an earlier day
        if isinstance(dtype, str):
            return dtype.removeprefix("torch.")
    return None


def _stored(folder: Path) -> str | None:
    """The commonest dtype in the header of the first file of weights."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    with files[0].open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    kinds = Counter(str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__")
    ((commonest, _),) = kinds.most_common(1) or [("nothing", 0)]
    return _STORED.get(commonest, commonest)
