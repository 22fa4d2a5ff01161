"""Pretraining on text, from files to a validation loss: exact, resumable, and the same however it is cut."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import kill_again_and_again, names, timeless, tiny_config, touches

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model
from reachlab.runs import RunFolder
from reachlab.training import loop as loop_module
from reachlab.training.config import LoopConfig, OptimizerConfig, PretrainConfig, TextConfig
from reachlab.training.corpus.survey import survey
from reachlab.training.pretrain import pretrain

LOOP = LoopConfig(steps=12, save_every=4, seed=0, device="cpu", threads=1)
MEASURED = TextConfig(held_out=0.2, eval_every=5, eval_tokens=0)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short files."""
    folder = tmp_path_factory.mktemp("text")
    for i in range(60):
        (folder / f"{i:02}.txt").write_text(f"{i} times {i} is {i * i}; " * (3 + i % 4))
    return folder


def pretraining(text: Path, out: Path, /, **changes: Any) -> PretrainConfig:
    settings: dict[str, Any] = {
        "data": f"text:{text}",
        "out": str(out),
        "loop": LOOP,
        "model": tiny_config(),
        "optimizer": OptimizerConfig(method="adamw", lr=3e-3, warmup=2, schedule="wsd"),
        "text": MEASURED,
        "batch": 8,
        "length": 24,
    }
    return PretrainConfig(**{**settings, **changes})


def metrics(run: Path) -> list[dict[str, Any]]:
    return timeless(RunFolder(run).metrics())


