"""A flipped bit of a part is an error or nothing at all; columns that two commands add at once are both there."""

import os
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.store.test_samples import PROBLEMS, sample
from tests.tiny import in_a_fork

from reachlab.errors import ReachlabError
from reachlab.reporting.excerpts import read_excerpts
from reachlab.runs import RunFolder
from reachlab.store.parts import opened, read_schema, write_parquet
from reachlab.store.samples import SampleStore
from reachlab.types import Judged, Verdict

JUDGE = {"model": "m", "dtype": "float32"}


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    found = SampleStore(RunFolder(tmp_path / "run"))
    found.write_problems(PROBLEMS)
    found.write_part([sample("a", i, f"some text {i} größer", Verdict.wrong("no")) for i in range(30)])
    found.add_columns(found.parts()[0], {"logprob:j": pa.array([0.5] * 30, pa.float32())}, JUDGE)
    return found


def test_every_flipped_bit_is_an_error_or_nothing_at_all(store: SampleStore) -> None:
    (part,) = store.parts()
    data = Path(part).read_bytes()
    whole, schema = store.read_part(part), store.schema(part)
    for at in range(0, len(data), 7):
        Path(part).write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            found = store.read_part(part), store.schema(part)
        except ReachlabError as error:
            said = str(error)
        else:
            said = "not a readable part" * found[0].equals(whole, check_metadata=True) * found[1].equals(schema, True)
        assert "not a readable part" in said, at
        assert "\n" not in said


@pytest.mark.parametrize("column", ["text", "verdict", "logprob:j"])
def test_a_flipped_bit_in_a_column_stops_who_reads_it(store: SampleStore, column: str) -> None:
    (part,) = store.parts()
    with opened(store.folder.fs, part) as found:
        group = found.parquet.metadata.row_group(0)
        chunk = next(c for i in range(group.num_columns) if (c := group.column(i)).path_in_schema == column)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        places = [start, start + chunk.total_compressed_size // 2]
    data = Path(part).read_bytes()
    for at in places:  # a page's header, which Parquet's own checksum leaves out, and its content
        Path(part).write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        with pytest.raises(ReachlabError, match="not a readable part"):
            store.read_part(part, [column])
        assert len(store.read_part(part, ["tokens"])) == 30
        with pytest.raises(ReachlabError, match="not a readable part"):
            store.rejudge(part, [Judged(Verdict.correct())] * 30)
        if column == "text":
            with pytest.raises(ReachlabError, match="not a readable part"):
                read_excerpts(store, ["a"], 3, 100)


def test_other_programs_read_a_part_and_we_read_theirs(store: SampleStore) -> None:
    (part,) = store.parts()
    theirs = pq.read_table(part, page_checksum_verification=True)
    assert theirs.equals(store.read_part(part))
    pq.write_table(theirs, part)  # without a seal
    assert store.read_part(part).equals(theirs)


def test_a_footer_that_is_long(tmp_path: Path) -> None:
    table = pa.table({f"column {i} {'x' * 200}": [i] for i in range(400)})
    (tmp_path / "part").write_bytes(write_parquet(table))
    fs = RunFolder(tmp_path).fs
    assert read_schema(fs, str(tmp_path / "part")).equals(table.schema)
    with opened(fs, str(tmp_path / "part")) as found:
        assert found.sums is not None
        found.check()


def _slowly(store: SampleStore, work: str) -> None:
    """Add a column, or verdicts, with a pause between reading and writing."""
    write = RunFolder.write

    def slow(folder: RunFolder, name: str, data: bytes | str) -> None:
        time.sleep(0.3)
        write(folder, name, data)

    pytest.MonkeyPatch().setattr(RunFolder, "write", slow)
    (part,) = store.parts()
    if work == "verdicts":
        store.rejudge(part, {at: Judged(Verdict.correct()) for at in range(10)})
    else:
        store.add_columns(part, {work: pa.array([1.0] * 30, pa.float32())}, JUDGE, fill=True)


def test_commands_that_add_columns_at_once_lose_none(store: SampleStore) -> None:
    works = ["logprob:x", "logprob:y", "verdicts"]
    processes = [in_a_fork(partial(_slowly, store, work)) for work in works]
    assert [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in processes] == [0, 0, 0]
    table = store.read_part(store.parts()[0])
    assert table["logprob:x"].to_pylist() == table["logprob:y"].to_pylist() == [1.0] * 30
    assert table["logprob:j"].to_pylist() == [0.5] * 30
    assert table["verdict"].to_pylist() == ["correct"] * 10 + ["wrong"] * 20


def test_scores_fill_what_is_not_there_and_no_other_models(store: SampleStore) -> None:
    (part,) = store.parts()
    for values in ([1.0] * 10 + [None] * 20, [None] * 15 + [2.0] * 15):
        store.add_columns(part, {"logprob:z": pa.array(values, pa.float32())}, JUDGE, fill=True)
    assert store.read_part(part)["logprob:z"].to_pylist() == [1.0] * 10 + [None] * 5 + [2.0] * 15
    other = {**JUDGE, "model": "n"}
    with pytest.raises(ReachlabError, match="of another model meanwhile"):
        store.add_columns(part, {"logprob:z": pa.array([3.0] * 30, pa.float32())}, other, fill=True)


def test_the_first_writer_of_a_part_is_who_counts(store: SampleStore) -> None:
    before = Path(store.parts()[0]).read_bytes()
    store.write_part([sample("a", i, "other text") for i in range(30)])
    assert Path(store.parts()[0]).read_bytes() == before


def test_halves_of_surrogate_pairs_and_nuls_come_back_as_they_are_stored(store: SampleStore) -> None:
    store.write_part([sample("c", 0, "\ud83d \0 \U0001f600", Verdict.wrong("\udfff"))])
    (found,) = store.samples(["c"])
    assert (found.text, found.verdict.reason) == ("\\ud83d \0 \U0001f600", "\\udfff")


def test_numbers_that_no_column_holds(store: SampleStore) -> None:
    with pytest.raises(ReachlabError, match="samples that cannot be stored"):
        store.write_part([sample("c", 2**31)])
    assert len(store.parts()) == 1
