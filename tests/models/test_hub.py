import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.models.small_hub import Repo, SmallHub, commit, small_hub

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import find_checkpoint, hash_model, load_model
from reachlab.models.hub import HubName, fetch, parse

OLD, NEW = commit(1), commit(2)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> Iterator[SmallHub]:
    """A hub with the tiny model under `tiny/model`, and a cache of its own."""
    with small_hub() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        files = found.files(checkpoint)
        found.models["tiny/model"] = Repo({OLD: files}, {"main": OLD})
        yield found


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("Qwen/Qwen2.5-0.5B", HubName("Qwen/Qwen2.5-0.5B")),
        ("a/b@v1.0", HubName("a/b", "v1.0")),
        ("a/b@refs/pr/3", HubName("a/b", "refs/pr/3")),
        ("gpt2", None),
        ("/a/b", None),
        ("./a", None),
        ("runs/base/model", None),
        ("a/b@", None),
        ("../b", None),
        ("a/b--c", None),
        ("s3://a/b", None),
    ],
)
def test_what_can_be_a_name(name: str, is_one: HubName | None) -> None:
    assert parse(name) == is_one
    assert is_one is None or str(is_one) == name


def test_a_model_is_fetched_once_and_is_the_one_in_the_folder(hub: SmallHub, checkpoint: Path) -> None:
    found = fetch(HubName("tiny/model"))
    assert (found.commit, found.asked) == (OLD, True)
    assert hash_model(found.folder) == hash_model(checkpoint)
    asked = len(hub.asked)
    assert fetch(HubName("tiny/model", OLD)) == found
    assert len(hub.asked) == asked  # a commit does not change, so nobody is asked
    assert find_checkpoint("tiny/model") == found.folder
    assert hub.fetched().count("model.safetensors") == 1
    load_model("tiny/model")


def test_what_is_fetched_is_what_is_read(hub: SmallHub) -> None:
    repo = hub.models["tiny/model"]
    files = repo.commits[OLD]
    extra = ("pytorch_model.bin", "consolidated.safetensors", "original/params.json", "onnx/model.onnx", "README.md")
    wanted = {"chat_template.jinja": b"x", "preprocessor_config.json": b"{}", "tokenizer.model": b"x"}
    repo.commits[NEW] = {**files, **dict.fromkeys(extra, b"x" * 5000), **wanted}
    found = fetch(HubName("tiny/model", NEW))
    assert sorted(p.name for p in found.folder.iterdir()) == sorted({**files, **wanted})
    # What another program put beside changes nothing.
    before = hash_model(found.folder)
    for name in extra[:2]:
        (found.folder / name).write_bytes(b"x")
    assert hash_model(found.folder) == before
    only = {"pytorch_model.bin": b"x", **{k: v for k, v in files.items() if not k.endswith(".safetensors")}}
    hub.models["tiny/old"] = Repo({OLD: {**only, "training_args.bin": b"x"}}, {"main": OLD})
    folder = fetch(HubName("tiny/old")).folder
    assert sorted(p.name for p in folder.iterdir()) == sorted(only)
    assert fetch(HubName("tiny/old", OLD)).folder == folder


def test_a_broken_connection_goes_on_where_it_broke(
    hub: SmallHub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.break_after = 5000
    assert hash_model(fetch(HubName("tiny/model")).folder) == hash_model(checkpoint)
    assert "bytes=5000-" in hub.ranges


def test_what_is_not_whole_is_not_taken(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fetch(HubName("tiny/model"))
    (found.folder / "model.safetensors").resolve().unlink()
    (found.folder / "model.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ReachlabError, match=f"tiny/model@{OLD}: not in the cache, or not whole, and HF_HUB_OFFLINE"):
        fetch(HubName("tiny/model", OLD))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert fetch(HubName("tiny/model", OLD)).folder.joinpath("model.safetensors").is_file()
    assert hub.fetched().count("tokenizer.json") == 1


def test_without_a_way_to_the_hub(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fetch(HubName("tiny/model"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = fetch(HubName("tiny/model"))
    assert (again.folder, again.asked) == (found.folder, False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert fetch(HubName("tiny/model")) == again
    with pytest.raises(ReachlabError, match=r"tiny/other: no such folder here, and the hub .* cannot be reached"):
        fetch(HubName("tiny/other"))


@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("tiny/nothing", None, "tiny/nothing: no such folder here, and no such model on the hub"),
        ("tiny/model@v7", None, "tiny/model@v7: the hub has no such revision of it"),
        ("a/b", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, "a/b: holds an adapter of PEFT"),
        (
            "a/b",
            {"config.json": b"{}", "adapter_config.json": b"{}", "adapter_model.safetensors": b"x"},
            "an adapter of PEFT",
        ),
        ("a/b", {"model-Q4.gguf": b"x", "config.json": b"{}"}, "a/b: holds GGUF files only"),
        ("a/b", {"config.json": b"{}", "README.md": b"x"}, "a/b: no weights"),
        ("a/b", {"consolidated.safetensors": b"x", "params.json": b"{}"}, "a/b: no config.json"),
    ],
)
def test_what_is_refused(name: str, files: dict[str, bytes] | None, says: str, hub: SmallHub) -> None:
    if files is not None:
        hub.models["a/b"] = Repo({OLD: files}, {"main": OLD})
    with pytest.raises(ReachlabError, match=re.escape(says)) as caught:
        find_checkpoint(name)
    assert "\n" not in str(caught.value)


def test_a_gated_model(hub: SmallHub, monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> None:
    hub.models["tiny/model"].gated = True
    for token in ("", "hf_wrong"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(ReachlabError, match=r"accept its licence: .*environment variable HF_TOKEN") as caught:
            fetch(HubName("tiny/model"))
        assert "hf_wrong" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert hash_model(fetch(HubName("tiny/model")).folder) == hash_model(checkpoint)


def test_a_folder_of_that_name_wins(
    hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "model").symlink_to(checkpoint)
    assert find_checkpoint("tiny/model") == Path("tiny/model")
    assert not hub.asked
