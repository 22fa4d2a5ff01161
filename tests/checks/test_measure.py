from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reachlab.boundary.curve import Curve
from reachlab.checks.contract import ContractError
from reachlab.checks.made_runs import MadeRuns
from reachlab.checks.measure import check_measure
from reachlab.measures import MEASURES
from reachlab.measures.all_right import ALL_RIGHT
from reachlab.measures.answer_variety import ANSWER_ENTROPY
from reachlab.measures.measure import Against, Computed, Measure, Missing, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeRuns:
    return MadeRuns(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_keeps_its_promises(name: str, made: MadeRuns) -> None:
    check_measure(MEASURES[name], made)


def test_it_makes_its_runs_by_itself() -> None:
    check_measure(ALL_RIGHT)


def shares(run: MeasuredRun) -> np.ndarray:
    return run.c_P / run.n_P


def curve(run: MeasuredRun, values: Any, low: Any = None, high: Any = None) -> Curve:
    y = np.atleast_1d(np.asarray(values, float))
    x = np.arange(1, len(y) + 1)
    return Curve(x, y, y if low is None else np.atleast_1d(low), y if high is None else np.atleast_1d(high), 0.95)


def of_the_first_sample(run: MeasuredRun) -> Computed:
    _, first_P = np.unique(run.row_N, return_index=True)
    return curve(run, run.right_N[first_P].mean())


BROKEN: dict[str, tuple[Callable[[MeasuredRun], Any], str]] = {
    "raises": (lambda run: curve(run, 1 / (int(run.n_P.min()) - 1)), "raises"),
    "needs log-probabilities": (lambda run: curve(run, np.exp(run.table["logprob"].to_numpy()).mean()), "no numbers"),
    "needs answers": (
        lambda run: curve(run, np.mean([float(x) for x in run.table["final_answer"].to_pylist()])),
        "raises",
    ),
    "NaN": (lambda run: curve(run, np.nan), "values that are no numbers for a run"),
    "interval beside": (lambda run: curve(run, 0.5, 0.6, 0.7), "does not hold its value for a run: 0.5 is not in"),
    "first sample": (of_the_first_sample, "changes with the order in which samples are drawn"),
    "first problem": (lambda run: curve(run, shares(run)[0]), "changes with the order in which problems are listed"),
    "an array": (lambda run: Result(document={"all": run.n_P}), "what JSON cannot hold"),
    "a number": (lambda run: float(shares(run).mean()), "returns float"),
    "chance": (lambda run: curve(run, np.random.default_rng().random()), "says other things of the same run"),
    "no share": (lambda run: curve(run, 7.0), "has a share of 7"),
    "backwards": (lambda run: replace(curve(run, [0.1, 0.2]), x=np.array([2, 1])), "x out of order"),
    "another length": (lambda run: curve(run, [0.1, 0.2], 0.1, 0.2), "1 numbers in low over 2 points"),
    "cells": (lambda run: Table("A table", ("a", "b"), ((run.name, ("1",)),)), "1 cells under 2 columns"),
    "numbers in cells": (lambda run: Table("A table", ("a",), ((run.name, (1,)),)), "cells that are no text"),  # type: ignore[arg-type]
    "nothing": (lambda run: Missing("not today"), "has nothing to say of a run that has everything"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_said(what: str, made: MadeRuns) -> None:
    compute, said = BROKEN[what]
    measure = Measure(name="broken", title="Broken", caption="It is.", source="ours", compute=compute)
    with pytest.raises(ContractError, match=said) as caught:
        check_measure(measure, made)
    assert str(caught.value).startswith("the measure 'broken' ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"title": " "}, "has no title"),
        ({"caption": ""}, "has no caption"),
        ({"source": ""}, "has no source"),
        ({"name": "All right"}, "has no name for --json"),
        ({"caption": "no sentence"}, "full stop"),
    ],
)
def test_words_are_asked_for(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        check_measure(replace(ALL_RIGHT, **changed))  # type: ignore[arg-type]


def test_a_difference_to_itself_is_none(made: MadeRuns) -> None:
    against = Against(compute=lambda base, other: curve(base, 0.5), caption="Half.")
    with pytest.raises(ContractError, match="is not 0 against the same run"):
        check_measure(replace(ANSWER_ENTROPY, against=against), made)
