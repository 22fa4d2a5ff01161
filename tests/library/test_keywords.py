"""Flat keywords: every option of every command, checked as nobody types them."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import reachlab as rl
from reachlab.cli import COMMANDS
from reachlab.commands.options import configuration, options_of
from reachlab.commands.words import words_of
from reachlab.errors import InvalidArgumentError, UnknownKeywordError
from reachlab.library.border import in_python
from reachlab.library.keywords import build, keywords_of
from reachlab.sampling.config import SampleConfig
from reachlab.training.config import PretrainConfig
from reachlab.training.rl_config import RLConfig

FUNCTIONS = {
    **{
        name: getattr(rl, name) for name in ("chance", "compare", "distill", "entropy", "export", "merge", "perplexity")
    },
    **{name: getattr(rl, name) for name in ("power", "pretrain", "report", "sample", "score", "serve", "verify")},
    "import": rl.import_samples,
    "measures": rl.measure,
    "rl": rl.train_rl,
}
SAID_OTHERWISE = {
    "compare": {"names", "matrix", "json"},
    "report": {"names", "matrix"},
    "power": {"matrix", "json"},
    "serve": {"names", "matrix"},
    "rl": {"advise"},
}
SAMPLE: dict[str, Any] = {"model": "m", "task": "countdown", "out": "runs/s"}
RL: dict[str, Any] = {"model": "m", "task": "countdown", "out": "runs/g"}


@pytest.mark.parametrize("command", FUNCTIONS)
def test_every_option_of_a_command_is_a_keyword_with_its_default_and_meaning(command: str) -> None:
    function = FUNCTIONS[command]
    parameters = inspect.signature(function).parameters
    doc = inspect.getdoc(function) or ""
    for option in options_of(configuration(COMMANDS[command])):
        name = option.words[0].removeprefix("--").removeprefix("no-").replace("-", "_") if option.words else option.name
        name = {"no": option.name}.get(name, name)
        if name in SAID_OTHERWISE.get(command, {"json"}) or name == "json":
            continue
        assert name in parameters, f"{command}: {name}"
        assert f"\n{name} : " in doc, f"{command}: {name}"
    assert not [p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD]
    for section in ("Parameters\n----------\n", "Returns\n-------\n", "Raises\n------\n"):
        assert section in doc


def test_keywords_say_what_words_say() -> None:
    given: dict[str, Any] = {
        "rollouts": 64,
        "keep": 16,
        "rule": "max_variance",
        "lr": 1,
        "optimizer": "adamw",
        "kl_coef": 0.1,
    }
    found = build(RLConfig, {**RL, **given, "track": ["wandb"], "band": [0, 1]}, function="train_rl", command="rl")
    assert (found.budget.rollouts, found.selection.keep, found.objective.kl) == (64, 16, 0.1)
    assert (found.optimizer.method, found.optimizer.lr, type(found.optimizer.lr)) == ("adamw", 1.0, float)
    assert found.loop == RLConfig(**RL).loop.__class__(save_every=10, track=("wandb",))
    assert found.budget.band == (0.0, 1.0)
    assert "--kl-coef" in words_of(found)


def test_what_is_not_said_or_none_is_as_usual() -> None:
    assert build(SampleConfig, SAMPLE, function="sample") == SampleConfig(**SAMPLE)
    assert build(SampleConfig, {**SAMPLE, "samples": None, "seed": None}, function="sample") == SampleConfig(**SAMPLE)
    usual = PretrainConfig(data="countdown", out="runs/b")
    assert build(PretrainConfig, {"data": "countdown", "out": "runs/b"}, function="pretrain") == usual
    other = build(PretrainConfig, {"data": "countdown", "out": "runs/b", "lr": 1e-3}, function="pretrain")
    assert (other.optimizer.lr, other.optimizer.method) == (1e-3, "muon")  # the rest of the recipe stays


def test_values_are_taken_as_python_has_them() -> None:
    found = build(
        SampleConfig,
        {**SAMPLE, "out": Path("runs/s"), "samples": np.int64(3), "temperature": 1, "stop": "x", "adaptive": True},
        function="sample",
    )
    assert (found.out, found.samples, found.decoding.temperature, found.decoding.stop) == ("runs/s", 3, 1.0, ("x",))
    assert found.adaptive.on


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temprature": 1}, r"^sample: there is no keyword 'temprature'; did you mean temperature\?$"),
        ({"zzz": 1}, r"^sample: there is no keyword 'zzz'; help\(\) of the function lists them$"),
        ({"samples": 1.5}, r"^sample: samples=1.5 must be a whole number$"),
        ({"samples": True}, r"^sample: samples=True must be a whole number$"),
        ({"samples": "3"}, r"^sample: samples='3' must be a whole number$"),
        ({"logprobs": 1}, r"^sample: logprobs=1 must be True or False$"),
        ({"engine": "vlm"}, r"engine='vlm' must be one of 'transformers', .*; did you mean 'vllm'\?$"),
        ({"stop": [1]}, r"^sample: stop=\[1\] must be a list, each text or a path$"),
        ({"temperature": "hot"}, r"^sample: temperature='hot' must be a number$"),
        ({"task": None}, r"^sample: task is needed: What to ask, as `reachlab tasks` lists it"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        build(SampleConfig, {**SAMPLE, **given}, function="sample", command="sample")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError) == ("keyword" in str(caught.value) or "needed" in str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_old_name_works_and_is_said() -> None:
    with pytest.warns(FutureWarning, match="lam is called gae_lambda now") as heard:
        found = build(RLConfig, {**RL, "lam": 0.9}, function="train_rl", command="rl")
    assert found.objective.lam == 0.9
    assert heard[0].filename == __file__
    with (
        pytest.warns(FutureWarning, match="kl is called kl_coef now"),
        pytest.raises(UnknownKeywordError, match="kl_coef is given twice"),
    ):
        build(RLConfig, {**RL, "kl": 0.1, "kl_coef": 0.1}, function="train_rl", command="rl")


def test_sentences_name_keywords() -> None:
    assert in_python("--keep 3: add --advantage-normalisation all") == "keep 3: add advantage_normalisation all"
    assert in_python("bad (command: reachlab rl --keep 3)") == "bad (command: reachlab rl --keep 3)"
    assert in_python("yours with --lr --optimizer") == "yours with lr, optimizer"
    assert (
        in_python("mine.py is not imported; give it with --plugin mine.py")
        == "mine.py is not imported; import it first"
    )
    assert in_python("`reachlab tasks --help`, a--b, -- and `--x`") == "`reachlab tasks --help`, a--b, -- and `--x`"
    assert keywords_of(RLConfig)["random_keep"].path == ("selection", "random_keep")


class Names:
    """What stands beside a type whose names are known when they are asked for (`choices.py`)."""

    def __init__(self) -> None:
        self.known = ["one"]

    def names(self) -> tuple[str, ...]:
        return tuple(self.known)


NAMES = Names()


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A configuration with such a field."""

    kind: Annotated[str, NAMES] = "one"
    """Which."""


def test_a_name_that_is_registered_later_is_taken() -> None:
    with pytest.raises(ValueError, match=r"^f: kind='two' must be one of 'one'$"):
        build(Chosen, {"kind": "two"}, function="f")
    NAMES.known.append("two")
    assert build(Chosen, {"kind": "two"}, function="f").kind == "two"
