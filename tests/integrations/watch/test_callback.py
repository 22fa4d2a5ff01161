"""What is drawn of a training, who is told, and that the training does not notice."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from tests.integrations.watch import trainings
from tests.integrations.watch.trainings import PARITY, STEPS, left_of, problems, trained, trainer, watching
from tests.models.vlm import idefics3
from tests.tiny import ENVIRONMENT, TASK, rows_of, tiny_model, tiny_tokenizer
from transformers import Trainer, TrainerCallback

from reachlab.boundary.compare import compare
from reachlab.engines.config import DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.integrations.watch import PassAtKCallback
from reachlab.integrations.watch import checkpoints as module
from reachlab.integrations.watch.callback import Session
from reachlab.integrations.watch.host import watched_model
from reachlab.models.checkpoint import save_model
from reachlab.models.vision import processor_of
from reachlab.moe import densify
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import draw_run, sample
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task

NAMES = ["base", "step-000002", "step-000004"]
Left = tuple[str, str, list[float], float]


@pytest.fixture(scope="module", autouse=True)
def _what_is_imported_is_not_collected() -> Iterator[None]:
    """A trainer collects garbage when it begins, which takes longer than its steps: let it look at what is new."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def unwatched(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What is left of the training that nobody watches."""
    return trained(tmp_path_factory.mktemp("unwatched"), [])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trainer, Left]:
    """One that was watched, with TensorBoard; leave it as it is."""
    out = tmp_path_factory.mktemp("watched")
    found = trainer(out, [watching(out)], report_to=["tensorboard"])
    found.train()
    return out, found, left_of(found)


def outcomes(out: Path, name: str) -> Any:
    return SampleStore(RunFolder(out / "watch" / name)).outcomes()


# -- the training does not notice -----------------------------------------------------------------------------------


def test_weights_optimizer_losses_and_chance_are_bit_for_bit_those_without(watched: Any, unwatched: Left) -> None:
    assert watched[2] == unwatched


def models() -> dict[str, Any]:
    def dropping() -> Any:
        model = tiny_model()
        for part in model.modules():
            if hasattr(part, "attention_dropout"):
                part.attention_dropout = 0.3
        return model

    def mixture() -> Any:
        model = tiny_model("olmoe")
        densify(model)
        return model

    return {"dropout": dropping, "mixture": mixture, "gradient_checkpointing": tiny_model, "bf16": tiny_model}


@pytest.mark.parametrize("kind", models())
def test_nor_do_models_and_modes_that_are_touched_easily(kind: str, tmp_path: Path) -> None:
    settings = {kind: True} if kind in ("gradient_checkpointing", "bf16") else {}
    found = []
    for watch in (True, False):
        torch.manual_seed(0)
        model = models()[kind]()
        model.train()
        model.get_submodule("model.layers.0").eval()  # as somebody might who has frozen it
        found.append(trained(tmp_path, [watching(tmp_path, every=1)] * watch, model=model, **settings))
        assert model.training
    assert found[0] == found[1]
    assert outcomes(tmp_path, "base").n_P.sum() == 32


@pytest.mark.parametrize("dora", [False, True])
def test_adapters_are_drawn_with_and_stay_as_they_are(dora: bool, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    found = []
    for watch in (True, False):
        torch.manual_seed(0)
        how = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], lora_dropout=0.2, use_dora=dora)
        model = peft.get_peft_model(tiny_model(), how)
        found.append(trained(tmp_path, [watching(tmp_path)] * watch, model=model, learning_rate=1e-1))
    assert found[0] == found[1]
    plain = tmp_path / "plain"
    trained(plain, [watching(plain)], max_steps=1)  # its base is the model without adapters
    texts = [[row["text"] for row in rows_of(folder / "watch" / "base")] for folder in (tmp_path, plain)]
    assert texts[0] == texts[1]
    merged = tmp_path / "merged"
    save_model(merged, model.merge_and_unload(), tiny_tokenizer())
    assert_as_sampled(tmp_path, "step-000004", merged)


