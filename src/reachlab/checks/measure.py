"""Whether a measure keeps what `measures/measure.py` promises of it, tried on small runs (`made_runs.py`)."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from reachlab.boundary.curve import Curve
from reachlab.checks.contract import Contract, ContractError
from reachlab.checks.made_runs import MadeRuns
from reachlab.measures.measure import Computed, JointMeasure, Measure, Missing, Result, result_of
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table

CLOSE = 1e-6
"""How near two ways to one number have to be; resamples are in single precision."""
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")


def check_measure(measure: Measure | JointMeasure, made: MadeRuns | None = None) -> None:
    """Try a measure on runs with unequal and single samples, unscored ones, no text, no log-probabilities, a problem
    that is never solved; and on one whose samples, or problems, come in another order.

    `made` are the runs of an earlier check, which many checks can share; None: they are made and thrown away.

    Raises:
        ContractError: it does not do what a measure promises.
    """
    contract = Contract(f"the measure {measure.name!r}")
    _check_words(measure, contract)
    if made is not None:
        _check_on(measure, made, contract)
        return
    with TemporaryDirectory() as folder:
        _check_on(measure, MadeRuns(Path(folder)), contract)


def _check_on(measure: Measure | JointMeasure, made: MadeRuns, contract: Contract) -> None:
    base, other = made.base, made.other
    if isinstance(measure, JointMeasure):
        results = [_computed(measure, [base, other], "two runs", contract)]
        for words, run in made.lacking:
            _computed(measure, [run], f"a run {words}", contract)
    else:
        results = [_computed(measure, run, "a run", contract) for run in (base, other)]
        _check_repeats(measure, base, contract)
        _check_order(measure, made, results[0], contract)
        for words, run in made.lacking:
            _computed(measure, run, f"a run {words}", contract)
        _check_against(measure, base, other, contract)
    contract.holds(
        any(isinstance(result, Result) for result in results),
        "has nothing to say of a run that has everything",
        "`compute` returns a Curve, a Table or a Result where there is data",
    )


def _check_words(measure: Measure | JointMeasure, contract: Contract) -> None:
    contract.holds(
        NAME.fullmatch(measure.name), "has no name for --json", "names are lower_case, one dot goes one deeper"
    )
    for field in ("title", "caption", "source"):
        contract.holds(getattr(measure, field).strip(), f"has no {field}", "the page and the docs show it")
    contract.holds(
        measure.caption.strip().endswith("."), "has a caption without a full stop", "a caption is a sentence"
    )


def _computed(
    measure: Measure | JointMeasure, runs: MeasuredRun | list[MeasuredRun], words: str, contract: Contract
) -> Result | Missing:
    """What a measure says of runs, checked by itself."""
    found = _asked(lambda: measure.compute(runs), words, contract)  # type: ignore[arg-type]
    if isinstance(found, Result):
        _check_result(found, measure.unit == "share", words, contract)
    return found


def _asked(compute: object, words: str, contract: Contract) -> Result | Missing:
    assert callable(compute)
    try:
        found: Computed = compute()
    except Exception as error:
        raise ContractError(
            f"{contract.who} raises {type(error).__name__} on {words} ({str(error)[:200]}); what a run lacks is "
            "Missing(why)"
        ) from error
    contract.holds(
        isinstance(found, Curve | Table | Result | Missing),
        f"returns {type(found).__name__} for {words}",
        "a measure returns a Curve, a Table, a Result or Missing(why)",
    )
    return result_of(found)


def _check_result(result: Result, share: bool, words: str, contract: Contract) -> None:
    if result.curve is not None:
        _check_curve(result.curve, share, words, contract)
    try:
        json.dumps(result.to_dict(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"{contract.who} says what JSON cannot hold of {words} ({error}); numbers are finite, arrays are lists"
        ) from error
    for table in result.tables:
        contract.holds(table.caption, f"has a table without a caption for {words}", "tables of one caption are joined")
        for name, cells in table.rows:
            contract.holds(
                isinstance(name, str) and all(isinstance(cell, str) for cell in cells),
                f"has cells that are no text in {table.caption!r}",
                "a table is text, and numbers go to `document`",
            )
            contract.holds(
                len(cells) == (len(table.columns) or 1),
                f"has {len(cells)} cells under {len(table.columns)} columns in {table.caption!r}",
                "a row has a cell a column",
            )


def _check_curve(curve: Curve, share: bool, words: str, contract: Contract) -> None:
    arrays = {"values": curve.values, "low": curve.low, "high": curve.high}
    contract.holds(len(curve.x), f"has a curve without a point for {words}", "what a run lacks is Missing(why)")
    contract.holds((np.diff(curve.x) > 0).all(), f"has x out of order for {words}: {curve.x.tolist()}", "x ascends")
    for name, values in arrays.items():
        contract.holds(
            np.shape(values) == np.shape(curve.x),
            f"has {np.size(values)} numbers in {name} over {len(curve.x)} points for {words}",
            "there is one at each x",
        )
        contract.holds(
            np.isfinite(values).all(), f"has {name} that are no numbers for {words}", "what is unknown is Missing(why)"
        )
    contract.holds(0 <= curve.level < 1, f"has an interval of level {curve.level:g}", "a level is a share below 1")
    inside = (curve.low <= curve.values + CLOSE) & (curve.values <= curve.high + CLOSE)
    at = int(np.argmin(inside))
    contract.holds(
        inside.all(),
        f"has an interval that does not hold its value for {words}: {curve.values[at]:.4g} is not in "
        f"{curve.low[at]:.4g} to {curve.high[at]:.4g}",
        "low ≤ value ≤ high",
    )
    contract.holds(
        not share or np.all(np.abs(curve.values) <= 1 + CLOSE),
        f"has a share of {np.abs(curve.values).max():.4g} for {words}",
        'shares are at most 1; unit="count" or "nats" says that it is none',
    )


def _check_repeats(measure: Measure, base: MeasuredRun, contract: Contract) -> None:
    """The same run read anew."""
    fresh = MeasuredRun(base.store, base.intervals, shared=base.shared)
    one, two = (_asked(lambda run=run: measure.compute(run), "a run", contract) for run in (base, fresh))
    same = isinstance(one, Missing) or (isinstance(two, Result) and one.to_dict() == two.to_dict())
    contract.holds(same, "says other things of the same run", "chance comes from the seed of the intervals")


def _check_order(measure: Measure, made: MadeRuns, first: Result | Missing, contract: Contract) -> None:
    """The same samples in another order, the same problems in another."""
    for run, what, why in (
        (made.permuted, "samples are drawn", "samples of a problem are independent draws"),
        (made.reordered, "problems are listed", "it is a mean over problems, whatever their order"),
    ):
        found = _computed(measure, run, f"a run whose {what} in another order", contract)
        if isinstance(first, Missing) or isinstance(found, Missing) or first.curve is None or found.curve is None:
            continue  # the chance rate is of a run as it lies
        same = np.array_equal(first.curve.x, found.curve.x)
        same = same and np.allclose(first.curve.values, found.curve.values, rtol=0, atol=CLOSE)
        contract.holds(same, f"changes with the order in which {what}", why)


def _check_against(measure: Measure, base: MeasuredRun, other: MeasuredRun, contract: Contract) -> None:
    """What is less the base's: of the base itself 0."""
    if measure.against is None:
        return
    contract.holds(measure.against.caption.strip(), "has no caption against the base", "the page shows it")
    compute = measure.against.compute
    moved = _asked(lambda: compute(base, other), "a run and its base", contract)
    if isinstance(moved, Result):
        _check_result(moved, measure.unit == "share", "a run and its base", contract)
    itself = _asked(lambda: compute(base, base), "a run against itself", contract)
    if isinstance(itself, Result) and itself.curve is not None:
        contract.holds(
            np.abs(itself.curve.values).max() <= CLOSE, "is not 0 against the same run", "it is what is less the base's"
        )