def same(a: Path, b: Path) -> bool:
    left, right = (load_file(run / "model" / "model.safetensors") for run in (a, b))
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.fixture(scope="module")
def undisturbed(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "base"
    pretrain(pretraining(text, out))
    return out


def test_a_run_measures_and_counts(text: Path, undisturbed: Path) -> None:
    rows = RunFolder(undisturbed).metrics()
    assert [row["step"] for row in rows if "val_loss" in row] == [5, 10, 12]
    assert [row["tokens"] for row in rows] == [8 * 23] * 12
    assert [row["tokens_seen"] for row in rows] == [8 * 23 * t for t in range(1, 13)]
    for row in rows:
        assert row["tokens_per_second"] * (row["seconds"] - row.get("seconds_eval", 0)) == pytest.approx(184, rel=0.2)
    measured = [row for row in rows if "val_loss" in row]
    assert measured[-1]["val_loss"] < measured[0]["val_loss"] < math.log(40)
    assert all(row["val_perplexity"] == pytest.approx(math.exp(row["val_loss"])) for row in measured)
    assert all(0 < row["seconds_eval"] < row["seconds"] for row in measured)
    assert names(undisturbed) == ["metrics.jsonl", "model", "run.json"], "tokens are cleared away"


def test_the_validation_loss_is_the_mean_over_held_out_tokens(text: Path, undisturbed: Path) -> None:
    model, tokenizer = load_model(undisturbed)
    corpus = survey(f"text:{text}", share=0.2)
    held_out = [document for document, side in corpus.split() if side]
    ids = [i for document in held_out for i in [*tokenizer(document)["input_ids"], tokenizer.eos_token_id]]
    assert len(ids) > 200
    nats = []
    with torch.no_grad():
        for start in range(0, len(ids) - 1, 23):
            window = torch.tensor([ids[start : start + 24]])
            logprobs = model(window).logits[0, :-1].log_softmax(-1)
            nats += (-logprobs.gather(1, window[0, 1:, None])[:, 0]).tolist()
    assert len(nats) == len(ids) - 1
    assert metrics(undisturbed)[-1]["val_loss"] == pytest.approx(sum(nats) / len(nats), rel=1e-5)


def test_measuring_changes_nothing_and_stops_at_its_bound(text: Path, undisturbed: Path, tmp_path: Path) -> None:
    silent = replace(MEASURED, eval_every=0)
    pretrain(pretraining(text, tmp_path / "silent", text=silent))
    assert same(tmp_path / "silent", undisturbed)
    assert not any("val_loss" in row for row in metrics(tmp_path / "silent"))
    pretrain(pretraining(text, tmp_path / "short", text=replace(MEASURED, eval_tokens=30)))
    short, whole = metrics(tmp_path / "short")[-1]["val_loss"], metrics(undisturbed)[-1]["val_loss"]
    assert same(tmp_path / "short", undisturbed)
    assert short != whole
    assert short == pytest.approx(whole, abs=0.5)


def test_a_run_killed_again_and_again_ends_with_the_same_weights(text: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "base"
    most = touches(lambda: pretrain(pretraining(text, tmp_path / "counted")))
    assert kill_again_and_again(lambda: pretrain(pretraining(text, out)), most, kills=6, seed=1) >= 2
    assert same(out, undisturbed)
    assert metrics(out) == metrics(undisturbed)
    # A process that is killed while it writes a small file leaves that under its temporary, hidden name.
    assert [n for n in names(out) if not n.startswith(".")] == ["metrics.jsonl", "model", "run.json"]


ORIGINAL_LOG = loop_module.TrainingRun._log


def _stop_at(step: int) -> Callable[..., None]:
    def log(run: loop_module.TrainingRun, found: dict[str, float]) -> None:
        if run.step == step:
            raise KeyboardInterrupt
        ORIGINAL_LOG(run, found)

    return log


@pytest.mark.parametrize("harm", [False, True], ids=["kept", "damaged"])
def test_a_run_goes_on_with_the_tokens_it_made(
    harm: bool, text: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "base"
    for stop in (6, 11):
        with monkeypatch.context() as patch:
            patch.setattr(loop_module.TrainingRun, "_log", _stop_at(stop))
            with pytest.raises(KeyboardInterrupt):
                pretrain(pretraining(text, out))
        [tokens] = (out / "tokens").glob("*.bin")
        made = tokens.stat().st_mtime_ns
        if stop == 6:
            before = made
            if harm:
                tokens.write_bytes(b"\1" * tokens.stat().st_size)
        else:
            assert (made == before) != harm
    pretrain(pretraining(text, out))
    assert same(out, undisturbed)
    assert metrics(out) == metrics(undisturbed)


def test_runs_share_a_cache(text: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = replace(MEASURED, cache=str(tmp_path / "cache"))
    pretrain(pretraining(text, tmp_path / "a", text=cached))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    assert len(before) == 2
    with monkeypatch.context() as patch:
        patch.setattr(loop_module.TrainingRun, "_log", _stop_at(7))
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(text, tmp_path / "b", text=cached, loop=replace(LOOP, seed=0)))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()} == before
    pretrain(pretraining(text, tmp_path / "b"))  # where the tokens lie is not a part of what a run is
    assert same(tmp_path / "a", undisturbed)
    assert same(tmp_path / "b", undisturbed)


def test_other_text_is_another_run(text: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(text, tmp_path / "text"))
    pretrain(pretraining(mine, tmp_path / "run"))
    (mine / "07.txt").write_text("another")
    with pytest.raises(ReachlabError, match=r"another configuration: data_hash was \"\w+\", now"):
        pretrain(pretraining(mine, tmp_path / "run"))


def test_pieces_and_threads_change_nothing_but_rounding(text: Path, undisturbed: Path, tmp_path: Path) -> None:
    pretrain(pretraining(text, tmp_path / "pieces", accumulate=3))
    pretrain(pretraining(text, tmp_path / "threads", loop=replace(LOOP, threads=2)))
    torch.set_num_threads(1)
    for name in ("pieces", "threads"):
        for row, wanted in zip(metrics(tmp_path / name), metrics(undisturbed), strict=True):
            assert row == pytest.approx(wanted, rel=1e-3)
        assert not same(tmp_path / name, undisturbed), "the sums were taken in another order"


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
def test_bfloat16_computes_nearly_the_same(family: Any, text: Path, tmp_path: Path) -> None:
    rows = {}
    for dtype in ("float32", "bfloat16"):
        out = tmp_path / dtype
        pretrain(pretraining(text, out, dtype=dtype, model=tiny_config(family)))
        rows[dtype] = metrics(out)
        assert {t.dtype for t in load_file(out / "model" / "model.safetensors").values()} == {torch.float32}
    for narrow, wide in zip(rows["bfloat16"], rows["float32"], strict=True):
        assert narrow["loss"] == pytest.approx(wide["loss"], rel=0.02)
    assert rows["bfloat16"][0]["loss"] != rows["float32"][0]["loss"]
    assert rows["bfloat16"][-1]["val_loss"] == pytest.approx(rows["float32"][-1]["val_loss"], rel=0.02)


def test_text_gets_pairs_of_bytes_unless_told_otherwise(text: Path, tmp_path: Path) -> None:
    shape = replace(tiny_config(), tokenizer="auto", vocab_size=270)
    pretrain(pretraining(text, tmp_path / "run", model=shape, loop=replace(LOOP, steps=1)))
    assert RunFolder(tmp_path / "run").read_json("run.json")["config"]["model"]["tokenizer"] == "bpe"
    _, tokenizer = load_model(tmp_path / "run")
    assert len(tokenizer) == 270
    assert tokenizer.decode(tokenizer("never seen: ß")["input_ids"]) == "never seen: ß"


def test_what_was_found_is_told(text: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(text, tmp_path / "text"))
    (mine / "picture").write_bytes(b"\x89PNG\0")
    told: list[str] = []
    assert pretrain(pretraining(mine, tmp_path / "run", loop=replace(LOOP, steps=1)), told.append)
    assert told[0] == f"text:{mine}: 1 files or rows left out (the first: {mine}/picture: not UTF-8 at byte 0)"
    assert "60 documents, " in told[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": "text:/nowhere"}, "/nowhere: No such file or folder"),
        ({"data": "stdlibs"}, "unknown task family 'stdlibs'"),
        ({"text": replace(MEASURED, glob="*.rst")}, "no file '\\*.rst' below this folder"),
        ({"text": replace(MEASURED, held_out=0.9999)}, "leaves none of 60 documents to learn from"),
        ({"length": 9999}, "tokens to learn from, fewer than one window of --length 9999"),
        ({"data": "countdown"}, "--eval-every measures held-out text: --data text:PATH"),
        ({"model": replace(tiny_config(), heads=5)}, "must be heads=5 times an even number"),
    ],
)
def test_bad_input_writes_nothing(change: dict[str, Any], says: str, text: Path, tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=says):
        pretrain(pretraining(text, tmp_path / "run", **change))
    assert names(tmp_path) == []


def test_one_document_cannot_be_measured_on(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    with pytest.raises(ReachlabError, match="no document is held out of 1; give a larger --held-out"):
        pretrain(pretraining(tmp_path / "text", tmp_path / "run", text=TextConfig(eval_every=1)))
    assert names(tmp_path) == ["text"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TextConfig(held_out=1.0), "held_out=1.0 is a share of the documents"),
        (lambda: TextConfig(held_out=-0.1), "held_out=-0.1 is a share of the documents"),
        (lambda: TextConfig(eval_every=-1), "eval_every=-1 and eval_tokens=100000 must be 0 or more"),
        (lambda: TextConfig(held_out=0, eval_every=1), "give --held-out a share above 0"),
        (lambda: pretraining(Path(), Path(), accumulate=0), "gradient_accumulation=0 must be 1 to batch=8"),
        (lambda: pretraining(Path(), Path(), accumulate=9), "gradient_accumulation=9 must be 1 to batch=8"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        make()
