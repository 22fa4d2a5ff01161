import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.engines.served import serving
from tests.engines.test_vllm import BIN, HERE
from tests.engines.test_vllm import checkpoint as vllm_checkpoint
from tests.training.weights_server import WeightsServer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.commands.again import run_again
from reachlab.engines.config import Decoding, Servers
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, save_model
from reachlab.runs import RunFolder
from reachlab.tasks.registry import FAMILIES
from reachlab.training.beginning import config_identity
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.lora import add_lora
from reachlab.training.policy_engine import PolicyEngine
from reachlab.training.processes import Processes
from reachlab.training.rl import train_rl
from reachlab.training.rl_config import BudgetConfig, PushConfig, RLConfig
from reachlab.training.served_policy import ServedPolicy

PROMPTS, SEEDS, DECODING = [[3, 4, 5], [6, 7]], [[1, 2, 3], [4, 5]], Decoding(max_tokens=5)
CLOSE = PushConfig(tolerance=1e-3)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task `letters`."""
    monkeypatch.setitem(FAMILIES.places, "letters", "tests.training.letters:Letters")


@pytest.fixture
def server(checkpoint: Path) -> Iterator[WeightsServer]:
    with WeightsServer(checkpoint) as running:
        yield running


def served(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, url: str, folder: Path) -> ServedPolicy:
    place, servers = Processes(torch.device("cpu")), Servers(base_url=(url,), patience=20.0)
    return ServedPolicy(model, tokenizer, place, torch.float32, servers, replace(CLOSE, folder=str(folder)))


def settings(model: Path, out: Path, **changes: Any) -> RLConfig:
    given: dict[str, Any] = {
        "model": str(model), "task": "letters", "out": str(out), "prompts": 4, "max_tokens": 3, "guard": 0.0,
        "loop": LoopConfig(steps=3, save_every=1, seed=0, device="cpu", threads=1),
        "optimizer": OptimizerConfig(lr=3e-3), "budget": BudgetConfig(rollouts=8),
    }  # fmt: skip
    return RLConfig(**{**given, **changes})


def drawn(engine: ServedPolicy) -> list[list[int]]:
    with engine.ready():
        return [a.tokens.tolist() for row in engine.generate(PROMPTS, SEEDS, DECODING) for a in row]


@pytest.mark.parametrize("rank", [0, 2])
def test_answers_are_those_of_the_weights_as_they_are(
    checkpoint: Path, server: WeightsServer, tmp_path: Path, rank: int
) -> None:
    """Of merged adapters too; and nothing of the pushes stays in the model."""
    model, tokenizer = load_model(checkpoint)
    if rank:
        add_lora(model, rank, 0)
    engine = served(model, tokenizer, server.url, tmp_path / "pushed")
    plain = PolicyEngine(model, tokenizer, Processes(torch.device("cpu")), torch.float32)
    seen = []
    for seed in range(2):
        kept = deepcopy(model.state_dict())
        seen.append(drawn(engine))
        assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
        with plain.ready():
            assert seen[-1] == [a.tokens.tolist() for row in plain.generate(PROMPTS, SEEDS, DECODING) for a in row]
        with torch.no_grad():
            for p in filter(lambda p: p.requires_grad, model.parameters()):
                p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)))
    assert seen[0] != seen[1]
    assert engine.metrics["server_gap"] < 1e-5
    assert server.pushes == 3  # of the moved rows once
    assert server.calls.count("/reset_prefix_cache") == 3
    engine.server.close()


@pytest.mark.parametrize(
    ("deaf_after", "word"), [(0, "did not load all"), (1, "from the policy's"), (2, "from the policy's")]
)
def test_a_server_that_keeps_its_weights_stops_the_run(
    checkpoint: Path, tmp_path: Path, deaf_after: int, word: str
) -> None:
    model, tokenizer = load_model(checkpoint)
    with WeightsServer(checkpoint, deaf_after) as server:
        engine = served(model, tokenizer, server.url, tmp_path / "pushed")
        if deaf_after > 1:
            drawn(engine)
            with torch.no_grad():
                model.get_input_embeddings().weight.mul_(1.5)
        with pytest.raises(ReachlabError, match=word):
            drawn(engine)


def test_a_server_that_loses_its_weights_while_it_draws_stops_the_run(
    checkpoint: Path, server: WeightsServer, tmp_path: Path
) -> None:
    """As where it is restarted, with the weights that it was begun with."""
    model, tokenizer = load_model(checkpoint)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1.5)
    engine = served(model, tokenizer, server.url, tmp_path / "pushed")
    kept = server.answer

    def restarted(path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("completions") and "prompt_logprobs" not in body:
            server.load(checkpoint)
        return kept(path, body)

    server.answer = restarted  # type: ignore[method-assign]
    with pytest.raises(ReachlabError, match="restarted while it drew"):
        drawn(engine)
    engine.server.close()


def test_a_push_is_asked_for_again_and_replaces_a_folder_of_its_own(
    checkpoint: Path, server: WeightsServer, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    engine = served(*load_model(checkpoint), server.url, tmp_path)
    server.fails, server.failing = 1, "collective_rpc"
    assert drawn(engine)
    assert server.fails == 0
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    engine.server.close()


def test_a_run_through_a_server_is_the_run_without_one(checkpoint: Path, server: WeightsServer, tmp_path: Path) -> None:
    """For this server draws as the embedded engine does; a server that is busy for a moment changes nothing."""
    train_rl(settings(checkpoint, tmp_path / "embedded"))
    server.fails = 1
    train_rl(settings(checkpoint, tmp_path / "served", servers=Servers(base_url=(server.url,))))
    ours, theirs = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("embedded", "served"))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)
    rows = RunFolder(str(tmp_path / "served")).metrics()
    assert [row["reward"] for row in rows] == [row["reward"] for row in RunFolder(str(tmp_path / "embedded")).metrics()]
    assert all(row["server_gap"] < 1e-5 and row["seconds_push"] > 0 for row in rows)


def test_a_killed_run_goes_on_at_a_server_with_other_weights(
    checkpoint: Path, server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers, loop = Servers(base_url=(server.url,)), LoopConfig(steps=2, save_every=1, device="cpu", threads=1)
    train_rl(settings(checkpoint, tmp_path / "whole", servers=servers, loop=loop))
    ready, entered = ServedPolicy.ready, list[int]()

    def dying(self: ServedPolicy) -> Any:
        entered.append(1)
        if len(entered) == 2:
            raise KeyboardInterrupt
        return ready(self)

    monkeypatch.setattr(ServedPolicy, "ready", dying)
    config = settings(checkpoint, tmp_path / "killed", servers=servers, loop=loop)
    with pytest.raises(KeyboardInterrupt):
        train_rl(config)
    monkeypatch.setattr(ServedPolicy, "ready", ready)
    server.load(checkpoint)
    train_rl(config)
    ours, theirs = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)


def test_what_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="one server"):
        settings(checkpoint, tmp_path, servers=Servers(base_url=("http://a/v1", "http://b/v1")))
    with pytest.raises(ReachlabError, match="need --base-url"):
        settings(checkpoint, tmp_path, push=PushConfig(folder="x"))
    with pytest.raises(ReachlabError, match="push_tolerance"):
        PushConfig(tolerance=0.0)
    nobody = Servers(base_url=("http://127.0.0.1:9/v1",), patience=0.1)
    with pytest.raises(ReachlabError, match="VLLM_SERVER_DEV_MODE"):
        train_rl(settings(checkpoint, tmp_path / "nobody", servers=nobody))


def test_the_identity_says_that_there_is_a_server_and_not_where(checkpoint: Path, tmp_path: Path) -> None:
    """And that of a run without one is what it was before there were servers."""
    plain = config_identity(settings(checkpoint, tmp_path))
    one, other = (
        config_identity(settings(checkpoint, tmp_path, servers=Servers(base_url=(url,)))) for url in ("a", "b")
    )
    assert one == other == {**plain, "rollouts_from": "server"}
    assert not {"servers", "push"} & plain.keys()
    assert "from a server" in run_again({"kind": "rl", "config": one, "facts": {}}, "out").why


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not (BIN / "vllm").exists(), reason="no .venv-vllm: make vllm")
def test_vllm(tmp_path: Path) -> None:
    """vLLM's own server: its answers are those of the weights, and a run through it learns."""
    checkpoint = untied(vllm_checkpoint(tmp_path / "tied"), tmp_path / "model")
    command: list[str | Path] = [BIN / "python", "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint]
    command += ["--port", "{port}", "--enforce-eager", "--max-model-len", "64", "--dtype", "float32"]
    command += ["--no-enable-chunked-prefill"]
    environment = {**HERE, "VLLM_SERVER_DEV_MODE": "1"}
    with serving(command, "/health", tmp_path / "serve.log", **environment) as url:
        model, tokenizer = load_model(checkpoint)
        engine = served(model, tokenizer, url, tmp_path / "pushed")
        for seed in range(2):
            with engine.ready():
                answers = engine.generate(PROMPTS, SEEDS, DECODING)
                again = engine.generate(PROMPTS, SEEDS, DECODING)
            assert engine.metrics["server_gap"] < 1e-3
            for prompt, row, twin in zip(PROMPTS, answers, again, strict=True):
                for answer, same in zip(row, twin, strict=True):
                    assert answer.tokens.tolist() == same.tokens.tolist()
                    assert math.isclose(answer.logprob, logprob(model, prompt, answer.tokens.tolist()), abs_tol=1e-3)
                    ended = answer.tokens[-1] == tokenizer.eos_token_id
                    assert answer.finish == ("stop" if ended else "length")
                    assert answer.text == tokenizer.decode(answer.tokens, skip_special_tokens=True)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)))
        engine.server.close()
        loop = LoopConfig(steps=15, save_every=100, seed=0, device="cpu", threads=1)
        servers = Servers(base_url=(url,))
        train_rl(settings(checkpoint, tmp_path / "run", servers=servers, loop=loop, push=PushConfig(tolerance=1e-3)))
    rewards = [row["reward"] for row in RunFolder(str(tmp_path / "run")).metrics()]
    assert sum(rewards[-4:]) > sum(rewards[:4])


def untied(folder: Path, to: Path) -> Path:
    """The model with an output embedding of its own: of tied ones vLLM's CPU build reloads one half."""
    model, tokenizer = load_model(folder)
    config = deepcopy(model.config)
    config.tie_word_embeddings = False
    apart = type(model)(config)
    apart.load_state_dict(model.state_dict())
    save_model(to, apart, tokenizer)
    return to


def logprob(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> float:
    """Of an answer, by a pass of its own."""
    with torch.no_grad():
        logprobs_TV = model(torch.tensor([prompt + answer])).logits[0].double().log_softmax(-1)
    return sum(float(logprobs_TV[len(prompt) - 1 + i, token]) for i, token in enumerate(answer))
