"""What a study says of a stage is what the command line reads."""

from dataclasses import replace
from typing import Any

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.commands.words import with_words, words_of
from reachlab.engines.config import DecodingChoice, Servers
from reachlab.errors import ReachlabError
from reachlab.measures.config import EntropyConfig, ScoreConfig
from reachlab.models.config import ModelConfig
from reachlab.sampling.config import Cluster, SampleConfig
from reachlab.store.config import Adaptive
from reachlab.tasks.asking import AskConfig
from reachlab.training.config import (
    BalanceConfig,
    DistillConfig,
    LoopConfig,
    OptimizerChoice,
    OptimizerConfig,
    PretrainConfig,
    RoutingConfig,
    TextConfig,
    WeightsConfig,
)
from reachlab.training.rl_config import BudgetConfig, EvaluationConfig, ObjectiveConfig, RLConfig, SelectionConfig

SAMPLE = SampleConfig(model="m", task="countdown", out="o")
RL = RLConfig(model="m", task="countdown", out="o")
DISTILL = DistillConfig(model="m", teacher="solver", task="countdown", out="o")
PRETRAIN = PretrainConfig(data="countdown", out="o")
KWARGS = '{"enable_thinking": false}'
CONFIGS = [
    SAMPLE,
    replace(SAMPLE, engine="openai", servers=Servers(base_url=("http://a/v1", "http://b/v1"), patience=1e-3)),
    replace(SAMPLE, engine="vllm", vllm_args='{"a": [1, 2]}', request_seeds=False, logprobs=False),
    replace(SAMPLE, decoding=DecodingChoice(temperature=0.1 + 0.2, top_p=0.95, stop=("\n", "a b", ";"))),
    replace(SAMPLE, decoding=DecodingChoice(stop=())),
    replace(SAMPLE, decoding=DecodingChoice(stop=("-x",)), model="-m"),
    replace(SAMPLE, adaptive=Adaptive(on=True, target_width=0.02, enough=2), samples=32, rehash=True, shard="0/1"),
    replace(SAMPLE, ask=AskConfig(template="chat", system="Be 'brief'.", chat_template_kwargs=KWARGS, shots=2)),
    replace(SAMPLE, cluster=Cluster(ray="local", workers=2, worker_gpus=0.5), prefix=0.6, problems=3, seed=7),
    RL,
    replace(RL, objective=ObjectiveConfig(algorithm="ppo", kl=1e-3, clip_high=0.28, gamma=1.0, lam=0.95)),
    replace(RL, selection=SelectionConfig(rule="max_variance", keep=4), budget=BudgetConfig(rollouts=16, redraws=0)),
    replace(RL, budget=BudgetConfig(rollouts=16, budget="pilot_commit", wave=4, band=(0.1, 0.9)), reward="random"),
    replace(RL, evaluation=EvaluationConfig(watch=False, eval_every=2), weights=WeightsConfig(lora_rank=4), guard=0.0),
    replace(RL, optimizer=OptimizerChoice(lr=1e-5, method="adamw"), loop=LoopConfig(steps=3, track=("wandb",))),
    replace(RL, optimizer=OptimizerConfig(lr=1e-5), routing=RoutingConfig(routing="default", probe_share=0.5)),
    DISTILL,
    replace(DISTILL, answers="all", tokens_of="runs/a b", balance=BalanceConfig(balance=0.0), batch=3, accumulate=2),
    PRETRAIN,
    replace(PRETRAIN, text=TextConfig(glob="*.md"), loop=LoopConfig(steps=5), length=9),
    replace(PRETRAIN, model=ModelConfig(family="olmoe", experts=4)),
    EntropyConfig(model="m", task="countdown", temperature=(0.5, 1.0), match="b", out="o"),
    ScoreConfig(runs=("a", "b"), model="m", samples=3),
]


def read(config: Any, words: tuple[str, ...]) -> Any:
    return tyro.cli(type(config), args=words[1:], config=(tyro.conf.OmitArgPrefixes,))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: " ".join(words_of(c))[:60])
def test_the_command_line_reads_what_was_said(config: Any) -> None:
    words = words_of(config)
    # An optimizer that is all said is the choice that says all.
    if isinstance(getattr(config, "optimizer", None), OptimizerConfig) and not isinstance(config, PretrainConfig):
        config = replace(config, optimizer=OptimizerChoice(**config.optimizer.given()))
    assert read(config, words) == config


def test_what_is_as_usual_is_not_said() -> None:
    assert words_of(SAMPLE) == ("sample", "--model", "m", "--task", "countdown", "--out", "o")
    assert words_of(replace(SAMPLE, rehash=True))[-1] == "--rehash"
    assert words_of(replace(RL, evaluation=EvaluationConfig(watch=False)))[-1] == "--no-watch"
    assert words_of(ScoreConfig(runs=("a", "b"), model="m"))[1:3] == ("a", "b")


def test_a_nested_default_is_the_commands_own() -> None:
    """Pretraining takes 800 steps where nothing is said, though the loop by itself takes the recipe's."""
    assert "--steps" not in words_of(PRETRAIN)
    assert words_of(replace(RL, loop=replace(RL.loop, steps=800)))[-2:] == ("--steps", "800")


@settings(max_examples=20)
@given(st.floats(0, 2), st.floats(0.01, 1), st.integers(0, 99), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_any_decoding(temperature: float, top_p: float, top_k: int, stop: list[str]) -> None:
    texts = tuple(text.lstrip("-") or "x" for text in stop)  # several values cannot begin with a dash
    config = replace(SAMPLE, decoding=DecodingChoice(temperature=temperature, top_p=top_p, top_k=top_k, stop=texts))
    assert read(config, words_of(config)) == config


def test_what_no_option_says() -> None:
    odd = replace(PRETRAIN, optimizer=replace(PRETRAIN.optimizer))
    object.__setattr__(odd.optimizer, "lr", None)
    with pytest.raises(ValueError, match=r"OptimizerConfig\.lr: no option says None"):
        words_of(odd)


def test_a_users_words_come_last() -> None:
    config = replace(RL, loop=replace(RL.loop, steps=3))
    found = with_words(config, "--lora-rank 8 --steps 9", "--rl-words")
    assert found == replace(config, weights=WeightsConfig(lora_rank=8), loop=replace(config.loop, steps=9))
    assert with_words(config, "", "--rl-words") is config


@pytest.mark.parametrize("words", ["--lora-rnk 8", "--lora-rank x", "--lora-rank", "oops", "--system 'half"])
def test_words_that_a_command_does_not_take(words: str) -> None:
    with pytest.raises(ReachlabError, match=r"--rl-words .*`reachlab rl` does not take that"):
        with_words(RL, words, "--rl-words")
