"""What a killed run goes on from is looked through: one line says what is wrong and what is good."""

import json
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.runs import run_of
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, save_model
from reachlab.runs import RunFolder
from reachlab.training.beginning import Claim
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.loop import TrainingRun
from reachlab.training.saved import not_finite


def begin(model: Path, out: Path, **changes: Any) -> TrainingRun:
    loop = LoopConfig(**{"steps": 9, "save_every": 4, "keep_every": 3, "device": "cpu", "threads": 1, **changes})

    return run_of(model, Claim(RunFolder(out), "test", {}), loop, OptimizerConfig(lr=0.01, clip=0))


def steps(run: TrainingRun, stop_at: int = -1, breaks: dict[int, float] | None = None) -> None:
    """Train; as if the process were killed in the step after `stop_at`."""

    def step(t: int) -> dict[str, float]:
        if t == stop_at:
            raise KeyboardInterrupt
        for p in run.model.parameters():
            p.grad = torch.full_like(p, 1.0 + t)
        if t in (breaks or {}):
            for group in run.optimizers["policy"][0].param_groups:
                group["base_lr"] = (breaks or {})[t]
        return {"loss": 1.0, "grad_norm": run.optimize(t)["policy"]}

    with suppress(KeyboardInterrupt):
        run.train(step, "test")


