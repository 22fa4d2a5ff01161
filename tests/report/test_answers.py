from pathlib import Path

import numpy as np
import pytest
from tests.measures.evidence_runs import drawn, stored
from tests.report.conftest import measure

from reachlab.report.answers import of_answers
from reachlab.report.beyond import sections
from reachlab.report.entries import Entry, read_entries
from reachlab.report.evidence_table import print_evidence
from reachlab.report.findings import Findings, gather
from reachlab.report.page import write_report
from reachlab.runs import RunFolder


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


def seen(folder: Path) -> tuple[list[Entry], Findings]:
    comparison, runs = measure(two_runs(folder))
    entries = read_entries(comparison, runs)
    return entries, gather(comparison, entries)


def test_a_figure_a_difference_and_a_table(tmp_path: Path) -> None:
    entries, findings = seen(tmp_path)
    section = of_answers(entries, findings)
    assert section is not None
    own, moved = section.pictures
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
    assert "answers" in [s.id for s in sections(entries, findings)]


def test_without_final_answers_there_is_no_section(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", [drawn("a", i, "y", final_answer=None) for i in range(4)]).folder
    comparison, runs = measure([run])
    entries = read_entries(comparison, runs)
    assert of_answers(entries, gather(comparison, entries)) is None


def test_page_and_terminal_show_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison, runs = measure(two_runs(tmp_path))
    page = write_report(comparison, runs, tmp_path / "page.html").read_text()
    for said in ('id="answers"', "Answer entropy by model", 'id="support"', "Kept, grown, shrunk"):
        assert said in page
    entries = read_entries(comparison, runs)
    print_evidence(gather(comparison, entries).evidence[0], 0.95)
    out = " ".join(capsys.readouterr().out.split())
    assert "answer entropy, nats 0.00" in out
    assert "1 samples state no final answer" not in out
    assert "1 sample states no final answer: one more answer of the entropy, no vote" in out
