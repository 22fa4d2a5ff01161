import numpy as np
import pytest

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.studies.own.words import NAMES, controlled, verdicts

PROBLEMS, SAMPLES = 60, 16


def outcomes(name: str, rate: float, seed: int = 0) -> Outcomes:
    """A model that is right with one chance on every problem."""
    c_P = np.random.default_rng([seed, *name.encode()]).binomial(SAMPLES, rate, PROBLEMS)
    ids = tuple(str(i) for i in range(PROBLEMS))
    return Outcomes(
        name=name, problem_ids=ids, n_P=np.full(PROBLEMS, SAMPLES), c_P=c_P, unscored_P=np.zeros(PROBLEMS, np.int64)
    )


def study(**rates: float) -> dict[str, Outcomes]:
    """All six models, right as often as the base but for those given."""
    names = ("base", *NAMES)
    return {name: outcomes(name, rates.get(name, 0.05)) for name in names}


def said(**rates: float) -> list[str]:
    found = study(**rates)
    return controlled(compare(list(found.values()), resamples=2000), found)


def test_a_gain_that_the_control_does_not_have() -> None:
    sentences = said(grpo=0.4)
    (accuracy,) = [s for s in sentences if s.startswith("RL (GRPO), accuracy (k=1)")]
    assert "the reward explains the gain, +3" in accuracy
    assert "RL with a random reward alone moves it by" in accuracy
    assert "RL (PODS): no sure gain over the base that a control could explain" in sentences
    assert "distilling: no sure gain over the base that a control could explain" in sentences


def test_a_gain_that_the_control_has_too() -> None:
    sentences = said(distilled=0.4, continued=0.4)
    for end in ("accuracy (k=1)", "reach (k=16)"):
        (found,) = [s for s in sentences if s.startswith(f"distilling, {end}")]
        assert "the control explains the gain as far as can be told" in found
        assert "training on the base's own answers alone moves it by +" in found


def test_what_is_lost_is_no_gain() -> None:
    assert len([s for s in said(grpo=0.0, pods=0.0) if "no sure gain" in s]) == 3


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_a_verdict(name: str) -> None:
    comparison = compare(list(study(grpo=0.4).values()), resamples=2000)
    (found,) = [s for s in verdicts(comparison) if s.startswith(f"{NAMES[name]}: ")]
    assert ("wider" in found or "sharper only" in found) == (name == "grpo")
