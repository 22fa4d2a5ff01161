import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import TASK, kill_again_and_again, names, same_run, timeless, tiny_config, touches
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from reachlab.engines.config import Decoding
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model
from reachlab.models.checkpoint_files import hash_model
from reachlab.moe import densified, undensify
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.store.samples import SampleStore
from reachlab.training import loop as loop_module
from reachlab.training import next_token
from reachlab.training.config import (
    BalanceConfig,
    DistillConfig,
    LoopConfig,
    OptimizerConfig,
    PretrainConfig,
    RoutingConfig,
    WeightsConfig,
)
from reachlab.training.distill import distill
from reachlab.training.next_token import piece_loss
from reachlab.training.pretrain import pretrain
from reachlab.training.routing import Balance, route
from reachlab.training.text import Tokens
from reachlab.types import Judged, Verdict

GOLDEN = [3.0767, 3.0293, 2.9874, 2.8007, 2.7822]
"""Losses of the first three and the last two steps of `pretraining`."""
LOOP = LoopConfig(steps=14, save_every=4, seed=0, device="cpu", threads=1)


def pretraining(out: Path, **changes: Any) -> PretrainConfig:
    settings: dict[str, Any] = {
        "data": TASK,
        "out": str(out),
        "loop": LOOP,
        "model": tiny_config(),
        "optimizer": OptimizerConfig(method="muon", lr=4e-3, muon_lr=0.02, warmup=2, schedule="linear"),
        "batch": 8,
        "length": 48,
    }
    return PretrainConfig(**{**settings, **changes})


