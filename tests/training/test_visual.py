"""A model that sees through every command: pretrained, trained by RL, distilled, sampled, scored, compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.conftest import Command
from tests.models.vlm import llava
from tests.tiny import kill_again_and_again, rows_of, touches

from reachlab.engines.config import DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, save_model
from reachlab.models.packing import Packer
from reachlab.models.tokenizer import encode_prompts
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.tasks.registry import load_task
from reachlab.training.next_token import NextTokenTrainer
from reachlab.training.text import Tokens, attempts, document_batches

TASK = "scenes,size=32"
SHAPE = ("--family", "llava", "--hidden", "32", "--layers", "1", "--heads", "2", "--image-size", "32", "--patch", "8")
Do = Callable[..., str]


@pytest.fixture
def do(command: Command) -> Do:
    """A command that has to go well; what it printed."""

    def run(*words: Any) -> str:
        code, out, err = command(*map(str, words))
        assert code == 0, err
        return out

    return run


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "seeing"
    save_model(folder, *llava())
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(folder)[0].state_dict())


def moved(before: Path, after: Path) -> set[str]:
    """What part of the model training moved."""
    a, b = weights(before), weights(after)
    assert a.keys() == b.keys()
    names = {name for name in a if not torch.equal(a[name], b[name])}
    return {
        part for part in ("vision_tower", "multi_modal_projector", "language_model") if any(part in n for n in names)
    }


def test_pretraining_stopped_and_gone_on_with(
    tmp_path: Path, do: Do, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state that a run goes on from has the processor; the weights are those of a run that was not stopped."""
    words = ("pretrain", "--data", TASK, *SHAPE, "--batch", "8", "--threads", "1", "--steps", "6", "--save-every", "2")
    do(*words, "--out", tmp_path / "whole")
    learn = NextTokenTrainer.learn

    def until(self: NextTokenTrainer, batch: Tokens, t: int) -> Any:
        if t == 5:
            raise ReachlabError("the power is gone")
        return learn(self, batch, t)

    with monkeypatch.context() as patch:
        patch.setattr(NextTokenTrainer, "learn", until)
        assert command(*words, "--out", str(tmp_path / "cut"))[0] == 2
    assert (tmp_path / "cut" / "state" / "processor_config.json").is_file()
    do(*words, "--out", tmp_path / "cut")
    assert not moved(tmp_path / "whole", tmp_path / "cut")
    _, tokenizer = load_model(tmp_path / "cut")
    assert len(encode_prompts(tokenizer, [load_task(TASK).problems("test", 1)[0].asked])[0]) > 16


@pytest.mark.parametrize(
    "how",
    [
        ("--algorithm", "grpo"),
        ("--algorithm", "grpo", "--keep", "2", "--rule", "max_variance"),
        ("--algorithm", "ppo"),
        ("--algorithm", "dapo", "--redraws", "1"),
        ("--algorithm", "grpo", "--kl-coef", "0.1"),
        ("--algorithm", "remax", "--epochs", "2"),
    ],
    ids=lambda how: " ".join(how),
)
def test_rl_moves_the_eyes_too(seeing: Path, tmp_path: Path, do: Do, how: tuple[str, ...], monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "length_reward.py").write_text("def shorter(problem, answer):\n    return float(len(answer) % 3)\n")
    do("rl", "--model", seeing, "--task", TASK, "--prompts", 3, "--rollouts", 4, "--max-tokens", 6, "--steps", 2,
       "--reward", "length_reward:shorter", "--threads", 1, *how, "--out", tmp_path / "rl")  # fmt: skip
    assert moved(seeing, tmp_path / "rl") == {"vision_tower", "multi_modal_projector", "language_model"}


@pytest.mark.slow
def test_distilling_learns_to_look(seeing: Path, tmp_path: Path, do: Do) -> None:
    """From a solver and from samples; behind noise the student has chance left, a quarter."""
    easy = f"{TASK},kinds=spread,most=2,terms=2,figures=0,mistakes=0"
    how = ("--batch", 32, "--threads", 1)
    do(
        "distill",
        "--model",
        seeing,
        "--task",
        easy,
        "--teacher",
        "solver",
        "--steps",
        200,
        *how,
        "--out",
        tmp_path / "t",
    )
    ask = (
        "sample",
        "--model",
        tmp_path / "t",
        "--split",
        "train",
        "--problems",
        10,
        "--samples",
        16,
        "--max-tokens",
        20,
    )
    right = []
    for name, task in (("seen", easy), ("blind", f"{easy},blind=true")):
        do(*ask, "--task", task, "--out", tmp_path / name)
        rows = rows_of(tmp_path / name)
        right.append(sum(row["verdict"] == "correct" for row in rows) / len(rows))
    assert right[0] > 0.6 > 0.45 > right[1], right
    do("distill", "--model", seeing, "--task", easy, "--teacher", tmp_path / "seen", "--steps", 2, *how, "--out",
       tmp_path / "student")  # fmt: skip
    assert moved(seeing, tmp_path / "student") == {"vision_tower", "multi_modal_projector", "language_model"}


