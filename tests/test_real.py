"""A real model, an instruct model of 135 M parameters: asked as it was trained, drawn exactly, taught without breaking.

Everything else is tested on models of a few thousand parameters whose answers mean nothing.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import Command
from tests.tiny import ENVIRONMENT, reachlab, rows_of
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.models.checkpoint import load_model
from reachlab.models.tokenizer import encode_prompts
from reachlab.prompting.prompted_task import prompted_task
from reachlab.runs import RunFolder
from reachlab.tasks.asking import AskConfig

pytestmark = pytest.mark.real

TASK = "gym:chain_sum,max_terms=2,max_digits=1"
FEW = ("--problems", "2", "--samples", "4", "--max-tokens", "8", "--part", "2", "--rows", "2")

Loaded = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@pytest.fixture(scope="module")
def loaded(real: Path) -> Loaded:
    return load_model(real)


@pytest.fixture(scope="module")
def prompts(real: Path, loaded: Loaded) -> list[list[int]]:
    """Two problems as the model is asked them."""
    problems = prompted_task(TASK, AskConfig(), str(real)).task.problems("test", 2)
    return encode_prompts(loaded[1], [p.asked for p in problems])


def say(loaded: Loaded, question: str, tokens: int = 24) -> str:
    """What the model answers, by transformers alone."""
    model, tokenizer = loaded
    asked: Any = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    found = model.generate(**asked, max_new_tokens=tokens, do_sample=False)
    return str(tokenizer.decode(found[0, asked["input_ids"].shape[1] :]))


def test_it_knows_the_capital_of_france(loaded: Loaded) -> None:
    assert "Paris" in say(loaded, "What is the capital of France?")


def test_its_end_of_turn_is_its_end_of_text(loaded: Loaded) -> None:
    model, tokenizer = loaded
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.generation_config is not None
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == model.config.eos_token_id


def test_it_is_asked_through_its_chat_template(command: Command, real: Path) -> None:
    code, out, err = command("tasks", TASK, "--model", real, "--problems", "1")
    assert code == 0, err
    assert "<|im_start|>user\n" in out
    assert out.count("<|im_start|>assistant\n") == 1


def test_greedy_answers_are_those_of_generate(loaded: Loaded, prompts: list[list[int]]) -> None:
    model, tokenizer = loaded
    greedy = Decoding(temperature=0, max_tokens=32)
    found = TransformersDecoder(model, tokenizer).generate(prompts, [[0], [0]], greedy)
    for prompt, row in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        wanted = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=32, do_sample=False)
        assert row[0].tokens.tolist() == wanted[0, len(prompt) :].tolist()


@torch.no_grad()
def test_log_probabilities_are_those_of_a_forward_pass(loaded: Loaded, prompts: list[list[int]]) -> None:
    model, tokenizer = loaded
    found = TransformersDecoder(model, tokenizer).generate(prompts, [[1, 2, 3], [4, 5, 6]], Decoding(max_tokens=16))
    for prompt, row in zip(prompts, found, strict=True):
        for answer in row:
            ids = torch.tensor([[*prompt, *answer.tokens.tolist()]])
            logprobs = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
            wanted = logprobs.gather(1, ids[0, len(prompt) :, None]).sum()
            assert answer.logprob == pytest.approx(float(wanted), abs=2e-5 * len(answer.tokens))


@pytest.mark.slow
def test_a_run_killed_and_started_again(real: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["sample", "--model", real, "--task", TASK, *FEW]
    whole = reachlab(*words, "--out", tmp_path / "whole", timeout=280)
    assert whole.returncode == 0, whole.stderr
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "reachlab", *map(str, words), "--out", str(out)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(out.glob("samples/part-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = reachlab(*words, "--out", out, timeout=280)
    assert again.returncode == 0, again.stderr
    assert rows_of(out) == rows_of(tmp_path / "whole")


@torch.no_grad()
def divergence(before: Loaded, after: Loaded) -> float:
    """KL(before ‖ after) a token of a chat that has nothing to do with the task."""
    chat = [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "The capital of France is Paris. It lies on the Seine."},
    ]
    ids: Any = before[1].apply_chat_template(chat, return_tensors="pt", return_dict=True)
    old, new = (model(input_ids=ids["input_ids"]).logits.log_softmax(-1) for model, _ in (before, after))
    return float((old.exp() * (old - new)).sum(-1).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("rl", "--prompts", "4", "--rollouts", "2", "--max-tokens", "16", "--reward", "random"),
        ("distill", "--teacher", "solver", "--batch", "4"),
    ],
    ids=["rl", "distill"],
)
def test_a_few_steps_do_not_break_it(
    words: tuple[str, ...], command: Command, real: Path, loaded: Loaded, tmp_path: Path
) -> None:
    out = tmp_path / "taught"
    code, _, err = command(*words, "--model", real, "--task", TASK, "--steps", "2", "--threads", "1", "--out", out)
    assert code == 0, err
    steps = RunFolder(out).metrics()
    assert len(steps) == 2
    assert all(row.get("kl_start", 0.0) < 0.05 for row in steps)
    # Greedy words may differ where two were as likely.
    assert 0 < divergence(loaded, load_model(out)) < 0.05