def distilling(model: Path, out: Path, **changes: Any) -> DistillConfig:
    settings: dict[str, Any] = {
        "model": str(model), "teacher": "solver", "task": TASK, "out": str(out), "loop": LOOP,
        "optimizer": OptimizerConfig(method="adamw", lr=3e-3), "batch": 8, "length": 48,
    }  # fmt: skip
    return DistillConfig(**{**settings, **changes})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def same(a: Path, b: Path) -> bool:
    left, right = weights(a), weights(b)
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def metrics(run: Path) -> list[dict[str, Any]]:
    return timeless(RunFolder(run).metrics())


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining run that nobody disturbed."""
    out = tmp_path_factory.mktemp("pretrained") / "base"
    pretrain(pretraining(out))
    return out


def test_the_golden_curve(pretrained: Path) -> None:
    """Loss of the first steps, as this configuration has always given it; a change of it is a change of the method."""
    rows = metrics(pretrained)
    assert [row["step"] for row in rows] == list(range(1, 15))
    assert [row["loss"] for row in rows[:3] + rows[-2:]] == pytest.approx(GOLDEN, rel=2e-3)
    assert [row["lr"] for row in rows[:4]] == pytest.approx([4e-3 / 3, 8e-3 / 3, 4e-3, 4e-3 * 11 / 12])


def test_a_run_folder_is_complete_and_loads_in_transformers(pretrained: Path) -> None:
    assert names(pretrained) == ["metrics.jsonl", "model", "run.json"]
    AutoModelForCausalLM.from_pretrained(pretrained / "model")
    tokenizer = AutoTokenizer.from_pretrained(pretrained / "model")
    assert tokenizer.decode(tokenizer("12 11 9=32:")["input_ids"]) == "12 11 9=32:"
    found = RunFolder(pretrained).read_json("run.json")
    assert found["kind"] == "pretrain"
    assert found["config"]["optimizer"]["muon_lr"] == 0.02


def test_a_finished_run_is_left_alone(pretrained: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in pretrained.rglob("*")}
    pretrain(pretraining(pretrained))
    assert {p: p.stat().st_mtime_ns for p in pretrained.rglob("*")} == before


def test_a_pretraining_killed_again_and_again_ends_with_the_same_weights(pretrained: Path, tmp_path: Path) -> None:
    out = tmp_path / "base"
    most = touches(lambda: pretrain(pretraining(tmp_path / "counted")))
    hits = kill_again_and_again(lambda: pretrain(pretraining(out)), most, kills=6, seed=3)
    assert hits >= 2
    assert same_run(out, pretrained)


def test_a_distillation_killed_again_and_again_ends_with_the_same_weights(pretrained: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "killed"
    most = touches(lambda: distill(distilling(pretrained, whole)))
    assert kill_again_and_again(lambda: distill(distilling(pretrained, out)), most, kills=4, seed=5) >= 1
    assert same_run(out, whole)
    assert not same(whole, pretrained)


def _stop_at(step: int) -> Callable[..., None]:
    def log(run: loop_module.TrainingRun, found: dict[str, float]) -> None:
        if run.step == step:
            raise KeyboardInterrupt
        ORIGINAL_LOG(run, found)

    return log


ORIGINAL_LOG = loop_module.TrainingRun._log


@pytest.mark.parametrize("stop", [1, 4, 5, 8, 14])
def test_a_run_stopped_at_any_step_goes_on_exactly(
    stop: int, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop_module.TrainingRun, "_log", _stop_at(stop))
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(tmp_path / "base"))
    assert (tmp_path / "base" / "state").exists() == (stop > 4)
    torch.rand(5)  # whatever else the process did
    pretrain(pretraining(tmp_path / "base", loop=replace(LOOP, save_every=100)))
    whole = tmp_path / "whole"
    shutil.copytree(pretrained, whole)
    described = RunFolder(whole).read_json("run.json")
    assert RunFolder(tmp_path / "base").read_json("run.json")["config"] == described["config"]
    shutil.copy(tmp_path / "base" / "run.json", whole)  # what ran may be said of another moment
    assert same_run(tmp_path / "base", whole)
    assert hash_model(tmp_path / "base") == hash_model(pretrained)


@pytest.mark.parametrize("kind", ["number", "bpe", "llava"])
def test_a_resumed_run_writes_the_tokenizer_it_began_with(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers writes another tokenizer_config.json for a tokenizer that it has loaded."""
    shape = replace(tiny_config(), tokenizer="char" if kind == "llava" else kind)
    loop = replace(LOOP, steps=3, save_every=1, keep_every=2)
    settings: dict[str, Any] = {"model": shape, "loop": loop}
    if kind == "llava":
        settings |= {"model": replace(shape, family="llava", layers=1, positions=256), "data": "scenes", "length": 160}
    pretrain(pretraining(tmp_path / "whole", **settings))
    for stop in (2, 3):  # from one state, and from the state of a run that had been resumed
        with monkeypatch.context() as patch:
            patch.setattr(loop_module.TrainingRun, "_log", _stop_at(stop))
            with pytest.raises(KeyboardInterrupt):
                pretrain(pretraining(tmp_path / "stopped", **settings))
    pretrain(pretraining(tmp_path / "stopped", **settings))
    assert same_run(tmp_path / "stopped", tmp_path / "whole")
    assert hash_model(tmp_path / "stopped") == hash_model(tmp_path / "whole")


