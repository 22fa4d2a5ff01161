import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny import names
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, load_tokenizer, restore_folder, save_folder, save_model
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.models.tokenizer import encode_prompts
from reachlab.training.text import Document, document_batches
from reachlab.types import Chat


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def same(a: PreTrainedModel, b: PreTrainedModel) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("family", ["checkpoint", "moe_checkpoint"])
def test_what_is_saved_is_transformers_own_format(family: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(family)
    made = request.getfixturevalue("qwen3" if family == "checkpoint" else "olmoe")
    ours, tokenizer = load_model(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert same(ours, made)
    assert same(theirs, made)
    assert not ours.training
    text = "12 11=23:"
    assert AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_model_in_bfloat16(checkpoint: Path) -> None:
    model, _ = load_model(checkpoint, "bfloat16")
    assert model.dtype == torch.bfloat16


def test_a_training_run_stands_for_its_model(checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with pytest.raises(ReachlabError, match="this training run has not finished: run its command again"):
        find_checkpoint(run)
    kept = shutil.copytree(checkpoint, run / "checkpoints" / "step-000050")
    assert find_checkpoint(kept) == kept
    with pytest.raises(ReachlabError, match="run its command again or name one of its checkpoints/"):
        find_checkpoint(run)
    shutil.copytree(checkpoint, run / "model")
    assert find_checkpoint(run) == run / "model"
    assert hash_model(run) == hash_model(checkpoint)
    load_model(run)


def test_no_folder_and_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="nothing: no such model folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ReachlabError, match=r"no checkpoint here, config\.json is missing$"):
        load_model(tmp_path)


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _garbage(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(b"\x00garbage")

    return spoil


def _without_a_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 40}))


def _other_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "vit"}')


def _no_end(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_without("tokenizer.json"), r"a checkpoint without a tokenizer; copy tokenizer\.json"),
        (_without("model.safetensors"), r"no weights here \(\*\.safetensors\)"),
        (_garbage("model.safetensors"), "not loadable as a causal language model: "),
        (_garbage("tokenizer.json"), "its tokenizer cannot be loaded: "),
        (_garbage("config.json"), "cannot be loaded|not loadable"),
        (_without_a_tensor, r"the weights lack model\.layers\.1\.mlp\.up_proj\.weight$"),
        (_other_shape, "not loadable as a causal language model: "),
        (_other_architecture, "not loadable as a causal language model: "),
        (_no_end, r"no end-of-text token \(eos_token in tokenizer_config\.json\)"),
    ],
)
def test_a_damaged_checkpoint_is_named(copy: Path, damage: Callable[[Path], None], says: str) -> None:
    damage(copy)
    with pytest.raises(ReachlabError, match=says) as error:
        load_model(copy)
    assert str(copy) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_padding_pads_with_its_end(copy: Path) -> None:
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(copy)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1


def test_the_hash_follows_whatever_decides_an_answer(copy: Path, checkpoint: Path) -> None:
    before = hash_model(copy)
    assert before == hash_model(checkpoint)
    (copy / "README.md").write_text("words")
    os.utime(copy / "config.json")
    assert hash_model(copy) == before
    seen = {before}
    for name in ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"):
        with (copy / name).open("a") as file:
            file.write(" ")
        seen.add(hash_model(copy))
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"] + 1e-6
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    seen.add(hash_model(copy))
    assert len(seen) == 6


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        (path / "a").write_text("new")

    def fail(path: Path) -> None:
        (path / "a").write_text("half")
        raise OSError(28, "No space left on device")

    target = tmp_path / "state"
    with pytest.raises(ReachlabError, match=r"state: not written: \[Errno 28\] No space left on device"):
        save_folder(target, fail)
    assert names(tmp_path) == []
    save_folder(target, fill)
    with pytest.raises(ReachlabError, match="not written"):
        save_folder(target, fail)
    assert (target / "a").read_text() == "new"
    save_folder(target, fill)
    assert names(tmp_path) == ["state"]


def test_an_interrupted_replacement_is_put_right(tmp_path: Path) -> None:
    target = tmp_path / "state"
    (tmp_path / ".state.1234abcd.old").mkdir()
    (tmp_path / ".state.1234abcd.old" / "a").write_text("last good")
    (tmp_path / ".state.1234abcd.tmp").mkdir()
    (tmp_path / ".state2.1234abcd.tmp").mkdir()
    restore_folder(target)
    assert names(tmp_path) == [".state2.1234abcd.tmp", "state"]
    assert (target / "a").read_text() == "last good"
    (tmp_path / ".state.99999999.old").mkdir()
    restore_folder(target)
    assert names(tmp_path) == [".state2.1234abcd.tmp", "state"]
    assert (target / "a").read_text() == "last good"


def test_a_disk_that_fills_up_while_a_model_is_saved(
    tmp_path: Path,
    qwen3: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_model(tmp_path / "model", qwen3, tokenizer)
    before = hash_model(tmp_path / "model")

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(type(qwen3), "save_pretrained", full)
    with pytest.raises(ReachlabError, match=r"model: not written: .*No space left"):
        save_model(tmp_path / "model", qwen3, tokenizer)
    assert hash_model(tmp_path / "model") == before
    assert names(tmp_path) == ["model"]


def _with_tokenizer(checkpoint: Path, folder: Path, change: Callable[[PreTrainedTokenizerBase], object]) -> Path:
    shutil.copytree(checkpoint, folder)
    tokenizer = load_tokenizer(folder)
    change(tokenizer)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_padding_token_beyond_the_embeddings_is_not_used(checkpoint: Path, tmp_path: Path) -> None:
    folder = _with_tokenizer(checkpoint, tmp_path / "it", lambda t: t.add_special_tokens({"pad_token": "[PAD]"}))
    model, tokenizer = load_model(folder)
    rows = model.get_input_embeddings().weight.shape[0]
    assert tokenizer.convert_tokens_to_ids("[PAD]") >= rows
    assert tokenizer.pad_token_id == tokenizer.eos_token_id < rows
    batch = document_batches(lambda start, n: [Document("1+1=", "2"), Document("1=", "1")], tokenizer, 2, 9, True)(0)
    assert model(input_ids=batch.ids_BT).logits.isfinite().all()


def test_an_end_token_beyond_the_embeddings_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = _with_tokenizer(checkpoint, tmp_path / "it", lambda t: t.add_special_tokens({"eos_token": "<|im_end|>"}))
    with pytest.raises(ReachlabError, match=r"its end-of-text token '<\|im_end\|>' is number \d+ and the model has"):
        load_tokenizer(folder)


def test_a_prompt_with_a_token_beyond_the_embeddings_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    def add(tokenizer: PreTrainedTokenizerBase) -> None:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
        tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}"

    tokenizer = load_tokenizer(_with_tokenizer(checkpoint, tmp_path / "it", add))
    assert encode_prompts(tokenizer, ["1+1="])
    with pytest.raises(ReachlabError, match=r"writes '<\|im_start\|>', token \d+, and the model has \d+ embeddings"):
        encode_prompts(tokenizer, [Chat(({"role": "user", "content": "1+1="},))])
