"""A run under other ids reads as one that has them, and is not changed."""

from pathlib import Path

import pytest
from tests.pairing.matching_runs import asked, stored

from reachlab.errors import ReachlabError
from reachlab.pairing.renamed import RenamedStore
from reachlab.types import Judged, Verdict


def test_everything_has_the_new_ids(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", asked(images=[(f"scene:count {i} red",) for i in range(6)]))
    names = {str(i): f"q{5 - i}" for i in range(6)}
    view = RenamedStore(store.folder, names)
    assert [p.id for p in view.problems()] == list(names.values())
    assert set(view.image_hashes()) == set(names.values())
    assert view.outcomes().problem_ids == tuple(names.values())
    assert view.outcomes().c_P.tolist() == store.outcomes().c_P.tolist()
    assert {(s.problem_id, s.index, s.text) for s in view.samples(["q5", "q1"])} == {
        (names[s.problem_id], s.index, s.text) for s in store.samples(["0", "4"])
    }
    assert view.drawn() == {names[i]: indices for i, indices in store.drawn().items()}
    (part,) = view.parts()
    assert view.read_part(part, ["sample"]).column_names == ["sample"]
    assert [p.id for p in view.original().problems()] == list(names)


def test_nothing_is_written_through_it(tmp_path: Path) -> None:
    store = stored(tmp_path / "a", asked())
    view = RenamedStore(store.folder, {str(i): f"q{i}" for i in range(6)})
    before = store.read().to_pylist()
    with pytest.raises(ReachlabError, match="not to be changed under other ids"):
        view.rejudge(view.parts()[0], {0: Judged(Verdict.correct())})
    assert store.read().to_pylist() == before
