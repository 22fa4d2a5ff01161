import json
from pathlib import Path

import pytest
import torch
from tests.conftest import Command
from tests.tiny import TASK, loud, tiny_config, tiny_tokenizer

from reachlab.errors import ReachlabError
from reachlab.models.build import build_model
from reachlab.models.checkpoint import save_model
from reachlab.moe import densify
from reachlab.studies.config import InspectConfig
from reachlab.studies.routers import inspect_routers

SMALL = ("--tokens", "256", "--length", "16", "--batch", "4", "--fidelity", "1", "--warm-up", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "sums.txt"
    file.write_text("".join(f"{i}+{i + 1}={2 * i + 1};\n" for i in range(2000)))
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with default vectors, whose last layer never visits two of the experts."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    tokenizer = tiny_tokenizer()
    model = loud(build_model(tiny_config("olmoe"), tokenizer, seed=0))
    densify(model, "default", estimator="routed")
    model.train()
    model(input_ids=torch.randint(3, len(tokenizer), (4, 16)))
    with torch.no_grad():
        # All logits are 0, and of equal ones the top-k always takes the same two.
        model.model.layers[1].mlp.gate.weight.zero_()
    save_model(folder, model.eval(), tokenizer)
    return folder


def test_a_table_a_warning_and_a_page(command: Command, trained: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "routers.html"
    code, printed, said = command("moe", "inspect", trained, "--data", f"text:{text}", "--out", out, *SMALL)
    assert code == 0, said
    assert "256 tokens" in printed
    assert "2 layers, 2 of 4 experts active" in printed
    assert "estimator=routed" in printed
    assert "routed" in printed
    assert "in use" in printed
    assert "of 4 got none of 256 tokens" in said
    assert out.read_text("utf-8").startswith("<!doctype html>")


def test_json(command: Command, trained: Path, text: Path) -> None:
    code, printed, said = command("moe", "inspect", trained, "--data", f"text:{text}", "--json", *SMALL)
    assert code == 0, said
    found = json.loads(printed)
    assert [layer["tokens"] for layer in found["layers"]] == [256, 256]
    assert found["layers"][1]["unused"]
    assert found["layers"][0]["vectors"]["norms"][0] > 0
    assert set(found["fidelity"]) >= {"in use", "topk", "default/routed"}
    assert found["warnings"]


def test_a_task_has_padding_that_does_not_count(moe_checkpoint: Path) -> None:
    found = inspect_routers(
        InspectConfig(model=str(moe_checkpoint), data=TASK, tokens=128, length=32, batch=4, fidelity=0, device="cpu")
    )
    assert found.fidelity == {}
    assert "not densified" in found.facts
    assert 0 < found.readings[0].tokens < 128
    assert found.readings[0].load != found.readings[1].load


def test_the_text_is_cut_to_windows(moe_checkpoint: Path, text: Path) -> None:
    short = text.with_name("short.txt")
    short.write_text("1+2=3;" * 20)
    config = InspectConfig(model=str(moe_checkpoint), data=f"text:{short}", length=16, fidelity=1, device="cpu")
    found = inspect_routers(config)
    # A character a token, and the end of the text.
    assert found.readings[0].tokens == 121
    assert found.fidelity["topk"][0].cosine == found.fidelity["default/routed"][0].cosine  # nothing left to warm up on


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nowhere",), "no such model folder"),
        (("{dense}",), "no mixture-of-experts layers"),
        (("{moe}", "--data", "text:nowhere.txt"), "No such file"),
        (("{moe}", "--data", "chess"), "chess"),
        (("{moe}", "--tokens", "0"), "tokens=0 must be 1 or more"),
        (("{moe}", "--length", "1"), "length=1 must be 2 or more"),
        (("{moe}", "--warm-up", "-1"), "warm_up=-1 must be 0 or more"),
    ],
)
def test_errors(words: tuple[str, ...], reason: str, command: Command, checkpoint: Path, moe_checkpoint: Path) -> None:
    filled = [word.format(dense=checkpoint, moe=moe_checkpoint) for word in words]
    code, _, said = command("moe", "inspect", *filled)
    assert code == 2
    assert reason in said
    assert "Traceback" not in said


def test_a_dense_model_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ReachlabError, match="no mixture-of-experts"):
        inspect_routers(InspectConfig(model=str(checkpoint), data=TASK, device="cpu"))