def test_a_model_that_sees_is_asked_with_pictures_by_its_processor(tmp_path: Path) -> None:
    left = []
    for watch in (True, False):
        torch.manual_seed(0)
        model, tokenizer = idefics3()
        found = trainer(tmp_path, [watching(tmp_path, task="scenes")] * watch, model=model)
        found.processing_class = found.callback_handler.processing_class = processor_of(tokenizer)
        found.train_dataset = [{"input_ids": [5 + i % 7] * 12, "labels": [5 + i % 7] * 12} for i in range(32)]
        found.train()
        left.append(left_of(found))
    assert left[0] == left[1]
    problem = json.loads((tmp_path / "watch" / "base" / "problems.jsonl").read_text().splitlines()[0])
    assert problem["images"]
    assert (tmp_path / "watch" / "asked" / "processor_config.json").exists()
    assert outcomes(tmp_path, "step-000004").n_P.sum() == 32


# -- what is drawn --------------------------------------------------------------------------------------------------


def assert_as_sampled(out: Path, name: str, model: Path) -> None:
    """That a checkpoint's samples are those of `reachlab sample` from the same weights."""
    again = str(out / "again" / name)
    sample(SampleConfig(model=str(model), task=PARITY, out=again, problems=8, samples=4,
                        decoding=DecodingChoice(max_tokens=10)))  # fmt: skip
    keys = ("problem_id", "sample", "text", "seed", "verdict", "finish", "tokens")
    ours, theirs = ([[row[key] for key in keys] for row in rows_of(run)] for run in (out / "watch" / name, again))
    assert ours == theirs


def test_samples_are_those_of_the_saved_weights(watched: Any, tmp_path: Path) -> None:
    out, found, _ = watched
    save_model(tmp_path / "model", found.model, tiny_tokenizer())
    save_model(tmp_path / "start", tiny_model(), tiny_tokenizer())
    for name, model in (("step-000004", "model"), ("base", "start")):
        assert_as_sampled(out, name, tmp_path / model)


def test_a_run_a_checkpoint_with_the_same_seeds_and_its_own_weights(watched: Any) -> None:
    out = watched[0] / "watch"
    documents = [json.loads((out / name / "run.json").read_text()) for name in NAMES]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["asked", *NAMES]
    assert len({document["config"]["model"] for document in documents}) == 3
    assert [document["facts"]["live"]["step"] for document in documents] == [0, 2, 4]
    assert documents[1]["facts"]["model_path"] == f"{out}, step 2 (weights in training)"
    assert documents[1]["config"] | {"model": ""} == documents[0]["config"] | {"model": ""}
    assert documents[0]["config"]["split"] == "test"
    assert documents[0]["config"]["decoding"]["max_tokens"] == 10
    seeds = [[row["seed"] for row in rows_of(out / name)] for name in NAMES]
    assert seeds[0] == seeds[1] == seeds[2]


# -- who is told ----------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_compare_and_stand_in_the_event_file(watched: Any) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    out, found, _ = watched
    whole = compare([outcomes(out, name) for name in NAMES[::2]])
    curve, difference = whole.models[1].curve, whole.pairs[0].difference
    assert 0 < curve.values[0] < 1
    (file,) = (out / "trainer").rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file))
    events.Reload()
    for name, value in {
        "pass1": curve.values[0], "pass4": curve.values[3], "pass4_low": curve.low[3], "pass4_high": curve.high[3],
        "gain1": difference.values[0], "gain4_low": difference.low[3],
    }.items():  # fmt: skip
        scalars = {event.step: event.value for event in events.Scalars(f"eval/watch_{name}")}
        assert list(scalars) == [2 * at for at in range("gain" in name, 3)]
        assert scalars[4] == pytest.approx(value, abs=1e-6)
    for name in ("unscored", "truncated", "answer_tokens", "seconds"):
        assert len(events.Scalars(f"eval/watch_{name}")) == 3
    assert len(events.Scalars("train/loss")) == STEPS  # what the trainer logs itself is not lost
    steps = {row["step"]: row["eval_watch_pass1"] for row in found.state.log_history if "eval_watch_pass1" in row}
    assert steps.keys() == {0, 2, 4}


def test_the_log_has_the_trainers_numbers_beside_ours(watched: Any) -> None:
    rows = RunFolder(watched[0] / "watch").metrics()
    assert [row["step"] for row in rows if "eval_pass1" in row] == [0, 2, 4]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert all(row["lr"] >= 0 for row in rows if "loss" in row)


