import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Command
from tests.tiny import TASK, loud, tiny_config
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerBase

from reachlab.code_hash import hash_of_modules
from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.errors import ReachlabError
from reachlab.measures import entropy as module
from reachlab.measures.config import EntropyConfig
from reachlab.measures.entropy import Entropy, EntropyMeter, match_temperature, measure_entropy
from reachlab.models.build import build_model
from reachlab.models.checkpoint import save_model
from reachlab.models.tokenizer import train_tokenizer
from reachlab.tasks.registry import load_task

PROBLEMS, SAMPLES, TOKENS = 5, 3, 6


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> Path:
    """A model of other weights, less sure of itself."""
    folder = tmp_path_factory.mktemp("other") / "base"
    save_model(folder, loud(build_model(tiny_config(), tokenizer, seed=0), 0.2), tokenizer)
    return folder


@pytest.fixture
def settings(checkpoint: Path) -> EntropyConfig:
    return EntropyConfig(
        model=str(checkpoint), task=TASK, temperature=(1.0,), problems=PROBLEMS, samples=SAMPLES, max_tokens=TOKENS,
        device="cpu",
    )  # fmt: skip


def reading(temperature: float, nats: float) -> Entropy:
    """Three problems of two tokens each with the same entropy."""
    return Entropy(temperature, np.full(3, 2 * nats), np.full(3, 2))


@pytest.mark.usefixtures("nothing_registered")
def test_the_code_of_a_task_of_ones_own_is_part_of_it(settings: EntropyConfig, tmp_path: Path) -> None:
    (tmp_path / "own_chain.py").write_text(
        "from reachlab.tasks.chain import Chain\n\nclass Mine(Chain):\n    'Mine.'\n"
    )
    mine = f"{tmp_path / 'own_chain.py'}:Mine"
    problems = load_task(mine).problems("test", 1)
    found = {task: module._identity(replace(settings, task=task), "test", problems, {}) for task in (TASK, mine)}
    assert "plugins" not in found[TASK]
    assert found[mine]["plugins"] == {"task": hash_of_modules(["reachlab_plugin_own_chain"])}


# -- the measurement ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("family", ["qwen3", "olmoe", "gpt2"])
def test_it_is_the_mean_entropy_of_the_distributions_that_tokens_were_drawn_from(
    temperature: float, family: str, request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase
) -> None:
    if family == "gpt2":  # a model that cannot be packed
        shape = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64)
        model: PreTrainedModel = loud(GPT2LMHeadModel(shape))
    else:
        model = request.getfixturevalue(family)
    problems = load_task(TASK).problems("test", PROBLEMS)
    meter = EntropyMeter(model, tokenizer, problems, SAMPLES, TOKENS)
    found = meter.measure(temperature)
    decoding = Decoding(temperature=temperature, max_tokens=TOKENS)
    drawn = TransformersDecoder(model, tokenizer).generate(meter.prompts, meter.seeds, decoding)
    nats, tokens = np.zeros(PROBLEMS), np.zeros(PROBLEMS)
    for p, row in enumerate(drawn):
        for answer in row:
            prompt, ids = meter.prompts[p], answer.tokens.tolist()
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0].double() / temperature
            for place in range(len(ids)):
                probs = logits[len(prompt) + place - 1].softmax(-1)
                nats[p] -= float((probs * probs.clamp(min=1e-300).log()).sum())
            tokens[p] += len(ids)
    assert found.tokens_P.tolist() == tokens.tolist()
    assert found.nats_P == pytest.approx(nats, rel=1e-4, abs=1e-5)
    assert found.nats == pytest.approx(nats.sum() / tokens.sum(), rel=1e-4)
    assert 0 < found.nats < math.log(len(tokenizer))


def test_the_entropy_rises_with_the_temperature(settings: EntropyConfig) -> None:
    found = measure_entropy(replace(settings, temperature=(0.05, 0.5, 1.0, 2.0, 50.0))).readings
    values = [row.nats for row in found]
    assert values == sorted(values)
    assert values[0] < 0.1
    assert values[-1] == pytest.approx(math.log(21), rel=0.01)  # every token is as likely as any other


def test_the_interval_is_that_of_resampled_problems() -> None:
    rng = np.random.default_rng(0)
    tokens_P = rng.integers(5, 30, 200)
    found = Entropy(1.0, tokens_P * rng.gamma(4, 0.1, 200), tokens_P)
    who_BP = rng.integers(200, size=(4000, 200))
    ratios_B = found.nats_P[who_BP].sum(1) / found.tokens_P[who_BP].sum(1)
    assert found.interval == pytest.approx(np.quantile(ratios_B, [0.025, 0.975]), abs=0.003)
    assert found.pull_P.sum() == pytest.approx(0, abs=1e-9)
    alone = Entropy(1.0, np.array([3.0]), np.array([4]))
    assert alone.nats == 0.75
    assert all(map(math.isnan, alone.interval))