def test_random_numbers_of_a_step_go_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As dropout draws them."""

    def noisy(*arguments: Any) -> Any:
        loss, others = piece_loss(*arguments)
        return loss * (1 + torch.rand(())), others

    monkeypatch.setattr(next_token, "piece_loss", noisy)
    pretrain(pretraining(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(loop_module.TrainingRun, "_log", _stop_at(7))
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(tmp_path / "stopped"))
    pretrain(pretraining(tmp_path / "stopped"))
    assert metrics(tmp_path / "stopped") == metrics(tmp_path / "whole")
    assert same(tmp_path / "stopped", tmp_path / "whole")


def test_a_run_killed_while_it_cleared_up_is_finished(pretrained: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(pretrained, tmp_path / "base"))
    (out / "state").mkdir()
    (out / "state" / "config.json").write_text("{}")
    pretrain(pretraining(out))
    assert same(out, pretrained)


def test_a_damaged_state_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop_module.TrainingRun, "_log", _stop_at(6))
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretraining(tmp_path / "base"))
    (tmp_path / "base" / "state" / "trainer.pt").write_bytes(b"garbage")
    with pytest.raises(ReachlabError, match=r"state: not a state to go on from .*; delete it to start over") as error:
        pretrain(pretraining(tmp_path / "base"))
    assert "\n" not in str(error.value)


def test_distilling_that_breaks_the_model_is_stopped(checkpoint: Path, tmp_path: Path) -> None:
    """At the only update, whose damage no later batch would show."""
    wild = {"optimizer": OptimizerConfig(method="adamw", lr=3.0), "loop": replace(LOOP, steps=1)}
    with pytest.raises(ReachlabError, match=r"step 1 raised the loss above its start by .* Lower --lr 3 to 0.3"):
        distill(distilling(checkpoint, tmp_path / "out", **wild))
    assert not (tmp_path / "out" / "model").exists()
    distill(distilling(checkpoint, tmp_path / "free", **wild, guard=0.0))


def test_the_guard_of_a_run_that_goes_on_knows_its_start(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distill(distilling(checkpoint, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(loop_module.TrainingRun, "_log", _stop_at(6))
        with pytest.raises(KeyboardInterrupt):
            distill(distilling(checkpoint, tmp_path / "stopped"))
    distill(distilling(checkpoint, tmp_path / "stopped"))
    rows = metrics(tmp_path / "whole")
    assert metrics(tmp_path / "stopped") == rows
    # All eight sequences of the first batch are looked at.
    assert rows[0]["guard_start"] == pytest.approx(rows[0]["loss"], rel=1e-4)
    assert rows[-1]["guard_loss"] < rows[0]["guard_start"]
    assert same(tmp_path / "stopped", tmp_path / "whole")


def test_distilling_adapters_leaves_what_they_are_not_on(checkpoint: Path, tmp_path: Path) -> None:
    lora = WeightsConfig(lora_rank=2)
    distill(distilling(checkpoint, tmp_path / "out", weights=lora, optimizer=OptimizerConfig(lr=0.02)))
    before, after = load_file(checkpoint / "model.safetensors"), weights(tmp_path / "out")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("proj" in name for name in moved)
    rows = metrics(tmp_path / "out")
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_another_configuration_is_refused(pretrained: Path) -> None:
    before = hash_model(pretrained)
    for change, says in (
        ({"batch": 9}, "batch was 8, now 9"),
        ({"loop": replace(LOOP, steps=15)}, "loop.steps was 14, now 15"),
        ({"optimizer": OptimizerConfig()}, 'optimizer.method was "muon", now "adamw"'),
        ({"model": tiny_config("olmoe")}, 'model.family was "qwen3", now "olmoe"'),
    ):
        with pytest.raises(ReachlabError, match=says):
            pretrain(pretraining(pretrained, **change))
    assert hash_model(pretrained) == before


def test_a_mixture_of_experts_learns_and_balances(tmp_path: Path) -> None:
    routing, loop = RoutingConfig(routing="default"), replace(LOOP, keep_every=7)
    pretrain(pretraining(tmp_path / "moe", model=tiny_config("olmoe"), routing=routing, loop=loop))
    kept = tmp_path / "moe" / "checkpoints" / "step-000007"
    assert names(kept) == names(tmp_path / "moe" / "model")
    assert "routers.state" in names(kept)
    rows = metrics(tmp_path / "moe")
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.3
    assert all(row["balance"] >= 0.99 for row in rows)
    # A model made here balances each layer; one from elsewhere as its family does.
    assert RunFolder(tmp_path / "moe").read_json("run.json")["config"]["balance"]["balance_form"] == "layer"
    assert all(row["load_cv"] > 0 and "load_cv/model.layers.1.mlp" in row for row in rows)


@pytest.mark.parametrize(("said", "found"), [(None, "pooled"), ("layer", "layer")])
def test_a_pretrained_family_balances_in_its_own_form(
    said: Any, found: str, moe_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(moe_checkpoint, folder)
    settings = json.loads((folder / "config.json").read_text())
    del settings["pretrained_by"]
    (folder / "config.json").write_text(json.dumps(settings))
    losses = {}
    for name, model in (("here", moe_checkpoint), ("elsewhere", folder)):
        balance = BalanceConfig(balance_form=said, balance=0.1)
        loop = replace(LOOP, steps=1)
        distill(distilling(model, tmp_path / f"of {name}", balance=balance, loop=loop, guard=0.0))
        losses[name] = metrics(tmp_path / f"of {name}")[0]["balance"]
    settled = RunFolder(tmp_path / "of elsewhere").read_json("run.json")["config"]["balance"]["balance_form"]
    assert settled == found
    assert (losses["here"] == losses["elsewhere"]) == (said is not None)


def test_a_text_file_is_learned(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    loop = replace(LOOP, steps=40)
    pretrain(pretraining(tmp_path / "run", data=f"text:{tmp_path / 'text'}", loop=loop, length=24))
    rows = metrics(tmp_path / "run")
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert all(row["tokens"] == 8 * 23 for row in rows)


def test_distilling_lowers_the_loss_on_right_answers(pretrained: Path, tmp_path: Path) -> None:
    distill(distilling(pretrained, tmp_path / "run", loop=replace(LOOP, steps=40)))
    losses = [row["loss"] for row in metrics(tmp_path / "run")]
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.5


def test_rows_that_are_cut_are_counted_and_told(pretrained: Path, tmp_path: Path) -> None:
    told: list[str] = []
    distill(distilling(pretrained, tmp_path / "run", loop=replace(LOOP, steps=2), length=16), told.append)
    cut = sum(row["cut"] for row in metrics(tmp_path / "run"))
    assert cut > 0
    assert any(f"{cut:.0f} of {2 * distilling(pretrained, tmp_path).batch} sequences were longer" in t for t in told)


def test_a_model_teaches_by_its_right_samples(pretrained: Path, tmp_path: Path, checkpoint: Path) -> None:
    teacher = tmp_path / "teacher"
    decoding = Decoding(max_tokens=4)
    sample(
        SampleConfig(
            model=str(checkpoint), task=TASK, out=str(teacher), split="train", problems=3, samples=4, decoding=decoding
        )
    )
    store = SampleStore(RunFolder(teacher))
    with pytest.raises(ReachlabError, match="no correct sample of a training problem"):
        distill(distilling(pretrained, tmp_path / "student", teacher=str(teacher)))
    assert not (tmp_path / "student").exists()
    for part in store.parts():
        store.rejudge(part, [Judged(Verdict.correct()) for _ in store.part(part)])
    distill(distilling(pretrained, tmp_path / "student", teacher=str(teacher), loop=replace(LOOP, steps=40)))
    losses = [row["loss"] for row in metrics(tmp_path / "student")]
    assert losses[-1] < losses[0] - 1


def test_a_control_learns_all_answers_and_as_many_tokens(pretrained: Path, tmp_path: Path, checkpoint: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    settings: dict[str, Any] = {"model": str(checkpoint), "task": TASK, "out": str(own), "split": "train"}
    sample(SampleConfig(**settings, problems=5, samples=8, decoding=Decoding(max_tokens=40)))
    distill(distilling(pretrained, other, loop=replace(LOOP, steps=5)))
    control = distilling(pretrained, tmp_path / "control", teacher=str(own), answers="all", tokens_of=str(other))
    distill(control)
    wanted, steps = sum(row["tokens"] for row in metrics(other)), metrics(tmp_path / "control")
    learned = [row["tokens"] for row in steps]
    assert sum(learned[:-1]) < wanted <= sum(learned)
    run = RunFolder(tmp_path / "control").read_json("run.json")["config"]
    assert run["loop"]["steps"] == len(steps)
    assert "tokens_of" not in run
    for said, wrong in (("not a finished training run", tmp_path), ("counts no tokens", checkpoint)):
        with pytest.raises(ReachlabError, match=said):
            distill(replace(control, out=str(tmp_path / "none"), tokens_of=str(_as_run(tmp_path / said, wrong))))


def _as_run(folder: Path, model: Path) -> Path:
    """A folder with `model` where a training run has its own."""
    folder.mkdir()
    (folder / "model").symlink_to(model)
    return folder


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def poisoned(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        loss, others = piece_loss(*arguments)
        return (loss * float("nan") if calls == 7 else loss), others

    with monkeypatch.context() as patch:
        patch.setattr(next_token, "piece_loss", poisoned)
        with pytest.raises(ReachlabError, match="loss and grad_norm not finite at step 7") as error:
            pretrain(pretraining(tmp_path / "base"))
    assert "Lower the learning rate" in str(error.value)
    assert not (tmp_path / "base" / "model").exists()
    pretrain(pretraining(tmp_path / "base"))
    assert same(tmp_path / "base", pretrained)


@pytest.mark.parametrize("family", ["qwen3", "olmoe"])
def test_the_loss_is_the_mean_over_learned_tokens(family: str, request: pytest.FixtureRequest) -> None:
    model: PreTrainedModel = request.getfixturevalue(family)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
    attention = ids > 0
    learn = torch.tensor([[False, False, True, True], [False, True, False, False]])
    batch = Tokens(ids, attention, learn)
    asked = BalanceConfig()
    route(model, RoutingConfig(), asked)
    loss, others = piece_loss(model, batch, torch.device("cpu"), 3.0, Balance(model, asked, 1))
    if densified(model) is not None:
        undensify(model)
        output = model(input_ids=ids, attention_mask=attention, output_router_logits=True)
        torch.testing.assert_close(others["balance"], output.aux_loss)
    with torch.no_grad():
        wanted = 0.0
        for b, t in ((0, 2), (0, 3), (1, 1)):
            logits = model(input_ids=ids[b : b + 1, :t]).logits[0, -1]
            wanted -= float(logits.log_softmax(-1)[ids[b, t]]) / 3
    balance = float(others.get("balance", torch.tensor(0.0))) * getattr(model.config, "router_aux_loss_coef", 0.0)
    assert float(loss) == pytest.approx(wanted + balance, abs=1e-4)
    assert (family == "olmoe") == (balance > 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": "chess"}, "unknown task family"),
        ({"data": "text:/nowhere"}, "/nowhere: No such file"),
        ({"model": replace(tiny_config(), heads=5)}, "must be heads=5 times an even number"),
        ({"loop": replace(LOOP, device="cuda:99")}, "device 'cuda:99' is not usable here"),
    ],
)
def test_bad_input_writes_nothing(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=says):
        pretrain(pretraining(tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


def test_data_that_are_too_short_write_nothing(tmp_path: Path, pretrained: Path) -> None:
    (tmp_path / "short").write_text("12")
    with pytest.raises(ReachlabError, match="3 tokens to learn from, fewer than one window of --length 48"):
        pretrain(pretraining(tmp_path / "run", data=f"text:{tmp_path / 'short'}"))
    with pytest.raises(ReachlabError, match="no prompt of step 0 leaves room for an answer in --length 3"):
        distill(distilling(pretrained, tmp_path / "run", length=3))
    assert not (tmp_path / "run").exists()


def test_training_is_local() -> None:
    with pytest.raises(ReachlabError, match="training runs live on a local disk"):
        pretrain(PretrainConfig(data=TASK, out="memory://runs/base", model=tiny_config()))


def test_a_student_without_a_checkpoint_writes_nothing(tmp_path: Path, checkpoint: Path) -> None:
    bare = Path(shutil.copytree(checkpoint, tmp_path / "bare"))
    (bare / "tokenizer.json").unlink()
    for model, says in ((tmp_path / "nothing", "no such model folder"), (bare, "a checkpoint without a tokenizer")):
        with pytest.raises(ReachlabError, match=says):
            distill(distilling(model, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LoopConfig(steps=-1), "steps=-1 must be 0"),
        (lambda: LoopConfig(steps=1, save_every=0), "save_every=0 1 or more"),
        (lambda: LoopConfig(steps=1, threads=-1), "threads=-1 must be 0"),
        (lambda: pretraining(Path("x"), batch=0), "batch=0 take a recipe's, and pretraining has none"),
        (lambda: pretraining(Path("x"), length=1), "length=1 must be 2 or more"),
        (lambda: distilling(Path("m"), Path("x"), batch=-1), "batch=-1 must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        make()


def test_weights_start_from_the_checkpoint_and_the_checkpoint_stays(pretrained: Path, tmp_path: Path) -> None:
    before = hash_model(pretrained)
    still = OptimizerConfig(method="adamw", lr=0.0)
    distill(distilling(pretrained, tmp_path / "run", optimizer=still, loop=replace(LOOP, steps=2)))
    assert same(tmp_path / "run", pretrained)
    assert hash_model(pretrained) == before
    load_model(tmp_path / "run")
