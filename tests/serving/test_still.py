from pathlib import Path

from tests.serving.conftest import more

from reachlab.serving.still import StillFolder
from reachlab.store.samples import SampleStore


def test_parts_that_come_later_are_not_seen(runs: Path) -> None:
    store = SampleStore(StillFolder(str(runs / "base")))
    before = store.outcomes()
    more(runs / "base", 30, 40, right=True)
    assert store.outcomes().n_P.tolist() == before.n_P.tolist() == [30] * 6
    assert SampleStore(StillFolder(str(runs / "base"))).outcomes().n_P.tolist() == [40] * 6
    assert store.folder.glob("*.jsonl") == [str(runs / "base" / "problems.jsonl")]
