import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.tasks.rows import Once, read_jsonl, read_rows, shape


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.none() | st.integers() | st.text()), min_size=1), st.booleans())
def test_rows_come_back_with_their_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("rows") / ("a.jsonl.gz" if packed else "a.jsonl")
    content = "\n\n".join(json.dumps(row) for row in rows).encode()  # every second line is blank
    path.write_bytes(gzip.compress(content) if packed else content)
    assert list(read_jsonl(str(path))) == [(f"{path}:{2 * i + 1}", row) for i, row in enumerate(rows)]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a": ' + "1" * 5000 + "}", '{"a": 1', "null", '"text"'])
def test_lines_that_are_no_object(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n' + line + "\n")
    rows = read_jsonl(str(tmp_path / "a.jsonl"))
    assert next(rows)[1] == {"a": 1}
    with pytest.raises(ReachlabError, match=r"a\.jsonl:2: ") as caught:
        next(rows)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_halves_of_surrogate_pairs_are_escaped_and_pairs_are_not(tmp_path: Path, name: str) -> None:
    row = '{"k\\udfff": ["\\ud83d\\ude00", {"b": "x\\uD800y"}], "n": 7, "back": "\\\\ud800"}'
    (tmp_path / name).write_text(row if name == "a.jsonl" else f"[{row}]")
    ((_, found),) = read_rows(str(tmp_path / name))
    assert found == {"k\\udfff": ["\U0001f600", {"b": "x\\ud800y"}], "n": 7, "back": "\\ud800"}


def test_names_pass_once() -> None:
    once = Once()
    once.check("id 7", "f:1")
    once.check("id 8", "f:2")
    with pytest.raises(ReachlabError, match=r"f:3: id 7 again \(first at f:1\)"):
        once.check("id 7", "f:3")
    assert (shape({"a": 1, "b": 2}), shape({})) == ("a, b", "none")
