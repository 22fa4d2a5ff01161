import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.conftest import Command
from tests.measures.small_runs import drawn, stored

import reachlab as rl
from reachlab.boundary.bestof import best_of_k
from reachlab.boundary.curve import Curve
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.voting import Ballots, majority_at_k
from reachlab.errors import ReachlabError
from reachlab.measures.chance_rate import measure_chance
from reachlab.measures.config import ChanceConfig
from reachlab.measures.measure import Result, result_of
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.results import RunResults, measure_run
from reachlab.measures.table import Table
from reachlab.reporting.run_table import print_measures
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Sample, StepCheck, Verdict


def read(store: SampleStore, ks: Sequence[int] | None = None, resamples: int = 50) -> RunResults:
    return measure_run(MeasuredRun(store, Intervals(resamples), ks))


def curve(found: RunResults, name: str) -> Curve:
    line = found.of[name].curve
    assert line is not None
    return line


def two_problems() -> list[Sample]:
    """a: right answers 1 (one by luck), 1, 1 and wrong ones 2, 3; b: 5 right once of five, two silent, one unscored."""
    lucky = StepCheck(0, 1)
    return [
        drawn("a", 0, "x 1", right=True, logprob=-1.0, steps=lucky),
        drawn("a", 1, "y 1", right=True, logprob=-8.0),
        drawn("a", 2, "y 1", right=True, logprob=-2.0),
        drawn("a", 3, "z 2", logprob=-4.0),
        drawn("a", 4, "z 3", logprob=-5.0),
        drawn("b", 0, "x 5", right=True, logprob=-3.0, tokens=30),
        drawn("b", 1, "x 6", logprob=-2.0, tokens=1),
        drawn("b", 2, "x 6", logprob=-6.0, tokens=2),
        drawn("b", 3, "no", logprob=-7.0, final_answer=None),
        drawn("b", 4, "none", logprob=-9.0, final_answer=None),
        drawn("b", 5, "x 5", verdict=Verdict.unscored("died")),
    ]


def test_every_quantity_is_that_of_its_own_module(tmp_path: Path) -> None:
    store = stored(tmp_path / "run", two_problems())
    found = read(store, ks=[1, 2, 5], resamples=200)
    assert (found.name, found.problems, found.samples, found.unscored) == ("run", 2, 10, 1)
    assert curve(found, "pass").values == pytest.approx(pass_at_k([5, 5], [3, 1], [1, 2, 5]).mean(axis=0))
    assert curve(found, "all_right").values == pytest.approx([0.4, (3 / 10 + 0) / 2, 0])
    assert curve(found, "chain").values == pytest.approx(pass_at_k([5, 5], [2, 1], [1, 2, 5]).mean(axis=0))
    ballots = Ballots(
        row_C=np.array([0, 0, 0, 1, 1]),
        votes_C=np.array([3, 1, 1, 1, 2]),
        right_C=np.array([True, False, False, True, False]),
        silent_P=np.array([0, 2]),
    )
    assert curve(found, "votes").values == pytest.approx(majority_at_k(ballots, [1, 2, 5]).table_PK.mean(axis=0))
    assert found.of["votes"].document == {"error": [0, 0, 0]}
    row_N, right_N = np.repeat([0, 1], 5), np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0], bool)
    score_N = np.array([-1, -8, -2, -4, -5, -3, -2, -6, -7, -9.0])
    tokens_N = np.array([3, 3, 3, 3, 3, 30, 1, 2, 2, 4])
    for name, score in (("best_of.logprob", score_N), ("best_of.logprob_per_token", score_N / tokens_N)):
        line = curve(found, name)
        assert line.values == pytest.approx(best_of_k(row_N, score, right_N, 2, [1, 2, 5]).mean(axis=0))
        assert (line.low <= line.values).all()
        assert (line.values <= line.high).all()
    assert curve(found, "distinct").x.tolist() == [1, 2, 5]
    assert curve(found, "distinct").values[0] == 1
    assert found.of["duplicates"].document["distinct"] == [4, 4]
    assert found.of["duplicates"].document["distinct_correct"] == [2, 1]
    assert set(found.notes) == {"guess"}


def test_an_answer_is_right_where_most_of_its_samples_are(tmp_path: Path) -> None:
    samples = [drawn("a", i, "x 1", right=i < right) for i, right in enumerate([1, 1, 0, 0])]
    tied = [drawn("b", i, "x 1", right=i < 2) for i in range(4)]
    mostly = [drawn("c", i, "x 1", right=i < 3) for i in range(4)]
    store = stored(tmp_path / "run", [*samples, *tied, *mostly])
    found = read(store, ks=[1], resamples=50)
    assert curve(found, "votes").values == pytest.approx([1 / 3])


