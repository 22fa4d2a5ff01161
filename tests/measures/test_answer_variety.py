from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.measures.small_runs import drawn, stored
from tests.reporting.conftest import measure

from reachlab.boundary.answer_entropy import answer_entropy
from reachlab.boundary.voting import Ballots
from reachlab.measures.answer_variety import entropy_difference
from reachlab.measures.answers import Answers, read_answers
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.results import measure_run
from reachlab.reporting.entries import measure_entries, read_entries
from reachlab.reporting.figures.of_measures import sections
from reachlab.reporting.figures.section import Section
from reachlab.reporting.page import write_report
from reachlab.reporting.run_table import print_measures
from reachlab.runs import RunFolder
from reachlab.types import Sample, Verdict


def answers(counts: dict[str, list[int]], silent: int = 0) -> Answers:
    """How many samples gave each answer of each problem; the first problem has some without one besides."""
    row_C = np.repeat(np.arange(len(counts)), [len(row) for row in counts.values()])
    votes_C = np.concatenate([np.array(row, np.int64) for row in counts.values()])
    silent_P = np.zeros(len(counts), np.int64)
    silent_P[0] = silent
    return Answers(tuple(counts), Ballots(row_C=row_C, votes_C=votes_C, right_C=votes_C < 0, silent_P=silent_P))


def test_the_difference_is_paired_on_the_problems_of_both() -> None:
    base = answers({"x": [9], "a": [1, 1, 1, 1], "b": [2, 2]})
    other = answers({"b": [6, 2], "a": [8], "y": [1, 1]})
    found = entropy_difference(base, other, ["a", "b"], Intervals(100))
    assert found is not None
    assert found.x.tolist() == [2, 4]
    ids = ["a", "b"]
    expected = answer_entropy(other.select(ids), [2, 4]) - answer_entropy(base.select(ids), [2, 4])
    assert found.values == pytest.approx(expected.mean(axis=0))
    # Two of 8 samples differ with chance 6 × 2 × 2 / (8 × 7).
    assert expected[:, 0] == pytest.approx([-1, 24 / 56 - 2 / 3])
    assert (found.low <= found.values + 1e-6).all()
    assert (found.values <= found.high + 1e-6).all()


def test_selected_ballots_keep_what_they_hold() -> None:
    found = answers({"a": [3, 1], "b": [2], "c": [5, 4, 3]}, silent=7).select(["c", "a"])
    assert found.row_C.tolist() == [1, 1, 0, 0, 0]
    assert found.votes_C.tolist() == [3, 1, 5, 4, 3]
    assert found.samples.tolist() == [12, 11]


def test_a_single_sample_shows_nothing() -> None:
    one, many = answers({"a": [1]}), answers({"a": [3, 4]})
    assert entropy_difference(one, many, ["a"], Intervals(100)) is None
    assert entropy_difference(many, many, [], Intervals(100)) is None


def two_problems() -> list[Sample]:
    return [
        *(drawn("a", i, f"y {x}", right=x == 1) for i, x in enumerate([1, 1, 2, 3])),
        *(drawn("b", i, "y 5", right=True) for i in range(2)),
        drawn("b", 2, "no", final_answer=None),
        drawn("b", 3, "none", final_answer=None),
        drawn("b", 4, "y 6", verdict=Verdict.unscored("died")),
    ]


def test_unscored_samples_are_left_out_and_silent_ones_counted(tmp_path: Path) -> None:
    run = MeasuredRun(stored(tmp_path / "run", two_problems()), Intervals(100))
    said = read_answers(run)
    assert isinstance(said, Answers)
    assert (said.problem_ids, said.silent) == (("a", "b"), 2)
    found = measure_run(run)
    line = found.of["answer_entropy"].curve
    assert line is not None
    assert line.x.tolist() == [1, 2, 4]
    # Of a, two samples differ with chance 5/6; of b, with 2/3; silence is an answer, and 6 of the unscored none.
    assert line.values[:2] == pytest.approx([0, (5 / 6 + 2 / 3) / 2])
    at_4 = [0.5 * (1 / 2 + 1 / 3) + 2 * 0.25 * (1 + 1 / 2 + 1 / 3), 1 / 2 + 1 / 3]
    assert line.values[2] == pytest.approx(np.mean(at_4))
    plain = found.to_dict()["answer_entropy"]
    assert (plain["ks"], plain["silent"]) == ([1, 2, 4], 2)
    assert plain["frequencies"] == pytest.approx((1.5 * np.log(2) + np.log(2)) / 2)


