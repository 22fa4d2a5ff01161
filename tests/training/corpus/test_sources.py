import json
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.training.corpus import sources
from reachlab.training.corpus.sources import is_text, open_text


def read(spec: str, pattern: str = "*") -> tuple[list[str], list[str]]:
    """The documents, and why others were left out."""
    skipped: list[str] = []
    reader = open_text(spec, pattern)
    found = list(reader(skipped.append))
    assert list(reader(lambda _: None)) == found, "a reader gives the same documents again"
    return found, skipped


def test_a_spec_is_text_or_a_task() -> None:
    assert all(map(is_text, ("text:a", "datasets:a/b:train", "stdlib")))
    assert not any(map(is_text, ("countdown", "gym:text", "stdlib:x", "textual", "math:text:a")))


def test_a_folder_is_read_in_name_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/y.txt", "c.py", ".git/config", "a/.hidden"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    assert read(f"text:{tmp_path}")[0] == ["a/y.txt", "a/z.md", "b.txt", "c.py"]
    assert read(f"text:{tmp_path}", "*.txt")[0] == ["a/y.txt", "b.txt"]
    for pattern, says in (("*.rst", "no file '\\*.rst' below this folder"), ("/x", "--glob '/x'"), ("", "no file ''")):
        with pytest.raises(ReachlabError, match=says):
            open_text(f"text:{tmp_path}", pattern)


def test_what_is_no_text_is_left_out_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("fine")
    (tmp_path / "b").write_bytes(b"Gr\xf6\xdfe")
    (tmp_path / "c").write_text(" \n")
    (tmp_path / "d").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "e").write_bytes("naïve".encode()[:3])  # torn inside a character
    (tmp_path / "f").write_bytes(b"")
    found, skipped = read(f"text:{tmp_path}")
    assert found == ["fine"]
    assert skipped == [
        f"{tmp_path}/b: not UTF-8 at byte 2",
        f"{tmp_path}/c: an empty file",
        f"{tmp_path}/d: not a text file",
        f"{tmp_path}/e: not UTF-8 at byte 2",
        f"{tmp_path}/f: an empty file",
    ]


def test_a_bad_byte_far_inside_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes("ä".encode() * (1 << 19) + b"x" + "ä".encode()[:1] + b"!")
    assert read(f"text:{tmp_path / 'long'}") == ([], [f"{tmp_path / 'long'}: not UTF-8 at byte {(1 << 20) + 1}"])


@given(lines=st.lists(st.text("ab ", max_size=9), max_size=30), block=st.integers(1, 20))
def test_a_file_is_cut_at_line_ends_and_nothing_is_lost(
    lines: list[str], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("cut") / "file"
    text = "\n".join(lines)
    file.write_text(text)
    found = list(sources._file(file, block, lambda _: None))
    # What is left out is blank.
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece.endswith("\n") for piece in found[:-1])
    assert all(len(piece) <= block + max(map(len, lines), default=0) + 1 for piece in found)


def test_one_long_file_is_several_documents(tmp_path: Path) -> None:
    lines = [f"line {i}\n" for i in range(10_000)]
    (tmp_path / "long.txt").write_text("".join(lines))
    found, _ = read(f"text:{tmp_path / 'long.txt'}")
    assert len(found) == -(-sum(map(len, lines)) // sources.FILE_BLOCK)
    assert "".join(found) == "".join(lines)
    assert read(f"text:{tmp_path}")[0] == ["".join(lines)]


def test_lines_of_json_are_documents(tmp_path: Path) -> None:
    rows = [{"text": "one", "id": 1}, {"text": ""}, {"text": None}, {"text": "half \ud800"}, {"text": "two\nlines"}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found, skipped = read(f"text:{file}")
    assert found == ["one", "two\nlines"]
    assert skipped == [
        f"{file}:2: no text",
        f"{file}:3: no text",
        f"{file}:4: half a surrogate pair at character 5",
    ]
    (tmp_path / "other.txt").write_text("three")
    assert read(f"text:{tmp_path}")[0] == ["three", "one", "two\nlines"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"txt": "one"}', "rows.jsonl:2: no field 'text'; its fields: txt"),
        ('{"text": 3}', "rows.jsonl:2: field 'text': text wanted, found 3"),
        ('{"text": "on', "rows.jsonl:2: not JSON"),
        ("[1]", "rows.jsonl:2: list found"),
    ],
)
def test_a_bad_line_of_json_is_named(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f'{{"text": "fine"}}\n{line}\n')
    with pytest.raises(ReachlabError, match=says):
        read(f"text:{tmp_path / 'rows.jsonl'}")


