import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from tests.conftest import Command
from tests.small_hub import NEW, OLD, SmallHub
from tests.tiny import TASK, reachlab, rows_of

from reachlab.engines.config import Decoding
from reachlab.errors import ReachlabError
from reachlab.measures.scoring import judge_name
from reachlab.models.checkpoint_files import hash_model
from reachlab.models.pinning import locate
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.studies.curves import label
from reachlab.studies.stages import pinned


def asked(out: Path, model: str, samples: int = 2) -> SampleConfig:
    return SampleConfig(
        model=model, task=TASK, out=str(out), problems=2, samples=samples, decoding=Decoding(max_tokens=4), part=2
    )


def run_of(out: Path) -> dict[str, Any]:
    return RunFolder(out).read_json("run.json")


def move_main(hub: SmallHub) -> None:
    """Other weights on main."""
    repo = hub.models["tiny/model"]
    generation = json.dumps({"eos_token_id": 2}).encode()
    repo.commits[NEW] = {**repo.commits[OLD], "generation_config.json": generation}
    repo.refs["main"] = NEW
    repo.refs["v1"] = OLD


def test_a_folder_is_itself(checkpoint: Path, hub: SmallHub) -> None:
    found = locate(str(checkpoint))
    assert (found.folder, found.name, found.facts) == (str(checkpoint),) * 2 + ({"model_path": str(checkpoint)},)
    # What is no name of the hub is refused by whoever wants the folder.
    assert locate("/nowhere/at/all").folder == "/nowhere/at/all"
    assert not hub.asked


def test_the_identity_is_that_of_the_files(hub: SmallHub, checkpoint: Path, tmp_path: Path) -> None:
    for name, model in (("a", "tiny/model"), ("b", f"tiny/model@{OLD}"), ("c", str(checkpoint))):
        sample(asked(tmp_path / name, model))
    assert run_of(tmp_path / "a")["config"] == run_of(tmp_path / "b")["config"] == run_of(tmp_path / "c")["config"]
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "c")
    facts = run_of(tmp_path / "a")["facts"]
    assert (facts["model_path"], facts["model_revision"]) == (f"tiny/model@{OLD}", "main")
    sample(asked(tmp_path / "c", f"tiny/model@{OLD}", 2))  # a run goes on from a copy in a folder, and back


def test_a_run_goes_on_with_the_commit_that_it_began_with(hub: SmallHub, tmp_path: Path) -> None:
    sample(asked(tmp_path / "run", "tiny/model"))
    move_main(hub)
    said: list[str] = []
    for name in ("tiny/model", "tiny/model@main", "tiny/model@v1", f"tiny/model@{OLD}"):
        assert sample(asked(tmp_path / "run", name), said.append).drawn == 0
    words = f"is now at {NEW[:12]}; this run goes on with {OLD[:12]}, which it began with"
    assert said == [f"tiny/model {words}", f"tiny/model@main {words}"]
    with pytest.raises(ReachlabError, match="another configuration: model was"):
        sample(asked(tmp_path / "run", f"tiny/model@{NEW}"))
    sample(asked(tmp_path / "other", "tiny/model"))
    assert run_of(tmp_path / "other")["facts"]["model_path"] == f"tiny/model@{NEW}"
    assert hash_model(f"tiny/model@{NEW}") == run_of(tmp_path / "other")["config"]["model"]


def test_without_a_hub_a_run_goes_on(hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample(asked(tmp_path / "run", "tiny/model"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said: list[str] = []
    assert sample(asked(tmp_path / "run", "tiny/model"), said.append).drawn == 0
    assert not said
    sample(asked(tmp_path / "new", "tiny/model"), said.append)
    assert said == [f"tiny/model: the hub cannot be reached; {OLD[:12]}, the last that was fetched, is taken"]


def test_another_revision_is_taken_at_its_word(hub: SmallHub, tmp_path: Path) -> None:
    move_main(hub)
    sample(asked(tmp_path / "run", "tiny/model@v1"))
    assert run_of(tmp_path / "run")["facts"]["model_revision"] == "v1"
    with pytest.raises(ReachlabError, match="another configuration: model was"):
        sample(asked(tmp_path / "run", "tiny/model@main"))


def test_a_study_calls_it_by_its_commit(hub: SmallHub, tmp_path: Path, checkpoint: Path) -> None:
    assert pinned(str(checkpoint), str(tmp_path)) == str(checkpoint)
    assert pinned("tiny/model", str(tmp_path)) == f"tiny/model@{OLD}"
    sample(asked(tmp_path / "samples" / "base", "tiny/model"))
    move_main(hub)
    said: list[str] = []
    assert pinned("tiny/model", str(tmp_path), said.append) == f"tiny/model@{OLD}"
    assert len(said) == 1
    assert label([f"tiny/model@{OLD}", "runs/rl"]) == {f"tiny/model@{OLD}": "model", "runs/rl": "rl"}
    assert judge_name(f"tiny/model@{OLD}") == judge_name("tiny/model") == "model"


def test_every_command_takes_it(hub: SmallHub, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "run"
    words = ("--task", TASK, "--max-tokens", "8")
    asked_of = ("sample", "--model", "tiny/model", *words, "--problems", "2", "--samples", "2", "--out", out)
    for call in (
        asked_of,
        ("entropy", "tiny/model", *words, "--problems", "2", "--samples", "2", "--match", f"tiny/model@{OLD}"),
        ("score", out, "--model", "tiny/model"),
        ("distill", "--model", "tiny/model", "--teacher", "solver", "--task", TASK, "--steps", "1", "--batch", "2",
         "--out", tmp_path / "distilled"),
        ("rl", "--model", "tiny/model", *words, "--steps", "1", "--prompts", "2", "--rollouts", "2",
         "--out", tmp_path / "rl"),
    ):  # fmt: skip
        code, _, says = command(*call)
        assert code == 0, says
    for name in ("distilled", "rl"):
        assert run_of(tmp_path / name)["facts"]["model_path"] == f"tiny/model@{OLD}"
    code, _, says = command("moe", "inspect", "tiny/nothing")
    assert (code, says.strip().count("\n")) == (2, 0)
    assert "no such model on the hub" in says


def test_the_variables_of_the_environment(hub: SmallHub, tmp_path: Path) -> None:
    hub.models["tiny/model"].gated = True
    words = (
        "sample",
        "--model",
        "tiny/model",
        "--task",
        TASK,
        "--problems",
        "1",
        "--samples",
        "1",
        "--max-tokens",
        "2",
    )
    home = tmp_path / "home"
    done = reachlab(
        *words, "--out", tmp_path / "run",
        HF_ENDPOINT=hub.url, HF_HOME=str(home), HF_HUB_OFFLINE="0", HF_TOKEN=hub.token,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "fetch tiny/model (MB)" in done.stderr
    assert hub.token not in done.stderr + done.stdout + (tmp_path / "run" / "run.json").read_text()
    assert (home / "hub" / "models--tiny--model" / "snapshots" / OLD / "config.json").is_file()
