from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.serving.conftest import more

from reachlab.pairing.renamed import RenamedStore
from reachlab.reporting.excerpts import STATUSES
from reachlab.runs import RunFolder
from reachlab.serving.rows import RowsReader
from reachlab.store.samples import SampleStore


def test_all_samples_of_a_problem_are_found_by_turns(runs: Path) -> None:
    more(runs / "base", 25, 40, right=True)  # five of these are there already
    store = SampleStore(RunFolder(runs / "base"))
    (run,) = RowsReader().read([store], {})
    rows = run.of_problem("p2", first=7)
    samples = store.samples(["p2"])
    assert rows.sample_N[0] == 7
    assert sorted(rows.sample_N.tolist()) == [sample.index for sample in samples] == list(range(40))
    # Of two copies the one in the earlier part counts, as for every reader.
    status = {sample.index: sample.verdict.status for sample in samples}
    assert {int(n): STATUSES[s] for n, s in zip(rows.sample_N, rows.status_N, strict=True)} == status
    first = [STATUSES[s] == "correct" for s in rows.status_N[1:9]]
    assert 3 <= sum(first) <= 5
    found = run.read(rows, 10, 14, 100, "p2")
    assert [one.sample for one in found] == rows.sample_N[10:14].tolist()
    assert [one.text.head for one in found] == [samples[one.sample].text for one in found]
    assert len(run.of_problem("nobody").row_N) == 0


def test_a_part_is_read_once_and_again_when_it_has_changed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SampleStore(RunFolder(runs / "base"))
    read: list[str] = []
    whole = SampleStore.read_part

    def read_part(self: SampleStore, part: str, *rest: Any) -> pa.Table:
        read.append(part)
        return whole(self, part, *rest)

    monkeypatch.setattr(SampleStore, "read_part", read_part)
    reader, (part,) = RowsReader(), store.parts()
    reader.read([store], {part: "one"})
    reader.read([store], {part: "one"})
    assert read == [part]
    reader.read([store], {part: "two"})
    assert read == [part] * 2


def test_a_view_has_its_own_ids(runs: Path) -> None:
    folder = RunFolder(runs / "base")
    names = {f"p{i}": f"q{i}" for i in range(6)}
    plain, view = RowsReader().read([SampleStore(folder), RenamedStore(folder, names)], {})
    assert np.array_equal(plain.of_problem("p3").row_N, view.of_problem("q3").row_N)
    assert len(view.of_problem("p3").row_N) == 0
