import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.verdict_table import VerdictTable
from reachlab.errors import ReachlabError
from reachlab.imports.matrix_csv import read_csv

WANTED = "1 is right, 0 wrong"


def read(folder: Path, text: str) -> VerdictTable:
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return read_csv(str(path), "t")


@pytest.mark.parametrize(
    ("text", "ids", "n", "c"),
    [
        ("1,0,1\n0,0,1\n", None, [3, 3], [2, 1]),
        ("1,0,1\r\n0,0,1", None, [3, 3], [2, 1]),
        ("1\n0\n\n\n", None, [1, 1], [1, 0]),
        ("TRUE;FALSE;True\n1.0;0.000e+00;1e0\n", None, [3, 3], [2, 2]),
        ("1\t 0\n1\t1\n", None, [2, 2], [1, 2]),
        # Ids without a header, and with one; rows of other lengths.
        ("p1,1,0\np2,0\np3\n", ("p1", "p2", "p3"), [2, 1, 0], [1, 0, 0]),
        ("0,1,0\n1,1,1\n2,0,0\n", ("0", "1", "2"), [2, 2, 2], [1, 2, 0]),
        ("question,s0,s1\nwhat?,1,0\nwho?,1\n", ("what?", "who?"), [2, 1], [1, 1]),
        ('\ufeffid,a\n"x, y",1\n"z\nz",0\n', ("x, y", "z\nz"), [1, 1], [1, 0]),
        ("problem_id,right\n0,1\n1,0\n", ("0", "1"), [1, 1], [1, 0]),
        # A header without ids.
        ("s0,s1\n1,0\n1,1\n", None, [2, 2], [1, 2]),
        ("right\n1\n0\n", None, [1, 1], [1, 0]),
        # As pandas writes a frame whose columns are counted: with its index, and without.
        (",0,1,2\n0,0,1,0\n1,1,1,1\n", ("0", "1"), [3, 3], [1, 3]),
        (",0,1\n0,0,1\n1,1,1\n2,0,0\n", ("0", "1", "2"), [2, 2, 2], [1, 2, 0]),
        ("0,1,2\n0,1,0\n1,1,1\n", None, [3, 3], [1, 3]),
        ("problem,1,2\na,0,1\nb,1,1\n", ("a", "b"), [2, 2], [1, 2]),
        # No header: a first sample that is not scored.
        (",0,1\n1,1,0\n0,1,1\n", None, [2, 3, 3], [1, 2, 2]),
    ],
)
def test_what_a_file_may_look_like(
    text: str, ids: tuple[str, ...] | None, n: list[int], c: list[int], tmp_path: Path
) -> None:
    found = read(tmp_path, text)
    assert (found.problem_ids, found.n_P.tolist(), found.c_P.tolist()) == (ids, n, c)
    assert (found.name, found.place) == ("t", str(tmp_path / "t.csv"))


def test_unscored_cells_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, "a,1,,0\nb,nan,NaN,-1\nc,NA,-1.0, \n")
    assert found.unscored_P.tolist() == [1, 3, 3]
    assert found.n_P.tolist() == [2, 0, 0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,0.5,0\n1,1,0\n", f":1, column 2: '0.5': {WANTED}"),
        ("1,0\n0,1\n0.5,1\n", f":3, column 1: '0.5': {WANTED}"),
        ("1,0\n2,1\n1,0\n", f":2, column 1: '2': {WANTED}"),
        ("p1,1,0\np2,2,0\n", f":2, column 2: '2': {WANTED}"),
        ("id,s0,s1\np1,1,yes\n", f":2, column 3: 'yes': {WANTED}"),
        ("1,yes\n0,0\n", f":1, column 2: 'yes': {WANTED}"),
        ("id,0.5,1\n1,0,1\n", f":1, column 2: '0.5': {WANTED}"),
        ("a,1\nb,inf\n", f":2, column 2: 'inf': {WANTED}"),
        ("p,1\nq,1\np,0\n", ":3: problem 'p' again (first at line 1)"),
        ("id,s\np,1\n,0\n", ":3: no problem id"),
        ("1\n\n0\n", ":2: an empty line between rows; an unscored sample is nan"),
        ("", ": empty; a row a problem is wanted"),
        ("\n\n", ": empty; a row a problem is wanted"),
        ("id,s0\n", ": a header and no row"),
        ("id\np\nq\n", ": ids and no sample"),
        ('a,1\nb,"1\n', ":2: not readable as CSV (unexpected end of data)"),
    ],
)
def test_what_is_refused_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ReachlabError) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 't.csv'}{says}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"id,s\n\xe9,1\n")
    whole = gzip.compress(b"id,s\n" + b"".join(b"p%d,1\n" % i for i in range(9999)))
    (tmp_path / "torn.csv.gz").write_bytes(whole[:-200])
    (tmp_path / "none.csv.gz").write_bytes(b"id,s\na,1\n")
    for name, says in (
        ("latin.csv", "not UTF-8 text"),
        ("torn.csv.gz", "damaged or truncated archive"),
        ("none.csv.gz", "damaged or truncated archive"),
        ("nothing.csv", "no such file"),
        (".", "not readable"),
    ):
        with pytest.raises(ReachlabError, match=says):
            read_csv(str(tmp_path / name), "t")
    (tmp_path / "whole.csv.gz").write_bytes(whole)
    assert read_csv(str(tmp_path / "whole.csv.gz"), "t").c_P.sum() == 9999


@given(
    st.lists(st.lists(st.sampled_from("10 "), min_size=1, max_size=6), min_size=1, max_size=9),
    st.booleans(),
    st.booleans(),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([("1", "0", ""), ("1.0", "0.0", "nan"), ("TRUE", "FALSE", "-1")]),
)
def test_any_spelling_of_a_table_is_that_table(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    with_ids: bool,
    with_header: bool,
    delimiter: str,
    spelt: tuple[str, str, str],
) -> None:
    path = tmp_path_factory.getbasetemp() / f"table-{delimiter == ','}.csv"
    words = dict(zip("10 ", spelt, strict=True))
    widest = max(map(len, rows))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        if with_header:
            writer.writerow(["question"] * with_ids + [f"s{i}" for i in range(widest)])
        for p, row in enumerate(rows):
            writer.writerow([f"p{p}"] * with_ids + [words[cell] for cell in row])
    found = read_csv(str(path), "t")
    assert found.problem_ids == (tuple(f"p{p}" for p in range(len(rows))) if with_ids else None)
    assert found.c_P.tolist() == [row.count("1") for row in rows]
    assert found.n_P.tolist() == [row.count("1") + row.count("0") for row in rows]
    assert found.unscored_P.tolist() == [row.count(" ") for row in rows]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(data)
    try:
        found = read_csv(str(path), "t")
    except ReachlabError:
        return
    assert np.all(found.c_P <= found.n_P)
