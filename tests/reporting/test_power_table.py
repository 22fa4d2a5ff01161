import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from tests.conftest import Command

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.power import power_analysis
from reachlab.reporting.power_table import print_power, shortness


def sampled(name: str, rate: float, n: int) -> Outcomes:
    rng = np.random.default_rng(len(name))
    ids = tuple(f"p{i}" for i in range(40))
    return Outcomes(name, ids, np.full(40, n), rng.binomial(n, rng.random(40) * rate), np.zeros(40, np.int64))


def printed(width: int = 200, n: int = 16, **settings: object) -> str:
    plan = power_analysis(sampled("[base]", 0.9, n), sampled("other", 0.5, n), **settings)  # type: ignore[arg-type]
    console = Console(file=StringIO(), width=width)
    print_power(plan, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_both_tables_and_what_they_stand_on() -> None:
    out = printed(points=(1, 2.5), samples=(16, 1000))
    assert "other against [base]: 40 problems of both, 16 samples or more of each" in out
    assert "level" not in out
    assert "95% band over every k excludes 0" in " ".join(out.split())
    assert "is found with chance 80%" in " ".join(out.split())
    assert "1 point " in out
    assert "2.5 points" in out
    assert "1,000" in out
    assert out.count("however many") == 3
    assert "−" in out
    assert "16*" in out
    assert "* spread of sampling: from a fitted distribution" in out


def test_no_star_where_nothing_is_fitted() -> None:
    out = printed(ks=(1, 8), points=(1,))
    assert "*" not in out
    assert "normal approximation" not in out
    assert "below 30 problems the normal approximation is rough" in printed(ks=(1,), points=(50,))


def test_what_cannot_be_told() -> None:
    out = printed(n=1)
    assert "–" in out
    assert "however many" not in out
    assert "with 2 samples or more of each there is a plan" in out
    same = Outcomes("same", ("a", "b"), np.array([4, 4]), np.array([1, 2]), np.zeros(2, np.int64))
    plan = power_analysis(same, replace(same, name="twin"), [1])
    console = Console(file=StringIO(), width=200)
    print_power(plan, console)
    assert isinstance(console.file, StringIO)
    assert "too little to be told from sampling" in console.file.getvalue()


def test_a_narrow_terminal_loses_no_number() -> None:
    assert "…" not in printed(width=80)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> list[Path]:
    """Two runs of 12 problems, 8 samples of each."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("base", "other")):
        make.samples(folder / name, make.draw(np.linspace(0, 0.5 + 0.4 * seed, 12), 8, seed))
    return [folder / "base", folder / "other"]


def test_the_command(runs: list[Path], command: Command) -> None:
    code, out, err = command("power", *runs, "--points", "1", "5", "--k", "1", "8")
    assert (code, err) == (0, "")
    assert "12 problems of both, 8 samples or more of each" in out
    code, out, _ = command("power", *runs, "--points", "1", "5", "--k", "1", "8", "--json")
    found = json.loads(out)
    assert [at["k"] for at in found["ks"]] == [1, 8]
    assert [needed["samples"] for needed in found["ks"][0]["needed"]] == [2, 8, 32, None]
    assert found["points"] == [1, 5]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--k", "9"), "k = 9 is outside 1 to 8"),
        (("--points", "-1"), "above 0 points"),
        (("--level", "95"), "level=95.0 must be between 0 and 1"),
        (("--samples", "0"), "samples=0 must be 1 or more"),
    ],
)
def test_a_setting_that_cannot_be(words: tuple[str, ...], says: str, runs: list[Path], command: Command) -> None:
    code, out, err = command("power", *runs, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_one_run_twice(runs: list[Path], command: Command) -> None:
    code, _, err = command("power", runs[0], runs[0])
    assert code == 2
    assert "named twice; a run cannot be compared with itself" in err


def test_a_short_comparison_says_how_many_problems_it_needs() -> None:
    base, other = sampled("base", 0.9, 16), sampled("other", 0.5, 16)
    outcomes = {"base": base, "other": other}
    (said,) = shortness(compare([base, other], resamples=200), outcomes)
    plan = power_analysis(base, other, (1,), (5.0,), (16,))
    needed = plan.ks[0].needed[0].problems[0]
    assert 100 < needed < 1000
    assert said.startswith(
        f"40 problems: you need about {-(-needed // 10) * 10} to find a difference of 5 points in pass@1"
    )
    assert f"one of {100 * plan.ks[0].detectable:.0f} points" in said
    assert "(other against base, 16 samples of each)" in said
    assert list(shortness(compare([base], resamples=200), outcomes)) == []
    # 40 problems on which the two never differ by much are enough.
    steady = Outcomes(
        "other", base.problem_ids, base.n_P * 1000, base.c_P * 1000 + 100 * (base.c_P < 16), base.unscored_P
    )
    sure = replace(base, n_P=base.n_P * 1000, c_P=base.c_P * 1000)
    assert list(shortness(compare([sure, steady], ks=(1,), resamples=200), {"base": sure, "other": steady})) == []