def test_a_line_says_base_against_now_and_how_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer(tmp_path, [watching(tmp_path)], max_steps=3).train()
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("watch: ")]
    folder = tmp_path / "watch"
    assert [line.split()[1] for line in told[:3]] == ["base:", "step-000002", "step-000003"]  # the last, too
    assert f"reachlab report {folder}/base {folder}/step-000003" in told[2]
    assert "against base: pass@1 " in told[2]
    assert " points [" in told[2]
    assert told[-1] == (
        f"watch: all checkpoints: reachlab report {folder}/base {folder}/step-000002 {folder}/step-000003"
    )


def test_report_and_compare_open_it(watched: Any, command: Any, tmp_path: Path) -> None:
    out = watched[0] / "watch"
    code, said, _ = command("compare", *(out / name for name in NAMES))
    assert code == 0
    assert "step-000004 is " in said
    code, _, wrong = command("report", *(out / name for name in NAMES), "--out", tmp_path / "report.html")
    assert (code, wrong) == (0, "")
    page = (tmp_path / "report.html").read_text()
    assert "watch: held-out pass@1" in page
    assert "whose weights are kept nowhere" in page


def test_the_library_reads_it(watched: Any) -> None:
    import reachlab as rl

    training = rl.Training(watched[0] / "watch")
    assert [trace.name for trace in training.plot("eval_pass1", "eval_pass4").data] == ["eval_pass1", "eval_pass4"]
    assert training.metrics["eval_pass1"].dropna().tolist() == [
        pytest.approx(rl.Run(watched[0] / "watch" / name).pass_at_k(1)) for name in NAMES
    ]
    with pytest.raises(ReachlabError, match="Training"):
        len(rl.Run(watched[0] / "watch"))


# -- going on -------------------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("part-*.parquet")}


def test_a_training_that_goes_on_draws_what_is_missing(tmp_path: Path, watched: Any) -> None:
    save: dict[str, Any] = {"save_strategy": "steps", "save_steps": 1}

    class StopAt3(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **also: Any) -> None:
            control.should_training_stop = state.global_step == 3

    first = trainer(tmp_path, [watching(tmp_path)], **save)
    first.add_callback(StopAt3())
    first.train()
    drawn = files(tmp_path / "watch")
    assert {name.split("/")[0] for name in drawn} == {"base", "step-000002", "step-000003"}
    # From the second step on, so that the third comes once more: there with the same weights.
    second = trainer(tmp_path, [watching(tmp_path)], **save)
    second.train(resume_from_checkpoint=str(tmp_path / "trainer" / "checkpoint-2"))
    assert left_of(second)[0] == watched[2][0]
    after = files(tmp_path / "watch")
    # The third was drawn because the training ended there; now it did not, and what is compared is of one rhythm.
    assert {
        name.replace("step-000003", "earlier/step-000003"): file for name, file in drawn.items()
    }.items() <= after.items()
    texts = [[row["text"] for row in rows_of(out / "watch" / "step-000004")] for out in (tmp_path, watched[0])]
    assert texts[0] == texts[1]
    rows = RunFolder(tmp_path / "watch").metrics()
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "eval_pass1" in row] == [0, 2, 4]
    # From the start once more: nothing is drawn, and a new tracker has all of it.
    third = trainer(tmp_path, [watching(tmp_path)])
    third.train()
    assert files(tmp_path / "watch") == after
    assert [row["step"] for row in third.state.log_history if "eval_watch_pass1" in row] == [0, 2, 4]
    assert RunFolder(tmp_path / "watch").metrics()[-1]["step"] == 4


@pytest.mark.parametrize("before", [True, False])
def test_the_last_is_drawn_where_an_evaluation_stops_the_training(tmp_path: Path, before: bool) -> None:
    """Whether what stops it stands before the callback or behind it."""

    class Enough(TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, **also: Any) -> None:
            control.should_training_stop = True

    callbacks: list[TrainerCallback] = [watching(tmp_path, every=100)]
    callbacks.insert(0 if before else 1, Enough())
    found = trainer(tmp_path, callbacks, max_steps=100, eval_strategy="epoch", save_strategy="epoch")
    found.train()
    assert 0 < found.state.global_step < 100
    assert (tmp_path / "watch" / f"step-{found.state.global_step:06}" / "run.json").exists()


