import asyncio
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import Command
from tests.tiny import TASK, in_a_fork, kill_again_and_again, rows_of, touches
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

from reachlab.engines.concurrent import ConcurrentEngine
from reachlab.engines.config import Decoding, DecodingChoice
from reachlab.engines.engine import EngineAnswer
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.models.checkpoint_files import hash_model
from reachlab.runs import RunFolder
from reachlab.sampling import work
from reachlab.sampling.config import SampleConfig, VerifyConfig
from reachlab.sampling.run import sample
from reachlab.sampling.verifying import verify
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import FAMILIES, load_task
from reachlab.types import Prompt, Sample, StepCheck

PROBLEMS, SAMPLES = 6, 30


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    """A run of twelve small parts."""
    return {
        "model": str(checkpoint),
        "task": TASK,
        "out": str(tmp_path / "run"),
        "problems": PROBLEMS,
        "samples": SAMPLES,
        "decoding": Decoding(max_tokens=8),
        "rows": 16,
        "part": 15,
    }


@pytest.fixture(scope="module")
def whole(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All rows of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    sample(
        SampleConfig(
            model=str(checkpoint), task=TASK, out=str(out), problems=PROBLEMS, samples=SAMPLES,
            decoding=Decoding(max_tokens=8), rows=16, part=15,
        )
    )  # fmt: skip
    return rows_of(out)


def test_a_run_holds_every_sample_judged(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    result = sample(SampleConfig(**settings))
    assert (result.drawn, result.stored) == (180, 180)
    assert result.doubts is not None
    assert result.doubts.lines() == []
    assert rows_of(settings["out"]) == whole
    store = SampleStore(RunFolder(settings["out"]))
    task = load_task(TASK)
    problems = {p.id: p for p in task.problems("test", PROBLEMS)}
    assert store.problems() == list(problems.values())
    assert store.drawn() == {p: set(range(SAMPLES)) for p in problems}
    for row in whole:
        assert task.verify(problems[row["problem_id"]], row["text"]).status == row["verdict"]
        check = task.check_steps(problems[row["problem_id"]], row["text"])
        assert check == StepCheck(row["valid_steps"], row["steps"])
        assert row["final_answer"] is None  # the chain itself is the answer
        assert 1 <= row["tokens"] <= 8
        assert row["finish"] == "stop" or row["tokens"] == 8
        assert row["engine"] == "transformers"
    assert len({row["seed"] for row in whole}) == 180
    assert len(store.parts()) == 12


def test_a_finished_run_draws_nothing(settings: dict[str, Any]) -> None:
    sample(SampleConfig(**settings))
    before = {p.name: p.stat().st_mtime_ns for p in Path(settings["out"]).rglob("*")}
    assert sample(SampleConfig(**settings)).drawn == 0
    assert {p.name: p.stat().st_mtime_ns for p in Path(settings["out"]).rglob("*")} == before


def test_verdicts_to_look_at_are_said(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setitem(FAMILIES.places, "said", "tests.training.letters:Said")
    result = sample(SampleConfig(**{**settings, "task": "said", "decoding": Decoding(max_tokens=2)}))
    rows = rows_of(settings["out"])
    cut_right = [r for r in rows if r["finish"] == "length" and r["verdict"] == "correct"]
    assert result.doubts is not None
    assert result.doubts.cut == len(cut_right) > 0
    assert result.doubts.contradictions > 0
    assert {d.problem_id for d in result.doubts.named} <= {r["problem_id"] for r in rows}
    code, out, _ = command(
        "sample", "--model", settings["model"], "--task", "said", "--out", settings["out"], "--problems", PROBLEMS,
        "--samples", SAMPLES, "--max-tokens", "2",
    )  # fmt: skip
    assert (code, out) == (
        0,
        f"{settings['out']}: 180 samples stored, 0 drawn now\n" + "".join(f"{x}\n" for x in result.doubts.lines()),
    )


def test_a_run_killed_again_and_again_equals_an_undisturbed_one(
    settings: dict[str, Any], whole: list[dict[str, Any]]
) -> None:
    most = touches(lambda: sample(SampleConfig(**{**settings, "out": settings["out"] + "-counted"})))
    hits = kill_again_and_again(lambda: sample(SampleConfig(**settings)), most, kills=10, seed=1)
    assert hits >= 3
    assert rows_of(settings["out"]) == whole


class Stuck(ConcurrentEngine):
    """Answers what it is asked first, and of the rest nothing before `until()` held."""

    def __init__(self, first: int, until: Any):
        super().__init__("stuck", 4)
        self.first, self.until, self.asked, self.free = first, until, 0, False

    async def draw(self, prompt: Prompt, seed: int, decoding: Decoding) -> EngineAnswer:
        self.asked += 1
        if self.asked > self.first:
            while not self.free:
                self.free = self.until()
                await asyncio.sleep(0.01)
        return EngineAnswer("1", 1, "stop", None)


def stored_in(settings: dict[str, Any]) -> int:
    return len(rows_of(settings["out"])) if list(Path(settings["out"]).glob("samples/*.parquet")) else 0


def test_what_has_finished_is_stored_while_the_rest_is_drawn(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is answered only when the store holds the first: nothing waits for a part to be full."""
    engine = Stuck(10, lambda: stored_in(settings) == 10)
    monkeypatch.setattr(work, "open_engine", lambda config: engine)
    monkeypatch.setattr(work, "STORE_EVERY_S", 0.0)
    assert sample(SampleConfig(**settings)).stored == 180


def test_a_killed_run_draws_only_what_had_not_finished(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STORE_EVERY_S", 0.0)

    def draw() -> None:
        monkeypatch.setattr(work, "open_engine", lambda config: Stuck(10, lambda: False))
        sample(SampleConfig(**settings))

    process = in_a_fork(draw)
    while stored_in(settings) < 10:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    engine = Stuck(180, lambda: True)
    monkeypatch.setattr(work, "open_engine", lambda config: engine)
    assert sample(SampleConfig(**settings)).drawn == 170
    assert engine.asked == 170
    assert len({(row["problem_id"], row["sample"]) for row in rows_of(settings["out"])}) == 180


def test_progress_is_told_in_tokens(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reachlab.progress.LOG_EVERY_S", 0.0)
    result = sample(SampleConfig(**settings))
    lines = capsys.readouterr().err.splitlines()
    assert result.drawn == 180
    assert re.fullmatch(r"sample: 0/180  \S+  eta at most \S+  [\d,]+ tok/s", lines[0])
    assert re.fullmatch(r"sample: 180/180  \S+  eta 0s  [\d,]+ tok/s", lines[-1])


def test_the_dtype_is_settled_once(settings: dict[str, Any]) -> None:
    """On a CPU float32; a run goes on in what it was begun in, and says so in its identity."""
    sample(SampleConfig(**settings, shard="0/12"))
    assert RunFolder(settings["out"]).read_json("run.json")["config"]["dtype"] == "float32"
    narrow = {**settings, "out": settings["out"] + "-narrow"}
    sample(SampleConfig(**narrow, shard="0/12", dtype="bfloat16"))
    assert sample(SampleConfig(**narrow, shard="1/12")).stored == 30
    assert RunFolder(narrow["out"]).read_json("run.json")["config"]["dtype"] == "bfloat16"


def test_lost_parts_are_drawn_again(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    sample(SampleConfig(**settings))
    for part in SampleStore(RunFolder(settings["out"])).parts()[::3]:
        Path(part).unlink()
    assert sample(SampleConfig(**settings)).drawn == 60
    assert rows_of(settings["out"]) == whole


def test_a_run_begun_before_steps_were_checked_goes_on(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    sample(SampleConfig(**settings, shard="0/2"))
    for path in SampleStore(RunFolder(settings["out"])).parts():
        pq.write_table(pq.read_table(path).drop_columns(["valid_steps", "steps", "final_answer"]), path)
    assert sample(SampleConfig(**settings)).drawn == 90
    found = rows_of(settings["out"])
    assert [{**row, "valid_steps": None, "steps": None} for row in whole] == [
        {**row, "valid_steps": None, "steps": None} for row in found
    ]
    assert sum(row["steps"] is None for row in found) == 90
    assert verify(VerifyConfig(run=settings["out"], only_unscored=True)) == {}
    assert rows_of(settings["out"]) == whole


def test_workers_that_share_a_run_equal_one(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    first = sample(SampleConfig(**settings, shard="0/2"))
    second = sample(SampleConfig(**settings, shard="1/2"))
    assert (first.drawn, first.stored, second.drawn, second.stored) == (90, 90, 90, 180)
    assert rows_of(settings["out"]) == whole


def test_rows_and_parts_do_not_change_a_sample(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    sample(SampleConfig(**{**settings, "rows": 3, "part": 0}))
    found = rows_of(settings["out"])
    exact = ("problem_id", "sample", "text", "tokens", "finish", "seed", "verdict")
    assert [[row[k] for k in exact] for row in found] == [[row[k] for k in exact] for row in whole]
    assert [row["logprob"] for row in found] == pytest.approx([row["logprob"] for row in whole], abs=1e-4)


def test_more_samples_begin_with_the_same(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    sample(SampleConfig(**{**settings, "samples": SAMPLES + 3, "problems": 2}))
    wanted = {(r["problem_id"], r["sample"]): r["text"] for r in whole}
    found = {(r["problem_id"], r["sample"]): r["text"] for r in rows_of(settings["out"])}
    assert len(found) == 2 * (SAMPLES + 3)
    assert {key: found[key] for key in found.keys() & wanted.keys()} == {
        key: text for key, text in wanted.items() if key in found
    }


def test_another_seed_draws_others(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    sample(SampleConfig(**settings, seed=1))
    found = rows_of(settings["out"])
    assert not {r["seed"] for r in found} & {r["seed"] for r in whole}
    assert sum(a["text"] != b["text"] for a, b in zip(found, whole, strict=True)) > 90


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"decoding": Decoding(max_tokens=8, temperature=0.5)}, "decoding.temperature was 1.0, now 0.5"),
        ({"decoding": Decoding(max_tokens=8, stop=(";",))}, r'decoding.stop was \[\], now \[";"\]'),
        ({"samples": 31}, "samples was 30, now 31"),
        ({"problems": 5}, "problems was 6, now 5"),
        ({"problem_seed": 1}, "task_hash was "),
        ({"task": "countdown,numbers=2"}, 'task was "countdown,numbers=3", now "countdown,numbers=2"'),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"dtype": "bfloat16"}, 'dtype was "float32", now "bfloat16"'),
    ],
)
def test_another_configuration_is_refused(settings: dict[str, Any], change: dict[str, Any], says: str) -> None:
    sample(SampleConfig(**{**settings, "samples": 30, "shard": "0/12"}))
    before = rows_of(settings["out"])
    with pytest.raises(ReachlabError, match=says):
        sample(SampleConfig(**{**settings, **change}))
    assert rows_of(settings["out"]) == before


def test_another_model_is_refused_and_a_moved_one_is_not(
    settings: dict[str, Any], moe_checkpoint: Path, checkpoint: Path, tmp_path: Path
) -> None:
    sample(SampleConfig(**settings, shard="0/12"))
    moved = shutil.copytree(checkpoint, tmp_path / "moved")
    assert sample(SampleConfig(**{**settings, "model": str(moved), "shard": "1/12"})).stored == 30
    with pytest.raises(
        ReachlabError, match=f'model was "{hash_model(checkpoint)}", now "{hash_model(moe_checkpoint)}"'
    ):
        sample(SampleConfig(**{**settings, "model": str(moe_checkpoint)}))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "/nowhere"},
        {"task": "chess"},
        {"task": "countdown,numbers=9"},
        {"device": "cuda:99"},
        {"task": "math:/nowhere.jsonl"},
    ],
)
def test_bad_input_writes_nothing(settings: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(ReachlabError):
        sample(SampleConfig(**{**settings, **change}))
    assert not Path(settings["out"]).exists()


def test_a_mixture_of_experts(settings: dict[str, Any], moe_checkpoint: Path) -> None:
    result = sample(SampleConfig(**{**settings, "model": str(moe_checkpoint), "problems": 2}))
    assert result.stored == 60


def test_a_run_behind_a_url(settings: dict[str, Any], whole: list[dict[str, Any]]) -> None:
    url = "memory://runs/sampled"
    sample(SampleConfig(**{**settings, "out": url, "shard": "1/3"}))
    sample(SampleConfig(**{**settings, "out": url}))
    assert rows_of(url) == whole
    RunFolder(url).fs.rm("/runs", recursive=True)


def test_prompts_the_model_was_not_made_for(settings: dict[str, Any], tmp_path: Path) -> None:
    problems = [{"question": "Größe?", "answer": "1"}, {"question": "1+1=", "answer": "2"}]
    file = tmp_path / "math.jsonl"
    file.write_text("".join(json.dumps(p) + "\n" for p in problems))
    remarks: list[str] = []
    config = SampleConfig(**{**settings, "task": f"math:{file}", "problems": None, "samples": 4})
    assert sample(config, remarks.append).stored == 8
    assert len(remarks) == 1
    assert "2 of 2 prompts hold characters that the model's tokenizer lacks" in remarks[0]


@pytest.mark.parametrize("rotary", [False, True])
def test_positions_end(
    rotary: bool, checkpoint: Path, settings: dict[str, Any], tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    """What a user asks for and has no room is refused; a default is cut, and the run says at what."""
    torch.manual_seed(0)
    shape = {"vocab_size": len(tokenizer), "n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2}
    gpt2 = GPT2LMHeadModel(GPT2Config(**shape, eos_token_id=1, bos_token_id=None, pad_token_id=0))
    save_model(tmp_path / "gpt2", gpt2, tokenizer)
    settings |= {"model": str(checkpoint if rotary else tmp_path / "gpt2"), "samples": 2}
    with pytest.raises(ReachlabError, match=r"has 64 positions, and the longest prompt takes 10: .* 54 is the most"):
        sample(SampleConfig(**{**settings, "decoding": DecodingChoice(max_tokens=55)}))
    assert not Path(settings["out"]).exists()
    remarks: list[str] = []
    config = SampleConfig(**{**settings, "decoding": DecodingChoice()})
    assert sample(config, remarks.append).stored == 12
    assert remarks[0].startswith("answers may take 54 tokens and not 256: ")
    assert RunFolder(settings["out"]).read_json("run.json")["config"]["decoding"]["max_tokens"] == 54
    assert all(row["tokens"] <= 54 for row in rows_of(settings["out"]))
    assert sample(SampleConfig(**{**settings, "decoding": DecodingChoice(max_tokens=54)})).drawn == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"samples": 0}, "samples=0 must be 1 or more"),
        ({"problems": 0}, "problems=0 must be 1 or more"),
        ({"rows": -1}, "rows and part must be 0"),
        ({"part": -1}, "rows and part must be 0"),
        ({"shard": "2/2"}, "shard='2/2' must be i/n with 0 <= i < n"),
        ({"shard": "1"}, "shard='1' must be i/n"),
        ({"shard": "-1/2"}, "shard='-1/2' must be i/n"),
        ({"shard": "a/b"}, "shard='a/b' must be i/n"),
        ({"verify_timeout": 0.0}, "verify_timeout=0.0 must be above 0"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], change: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        SampleConfig(**{**settings, **change})


@pytest.mark.parametrize("last", [False, True])
def test_a_folder_that_is_taken_away_meanwhile_is_an_error(
    last: bool, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write, written = tmp_path / "run", SampleStore.write_part, list[str]()

    def taking(store: SampleStore, samples: Sequence[Sample]) -> str:
        written.append(write(store, samples))
        if len(written) == (2 if last else 1):
            out.rename(tmp_path / "moved")
        return written[-1]

    monkeypatch.setattr(SampleStore, "write_part", taking)
    config = SampleConfig(
        model=str(checkpoint), task=TASK, out=str(out), problems=2, samples=4, part=4,
        decoding=DecodingChoice(max_tokens=4),
    )  # fmt: skip
    with pytest.raises(ReachlabError, match=r"its run\.json is gone"):
        sample(config)
    assert not out.exists()
