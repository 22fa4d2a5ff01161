"""The commands of docs/formats.md under "Export", run as they are written, and its table of columns."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import Command
from tests.exports.runs import a_run

from reachlab.exports.sample_rows import SampleRows
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
SECTION = PAGE[PAGE.index("\n## Export\n") : PAGE.index("\n## problems.jsonl\n")]


def test_the_commands(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = a_run(Path("runs/demo/samples/base"))
    commands = [line for line in SECTION.splitlines() if line.startswith("reachlab ")]
    assert len(commands) == 4
    for line in commands:
        code, _, err = command(*shlex.split(line)[1:])
        assert code == 0, err
    assert SampleStore(RunFolder("runs/again")).samples() == SampleStore(run).samples()
    assert [path.suffix for path in sorted(Path("datastore/data/math/us/tiny").iterdir())] == [".json", ".jsonl"]
    (block,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    exec(block)
    right = pd.read_parquet("base.parquet").query("verdict == 'correct'")
    assert len(right) == sum(s.verdict.status == "correct" for s in SampleStore(run).samples())


def test_every_column_is_there(tmp_path: Path) -> None:
    rows = SampleRows(a_run(tmp_path / "run"))
    table = "".join(line.split("|")[1] for line in SECTION.splitlines() if line.startswith("| `"))
    told = set(re.findall(r"`([^`]+)`", table)) - {"logprob:NAME", "tokens:NAME"}
    assert told == set(rows.columns())