def test_a_draw_that_was_cut_short_is_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save: dict[str, Any] = {"save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, [watching(tmp_path)], **save).train()
    whole = rows_of(tmp_path / "watch" / "step-000002")
    store = SampleStore(RunFolder(tmp_path / "watch" / "step-000002"))
    (part,) = store.parts()
    half = store.part(part)[:16]
    Path(part).unlink()
    store.write_part(half)
    before = files(tmp_path / "watch")
    capsys.readouterr()
    trainer(tmp_path, [watching(tmp_path)], max_steps=3, **save).train(
        resume_from_checkpoint=str(tmp_path / "trainer" / "checkpoint-2")
    )
    assert rows_of(tmp_path / "watch" / "step-000002") == whole
    after = files(tmp_path / "watch")
    assert {n.replace("step-000004", "earlier/step-000004"): file for n, file in before.items()}.items() < after.items()
    assert "watch step-000002: 32/32" in capsys.readouterr().err


def test_what_was_drawn_of_a_training_that_did_not_go_on_is_drawn_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer(tmp_path, [watching(tmp_path)]).train()
    before = files(tmp_path / "watch")
    trainer(tmp_path, [watching(tmp_path)], learning_rate=1e-2).train()  # from the same start
    after = files(tmp_path / "watch")
    again = {n for n in before if after[n] != before[n]}
    assert again == {n for n in before if not n.startswith("base")}
    assert "step-000002: was drawn from other weights" not in capsys.readouterr().out  # it was put aside before
    # What the first training drew is still there, and no part of the second's comparison.
    assert {f"earlier/{n}": b for n, b in before.items() if n.startswith("step")}.items() <= after.items()
    trainer(tmp_path, [watching(tmp_path, every=4)]).train()  # from the same start, as the first, and more seldom
    last = files(tmp_path / "watch")
    assert {n.partition("/")[0] for n in last if n.startswith("step")} == {"step-000004"}
    assert all(last[n] == before[n] for n in before if n.startswith("step-000004"))


def test_what_lies_where_another_training_goes_on_is_drawn_anew_and_a_first_checkpoint_stands_for_a_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer(tmp_path, [], save_strategy="steps", save_steps=1, max_steps=3).train()
    latest = str(tmp_path / "trainer" / "checkpoint-2")
    trainer(tmp_path, [watching(tmp_path, every=1)]).train(resume_from_checkpoint=latest)
    assert "step-000004 against step-000003: pass@1 " in capsys.readouterr().out
    trainer(tmp_path / "other", [], save_strategy="steps", save_steps=1, learning_rate=1e-2).train()
    other = str(tmp_path / "other" / "trainer" / "checkpoint-3")
    trainer(tmp_path, [watching(tmp_path, every=1)]).train(resume_from_checkpoint=other)
    assert capsys.readouterr().out.count("was drawn from other weights") == 1  # the one that is resumed from
    assert sorted(path.name for path in (tmp_path / "watch" / "earlier").iterdir()) == ["step-000003", "step-000004"]


def test_another_question_or_another_start_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    trainer(tmp_path, [watching(tmp_path)], max_steps=1).train()
    with pytest.raises(ReachlabError, match="holds a run with another configuration: samples was 4, now 5"):
        trainer(tmp_path, [watching(tmp_path, samples=5)], max_steps=1).train()
    other = tiny_model()
    other.lm_head.weight.data += 1
    with pytest.raises(ReachlabError, match="holds the base of another training"):
        trainer(tmp_path, [watching(tmp_path)], model=other, max_steps=1).train()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(ReachlabError, match="is no run's folder and not empty"):
        trainer(tmp_path, [PassAtKCallback(PARITY, str(tmp_path / "mine"))]).train()


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    both = [watching(tmp_path / "a"), watching(tmp_path / "b")]
    with pytest.raises(ReachlabError, match="a name= of its own"):
        trainer(tmp_path, both).train()
    trainer(tmp_path, [watching(tmp_path / "c"), watching(tmp_path / "d", name="other")], max_steps=1).train()


def test_a_verifier_that_fails_leaves_answers_unscored(tmp_path: Path) -> None:
    found = trainer(tmp_path, [watching(tmp_path, task=f"{PARITY},strange=0123456789")])
    found.train()
    base = outcomes(tmp_path, "base")
    assert base.unscored_P.sum() > 0
    (row, *_) = (row for row in found.state.log_history if "eval_watch_unscored" in row)
    assert row["eval_watch_unscored"] == base.unscored_P.sum() / 32


def test_an_error_after_the_first_step_is_told_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unwatched: Left
) -> None:
    real = draw_run

    def full(run: Any, work: Any) -> Any:
        if "step-000002" in work.folder.url:
            raise OSError("no space left")
        return real(run, work)

    monkeypatch.setattr(module, "draw_run", full)
    assert trained(tmp_path, [watching(tmp_path)]) == unwatched
    assert "watch: step 2 was not drawn: OSError: no space left" in capsys.readouterr().err
    assert outcomes(tmp_path, "step-000004").n_P.sum() == 32
    with pytest.raises(OSError, match="no space left"):  # before the first step somebody is there to mend it
        trained(tmp_path / "step-000002", [watching(tmp_path / "step-000002")])


