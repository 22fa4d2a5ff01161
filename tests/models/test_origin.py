import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_model
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, save_model
from reachlab.models.origin import Origin, origin_of


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_what_is_built_here_says_so_wherever_it_is_copied_and_however_often_saved(
    checkpoint: Path, tmp_path: Path, qwen3: PreTrainedModel
) -> None:
    here = Origin(here=True, parameters=parameters(qwen3))
    assert origin_of(checkpoint) == here
    shutil.copytree(checkpoint, tmp_path / "copied")
    save_model(tmp_path / "again", *load_model(tmp_path / "copied"))
    assert origin_of(tmp_path / "again") == here


@pytest.mark.parametrize("family", ["olmoe"])
def test_so_does_a_sparse_model(family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    save_model(tmp_path / "sparse", tiny_model("olmoe"), tokenizer)
    assert origin_of(tmp_path / "sparse").here


def test_any_other_model_counts_as_pretrained_elsewhere(tmp_path: Path) -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=16))
    model.save_pretrained(tmp_path)
    assert origin_of(tmp_path) == Origin(here=False, parameters=parameters(model))


def test_the_older_format_is_counted_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    torch.save({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "pytorch_model.bin")
    assert origin_of(tmp_path) == Origin(here=False, parameters=17)


def test_several_files_are_added_up(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in ("model-1.safetensors", "model-2.safetensors"):
        header = json.dumps({"__metadata__": {}, "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}})
        (tmp_path / name).write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(24))
    assert origin_of(tmp_path).parameters == 12


def test_a_torn_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ReachlabError, match=r"not readable as a checkpoint: .*line 1"):
        origin_of(tmp_path)
