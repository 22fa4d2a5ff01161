from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.pairing.clusters import read_clusters
from reachlab.types import Problem

PROBLEMS = [
    Problem(id="a", prompt="", answer="", metadata={"template": 1, "source": {"name": "x"}}),
    Problem(id="b", prompt="", answer="", metadata={"template": 1, "source": {"name": "y"}}),
    Problem(id="c", prompt="", answer="", metadata={"template": 2, "source": {"name": "y"}, "level": "hard"}),
]


def test_a_field_of_the_metadata() -> None:
    assert read_clusters("template", PROBLEMS) == {"a": "1", "b": "1", "c": "2"}
    assert read_clusters("source.name", PROBLEMS) == {"a": "x", "b": "y", "c": "y"}


def test_a_file_of_ids_and_clusters(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"a": 1, "b": "one"}')
    assert read_clusters(str(tmp_path / "c.json"), None) == {"a": "1", "b": "one"}
    (tmp_path / "c.csv").write_text('id,cluster\r\na,1\r\n"b, c",one\r\n')
    assert read_clusters(str(tmp_path / "c.csv"), PROBLEMS) == {"a": "1", "b, c": "one"}


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"2 of 3 problems have no such field .* \(they have level, source, temp"):
        read_clusters("level", PROBLEMS)
    with pytest.raises(ReachlabError, match="tables have no fields; name a"):
        read_clusters("template", None)
    for text, why in (
        ("problem,cluster\na,1\n", "its first line must be id,cluster"),
        ("", "its first line must be id,cluster"),
        ("id,cluster\na,1,2\n", ":2: has 3 cells and not 2"),
        ("id,cluster\na,1\na,2\n", ":3: names a problem again"),
        ("id,cluster\na,1\nb,\n", ":3: 'b' has no cluster"),
    ):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(ReachlabError, match=why):
            read_clusters(str(tmp_path / "bad.csv"), None)
    for text in ("[1]", "{"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ReachlabError):
            read_clusters(str(tmp_path / "bad.json"), None)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReachlabError, match="cannot be read"):
        read_clusters(str(tmp_path / "bytes.json"), None)


def test_no_cluster_is_not_one_that_many_share(tmp_path: Path) -> None:
    """Empty cells, and null, would else be one large cluster."""
    blank = [Problem(id=i, prompt="", answer="", metadata={"template": ""}) for i in "de"]
    with pytest.raises(ReachlabError, match="2 of 5 problems have no such field"):
        read_clusters("template", [*PROBLEMS, *blank])
    (tmp_path / "c.json").write_text('{"a": 1, "b": null}')
    with pytest.raises(ReachlabError, match="'b' has no cluster"):
        read_clusters(str(tmp_path / "c.json"), None)
