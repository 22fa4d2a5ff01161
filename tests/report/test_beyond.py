from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.report.conftest import Measured

from reachlab.boundary.bootstrap import resampling_weights
from reachlab.boundary.perplexity import Cell, PerplexityMatrix, perplexity
from reachlab.measures.doubts import Doubt, Doubts
from reachlab.measures.evidence import Line
from reachlab.report import beyond
from reachlab.report.entries import Entry, read_entries
from reachlab.report.findings import Findings, gather
from reachlab.report.gallery import Section

Seen = tuple[list[Entry], Findings]


@pytest.fixture(scope="module")
def seen(demo: Measured) -> Seen:
    comparison, runs = demo
    entries = read_entries(comparison, runs)
    return entries, gather(comparison, entries)


def by_id(sections: Sequence[Section]) -> dict[str, Section]:
    return {section.id: section for section in sections}


def test_sections_that_runs_have_data_for(seen: Seen) -> None:
    found = by_id(beyond.sections(*seen))
    assert set(found) == {"support", "extrapolation", "cover", "evidence", "copies", "doubts"}
    # These runs check no steps, know no log-probabilities and vote on nothing.
    assert [p.id for p in found["evidence"].pictures] == ["evidence-all", "evidence-distinct"]


def test_extrapolation_shows_its_back_test(seen: Seen) -> None:
    entries, findings = seen
    section = by_id(beyond.sections(entries, findings))["extrapolation"]
    words, tests = section.tables
    assert [name for name, _ in words.rows] == [e.name for e in entries]
    first = findings.extrapolations[0]
    assert first is not None
    assert words.rows[0][1] == (first.words,)
    assert len(tests.rows) == sum(len(test.ks) for x in findings.extrapolations if x for test in x.back_tests)
    data = section.pictures[0].data
    at = {(row[0], row[1]): row for row in data.rows}
    assert at["base", 64][5] is False
    assert at["base", 128][5] is True
    assert at["base", 128][2] >= at["base", 64][2]


def test_cover_is_shown_beside_its_difference_to_the_base(seen: Seen) -> None:
    entries, findings = seen
    own, moved = by_id(beyond.sections(entries, findings))["cover"].pictures
    at = {(name, tau): value for name, tau, value, *_ in own.data.rows}
    for name, tau, value, low, high, _ in moved.data.rows:
        assert value == pytest.approx(at[name, tau] - at["base", tau])
        assert low <= value + 1e-6
        assert value - 1e-6 <= high


def test_equal_seeds_are_said(seen: Seen) -> None:
    """The runs of these tests count seeds from 0 in each problem, which a real run does not."""
    (table,) = by_id(beyond.sections(*seen))["copies"].tables
    cells = dict(table.rows)["base"]
    assert cells[0] == "3,840"
    assert cells[3] == f"{3840 - 64:,}"
    assert "seed" in cells[4]


def test_verdicts_to_look_at_are_counted_and_named(seen: Seen) -> None:
    entries, findings = seen
    quiet = beyond.of_doubts(entries, findings)
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
    )
    other = replace(findings.evidence[1], doubts=doubts, notes={"gold": "the run does not say its task"})
    section = beyond.of_doubts(
        entries, replace(findings, evidence=(findings.evidence[0], other, *findings.evidence[2:]))
    )
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


def test_a_luck_or_a_chain_gets_a_figure_with_its_numbers(seen: Seen) -> None:
    entries, findings = seen
    chain = Line((1, 64), np.array([0.1, 0.4]), np.array([0.05, 0.3]), np.array([0.15, 0.5]))
    evidence = (replace(findings.evidence[0], chain=chain), *findings.evidence[1:])
    section = beyond.of_evidence(entries, replace(findings, evidence=evidence))
    assert section is not None
    picture = section.pictures[0]
    assert picture.id == "evidence-chain"
    assert picture.data.rows == [("base", 1, 0.1, 0.05, 0.15), ("base", 64, 0.4, 0.3, 0.5)]


def test_perplexities_as_boxes_and_tables(seen: Seen) -> None:
    entries, findings = seen
    rng = np.random.default_rng(0)
    problem_N, tokens_N = np.arange(40) % 4, rng.integers(1, 9, 40)
    weights_BP = resampling_weights(4, 50)
    cells = {
        ("base", e.name): Cell(
            own=e.name == "base", samples=40, impossible=0, correct=None,
            all=perplexity(problem_N, -tokens_N * rng.random(40), tokens_N, weights_BP),
        )
        for e in entries[:2]
    }  # fmt: skip
    matrix = PerplexityMatrix(
        judges=("base",), writers=tuple(e.name for e in entries), cells=cells, same_tokens=True, resamples=50,
        level=0.95, seed=0,
    )  # fmt: skip
    section = beyond.of_perplexity(entries, replace(findings, perplexities=matrix))
    assert section is not None
    (picture,) = section.pictures
    assert [row[0] for row in picture.data.rows] == [e.name for e in entries[:2]]
    box = picture.figure.data[1]
    found = cells["base", entries[1].name].all
    assert found is not None
    assert (box.q1[0], box.median[0], box.q3[0]) == (found.lower_quartile, found.median, found.upper_quartile)
    assert [table.caption for table in section.tables] == ["Perplexity of all answers", "Perplexity of right answers"]
    assert section.tables[0].rows[2][1] == ("–",)