# -- matching ---------------------------------------------------------------------------------------------------------


@given(
    at=st.floats(0.2, 2.0),
    scale=st.floats(0.3, 3.0),
    power=st.floats(0.5, 3.0),
    tolerance=st.sampled_from([0.05, 1e-4]),
)
def test_the_temperature_where_a_rising_entropy_is_the_targets(
    at: float, scale: float, power: float, tolerance: float
) -> None:
    target = reading(at, at**power)
    found = match_temperature(lambda t: reading(t, (t / scale) ** power), target, 0.01, 10.0, tolerance)
    assert found.temperature == pytest.approx(scale * at, abs=tolerance)
    assert found.found.temperature == found.temperature


@given(jumps=st.lists(st.floats(0.31, 3.9), min_size=1, max_size=8, unique=True), at=st.floats(0.3, 3.9))
def test_a_jump_over_the_target_is_found_too(jumps: list[float], at: float) -> None:
    """Steps up, as where drawn tokens change: T* is where the entropy jumps over the target."""

    def measure(t: float) -> Entropy:
        return reading(t, 0.1 * sum(t > jump for jump in jumps))

    target = reading(at, 0.05)
    found = match_temperature(measure, target, 0.05, 4.0, 1e-3)
    assert found.temperature == pytest.approx(min(jumps), abs=1e-3)


def test_of_several_crossings_the_one_next_to_the_target_is_taken() -> None:
    """An entropy that rises to T = 1, falls to 1.6 and rises again crosses 0.9 three times."""

    def measure(t: float) -> Entropy:
        return reading(t, float(np.interp(t, [0, 1, 1.6, 3], [0, 1, 0.5, 2])))

    assert match_temperature(measure, reading(0.6, 0.9), 0.05, 4.0, 1e-3).temperature == pytest.approx(0.9, abs=1e-3)
    found = match_temperature(measure, reading(2.9, 0.9), 0.05, 4.0, 1e-3).temperature
    assert found == pytest.approx(1.6 + 0.4 / 1.5 * 1.4, abs=1e-3)