def test_what_a_run_has_no_data_for_is_said(tmp_path: Path) -> None:
    imported = [
        drawn("a", i, f"{i}", right=i == 1, engine="import", logprob=None, tokens=0, steps=None, final_answer=None)
        for i in range(3)
    ]
    found = read(stored(tmp_path / "run", imported, decoding=None), resamples=50)
    assert curve(found, "pass").x.tolist() == [1, 2, 3]
    assert {"pass", "all_right", "distinct", "distinct_correct", "duplicates", "doubts"} <= set(found.of)
    missing = {"chain", "votes", "best_of.logprob", "best_of.logprob_per_token", "answer_entropy", "guess", "luck"}
    assert not missing & set(found.of)
    assert found.notes == {
        "chain": "its task checks no steps",
        "votes": "no text states a final answer that could be counted; of some tasks the whole text is the answer",
        "best_of": "3 samples have no log-probability",
        "guess": f"not measured; `reachlab chance {tmp_path / 'run'}` does",
    }
    plain = found.to_dict()
    assert [plain[name] for name in ("chain", "votes", "best_of", "guess", "luck")] == [None] * 5
    assert plain["duplicates"]["distinct"] == [3]
    assert json.loads(json.dumps(plain)) == {**plain, "duplicates": json.loads(json.dumps(plain["duplicates"]))}


