import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reachlab.errors import ReachlabError
from reachlab.models.dtypes import own_dtype


def checkpoint(folder: Path, *stored: torch.dtype, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    save_file({f"w{i}": torch.zeros(2, dtype=d) for i, d in enumerate(stored)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    "config", [{"dtype": "bfloat16"}, {"torch_dtype": "torch.bfloat16"}, {"text_config": {"dtype": "bfloat16"}}]
)
def test_what_the_configuration_says(config: dict[str, object], tmp_path: Path) -> None:
    assert own_dtype(checkpoint(tmp_path, torch.float32, **config)) == "bfloat16"


def test_else_what_most_weights_are_stored_as(tmp_path: Path) -> None:
    assert own_dtype(checkpoint(tmp_path, torch.float32, torch.float16, torch.float16)) == "float16"


@pytest.mark.parametrize(("stored", "says"), [((torch.int8,), "its weights are I8"), ((), "does not say")])
def test_others_have_to_be_said(stored: tuple[torch.dtype, ...], says: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, *stored)
    if not stored:
        (folder / "model.safetensors").unlink()
    with pytest.raises(ReachlabError, match=f"{says}.*--dtype float32 or bfloat16 or float16"):
        own_dtype(folder)
