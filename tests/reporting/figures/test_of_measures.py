from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.reporting.conftest import Measured

from reachlab.boundary.bootstrap import resampling_weights
from reachlab.boundary.curve import Curve
from reachlab.boundary.extrapolation import Extrapolation
from reachlab.boundary.perplexity import perplexity
from reachlab.measures.copies import COPIES
from reachlab.measures.doubts import Doubt, Doubts, doubts_result
from reachlab.measures.measure import Boxes, Result
from reachlab.measures.results import Results
from reachlab.reporting.entries import Entry, measure_entries, read_entries
from reachlab.reporting.figures.of_measures import sections
from reachlab.reporting.figures.section import Section

Seen = tuple[list[Entry], Results]


@pytest.fixture(scope="module")
def seen(demo: Measured) -> Seen:
    comparison, runs = demo
    entries = read_entries(comparison, runs)
    return entries, measure_entries(comparison, entries)


def by_id(entries: Sequence[Entry], results: Results) -> dict[str, Section]:
    return {section.id: section for section in sections(entries, results)}


def changed(results: Results, at: int, **of: Result) -> Results:
    """The results with other ones of a run."""
    run = replace(results.runs[at], of={**results.runs[at].of, **of})
    return replace(results, runs=(*results.runs[:at], run, *results.runs[at + 1 :]))


def test_sections_that_runs_have_data_for(seen: Seen) -> None:
    found = by_id(*seen)
    assert {"support", "extrapolation", "cover", "beside", "copies", "doubts"} <= set(found)
    assert not {"answers", "luck", "perplexity"} & set(found)
    # These runs check no steps, know no log-probabilities and vote on nothing.
    shown = {figure.id for figure in found["beside"].figures}
    assert {"all-right", "distinct-correct"} <= shown
    assert not {"chain", "votes", "best-of-logprob-per-token"} & shown
    assert "No CoT-pass@k: its task checks no steps." in found["beside"].lead
    assert "No maj@k: no text states a final answer that could be counted" in found["beside"].lead


def test_extrapolation_shows_its_back_test(seen: Seen) -> None:
    entries, results = seen
    section = by_id(entries, results)["extrapolation"]
    words, tests = section.tables
    assert tests.folded
    assert "mean distance" in tests.note
    check = section.figures[1]
    assert (check.id, len(check.data.rows)) == ("extrapolation-check", len(tests.rows))
    assert check.plot.data[0].y == results.runs[0].of["extrapolation"].check.predicted  # type: ignore[union-attr]
    assert [name for name, _ in words.rows] == [e.name for e in entries]
    curves = [run.of["extrapolation"].curve for run in results.runs]
    fits = [curve for curve in curves if isinstance(curve, Extrapolation)]
    assert words.rows[0][1] == (fits[0].words,)
    assert len(tests.rows) == sum(len(test.ks) for x in fits for test in x.back_tests)
    data = section.figures[0].data
    at = {(row[0], row[1]): row for row in data.rows}
    assert at["base", 64][5] is False
    assert at["base", 128][5] is True
    assert at["base", 128][2] >= at["base", 64][2]


def test_cover_is_shown_beside_its_difference_to_the_base(seen: Seen) -> None:
    entries, results = seen
    own, moved = by_id(entries, results)["cover"].figures
    at = {(name, tau): value for name, tau, value, *_ in own.data.rows}
    for name, tau, value, low, high, _ in moved.data.rows:
        assert value == pytest.approx(at[name, tau] - at["base", tau])
        assert low <= value + 1e-6
        assert value - 1e-6 <= high


def test_equal_seeds_are_said(seen: Seen) -> None:
    """The runs of these tests count seeds from 0 in each problem, which a real run does not."""
    (table,) = by_id(*seen)["copies"].tables
    cells = dict(table.rows)["base"]
    assert cells[0] == "3,840"
    assert cells[3] == f"{3840 - 64:,}"
    assert "seed" in cells[4]