@pytest.fixture(scope="module")
def stopped(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in step 8: its state is of step 4, and checkpoints of steps 3 and 6 are kept."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    steps(begin(checkpoint, out), stop_at=7)
    return out


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(checkpoint: Path, run: Path) -> str:
    """What is said instead of going on; nothing on the disk has changed."""
    before = files(run)
    with pytest.raises(ReachlabError) as error:
        begin(checkpoint, run)
    assert files(run) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def with_state(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    state = torch.load(run / "state" / "trainer.pt", weights_only=True)
    change(state)
    torch.save(state, run / "state" / "trainer.pt")


def weight(state: dict[str, Any]) -> Tensor:
    found: Tensor = state["policy"]["model"]["model.norm.weight"]
    return found


def moment(state: dict[str, Any]) -> Tensor:
    found: Tensor = state["policy"]["optimizers"][0]["state"][0]["exp_avg"]
    return found


def shrink(state: dict[str, Any]) -> None:
    state["policy"]["optimizers"][0]["state"][0]["exp_avg"] = torch.zeros(2, 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("step"), "trainer.pt has no 'step'"),
        (lambda s: s.pop("random"), "trainer.pt has no 'random'"),
        (lambda s: s.pop("policy"), "trainer.pt has no 'policy'"),
        (lambda s: s["policy"].pop("model"), "no weights and optimizers of 'policy'"),
        (lambda s: s["policy"].pop("optimizers"), "no weights and optimizers of 'policy'"),
        (lambda s: s["policy"]["optimizers"].pop(), "zip"),
        (lambda s: s["policy"]["model"].pop("model.norm.weight"), "Error\\(s\\) in loading state_dict"),
        (lambda s: s.update(step="4"), "trainer.pt is of step '4', and the run has 9"),
        (lambda s: s.update(step=-1), "trainer.pt is of step -1"),
        (lambda s: s.update(step=True), "trainer.pt is of step True"),
        (lambda s: s.update(step=10), "trainer.pt is of step 10, and the run has 9"),
        (lambda s: s.update(random=torch.zeros(3)), "not a state to go on from"),
        (lambda s: s.update(random=4), "not a state to go on from"),
        (lambda s: weight(s).fill_(math.nan), "the weights of step 4 are not finite: model.norm.weight"),
        (lambda s: weight(s)[3:4].fill_(math.inf), "the weights of step 4 are not finite: model.norm.weight"),
        (lambda s: moment(s).fill_(math.nan), "the optimizer of step 4 holds what is no number"),
        (shrink, "its optimizer moves weights of other shapes"),
    ],
)
def test_a_state_that_cannot_be_used(
    checkpoint: Path, run: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    with_state(run, change)
    said = refused(checkpoint, run)
    assert said.startswith(f"{run}/state: not a state to go on from (")
    with pytest.raises(ReachlabError, match=says):
        begin(checkpoint, run)
    assert f"the weights of step 6 in {run}/checkpoints/step-000006 are good" in said
    assert said.endswith("then delete state/ to start over")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04", None, "half", "list"])
def test_a_trainer_file_that_is_none(checkpoint: Path, run: Path, content: bytes | str | None) -> None:
    file = run / "state" / "trainer.pt"
    if content is None:
        file.unlink()
    elif content == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif content == "list":
        torch.save([1], file)
    else:
        file.write_bytes(content)  # type: ignore[arg-type]
    said = refused(checkpoint, run)
    assert "not a state to go on from (" in said
    assert "()" not in said
    assert (content != b"") or "(trainer.pt is empty)" in said
    assert "checkpoints/step-000006 are good" in said


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_state_without_its_tokenizer(checkpoint: Path, run: Path, name: str) -> None:
    (run / "state" / name).unlink()
    assert "not a state to go on from (" in refused(checkpoint, run)


def test_a_checkpoint_that_is_damaged_is_not_called_good(checkpoint: Path, run: Path) -> None:
    (run / "state" / "trainer.pt").write_bytes(b"")
    newest = run / "checkpoints" / "step-000006" / "model.safetensors"
    weights = load_file(newest)
    weights["model.norm.weight"][0] = math.nan
    save_file(weights, newest, metadata={"format": "pt"})
    assert "the weights of step 3 in" in refused(checkpoint, run)
    (run / "checkpoints" / "step-000003" / "model.safetensors").write_bytes(b"torn")
    assert refused(checkpoint, run).endswith(
        "(trainer.pt is empty), and no good checkpoint of an earlier step is kept; delete it to start over"
    )
    shutil.rmtree(run / "state")
    assert begin(checkpoint, run).step == 0


LINE = b'{"step": 2, "loss": 1.0, "grad_norm": 1.0, "seconds": 0.1, "lr": 0.01}'


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda ls: [ls[0], b'{"step": 2, "lo', *ls[2:]], "line 2 is no training step's: '{\"step\": 2, \"lo'"),
        (lambda ls: [*ls[:3], b"hello", *ls[3:]], "line 4 is no training step's: 'hello'"),
        (lambda ls: [*ls[:3], b"[1, 2]", *ls[3:]], "line 4 is no training step's"),
        (lambda ls: [*ls[:3], b'{"loss": 1.0}', *ls[3:]], "line 4 is no training step's"),
        (lambda ls: [*ls[:3], b'{"step": "4"}', *ls[3:]], "line 4 is no training step's"),
        (lambda ls: [*ls[:3], b'{"step": true}', *ls[3:]], "line 4 is no training step's"),
        (lambda ls: [*ls[:3], b"\xff\xfe", *ls[3:]], "line 4 is no training step's"),
        (lambda ls: [*ls[:3], b"[" * 100_000, *ls[3:]], "line 4 is no training step's"),
        (lambda ls: [*ls, b"hello"], "line 8 is no training step's: 'hello'"),
        (lambda ls: [ls[0], *ls[2:]], "no line of step 2"),
        (lambda ls: ls[:2], "no line of step 3, 4"),
        (lambda ls: [], "no line of step 1, 2, 3 and others"),
        (lambda ls: [*ls[:3], ls[2], *ls[3:]], "lines that come twice, or in another order"),
        (lambda ls: [ls[1], ls[0], *ls[2:]], "lines that come twice, or in another order"),
        (lambda ls: [ls[0], b'{"step": 2}', *ls[2:]], "no number 'seconds' in the line of step 2"),
        (lambda ls: [ls[0], LINE.replace(b"0.1", b'"long"'), *ls[2:]], "no number 'seconds' in the line of step 2"),
    ],
)
def test_a_log_that_lacks_a_line_is_refused(
    checkpoint: Path, run: Path, damage: Callable[[list[bytes]], list[bytes]], says: str
) -> None:
    log = run / "metrics.jsonl"
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"".join(line + b"\n" for line in damage(lines)))
    said = refused(checkpoint, run)
    assert said.startswith(f"{log}: {says}")
    assert f"the state of step 4 in {run}/state is good" in said
    # Put back as it was, the run goes on.
    log.write_bytes(b"\n".join(lines) + b"\n")
    steps(begin(checkpoint, run))
    assert [row["step"] for row in RunFolder(run).metrics()] == [*range(1, 10)]