@pytest.mark.parametrize(
    ("nats", "says"),
    [
        (5.0, r"no temperature from 0\.6 to 4 gives an entropy of 5\.000 nats a token: it is 0\.600 at 0\.6 and 4\.000 "
              r"at 4; give --high more room"),
        (0.01, r"no temperature from 0\.6 to 0\.05 gives an entropy of 0\.010.*give --low more room"),
    ],
)  # fmt: skip
def test_no_such_temperature_is_said_in_words(nats: float, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        match_temperature(lambda t: reading(t, t), reading(0.6, nats), 0.05, 4.0, 0.005)


def test_a_model_matches_itself(settings: EntropyConfig) -> None:
    found = measure_entropy(replace(settings, match=settings.model, at=0.7)).match
    assert found is not None
    assert (found.temperature, found.low, found.high) == (0.7, 0.7, 0.7)


def test_the_matched_model_has_the_entropy_of_the_other(settings: EntropyConfig, other: Path) -> None:
    config = replace(settings, match=str(other), at=0.8, problems=20, samples=4, tolerance=1e-3)
    found = measure_entropy(config).match
    assert found is not None
    assert found.temperature > 1.0  # the other's weights are smaller, and so are its logits
    assert found.found.nats == pytest.approx(found.target.nats, abs=0.02)
    assert found.low < found.temperature < found.high
    assert found.target.temperature == 0.8
    # Other problems and seeds give another temperature, within what the intervals allow.
    again = measure_entropy(replace(config, problem_seed=1, seed=1)).match
    assert again is not None
    assert abs(again.temperature - found.temperature) < (again.high - again.low + found.high - found.low) / 2


@pytest.mark.slow
def test_the_interval_of_a_matched_temperature_covers() -> None:
    """H(T) = slope of a problem × T with noise: the matched temperature of 400 draws is covered 95 times in 100."""
    rng = np.random.default_rng(1)
    hits, draws, P = 0, 400, 60
    for _ in range(draws):
        tokens_P = rng.integers(4, 20, P)
        hard_P, noise_P = rng.gamma(4, 0.25, P), rng.normal(0, 0.1, (2, P))

        def measure(
            t: float, hard_P: np.ndarray = hard_P, noise_P: np.ndarray = noise_P, tokens_P: np.ndarray = tokens_P
        ) -> Entropy:
            return Entropy(t, tokens_P * (0.5 * hard_P * t + noise_P[0]), tokens_P)

        # Both models share what makes a problem hard: the difference is far surer than either entropy.
        target = Entropy(0.6, tokens_P * (0.6 * hard_P + noise_P[1]), tokens_P)
        found = match_temperature(measure, target, 0.05, 4.0, 1e-4)
        hits += found.low <= 1.2 <= found.high
    assert 0.92 < hits / draws < 0.98


# -- the folder -------------------------------------------------------------------------------------------------------


def counting(monkeypatch: pytest.MonkeyPatch, stop_after: int = 1 << 30) -> list[float]:
    """The temperatures that are measured from now on; it is killed before it measures one more than `stop_after`."""
    asked: list[float] = []
    inner = EntropyMeter.measure

    def measure(self: EntropyMeter, temperature: float) -> Entropy:
        if len(asked) == stop_after:
            raise KeyboardInterrupt
        asked.append(temperature)
        return inner(self, temperature)

    monkeypatch.setattr(EntropyMeter, "measure", measure)
    return asked


def test_a_killed_measurement_goes_on(
    settings: EntropyConfig, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(settings, match=str(other), at=0.8, temperature=(0.5, 1.0))
    whole = measure_entropy(config).to_dict()
    config = replace(config, out=str(tmp_path / "entropy"))
    with monkeypatch.context() as patch:
        counting(patch, stop_after=4)
        with pytest.raises(KeyboardInterrupt):
            measure_entropy(config)
    with monkeypatch.context() as patch:
        rest = counting(patch)
        assert measure_entropy(config).to_dict() == whole
        assert not {0.5, 1.0, 0.8} & set(rest)
        del rest[:]
        patch.setattr(module, "load_model", lambda *_: pytest.fail("a finished measurement needs no model"))
        assert measure_entropy(config).to_dict() == whole
        assert rest == []
    found = json.loads((tmp_path / "entropy" / "entropy.json").read_text())
    assert found | whole == found
    assert json.loads((tmp_path / "entropy" / "run.json").read_text())["kind"] == "entropy"
    with pytest.raises(ReachlabError, match="samples was 3, now 4"):
        measure_entropy(replace(config, samples=4))


def test_the_command(command: Command, checkpoint: Path, other: Path) -> None:
    words = ["entropy", checkpoint, "--task", TASK, "--problems", "4", "--samples", "2", "--max-tokens", "6"]
    words += ["--device", "cpu", "--temperature", "0.6", "1.0"]
    code, out, _ = command(*words)
    assert code == 0
    first, second, *_ = out.splitlines()
    assert first.startswith(f"{checkpoint}: ")
    assert " nats a token at temperature 0.6 (" in first
    assert " nats a token at temperature 1 (" in second
    code, out, _ = command(*words, "--match", other, "--json")
    found = json.loads(out)
    assert code == 0
    assert [row["temperature"] for row in found["readings"]] == [0.6, 1.0]
    assert found["match"]["target"]["temperature"] == 0.6
    assert found["match"]["model"] == str(other)
    assert found["match"]["temperature"] > 0.6
    code, out, err = command(*words, "--match", other, "--high", "0.61", "--tolerance", "0.001")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: no temperature from 0.6 to 0.61 gives an entropy of ")


def test_one_problem_has_no_interval(command: Command, checkpoint: Path) -> None:
    words = ["entropy", checkpoint, "--task", TASK, "--problems", "1", "--samples", "2", "--max-tokens", "6"]
    code, out, _ = command(*words)
    assert code == 0
    assert "(1 problem, " in out
    code, out, _ = command(*words, "--json")
    assert json.loads(out)["readings"][0]["low"] is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda c: replace(c, temperature=(0.6, 0.0)), "temperature=0.0 must be above 0"),
        (lambda c: replace(c, temperature=()), "give at least one --temperature"),
        (lambda c: replace(c, at=5.0), r"at=5\.0 must lie within low=0\.05 to high=4\.0"),
        (lambda c: replace(c, low=3.0, high=2.0), "must be two temperatures above 0, low and high"),
        (lambda c: replace(c, tolerance=0.0), "tolerance=0.0 must be above 0"),
        (lambda c: replace(c, samples=0), "samples=0 must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(settings: EntropyConfig, make: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        make(settings)


def test_models_with_different_tokens_are_remarked_on(settings: EntropyConfig, tmp_path: Path, qwen3: Any) -> None:
    strange = train_tokenizer("char", ["0123456789+-*/=:; abc"])
    save_model(tmp_path / "strange", qwen3, strange)
    notes: list[str] = []
    measure_entropy(replace(settings, match=str(tmp_path / "strange")), notes.append)
    assert any("have different tokens" in note for note in notes)