@pytest.mark.parametrize("spec", ["text:", "text:/nowhere"])
def test_a_path_that_is_not_there(spec: str) -> None:
    with pytest.raises(ReachlabError, match="No such file or folder"):
        open_text(spec)


def test_the_library_of_this_python() -> None:
    root = Path(sysconfig.get_path("stdlib"))
    found = next(iter(open_text("stdlib")(lambda _: None)))
    assert found == (root / "__future__.py").read_text()


def test_without_the_datasets_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ReachlabError, match=r"datasets:x needs datasets, which is in reachlab\[data\]"):
        open_text("datasets:x")


@pytest.mark.parametrize("spec", ["datasets:", "datasets::train", "datasets:a:b:c:d"])
def test_a_datasets_spec_that_cannot_be(spec: str) -> None:
    with pytest.raises(ReachlabError, match=r"write it as datasets:ID_OR_PATH\[:SPLIT\[:COLUMN\]\]"):
        open_text(spec)


class TestDatasets:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Ten rows and two without text: saved as a table, as splits, and as Parquet."""
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        datasets.disable_progress_bars()
        rows = {"text": [*(f"row {i}" for i in range(10)), "", None], "other": [f"o{i}" for i in range(12)]}
        table = datasets.Dataset.from_dict({**rows, "n": list(range(12))})
        table.save_to_disk(tmp_path / "table")
        datasets.DatasetDict({"train": table, "dev": table.select(range(3))}).save_to_disk(tmp_path / "splits")
        table.to_parquet(tmp_path / "rows.parquet")
        (tmp_path / "folder").mkdir()
        table.to_parquet(tmp_path / "folder" / "train-0.parquet")
        return tmp_path

    @pytest.mark.parametrize("name", ["table", "splits", "splits:train:text", "rows.parquet", "folder", "folder:train"])
    def test_a_column_of_a_table(self, name: str, folder: Path) -> None:
        found, skipped = read(f"datasets:{folder / name}")
        assert found == [f"row {i}" for i in range(10)]
        assert [reason.rpartition(": ")[0].rpartition(" ")[2] for reason in skipped] == ["10", "11"]

    def test_a_split_a_slice_and_another_column(self, folder: Path) -> None:
        assert read(f"datasets:{folder / 'splits'}:dev")[0] == ["row 0", "row 1", "row 2"]
        assert read(f"datasets:{folder / 'table'}::other")[0] == [f"o{i}" for i in range(12)]
        assert read(f"datasets:{folder / 'rows.parquet'}:train[:25%]:other")[0] == ["o0", "o1", "o2"]

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("splits:test", "no split 'test'; its splits: train, dev"),
            ("table:train", "one table without splits; write datasets:"),
            ("table::words", "no column 'words'; its columns: text, other, n"),
            ("table::n", "row 0: field 'n': text wanted, found 0"),
            ("rows.parquet:dev", "not loadable: "),
            ("notes.txt", "plain text is --data text:"),
        ],
    )
    def test_what_is_not_there(self, name: str, says: str, folder: Path) -> None:
        (folder / "notes.txt").write_text("notes")
        with pytest.raises(ReachlabError, match=says) as error:
            read(f"datasets:{folder / name}")
        assert "\n" not in str(error.value)