@pytest.mark.parametrize("tail", [b"", b'{"st', b"{", b"\0\0\0", b"\n", LINE.replace(b"2", b"8", 1)])
def test_a_torn_last_line_is_what_a_kill_leaves(checkpoint: Path, run: Path, tail: bytes) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(tail)
    steps(begin(checkpoint, run))
    assert [row["step"] for row in RunFolder(run).metrics()] == [*range(1, 10)]


def test_a_log_without_a_state(checkpoint: Path, run: Path) -> None:
    """The run begins anew; a line of somebody else's is not thrown away all the same."""
    shutil.rmtree(run / "state")
    log = run / "metrics.jsonl"
    good = log.read_bytes()
    log.write_bytes(good + b"mine\n")
    assert refused(checkpoint, run) == (
        f"{log}: line 8 is no training step's: 'mine'; no state is saved, so delete metrics.jsonl to start over"
    )
    log.write_bytes(good)
    assert begin(checkpoint, run).step == 0


def test_a_finished_run_does_not_look(checkpoint: Path, run: Path) -> None:
    steps(begin(checkpoint, run))
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"mine\n")
    assert begin(checkpoint, run).finished


@pytest.mark.parametrize("how_far", [math.inf, math.nan])
def test_an_update_that_breaks_a_weight_is_not_saved(checkpoint: Path, run: Path, how_far: float) -> None:
    """Its loss and gradient were finite; the next step would have saved the broken weights as the last good state."""
    before = files(run / "state")
    with pytest.raises(ReachlabError) as error:
        steps(begin(checkpoint, run), breaks={5: how_far})
    said = str(error.value)
    assert "step 6 left weights that are not finite (model.embed_tokens.weight): the update was too large" in said
    assert "Lower --lr 0.01 to 0.001" in said
    assert said.endswith(f"the state in {run}/state is that of step 4, before it")
    assert files(run / "state") == before
    assert [row["step"] for row in RunFolder(run).metrics()] == [1, 2, 3, 4, 5]
    steps(begin(checkpoint, run))


def test_the_last_update_is_looked_at_too(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"step 9 left weights that are not finite.*is that of step 8"):
        steps(begin(checkpoint, tmp_path / "run"), breaks={8: math.inf})
    assert not (tmp_path / "run" / "model").exists()


def test_a_run_does_not_begin_with_weights_that_are_no_numbers(checkpoint: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(checkpoint)
    with torch.no_grad():
        model.get_parameter("model.norm.weight")[2] = math.nan
    save_model(tmp_path / "broken", model, tokenizer)
    with pytest.raises(ReachlabError, match=r"begins with has weights that are not finite: model.norm.weight"):
        begin(tmp_path / "broken", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_running_out_of_memory_says_nothing_of_the_state(
    checkpoint: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(torch.OutOfMemoryError):
        begin(checkpoint, run)


def test_not_finite_names_the_first() -> None:
    layer = nn.Linear(2, 2)
    assert not_finite(dict(layer.named_parameters())) is None
    layer.bias.data[1] = -math.inf
    assert not_finite(dict(layer.named_parameters())) == "bias"
    assert not_finite({"count": torch.tensor([1]), "nothing": torch.zeros(0)}) is None
    assert not_finite({"large": torch.full((4,), 3e38), "half": torch.full((9,), 6e4, dtype=torch.float16)}) is None
    assert not_finite({"fine": torch.ones(2), "both": torch.tensor([math.inf, -math.inf])}) == "both"


def test_lines_are_json_again(run: Path) -> None:
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_bytes().splitlines()] == [*range(1, 8)]