def test_one_sample_has_no_entropy(tmp_path: Path) -> None:
    store = stored(tmp_path / "run", [drawn("a", 0, "y 1"), drawn("b", 0, "y 2")])
    found = measure_run(MeasuredRun(store, Intervals(100)))
    assert "votes" in found.of
    assert "answer_entropy" not in found.of
    assert found.to_dict()["answer_entropy"] is None


def two_runs(folder: Path) -> list[RunFolder]:
    """A base of many answers, one sample of which has none, and a model that says one of two things."""
    rng = np.random.default_rng(0)
    runs = []
    for name, most in (("base", 6), ("rl", 2)):
        samples = [
            drawn(f"p{p}", n, f"y {x}", right=x == 0) for p in range(12) for n, x in enumerate(rng.integers(0, most, 8))
        ]
        if name == "base":
            samples[5] = drawn("p0", 5, "well", final_answer=None)
        runs.append(stored(folder / name, samples).folder)
    return runs


def shown(runs: list[RunFolder]) -> dict[str, Section]:
    comparison, runs = measure(runs)
    entries = read_entries(comparison, runs)
    return {section.id: section for section in sections(entries, measure_entries(comparison, entries))}


def test_a_figure_a_difference_and_a_table(tmp_path: Path) -> None:
    section = shown(two_runs(tmp_path))["answers"]
    own, moved = section.figures
    at = {(name, k): value for name, k, value, *_ in own.data.rows}
    assert {k for _, k in at} == {1, 2, 4, 8}
    for name, k, value, low, high in moved.data.rows:
        assert name == "rl"
        assert value == pytest.approx(at[name, k] - at["base", k])
        assert low <= value <= high
    assert moved.data.rows[-1][4] < 0
    (table,) = section.tables
    rows = dict(table.rows)
    assert [rows[name][0] for name in ("base", "rl")] == ["8", "8"]
    assert [rows[name][3] for name in ("base", "rl")] == ["1", "0"]
    assert float(rows["rl"][1].split()[0]) == pytest.approx(at["rl", 8], abs=1e-3)


def test_without_final_answers_there_is_no_section(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", [drawn("a", i, "y", final_answer=None) for i in range(4)]).folder
    assert "answers" not in shown([run])


def test_page_and_terminal_show_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison, runs = measure(two_runs(tmp_path))
    page = write_report(comparison, runs, tmp_path / "page.html").read_text()
    for said in ('id="answers"', "Answer entropy by model", 'id="support"', "Kept, grown, shrunk"):
        assert said in page
    entries = read_entries(comparison, runs)
    print_measures(measure_entries(comparison, entries).runs[0], 0.95)
    out = " ".join(capsys.readouterr().out.split())
    assert "answer entropy, nats 0.00" in out
    assert "1 samples state no final answer" not in out
    assert "1 sample states no final answer: one more answer of the entropy, no vote" in out


@pytest.mark.slow
@pytest.mark.parametrize("problems", [30, 100])
def test_the_interval_holds_the_difference_over_problems(problems: int) -> None:
    """A base with 32 samples and a sharper model with 8 of each problem; 500 comparisons."""
    rng = np.random.default_rng(problems)

    def rates(count: int) -> tuple[np.ndarray, np.ndarray]:
        base_PA = rng.dirichlet(np.full(6, 0.6), size=count)
        sharper_PA = base_PA**1.5
        return base_PA, sharper_PA / sharper_PA.sum(axis=1, keepdims=True)

    def shown(rates_PA: np.ndarray) -> Any:
        return np.sum([(rates_PA * (1 - rates_PA) ** v).sum(axis=1) / v for v in range(1, 8)], axis=0)

    base_PA, sharper_PA = rates(200_000)
    truth = float((shown(sharper_PA) - shown(base_PA)).mean())
    held = 0
    for _ in range(500):
        base, other = (
            answers({f"p{i}": row[row > 0].tolist() for i, row in enumerate(rng.multinomial(n, rates_PA))})
            for n, rates_PA in zip((32, 8), rates(problems), strict=True)
        )
        found = entropy_difference(base, other, base.problem_ids, Intervals(1000))
        assert found is not None
        assert found.last == 8
        held += bool(found.low[-1] <= truth <= found.high[-1])
    assert 0.925 <= held / 500 <= 0.975