def test_a_log_that_cannot_be_written_is_told_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unwatched: Left
) -> None:
    monkeypatch.setattr(module, "LOG", "no/such/folder")
    assert trained(tmp_path / "begun", []) == unwatched
    callback = watching(tmp_path)
    monkeypatch.setattr(type(callback), "on_step_end", lambda *_, **__: None)
    monkeypatch.setattr(Session, "draw", lambda *_, **__: None)
    assert trained(tmp_path, [callback]) == unwatched
    assert capsys.readouterr().err.count("no/such/folder: not written: No such file") == STEPS


def test_a_part_that_is_damaged_at_the_end_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Damages(TrainerCallback):  # type: ignore[misc]
        def on_train_end(self, *given: Any, **also: Any) -> None:
            next((tmp_path / "watch" / "base").rglob("part-*.parquet")).write_bytes(b"")

    trainer(tmp_path, [Damages(), watching(tmp_path)], max_steps=1).train()
    assert "watch: not all checkpoints can be read: " in capsys.readouterr().out


def test_watching_takes_no_more_than_its_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer(tmp_path, [watching(tmp_path, every=1, share=1e-6)]).train()
    said = capsys.readouterr().out
    assert [path.name for path in sorted((tmp_path / "watch").iterdir()) if path.is_dir()] == [
        "asked",
        "base",
        "step-000004",
    ]
    assert said.count("is left out: with it, watching would take more than") == 3


