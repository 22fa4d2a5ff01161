import base64
import json
import pickle
import re
import zlib
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.small_hub import NEW, OLD, Repo, SmallHub

from reachlab.errors import ReachlabError
from reachlab.hub import HubName, fetch, parse
from reachlab.models.checkpoint import load_model
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.tasks.registry import load_task
from reachlab.tasks.rows import read_rows


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
    assert (found.commit, found.current) == (OLD, True)
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
    assert (again.folder, again.current) == (found.folder, False)
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


LINES = [b'{"question": "1+1=", "answer": "2"}\n', b'{"question": "2+2=", "answer": "4"}\n']


def test_files_of_a_data_set(hub: SmallHub) -> None:
    old = {"a/test.jsonl": LINES[0], "test2.jsonl": LINES[1] + b" " * 5000 + b"\n"}
    hub.datasets["some/data"] = Repo({OLD: old, NEW: {"a/test.jsonl": LINES[1]}}, {"main": OLD, "v2": NEW})
    rows = list(read_rows("hub:some/data/a/test.jsonl,test2.jsonl"))
    assert [(place, row["answer"]) for place, row in rows] == [
        ("some/data/a/test.jsonl:1", "2"),
        ("some/data/test2.jsonl:1", "4"),
    ]
    assert [row["answer"] for _, row in read_rows("hub:some/data@v2/a/test.jsonl")] == ["4"]
    (first, second) = load_task("math:hub:some/data/a/test.jsonl,test2.jsonl,template=plain").problems("all")
    assert (first.prompt, second.prompt) == ("1+1=\n", "2+2=\n")
    for name, says in (
        ("some/data/gone.jsonl", "some/data/gone.jsonl: it has no such file"),
        ("some/data@v9/a/test.jsonl", "the hub has no such revision of it"),
        ("some/other/test.jsonl", "no such data set on the hub"),
        ("some", "as in hub:ORG/NAME/FILE"),
    ):
        with pytest.raises(ReachlabError, match=re.escape(says)):
            list(read_rows(f"hub:{name}"))


def test_livecodebench_by_release(hub: SmallHub) -> None:
    def row(number: int) -> bytes:
        cases = [{"input": "", "output": str(number), "testtype": "stdin"}]
        packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()
        asked = {"question_id": str(number), "question_content": f"Print {number}.", "starter_code": ""}
        return json.dumps({**asked, "public_test_cases": "[]", "private_test_cases": packed, "metadata": "{}"}).encode()

    files = {f"test{n if n > 1 else ''}.jsonl": row(n) for n in range(1, 7)}
    hub.datasets["livecodebench/code_generation_lite"] = Repo({OLD: files}, {"main": OLD})
    found = load_task("livecodebench,release=v2").problems("all")
    assert [p.id for p in found] == ["1", "2"]
    assert found[1].answer["examples"] == [{"input": "", "output": "2"}]
    assert not any("test3" in line for line in hub.asked)
    assert len(load_task("livecodebench,release=release_v3").problems("all")) == 3
    assert len(load_task("livecodebench").problems("all")) == 6
    for spec, says in (
        ("livecodebench,release=v7", "livecodebench: no release 'v7'; there are v1, v2, v3, v4, v5, v6"),
        ("math500,release=v1", "math500: no release 'v1'; it has no releases"),
        ("livecodebench:x.jsonl,release=v1", "a file is named, so there is no release to choose"),
    ):
        with pytest.raises(ReachlabError, match=re.escape(says)):
            load_task(spec)
