"""A run.json becomes the command that makes the run again, or one sentence that says why there is none."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st
from tests.commands.test_words import CONFIGS
from tests.tiny import TASK

from reachlab.commands.again import Known, configuration, run_again, usual_settings
from reachlab.models.origin import Origin
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.store.adaptive import choose_looks
from reachlab.tasks.asking import AskConfig
from reachlab.training.beginning import config_identity
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.recipes import settle_distill, settle_rl
from reachlab.training.rl_config import RLConfig

ORIGIN = Origin(here=False, parameters=10**8)
KINDS = {PretrainConfig: "pretrain", DistillConfig: "distill", RLConfig: "rl", SampleConfig: "sample"}
TRAININGS = [config for config in CONFIGS if type(config) in (PretrainConfig, DistillConfig, RLConfig)]


def parsed(words: tuple[str, ...]) -> Any:
    """What the command line makes of words that were written for a shell, and split by it."""
    command, *rest = shlex.split(shlex.join(words))
    kind = next(kind for kind, name in KINDS.items() if name == command)
    return tyro.cli(kind, args=rest, config=(tyro.conf.OmitArgPrefixes,))


def trained(config: Any) -> dict[str, Any]:
    """The run.json of a training run of this configuration."""
    if isinstance(config, RLConfig):
        config = settle_rl(config, ORIGIN)
    elif isinstance(config, DistillConfig):
        config = settle_distill(config, ORIGIN)
    settings = config_identity(config)
    if isinstance(config, DistillConfig):
        del settings["tokens_of"]
    facts = {"data": config.data} if isinstance(config, PretrainConfig) else {"model_path": "runs/a model"}
    if not isinstance(config, PretrainConfig):
        settings |= {"model": "0" * 32, "ask": {"template": "plain"}, "task_hash": "1" * 32}
    document: dict[str, Any] = json.loads(json.dumps({"kind": KINDS[type(config)], "config": settings, "facts": facts}))
    return document


SAMPLED: dict[str, Any] = {
    "kind": "sample",
    "config": {
        "model": "0" * 32, "task": "countdown", "task_hash": "1" * 32, "ask": {"template": "plain"}, "split": "test",
        "problems": 200, "samples": 8, "seed": 5, "dtype": "float32",
        "decoding": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_tokens": 64, "stop": ["\n\n", "a b"]},
    },
    "facts": {"model_path": "runs/rl", "problem_seed": 3},
}  # fmt: skip


def changed(document: dict[str, Any], part: str = "config", **values: Any) -> dict[str, Any]:
    return document | {part: document[part] | values}


@pytest.mark.parametrize("config", TRAININGS, ids=lambda c: f"{type(c).__name__}")
def test_a_training_run_is_what_its_command_says(config: Any) -> None:
    document = trained(config)
    found = run_again(document, "runs/out there")
    assert parsed(found.words) == found.config, found.why
    assert found.why == ""
    kept = trained(found.config)
    # What was settled stands in the command, so another model would not change it.
    assert kept["config"] == document["config"]
    assert found.config.out == "runs/out there"


def test_a_run_of_samples_is_what_its_command_says() -> None:
    found = run_again(SAMPLED, "runs/s")
    assert parsed(found.words) == found.config
    asked = found.config
    assert (asked.model, asked.task, asked.out, asked.problem_seed) == ("runs/rl", "countdown", "runs/s", 3)
    assert (asked.decoding.stop, asked.samples, asked.split) == (("\n\n", "a b"), 8, "test")


OPTIONS_OF_VLLM = "Whether --vllm-args, --no-request-seeds or --no-logprobs were given is not kept."


@pytest.mark.parametrize(
    ("drawn", "engine", "why"),
    [
        ({}, "transformers", ""),
        ({"transformers": 8}, "transformers", ""),
        ({"vllm": 8}, "vllm", OPTIONS_OF_VLLM),
        (
            {"vllm": 1600, "transformers": 8}, "vllm",
            "The samples were drawn by transformers (8) and vllm (1,600); the command draws all with vllm. "
            + OPTIONS_OF_VLLM,
        ),
        (
            {"openai:vllm": 1600, "transformers": 8}, "transformers",
            "The samples were drawn by openai:vllm (1,600) and transformers (8); "
            "the command draws all with transformers.",
        ),
        (
            {"openai:vllm": 8}, "",
            "its samples were drawn by openai:vllm (8), whose address is not kept (`--engine openai`)",
        ),
        ({"abacus": 8}, "", "its samples were drawn by abacus (8)"),
    ],
)  # fmt: skip
def test_who_drew_is_said(drawn: dict[str, int], engine: str, why: str) -> None:
    found = run_again(SAMPLED, "o", Known(drawn=drawn))
    assert found.why == why
    assert bool(found.words) == bool(engine)
    if engine:
        assert parsed(found.words).engine == found.config.engine == engine


def test_adaptive_looks_are_said() -> None:
    looks = list(choose_looks(64, 16))
    document = changed(SAMPLED, samples=64, adaptive={"looks": looks, "enough": 2, "target_width": 0.1})
    found = run_again(document, "o")
    assert parsed(found.words) == found.config
    assert (found.config.adaptive.enough, found.config.adaptive.first_look) == (2, 16)
    odd = changed(SAMPLED, samples=64, adaptive={"looks": [5, 64], "enough": 2, "target_width": None})
    assert run_again(odd, "o").why == "its samples were drawn by looks that this version does not choose"


@given(st.text(min_size=1), st.text(min_size=1), st.text(), st.dictionaries(st.text(), st.text(), max_size=2))
def test_no_text_gets_out_of_its_quotes(model: str, task: str, system: str, options: dict[str, str]) -> None:
    ask = {"template": "chat", "system": system, "chat_template_kwargs": options}
    try:
        AskConfig(chat_template_kwargs=json.dumps(options))
    except Exception:
        return  # an option that no user could give
    document = changed(changed(SAMPLED, task=task, ask=ask), "facts", model_path=model)
    found = run_again(document, "o")
    assert parsed(found.words) == found.config
    assert (found.config.model, found.config.task, found.config.ask.system) == (model, task, system)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (
            {"kind": "import", "facts": {"file": "a.jsonl"}},
            "its samples were drawn elsewhere, and imported from a.jsonl",
        ),
        (
            {"kind": "watch", "facts": {"trainer": "SFTTrainer"}},
            "it was trained by another tool (SFTTrainer), and watched",
        ),
        (
            {"kind": "sample", "facts": {"model_path": "m", "live": {"trainer": "SFTTrainer", "step": 8}}},
            "its samples were drawn from a model while SFTTrainer trained it (step 8), whose weights are kept nowhere, "
            "unless the trainer saved them",
        ),
        ({"kind": "import", "facts": {"file": ["a", "b"]}}, "its samples were drawn elsewhere, and imported from a, b"),
        ({"kind": "reference"}, "its answers are the task's own solutions (`reachlab reference`)"),
        ({"kind": "dream"}, "its run.json does not say which command made it"),
        ({"kind": ["sample"]}, "its run.json does not say which command made it"),
        ({}, "its run.json does not say which command made it"),
        (changed(SAMPLED, beams=4), "it has settings that this version does not know: beams"),
        (
            changed(SAMPLED, decoding={"temperature": 1.0, "min_p": 0.1}),
            "it has settings that this version does not know: decoding.min_p",
        ),
        (changed(SAMPLED, "facts", model_path=None), "its run.json does not say where its model was"),
        (
            changed(SAMPLED, dtype="as served"),
            "its samples came from a server, whose address is not kept (`--engine openai`)",
        ),
        (
            changed(SAMPLED, ask={"template": "plain", "examples": [["q", "a"]]}),
            "it was asked with worked examples of a file, whose place is not kept",
        ),
        (changed(SAMPLED, samples=0), "its run.json holds what no command takes (samples=0 must be 1 or more)"),
        (
            changed(SAMPLED, decoding={"stop": ["-x", "y"]}),
            "its run.json holds what no command takes (--stop takes no several values of which one begins with a dash)",
        ),
    ],
)
def test_what_no_command_makes_says_why(document: dict[str, Any], why: str) -> None:
    found = run_again(document, "o")
    assert (found.words, found.why) == ((), why)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["sample", "rl", "distill", "pretrain"]), st.sampled_from([*SAMPLED["config"], "loop"]), JSON)
def test_a_strange_run_json_is_no_reason_to_fail(kind: str, name: str, value: Any) -> None:
    document = changed(SAMPLED, **{name: value}) | {"kind": kind}
    found = run_again(document, "o")
    assert bool(found.words) != bool(found.why) or kind != "sample"
    usual_settings(document)


def test_what_an_older_version_did_not_know_is_said() -> None:
    document = trained(PretrainConfig(data="countdown", out="o"))
    del document["config"]["balance"]["balance_form"]
    found = run_again(document, "o")
    assert found.words
    assert found.why == (
        "The run is of a version that had no balance.balance_form; the command takes what is usual now."
    )


def test_what_is_usual_is_the_configurations_own_and_the_recipes() -> None:
    document = trained(RLConfig(model="m", task="countdown", out="o"))
    usual = usual_settings(document)
    same = ("optimizer", "budget", "selection", "objective", "evaluation", "weights", "routing", "prompts", "guard")
    assert {name: json.loads(json.dumps(usual[name])) for name in same} == {
        name: document["config"][name] for name in same
    }
    assert usual["loop"]["steps"] == document["config"]["loop"]["steps"] == 60
    assert "task" not in usual  # has no default
    assert usual_settings(SAMPLED)["decoding"]["temperature"] == 1.0
    assert usual_settings({"kind": "import"})["verify_timeout"] == 5.0
    assert usual_settings({"kind": "dream"}) == {}


def test_the_command_goes_on_with_the_run(checkpoint: Path, tmp_path: Path) -> None:
    """It is the same run: nothing is refused, and nothing is left to draw."""
    out = str(tmp_path / "run")
    asked = SampleConfig(model=str(checkpoint), task=TASK, out=out, problems=2, samples=3, problem_seed=4)
    assert sample(asked).drawn == 6
    document = RunFolder(out).read_json("run.json")
    again = run_again(document, out)
    assert sample(parsed(again.words)).drawn == 0
    assert configuration(document, "elsewhere") == replace(again.config, out="elsewhere")
