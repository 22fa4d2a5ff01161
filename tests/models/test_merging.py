import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tests.conftest import Command
from tests.tiny import tiny_model, tiny_tokenizer
from transformers import PreTrainedModel

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, save_model
from reachlab.models.checkpoint_files import find_checkpoint
from reachlab.models.merging import merge_adapter


@pytest.fixture
def adapter(checkpoint: Path, tmp_path: Path) -> Path:
    """A trained-looking LoRA of the tiny model, as PEFT saves it."""
    model, _ = load_model(checkpoint)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    adapted.peft_config["default"].base_model_name_or_path = str(checkpoint)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.arange(3, 15)[None]).logits
    return found


def test_the_checkpoint_says_what_base_and_adapter_say(adapter: Path, checkpoint: Path, tmp_path: Path) -> None:
    base, _ = load_model(checkpoint)
    before = logits(base)
    wanted = logits(PeftModel.from_pretrained(base, str(adapter)))
    merged, tokenizer = load_model(merge_adapter(adapter, tmp_path / "merged"))
    torch.testing.assert_close(logits(merged), wanted, rtol=1e-4, atol=1e-4)
    assert (before - wanted).abs().max() > 0.1
    assert tokenizer.get_vocab() == tiny_tokenizer().get_vocab()


def test_a_command_and_another_base(adapter: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    written = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(written | {"base_model_name_or_path": "/gone/model"}))
    code, _, err = command("merge", adapter, "--out", tmp_path / "merged")
    assert (code, err.count("\n")) == (2, 1)
    assert "name it with --base" in err
    assert not (tmp_path / "merged").exists()
    code, out, err = command("merge", adapter, "--base", checkpoint, "--out", tmp_path / "merged")
    assert code == 0, err
    assert str(tmp_path / "merged") in out
    code, _, err = command("merge", adapter, "--base", checkpoint, "--out", tmp_path / "merged")
    assert code == 2
    assert "already there" in err
    with pytest.raises(ReachlabError, match="reachlab merge"):
        find_checkpoint(adapter)


def test_weights_without_a_place_are_refused(adapter: Path, tmp_path: Path) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    first, *rest = sorted(weights)
    save_file({name: weights[name] for name in rest}, adapter / "adapter_model.safetensors")
    with pytest.raises(ReachlabError, match=r"lacks .*; is it of this base"):
        merge_adapter(adapter, tmp_path / "merged")
    save_file({**weights, first.replace(".0.", ".77."): weights[first].clone()}, adapter / "adapter_model.safetensors")
    with pytest.raises(ReachlabError, match=r"77.* have no place in the base"):
        merge_adapter(adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_its_own_tokenizer_goes_with_it(adapter: Path, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(adapter)
    _, found = load_model(merge_adapter(adapter, tmp_path / "merged"))
    assert found.chat_template == tokenizer.chat_template
    tokenizer.add_tokens([f"<{i}>" for i in range(5000)])
    tokenizer.save_pretrained(adapter)
    with pytest.raises(ReachlabError, match="resize the base"):
        merge_adapter(adapter, tmp_path / "other")


def test_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="no adapter of PEFT here"):
        merge_adapter(tmp_path, tmp_path / "merged")
    save_model(tmp_path / "model", tiny_model(), tiny_tokenizer())
    (tmp_path / "model" / "adapter_config.json").write_text("[]")
    with pytest.raises(ReachlabError, match="without weights"):
        merge_adapter(tmp_path / "model", tmp_path / "merged")
    (tmp_path / "model" / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ReachlabError, match="not readable"):
        merge_adapter(tmp_path / "model", tmp_path / "merged")