def test_verdicts_to_look_at_are_counted_and_named(seen: Seen) -> None:
    entries, results = seen
    quiet = by_id(entries, results)["doubts"]
    (table,) = quiet.tables
    # These runs' answers come down to nothing.
    assert dict(table.rows)["base"] == ("none", "–", "–", "–", "–", "")
    assert quiet.show == ""
    doubts = Doubts(
        cut=1200,
        kinds={"silent": 0, "gold": 0, "number": 2, "split": 0},
        named=[
            Doubt(problem_id="p1", sample=4, verdict="correct", final_answer="7" * 200, gold="5", kind="number"),
            Doubt(problem_id="p2", sample=0, verdict="correct", final_answer=None, gold=None, kind=None),
        ],
        first={"p1": 4},
        note="the run does not say its task",
    )
    section = by_id(entries, changed(results, 1, doubts=doubts_result("grpo", doubts)))["doubts"]
    counts, named = section.tables
    assert dict(counts.rows)["grpo"] == ("1,200", "none", "none", "2", "none", "the run does not say its task")
    assert len(counts.columns) == 6
    assert named.rows == (
        (
            "grpo: problem p1, sample 4",
            ("correct", f"{'7' * 100} … (100 more characters)", "5", "right with another number than the gold answer"),
        ),
        ("grpo: problem p2, sample 0", ("correct", "–", "–", "right although cut")),
    )
    assert section.show == "doubts"


def test_a_chain_gets_a_figure_with_its_numbers(seen: Seen) -> None:
    entries, results = seen
    chain = Curve(np.array([1, 64]), np.array([0.1, 0.4]), np.array([0.05, 0.3]), np.array([0.15, 0.5]), 0.95)
    figure = by_id(entries, changed(results, 0, chain=Result(curve=chain)))["beside"].figures[0]
    assert figure.id == "chain"
    assert figure.data.rows == [("base", 1, 0.1, 0.05, 0.15), ("base", 64, 0.4, 0.3, 0.5)]


def test_quartiles_as_boxes(seen: Seen) -> None:
    entries, results = seen
    rng = np.random.default_rng(0)
    problem_N, tokens_N = np.arange(40) % 4, rng.integers(1, 9, 40)
    weights_BP = resampling_weights(4, 50)
    found = [perplexity(problem_N, -tokens_N * rng.random(40), tokens_N, weights_BP) for _ in range(2)]
    boxes = Boxes("base", "what is drawn", ((0, found[0]), (1, found[1])))
    section = by_id(entries, replace(results, joint={"perplexity": Result(boxes=(boxes,), lead="A note.")}))[
        "perplexity"
    ]
    (figure,) = section.figures
    assert figure.title == "Under base"
    assert section.lead.endswith(" A note.")
    assert [row[0] for row in figure.data.rows] == [e.name for e in entries[:2]]
    box = figure.plot.data[1]
    assert (box.q1[0], box.median[0], box.q3[0]) == (found[1].lower_quartile, found[1].median, found[1].upper_quartile)


def test_tables_say_what_their_numbers_mean(seen: Seen) -> None:
    found = by_id(*seen)
    tables = [table for section in found.values() for table in section.tables]
    assert len(tables) >= 5
    assert all(table.note.endswith(".") for table in tables)
    assert found["copies"].tables[0].note == COPIES.caption
    assert {table.first for table in tables} == {"model"}


def test_what_is_not_measured_stands_with_its_commands(seen: Seen) -> None:
    entries, results = seen
    (nowhere,) = [section for section in sections(entries, results) if section.id == "unmeasured"]
    luck, perplexity = nowhere.missing
    assert luck.models == tuple(e.name for e in entries)
    assert luck.commands == tuple(f"reachlab chance {e.store.folder.url}" for e in entries)
    (command,) = perplexity.commands
    assert command.startswith(f"reachlab score {entries[0].store.folder.url} ")
    assert all(found.meaning.endswith(".") for found in nowhere.missing)
    # Where a section has something, what it lacks stands there.
    curve = Curve(np.array([1, 64]), np.array([0.1, 0.4]), np.array([0.05, 0.3]), np.array([0.15, 0.5]), 0.95)
    some = by_id(entries, changed(results, 0, luck=Result(curve=curve)))
    assert [found.measure for found in some["luck"].missing] == ["Luck by answer space"]
    assert [found.measure for found in some["unmeasured"].missing] == ["Perplexity"]
