"""The whole study on a tiny model: with sizes that are said, and with sizes that are measured."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tests.conftest import Command
from tests.tiny import tiny_model, tiny_tokenizer

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.studies.own import measure, run
from reachlab.studies.own.config import OwnConfig
from reachlab.studies.own.plan import MODELS
from reachlab.studies.stages import Stage
from reachlab.studies.times import StageTimes
from reachlab.tasks.base import Split
from reachlab.tasks.registry import load_task

TASK = "countdown,numbers=3"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with a chat template."""
    folder, tokenizer = tmp_path_factory.mktemp("own") / "tiny", tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    save_model(folder, tiny_model(), tokenizer)
    return folder


@pytest.fixture
def one_after_the_other(command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stages run in this process, in an order that they can; the names of those that ran."""
    ran: list[str] = []
    threads = torch.get_num_threads()

    def run_here(stages: Sequence[Stage], cores: int, times: StageTimes | None = None) -> dict[str, float]:
        finished: dict[str, float] = {}
        for stage in stages:
            assert set(stage.needs) <= set(finished)
            code, _, err = command(*stage.command)
            assert code == 0, err
            ran.append(stage.name)
            finished[stage.name] = 60.0
            if times is not None:
                times.begin(stage.name)
                times.end(stage.name, 60.0, worked=True)
        return finished

    monkeypatch.setattr(run, "run_stages", run_here)
    monkeypatch.setattr(measure, "run_stages", run_here)
    yield ran
    torch.set_num_threads(threads)


def config(asked: Path, out: Path, **said: object) -> OwnConfig:
    return OwnConfig(**{"model": str(asked), "task": f"{TASK},template=bare", "out": str(out), "device": "cpu", **said})  # type: ignore[arg-type]


SIZES = {"max_tokens": 40, "problems": 4, "samples": 6, "steps": 2, "pods_steps": 1, "distill_steps": 1, "prompts": 4,
         "rollouts": 2}  # fmt: skip


@pytest.mark.slow
def test_a_study_of_said_sizes_and_again(asked: Path, tmp_path: Path, one_after_the_other: list[str]) -> None:
    study = config(asked, tmp_path / "own", **SIZES)
    heard: list[str] = []
    page = run.run_own(study, heard.append)
    html = page.read_text()
    assert "no sure gain over the base that a control could explain" in html
    assert heard[0].startswith("4 held-out problems, 6 answers of each model to each")
    assert len(one_after_the_other) == 12
    stores = [SampleStore(RunFolder(tmp_path / "own" / "samples" / name)).outcomes() for name in MODELS]
    assert all(store.n_P.tolist() == [6] * 4 for store in stores)
    assert len({store.problem_ids for store in stores}) == 1
    found = json.loads((tmp_path / "own" / "own.json").read_text())
    assert len(found["verdicts"]) == 5
    taught, continued = (
        sum(row["tokens"] for row in RunFolder(tmp_path / "own" / name).metrics())
        for name in ("distilled", "continued")
    )
    assert 0 <= continued - taught < 32 * 40
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "own").rglob("*.safetensors")}
    run.run_own(study, heard.append)
    assert heard[-1] == "going on by the plan in plan.json"
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "own").rglob("*.safetensors")} == written
    with pytest.raises(ReachlabError, match="samples was 6, now 7"):
        run.run_own(config(asked, tmp_path / "own", **{**SIZES, "samples": 7}))


@pytest.mark.slow
def test_a_study_that_measures_first(asked: Path, tmp_path: Path, one_after_the_other: list[str]) -> None:
    """All sizes but one are said, for these are tests."""
    said = {name: value for name, value in SIZES.items() if name != "pods_steps"}
    study = config(asked, tmp_path / "own", hours=10.0, **said)
    run.run_own(study)
    assert one_after_the_other[:3] == ["measure: own answers", "measure: distil", "measure: RL, GRPO"]
    plan = RunFolder(tmp_path / "own").read_json("plan.json")
    assert plan["plan"]["sizes"]["problems"] == 4
    assert plan["plan"]["sizes"]["pods_steps"] >= 1
    assert set(plan["plan"]["seconds"]) >= {"distil", "continue", "sample base", "RL, PODS"}
    assert sum(plan["measured"]["drawn"]) == 64
    assert plan["measured"]["prompt_tokens"] > 5
    assert not (tmp_path / "own" / ".measure").exists()


def test_too_little_time_says_how_much_it_takes(asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.studies.own.test_plan import SMALL

    monkeypatch.setattr(run, "measure", lambda *_: SMALL)
    with pytest.raises(ReachlabError, match=r"--hours 0.06 is too little .*: it takes --hours 0\.\d+ or more$"):
        run.run_own(config(asked, tmp_path / "own", hours=0.06))
    assert not (tmp_path / "own" / "run.json").exists()


def test_a_task_without_held_out_problems(asked: Path, tmp_path: Path) -> None:
    file = tmp_path / "two.jsonl"
    file.write_text(json.dumps({"question": "1+1?", "answer": "2"}) + "\n")
    with pytest.raises(ReachlabError, match=r"no problem in split '(test|train)'"):
        run.run_own(config(asked, tmp_path / "own", task=f"math:{file}"))


@pytest.mark.parametrize(
    ("spec", "split", "least", "most"),
    [
        ("gym:chain_sum,min_terms=2,max_terms=2,min_digits=1,max_digits=1", "train", 100, 200),
        ("countdown", "test", run.MANY, run.MANY),
    ],
)
def test_how_many_problems_a_generated_task_has(spec: str, split: Split, least: int, most: int) -> None:
    assert least <= run._distinct(load_task(spec), split, 0) <= most