def test_samples_of_the_days_before_are_not_mixed_with_later_ones(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = stored(tmp_path / "run", two_problems())
    path = store.parts()[0]
    pq.write_table(pq.read_table(path).drop_columns(["steps", "valid_steps", "final_answer"]), path)
    found = read(store, resamples=50)
    assert not {"chain", "votes"} & set(found.of)
    assert "2 samples are older than the checks of steps; `reachlab verify" in found.notes["chain"]
    assert "2 samples are older than final answers; `reachlab verify" in found.notes["votes"]


def test_k_is_a_quantitys_own(tmp_path: Path) -> None:
    """A right answer whose steps nobody could check is one scored sample less of the chain."""
    samples = [*two_problems()[:4], drawn("a", 4, "y 1", right=True, steps=None)]
    found = read(stored(tmp_path / "run", samples), resamples=50)
    assert curve(found, "pass").x.tolist() == [1, 2, 4, 5]
    assert curve(found, "chain").x.tolist() == [1, 2, 4]
    far = read(stored(tmp_path / "far", samples), ks=[100], resamples=50)
    assert curve(far, "pass").x.tolist() == [5]


def test_luck_is_what_chance_measured(tmp_path: Path) -> None:
    asked = load_task("chain,length=2").problems("test", 8)
    samples = [drawn(p.id, i, f"0+7={7 + i}") for p in asked for i in range(4)]
    store = stored(tmp_path / "run", samples, asked)
    measured = measure_chance(ChanceConfig(run=str(tmp_path / "run")))
    found = read(store, resamples=100)
    assert curve(found, "luck").x.tolist() == [1, 2, 4]
    assert curve(found, "luck").values == pytest.approx(measured.table((1, 2, 4)).mean(axis=0))
    assert found.to_dict()["guess"]["groups"]
    store.write_part([drawn(asked[0].id, 4, "0+1=1")])
    later = read(store, resamples=100)
    assert not {"guess", "luck"} & set(later.of)
    assert "measured on other samples" in later.notes["guess"]


def test_an_adaptive_run_is_read_up_to_its_first_look(tmp_path: Path) -> None:
    samples = [drawn("a", i, f"y {i}", right=i == 1) for i in range(2)] + [drawn("b", i, f"y {i}") for i in range(6)]
    store = stored(tmp_path / "run", samples, adaptive={"looks": [2, 6], "enough": 1, "target_width": None})
    found = read(store, resamples=100)
    ks = curve(found, "pass").x.tolist()
    assert curve(found, "pass").values == pytest.approx(store.outcomes().pass_at_k(ks).mean(axis=0))
    assert ks[-1] == 6
    assert curve(found, "best_of.logprob").x.tolist() == [1, 2]
    assert found.samples == found.of["duplicates"].document["samples"] == 4
    assert found.notes["adaptive"] == "all but pass@k is of the first 2 samples of each problem"
    assert "drawn with --adaptive" in found.notes["chain"]


def test_nothing_scored(tmp_path: Path) -> None:
    store = stored(tmp_path / "run", [drawn("a", 0, "x", verdict=Verdict.unscored("died"))])
    with pytest.raises(ReachlabError, match="no sample is scored"):
        read(store)


def test_problems_without_samples_are_left_out(tmp_path: Path) -> None:
    problems = [Problem(id=i, prompt=i, answer=i) for i in ("none", "a", "b")]
    whole = read(stored(tmp_path / "run", two_problems()), resamples=100).to_dict()
    more = read(stored(tmp_path / "more", two_problems(), problems), resamples=100).to_dict()
    for name in ("pass", "chain", "votes", "best_of", "distinct", "distinct_correct"):
        assert more[name] == whole[name]
    assert more["duplicates"]["distinct"] == [0, 4, 4]


def test_the_command(command: Command, tmp_path: Path) -> None:
    stored(tmp_path / "one", two_problems())
    stored(tmp_path / "two", [drawn("a", i, "x" * 80, logprob=-500.0, seed=3) for i in range(9)])
    code, out, err = command("measures", tmp_path / "one", tmp_path / "two", "--resamples", "100")
    assert code == 0, err
    for words in (
        "one: 2 problems, 10 samples, 1 unscored",
        "CoT-pass@k",
        "maj@k",
        "no luck by answer space: not measured",
    ):
        assert words in out
    assert "warning: 8 samples have the seed of another" in " ".join(out.split())
    assert "warning: 36 pairs of equal samples" in " ".join(out.split())
    code, out, _ = command("measures", tmp_path / "one", "--json", "--k", "2", "--resamples", "100")
    assert code == 0
    (found,) = json.loads(out)
    assert found["pass"]["ks"] == found["votes"]["ks"] == [2]
    one = str(tmp_path / "one")
    for wrong in ([], [str(tmp_path / "nowhere")], [one, "--k", "0"], [one, "--level", "2"]):
        code, out, err = command("measures", *wrong)
        assert (code, out) == (2, "")
        assert "Traceback" not in err


def test_many_samples_of_few_problems_are_drawn_for_votes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = [drawn("a", i, f"y {x}", right=x == 3) for i, x in enumerate(rng.integers(0, 9, 400))]
    store = SampleStore(stored(tmp_path / "run", samples[:2]).folder)
    store.write_part(samples[2:])
    found = read(store, ks=[1, 64], resamples=50)
    at_1, at_64 = found.of["votes"].document["error"]
    assert at_1 == pytest.approx(0, abs=1e-12)
    assert 0 < at_64 < 0.005


def test_old_names_of_commands_go_on_with_a_notice(command: Command, tmp_path: Path) -> None:
    stored(tmp_path / "one", two_problems())
    words = (tmp_path / "one", "--resamples", "100", "--json")
    new, old = command("measures", *words), command("evidence", *words)
    assert new[:2] == old[:2]
    assert new[2] == ""
    notice = "`reachlab evidence` is called `reachlab measures` now; the old name goes with the next version"
    assert old[2] == f"note: {notice}\n"
    code, _, err = command("guess", tmp_path / "nowhere")
    assert code == 2
    assert err.startswith("note: `reachlab guess` is called `reachlab chance` now;")


def test_a_table_of_ones_own_stands_below_and_in_json(tmp_path: Path) -> None:
    run = MeasuredRun(stored(tmp_path / "run", two_problems()), Intervals(50))
    result = result_of(Table("Mine", ("a",), (("run", ("1",)),)))
    assert isinstance(result, Result)
    assert result.to_dict() == {"columns": ["a"], "rows": [["run", "1"]]}
    console = Console(file=io.StringIO(), width=100)
    print_measures(replace(measure_run(run), of={"all_right": result}), 0.95, console)
    assert isinstance(console.file, io.StringIO)
    assert "Mine" in console.file.getvalue()


def test_a_measure_that_is_not_ours_and_raises_is_missing(tmp_path: Path, nothing_registered: None) -> None:
    @rl.register.measure("mine", title="Mine", caption="Raises.", source="ours")
    def mine(run: MeasuredRun) -> Curve:
        raise KeyError("x")

    found = read(stored(tmp_path / "run", two_problems()))
    assert "mine" not in found.of
    assert found.notes["mine"].endswith("test_results.py raises KeyError: 'x'")