def test_what_cannot_be_watched_is_refused_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="unknown task family 'nonsense'"):
        watching(tmp_path, task="nonsense")
    with pytest.raises(ReachlabError, match="every=0 must be 1 or more"):
        watching(tmp_path, every=0)
    callback = watching(tmp_path)
    with pytest.raises(ReachlabError, match="no such one has called"):
        callback.on_train_begin(*[None] * 3)
    without = trainer(tmp_path, [callback])
    without.processing_class = without.callback_handler.processing_class = None
    with pytest.raises(ReachlabError, match="this trainer has no processing_class"):
        without.train()
    given = trainer(tmp_path, [watching(tmp_path, tokenizer=tiny_tokenizer())], max_steps=1)
    given.processing_class = None
    given.train()
    sharded = trainer(tmp_path, [callback])
    next(sharded.model.parameters()).ds_id = 1  # as ZeRO-3 marks what it has taken apart
    with pytest.raises(ReachlabError, match="draws from whole weights"):
        sharded.train()
    for mark in ("is_fsdp_enabled", "is_hyper_param_search"):
        marked = trainer(tmp_path, [callback])
        setattr(marked if "fsdp" in mark else marked.state, mark, True)
        with pytest.raises(ReachlabError, match=r"whole weights|a search is many"):
            watched_model(marked)
    peft = pytest.importorskip("peft")
    prompts = peft.get_peft_model(tiny_model(), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    with pytest.raises(ReachlabError, match="PromptTuningConfig is beside them"):
        trainer(tmp_path, [callback], model=prompts).train()


def test_vllm_of_the_trainer_is_left_alone_with_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trainer(tmp_path, [watching(tmp_path)], max_steps=1)
    found.args.use_vllm = True
    found.train()
    assert "watch: TRL's vLLM is left alone" in capsys.readouterr().out


# -- TRL ------------------------------------------------------------------------------------------------------------


def of_trl(kind: str, out: Path, watch: bool, **settings: Any) -> Trainer:
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    torch.manual_seed(0)
    task, callbacks = load_task(TASK), [watching(out)] * watch
    given = arguments(out, **settings)
    if kind == "sft":
        rows = [{"prompt": p.prompt, "completion": task.solve(p, Random(0))} for p in problems()]
        return trl.SFTTrainer(
            tiny_model(), args=trl.SFTConfig(**given), train_dataset=Dataset.from_list(rows),
            processing_class=tiny_tokenizer(), callbacks=callbacks,
        )  # fmt: skip

    def lengths(completions: list[str], **_: Any) -> list[float]:
        return [float(len(text) % 3) for text in completions]

    config = trl.GRPOConfig(num_generations=4, max_completion_length=10, **given)
    return trl.GRPOTrainer(
        tiny_model(), reward_funcs=lengths, args=config, processing_class=tiny_tokenizer(), callbacks=callbacks,
        train_dataset=Dataset.from_list([{"prompt": p.prompt} for p in problems()]),
    )  # fmt: skip


def arguments(out: Path, **settings: Any) -> dict[str, Any]:
    return trainings.arguments(out, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft", "grpo"])
def test_trainers_of_trl(kind: str, tmp_path: Path) -> None:
    both, left = [], []
    for watch in (True, False):
        both.append(of_trl(kind, tmp_path / str(watch), watch, logging_steps=4))  # ours come between theirs
        both[-1].train()
        left.append(left_of(both[-1]))
    assert left[0] == left[1]
    theirs = [
        [row for row in one.state.log_history if "loss" in row and not any(key.startswith("eval") for key in row)]
        for one in both
    ]
    timeless = [[{k: v for k, v in row.items() if "time" not in k} for row in rows] for rows in theirs]
    assert timeless[0] == timeless[1]  # none of their averages was handed out before its time
    out = tmp_path / "True"
    assert outcomes(out, "step-000002").n_P.sum() == 32
    log = RunFolder(out / "watch").metrics()
    assert [row["step"] for row in log if "eval_pass1" in row] == [0, 2, 4]
    assert any("reward" in row for row in log) == (kind == "grpo")


# -- several processes, and kills -----------------------------------------------------------------------------------


def launched(out: Path, said: dict[str, Any], processes: int = 1) -> int:
    """A training in processes of its own: what it ends with."""
    out.mkdir(parents=True, exist_ok=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    words = [trainings.__file__, str(out), json.dumps(said)]
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root / "src"), str(root)])
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), *words],
        env={**ENVIRONMENT, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    (out / "said").write_text(done.stdout + done.stderr)
    return done.returncode


@pytest.mark.slow
def test_two_processes_share_the_work_and_say_the_same_of_the_base(tmp_path: Path, watched: Any) -> None:
    both: tuple[dict[str, Any] | None, ...] = ({}, None)
    for watch in both:
        assert launched(tmp_path / str(watch), {"watch": watch}, processes=2) == 0
    left = [json.loads((tmp_path / name / "left.json").read_text()) for name in ("{}", "None")]
    assert left[0] == left[1]
    out = tmp_path / "{}" / "watch"
    assert len(list((out / "base" / "samples").glob("*.parquet"))) == 2
    texts = [[row["text"] for row in rows_of(folder / "base")] for folder in (out, watched[0] / "watch")]
    assert texts[0] == texts[1]
    assert outcomes(tmp_path / "{}", "step-000004").n_P.sum() == 32
    said = (tmp_path / "{}" / "said").read_text()
    assert said.count("step-000004 against base") == 1


@pytest.mark.slow
def test_a_draw_that_is_killed_goes_on(tmp_path: Path, watched: Any) -> None:
    said = {"watch": {}, "save_strategy": "steps", "save_steps": 1}
    assert launched(tmp_path, {**said, "killed": True}, processes=2) != 0
    parts = [path.parents[1].name for path in (tmp_path / "watch").rglob("part-*.parquet")]
    assert "step-000002" in parts
    assert len(parts) < 6
    before = files(tmp_path / "watch" / "base")
    latest = max((tmp_path / "trainer").glob("checkpoint-*"), default=None)
    assert launched(tmp_path, {**said, "resume": str(latest) if latest else None}, processes=2) == 0
    assert files(tmp_path / "watch" / "base").items() >= before.items()
    assert all(outcomes(tmp_path, name).n_P.sum() == 32 for name in NAMES)
    texts = [[row["text"] for row in rows_of(folder / "base")] for folder in (tmp_path / "watch", watched[0] / "watch")]
    assert texts[0] == texts[1]
