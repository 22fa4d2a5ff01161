from pathlib import Path

from reachlab.pairing.renamed import RenamedStore
from reachlab.reporting.log_labels import read_labels
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore

LINES = """\
{"problem_id": "a", "sample": 0, "ours": "correct", "theirs": false}
{"problem_id": "a", "sample": 3, "ours": "wrong", "theirs": true}
{"problem_id": "b"
{"problem_id": "b", "sample": 1, "theirs": "no"}
[]
"""


def test_what_the_log_says_otherwise(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_labels(SampleStore(folder)) == {}
    folder.write("disagreements.jsonl", LINES.encode())
    assert read_labels(SampleStore(folder)) == {("a", 0): False, ("a", 3): True}
    assert read_labels(RenamedStore(folder, {"a": "z"})) == {("z", 0): False, ("z", 3): True}