def test_samples_are_scored_compared_and_shown(seeing: Path, tmp_path: Path, do: Do) -> None:
    """The store keeps references and hashes; a model's score of its own answers is what it drew them with."""
    words = ("sample", "--model", seeing, "--problems", 4, "--samples", 6, "--max-tokens", 8)
    for name, task in (("a", TASK), ("blind", f"{TASK},blind=true")):
        do(*words, "--task", task, "--out", tmp_path / name)
    a, blind = rows_of(tmp_path / "a"), rows_of(tmp_path / "blind")
    assert [row["seed"] for row in a] == [row["seed"] for row in blind]
    assert [row["text"] for row in a] != [row["text"] for row in blind]
    do("score", tmp_path / "a", "--model", seeing, "--name", "self")
    a = rows_of(tmp_path / "a")
    marks = [row for row in a if row["logprob:self"] is not None]
    assert len(marks) > len(a) / 2
    close = [abs(row["logprob:self"] - row["logprob"]) < 1e-3 for row in marks]
    # Where such a model writes a placeholder, decoding gives another text.
    assert sum(close) > 0.7 * len(close)
    listed = (tmp_path / "a" / "problems.jsonl").read_text()
    assert '"image_hashes"' in listed
    assert len(listed) < 3000
    do("compare", tmp_path / "a", tmp_path / "blind")
    do("report", tmp_path / "a", tmp_path / "blind", "--out", tmp_path / "report.html")
    assert 'id="pictures-0"' in (tmp_path / "report.html").read_text()
    do("entropy", seeing, "--task", TASK, "--problems", 3, "--max-tokens", 6)


def test_a_killed_run_goes_on_to_the_same_samples(seeing: Path, tmp_path: Path) -> None:
    def config(out: str) -> SampleConfig:
        decoding = DecodingChoice(max_tokens=12)
        return SampleConfig(
            model=str(seeing), task=TASK, problems=12, samples=24, decoding=decoding, part=24, out=str(tmp_path / out)
        )

    most = touches(lambda: sample(config("whole")))
    assert kill_again_and_again(lambda: sample(config("killed")), most, kills=4, seed=1) >= 1
    assert [r["text"] for r in rows_of(tmp_path / "killed")] == [r["text"] for r in rows_of(tmp_path / "whole")]


def test_pieces_of_a_batch_keep_their_pictures() -> None:
    _, tokenizer = llava()
    batch = document_batches(attempts(load_task(TASK), 0), tokenizer, 7, 64, answer_only=True)(0)
    model, _ = llava()
    whole = batch.seen(model, torch.device("cpu"))["pixel_values"]
    parts = [part.seen(model, torch.device("cpu"))["pixel_values"] for part in batch.split(3)]
    assert torch.equal(torch.cat(parts), whole)
    assert [len(part) for part in parts] == [3, 2, 2]
    spare = batch.share(9, 12)
    assert spare.seen(model, torch.device("cpu"))["pixel_values"].shape[0] == 1
    assert not spare.learn_BT.any()
    bare = Tokens(batch.ids_BT, batch.attention_BT, batch.learn_BT)
    assert bare.seen(model, torch.device("cpu")) == {}


def test_a_length_that_cuts_a_picture_is_refused(seeing: Path, command: Command, tmp_path: Path) -> None:
    words = ("distill", "--model", seeing, "--task", TASK, "--teacher", "solver", "--steps", "1", "--length", "12")
    code, _, err = command(*map(str, words), "--out", str(tmp_path / "x"))
    assert code == 2
    assert "--length 12 cuts a picture" in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", ["gone", "broken", "huge", "text-only"])
def test_what_cannot_be_seen_is_one_line_and_leaves_nothing(
    seeing: Path, checkpoint: Path, command: Command, tmp_path: Path, kind: str
) -> None:
    picture = tmp_path / "x.png"
    Image.effect_noise((64, 64), 90).save(picture)
    (tmp_path / "x.jsonl").write_text('{"id": 1, "question": "How many?", "answer": "3", "image": "x.png"}\n')
    if kind == "gone":
        picture.unlink()
    elif kind == "broken":
        picture.write_bytes(picture.read_bytes()[:1500])
    elif kind == "huge":
        Image.new("1", (20_000, 20_000)).save(picture)
    model = checkpoint if kind == "text-only" else seeing
    said = {"gone": "no such picture", "broken": "a broken picture", "huge": "more than the 50,000,000 allowed",
            "text-only": "this checkpoint reads text alone"}[kind]  # fmt: skip
    for name, words in (("s", ("sample", "--samples", "2")), ("r", ("rl", "--steps", "1"))):
        code, _, err = command(*words, "--model", str(model), "--task", f"visual:{tmp_path}/x.jsonl", "--out",
                               str(tmp_path / name))  # fmt: skip
        assert code == 2
        assert err.count("\n") == 1
        if name == "s" or "no problem in split" not in err:
            assert said in err
        assert not (tmp_path / name).exists()


def test_a_pack_shares_a_picture_among_answers(seeing: Path) -> None:
    model, tokenizer = load_model(seeing)
    prompts = encode_prompts(tokenizer, [p.asked for p in load_task(TASK).problems("test", 2)])
    (pack,) = Packer(model).pack(prompts, [[[5, 6]] * 20, [[7]]], 1 << 20)
    assert pack.pixels["pixel_values"].shape[0] == 2
