from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.reporting import excerpts
from reachlab.reporting.excerpts import read_excerpts
from reachlab.runs import RunFolder
from reachlab.store.columns import SCHEMA
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, StepCheck, Verdict

VERDICTS = {"c": Verdict.correct(), "w": Verdict.wrong("no"), "u": Verdict.unscored("late")}


def sample(problem_id: str, index: int, status: str) -> Sample:
    return Sample(
        problem_id=problem_id, index=index, text=f"{problem_id}/{index}/{status}", tokens=index, finish="stop",
        logprob=None, seed=index, engine="e", verdict=VERDICTS[status],
    )  # fmt: skip


def store(folder: Path, parts: list[list[Sample]]) -> SampleStore:
    found = SampleStore(RunFolder(folder))
    for part in parts:
        found.write_part(part)
    return found


def wanted(verdicts: str, most: int) -> list[int]:
    """By turns, as the docstring says it."""
    queues = [[i for i, v in enumerate(verdicts) if (v == "c") == right] for right in (True, False)]
    turns = [queue[turn] for turn in range(len(verdicts)) for queue in queues if turn < len(queue)]
    others = [next((i for i, v in enumerate(verdicts) if v == kind), None) for kind in "wu"]
    taken = [queue[0] for queue in queues if queue] + sorted(i for i in others if i is not None)
    return list(dict.fromkeys(taken + turns))[:most]


@settings(max_examples=30)
@given(
    st.lists(st.text("cwu", max_size=9), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_right_and_other_samples_by_turns(
    tmp_path_factory: pytest.TempPathFactory, verdicts: list[str], most: int, parts: int, random: object
) -> None:
    rows = [(f"p{p}", i, v) for p, row in enumerate(verdicts) for i, v in enumerate(row)]
    random.shuffle(rows)  # type: ignore[attr-defined]
    spread = [[sample(*row) for row in rows[at::parts]] for at in range(parts)]
    spread.append([sample(*row) for row in rows[:2]])  # what another writer also drew
    found = read_excerpts(
        store(tmp_path_factory.mktemp("run"), [part for part in spread if part]),
        [f"p{p}" for p in range(len(verdicts))],
        most,
        100,
    )
    for p, row in enumerate(verdicts):
        assert [s.sample for s in found[p]] == wanted(row, most)
        assert [s.text.head for s in found[p]] == [f"p{p}/{i}/{row[i]}" for i in wanted(row, most)]
        assert [s.status[0] for s in found[p]] == [row[i] for i in wanted(row, most)]


@pytest.mark.parametrize("most", [1, 3, 9])
@pytest.mark.parametrize("shown", range(6))
def test_a_sample_that_has_to_be_shown_comes_first(tmp_path: Path, most: int, shown: int) -> None:
    found = store(tmp_path, [[sample(p, i, v) for i, v in enumerate("cwcwuc")] for p in ("a", "b")])
    ones, others = read_excerpts(found, ["b", "a"], most, 100, {"a": shown, "gone": 0})
    assert [s.sample for s in ones] == wanted("cwcwuc", most)
    assert not any(s.doubtful for s in ones)
    rest = [i for i in wanted("cwcwuc", 9) if i != shown]
    assert [s.sample for s in others] == [shown, *rest][:most]
    assert [s.doubtful for s in others] == [s.sample == shown for s in others]


def test_what_is_told_of_a_sample(tmp_path: Path) -> None:
    text = "a" * 30 + "b" * 30
    one = Sample(
        problem_id="p", index=3, text=text, tokens=7, finish="length", logprob=None, seed=0, engine="e",
        verdict=VERDICTS["u"],
    )  # fmt: skip
    found = store(tmp_path, [[one]])
    ((shown,),) = read_excerpts(found, ["p"], 2, 12)
    assert (shown.sample, shown.status, shown.tokens, shown.finish) == (3, "unscored", 7, "length")
    assert (shown.reason, shown.steps) == ("late", None)
    assert shown.text.cut(12) == "aaaaaaaa\n… (48 characters left out) …\nbbbb"
    checked = replace(one, index=0, steps=StepCheck(2, 5), final_answer="36")
    ((shown, _),) = read_excerpts(store(tmp_path, [[checked]]), ["p"], 2, 12)
    assert (shown.steps, shown.final) == ((2, 5), "36")


def test_parts_of_an_earlier_day_have_no_steps(tmp_path: Path) -> None:
    found = store(tmp_path, [[sample("p", 0, "c")]])
    pq.write_table(pq.read_table(found.parts()[0]).select(SCHEMA.names), found.parts()[0])
    ((shown,),) = read_excerpts(found, ["p"], 2, 12)
    assert (shown.steps, shown.final) == (None, None)


def test_problems_that_were_not_asked_for_are_left_out(tmp_path: Path) -> None:
    found = store(tmp_path, [[sample("a", 0, "c"), sample("b", 0, "w")]])
    assert [[s.text.head for s in one] for one in read_excerpts(found, ["b", "z"], 3, 100)] == [["b/0/w"], []]
    assert read_excerpts(store(tmp_path / "empty", []), ["b"], 3, 100) == [[]]


def test_rows_are_found_in_every_group_and_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "ROWS", 3)
    found = store(tmp_path, [[sample(f"p{i % 7}", i, "cw"[i % 2]) for i in range(70)]])
    table = pq.read_table(found.parts()[0])
    pq.write_table(table, found.parts()[0], row_group_size=11)
    for p, shown in enumerate(read_excerpts(found, [f"p{p}" for p in range(7)], 4, 100)):
        assert [s.text.head.split("/")[:2] for s in shown] == [[f"p{p}", str(s.sample)] for s in shown]
        assert len(shown) == 4


def test_only_groups_with_chosen_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = store(tmp_path, [[sample("p", i, "w") for i in range(100)]])
    pq.write_table(pq.read_table(found.parts()[0]), found.parts()[0], row_group_size=10)
    read: list[int] = []
    whole = excerpts._of_group

    def watched(file: Any, group: int, *rest: Any) -> Any:
        read.append(group)
        return whole(file, group, *rest)

    monkeypatch.setattr(excerpts, "_of_group", watched)
    read_excerpts(found, ["p"], 8, 100)
    assert read == [0]


def test_a_damaged_part_is_named(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.ones((3, 2)))
    found = SampleStore(run)
    ids = [p.id for p in found.problems()]
    (part,) = found.parts()
    data = bytearray(Path(part).read_bytes())
    where = pq.ParquetFile(part).metadata.row_group(0).column(2).data_page_offset
    data[where : where + 12] = b"\xff" * 12
    Path(part).write_bytes(data)
    with pytest.raises(ReachlabError, match=r"part-.*: not a readable part"):
        read_excerpts(found, ids, 2, 100)


def test_problems_keep_their_order(tmp_path: Path) -> None:
    ids = [f"p{i}" for i in range(50)]
    found = store(tmp_path, [[sample(i, 0, "c") for i in reversed(ids)]])
    found.write_problems([Problem(id=i, prompt="", answer="") for i in ids])
    assert [s[0].text.head for s in read_excerpts(found, ids, 1, 100)] == [f"{i}/0/c" for i in ids]
