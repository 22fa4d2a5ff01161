import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.tiny import ENVIRONMENT, names

from reachlab.errors import ReachlabError
from reachlab.pictures.drawn_scenes import scene
from reachlab.pictures.reference import fingerprint
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore, hash_problems
from reachlab.types import Chat, Judged, Problem, Sample, StepCheck, Verdict

PICTURES = [scene("chart", {"r": height}, 0, 64) for height in (3, 4)]
PROBLEMS = [
    Problem(id="a", prompt="1+1=", answer={"numbers": [1, 1]}, metadata={"division": False}),
    Problem(
        id="b b",
        prompt=Chat(({"role": "user", "content": "Größe?\u2028zwei\x85drei"},)),
        answer=2,
        images=(PICTURES[0],),
    ),
    Problem(id="c", prompt="nothing drawn", answer=None),
]


def sample(problem: str, index: int, text: str = "2", verdict: Verdict | None = None) -> Sample:
    return Sample(
        problem_id=problem,
        index=index,
        text=text,
        tokens=3,
        finish="stop",
        logprob=None if index == 1 else -1.5 * index,
        seed=2**63 - 1 - index,
        engine="transformers",
        verdict=verdict or Verdict.correct(),
    )


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SampleStore]:
    """An empty store with problems, on disk and behind a URL."""
    folder = RunFolder(tmp_path / "run [1]" if request.param == "disk" else "memory://store/run")
    found = SampleStore(folder)
    found.write_problems(PROBLEMS)
    yield found
    if request.param == "memory":
        folder.fs.rm("/store", recursive=True)


def test_problems_come_back_as_they_were(store: SampleStore) -> None:
    assert store.problems() == PROBLEMS
    assert store.image_hashes() == {"b b": [fingerprint(PICTURES[0])]}


def test_a_chat_keeps_what_its_template_is_told(store: SampleStore) -> None:
    asked = ({"role": "user", "content": "?"},)
    plain, told = (Problem(id="d", prompt=Chat(asked, options), answer=None) for options in ({}, {"think": False}))
    folder = store.folder
    store.write_problems([told])
    assert store.problems() == [told]
    assert '"prompt": {"messages": [{' in folder.fs.cat_file(folder.file("problems.jsonl")).decode()
    assert hash_problems([plain]) != hash_problems([told])
    # As it was before there were options: a list.
    store.write_problems([plain])
    assert '"prompt": [{' in folder.fs.cat_file(folder.file("problems.jsonl")).decode()
    assert store.problems() == [plain]


def test_samples_come_back_as_they_were_in_the_problems_order(store: SampleStore) -> None:
    written = [
        sample("b b", 1, "naïve\x00\u2028", Verdict.unscored("timed out")),
        sample("b b", 0, "", Verdict.wrong("no", 0.5)),
        sample("a", 3),
    ]
    store.write_part(written)
    assert store.samples() == [written[2], written[1], written[0]]
    assert store.samples(["b b"]) == [written[1], written[0]]
    assert store.drawn() == {"a": {3}, "b b": {0, 1}}
    assert store.part(store.parts()[0]) == written


def test_columns_are_those_of_the_contract(store: SampleStore) -> None:
    """Anything that reads Parquet reads a run: names and types are a promise."""
    store.write_part([sample("a", 0), sample("a", 1)])
    with store.folder.fs.open(store.parts()[0], "rb") as file:
        schema = pq.read_schema(file)
    assert [(f.name, str(f.type)) for f in schema] == [
        ("problem_id", "string"),
        ("sample", "int32"),
        ("text", "string"),
        ("tokens", "int32"),
        ("finish", "string"),
        ("logprob", "float"),
        ("seed", "int64"),
        ("engine", "string"),
        ("verdict", "string"),
        ("score", "float"),
        ("reason", "string"),
        ("valid_steps", "int32"),
        ("steps", "int32"),
        ("final_answer", "string"),
    ]


def test_a_part_is_named_by_what_it_holds_and_written_once(store: SampleStore) -> None:
    first = store.write_part([sample("a", 0), sample("a", 1)])
    assert store.write_part([sample("a", 0), sample("a", 1)]) == first
    second = store.write_part([sample("a", 2)])
    assert second != first
    assert len(store.parts()) == 2
    assert store.write_part([sample("a", 12)]) != store.write_part([sample("a1", 2)])


def test_parts_that_overlap_count_each_sample_once(store: SampleStore) -> None:
    store.write_part([sample("a", i) for i in range(4)])
    store.write_part([sample("a", i) for i in range(2, 7)])
    store.write_part([sample("b b", 3)])
    assert store.drawn() == {"a": set(range(7)), "b b": {3}}
    assert len(store.read()) == len(store.read(["verdict"])) == 8
    assert store.outcomes().n_P.tolist() == [7, 1, 0]


def test_outcomes_count_scored_right_and_unscored(store: SampleStore) -> None:
    store.write_part([sample("a", i, verdict=Verdict.wrong() if i else Verdict.correct()) for i in range(5)])
    store.write_part([sample("b b", 0), sample("b b", 1, verdict=Verdict.unscored("died"))])
    found = store.outcomes()
    assert found.name == store.folder.name
    assert found.problem_ids == ("a", "b b", "c")
    assert (found.n_P.tolist(), found.c_P.tolist(), found.unscored_P.tolist()) == ([5, 1, 0], [1, 1, 0], [0, 1, 0])


def test_outcomes_of_nothing_and_of_strangers(store: SampleStore) -> None:
    with pytest.raises(ReachlabError, match="holds no sample yet"):
        store.outcomes()
    assert len(store.read()) == 0
    assert store.drawn() == {}
    store.write_part([sample("z", 0)])
    with pytest.raises(ReachlabError, match=r"samples of problems that problems\.jsonl does not list"):
        store.outcomes()


def test_judging_again_changes_verdicts_and_nothing_else(store: SampleStore) -> None:
    written = [sample("a", 0), sample("a", 1, verdict=Verdict.unscored("died"))]
    name = store.write_part(written)
    judged = [Judged(Verdict.wrong("off by one", 0.25), StepCheck(1, 3), "7"), Judged(Verdict.correct())]
    store.rejudge(store.parts()[0], judged)
    assert len(store.parts()) == 1
    assert store.parts()[0].endswith(name)
    assert store.samples() == [
        replace(s, verdict=j.verdict, steps=j.steps, final_answer=j.final_answer)
        for s, j in zip(written, judged, strict=True)
    ]


def test_columns_are_added_and_replaced_and_others_stay(store: SampleStore) -> None:
    written = [sample("a", 0), sample("a", 1, verdict=Verdict.unscored("died"))]
    store.write_part(written)
    store.write_part([sample("b b", 0)])
    part = next(p for p in store.parts() if len(store.part(p)) == 2)
    store.add_columns(part, {"x:1": pa.array([1.5, None], pa.float32())}, {"by": "me"})
    store.add_columns(part, {"y": pa.array([3, 4], pa.int32())})
    store.add_columns(part, {"x:1": pa.array([2.5, None], pa.float32())}, {"by": "you"})
    store.rejudge(part, [Judged(Verdict.correct()), Judged(Verdict.wrong())])
    table = store.read_part(part)
    assert table.column_names[-2:] == ["x:1", "y"]
    assert (table["x:1"].to_pylist(), table["y"].to_pylist()) == ([2.5, None], [3, 4])
    assert table.schema.field("x:1").metadata == {b"by": b"you"}
    assert table.schema.field("y").metadata is None
    assert store.part(part) == [written[0], replace(written[1], verdict=Verdict.wrong())]
    assert sorted(store.read(["y"])["y"].to_pylist(), key=str) == [3, 4, None]
    assert store.read_part(part, ["y", "nowhere"]).column_names == ["y"]


def steps(problem: str, index: int, verdict: Verdict, check: StepCheck | None) -> Sample:
    return replace(sample(problem, index, verdict=verdict), steps=check, final_answer=None if check is None else "2")


def as_before(store: SampleStore, part: str) -> None:
    """Make a part one of the days before steps were checked."""
    with store.folder.fs.open(part, "rb") as file:
        table = pq.read_table(file).drop_columns(["valid_steps", "steps", "final_answer"])
    with store.folder.fs.open(part, "wb") as file:
        pq.write_table(table, file)


def test_a_chain_is_right_only_if_every_step_is(store: SampleStore) -> None:
    right, wrong, unscored = Verdict.correct(), Verdict.wrong(), Verdict.unscored("died")
    checks = [StepCheck(2, 2), StepCheck(1, 2), StepCheck(0, 0), None]
    written = [
        steps("a", 4 * i + j, v, c) for i, v in enumerate((right, wrong, unscored)) for j, c in enumerate(checks)
    ]
    store.write_part(written)
    store.write_part([steps("b b", 0, right, StepCheck(3, 3))])
    assert store.samples() == [*written, steps("b b", 0, right, StepCheck(3, 3))]
    plain, chain = store.outcomes(), store.outcomes(chain=True)
    assert (plain.n_P.tolist(), plain.c_P.tolist(), plain.unscored_P.tolist()) == ([8, 1, 0], [4, 1, 0], [4, 0, 0])
    # A right answer whose steps nobody could check is not counted as one with a wrong step.
    assert (chain.n_P.tolist(), chain.c_P.tolist(), chain.unscored_P.tolist()) == ([7, 1, 0], [1, 1, 0], [5, 0, 0])
    assert (chain.name, chain.problem_ids) == (plain.name, plain.problem_ids)


def test_chains_that_nobody_checked_are_refused(store: SampleStore) -> None:
    with pytest.raises(ReachlabError, match="holds no sample yet"):
        store.outcomes(chain=True)
    old = f"{store.folder.path}/{store.write_part([sample('a', 0)])}"
    with pytest.raises(ReachlabError, match="its task checks no steps"):
        store.outcomes(chain=True)
    as_before(store, old)
    store.write_part([steps("a", 1, Verdict.correct(), StepCheck(1, 1))])
    with pytest.raises(ReachlabError, match=r": 1 samples are older than the checks of steps; `reachlab verify"):
        store.outcomes(chain=True)
    assert store.outcomes().c_P.tolist() == [2, 0, 0]
    assert [(s.steps, s.final_answer) for s in store.samples()] == [(None, None), (StepCheck(1, 1), "2")]
    store.rejudge(old, [Judged(Verdict.correct(), StepCheck(0, 1), "2")])
    assert store.outcomes(chain=True).c_P.tolist() == [1, 0, 0]
    assert store.outcomes(chain=True).n_P.tolist() == [2, 0, 0]


def test_numbered_rows_say_which_problem_they_answer(store: SampleStore) -> None:
    store.write_part([sample("b b", 1), sample("a", 0)])
    store.write_part([sample("b b", 1), sample("b b", 2)])
    as_before(store, store.parts()[0])
    table, row_N = store.numbered(["tokens", "final_answer", "nowhere"])
    assert sorted(zip(row_N.tolist(), table["sample"].to_pylist(), strict=True)) == [(0, 0), (1, 1), (1, 2)]
    assert set(table.column_names) == {"problem_id", "sample", "tokens", "final_answer"}


@pytest.mark.parametrize("indices", [[0, 2**31 - 1, 5], [-7, 3, 0]])
def test_indices_that_are_far_apart(store: SampleStore, indices: list[int]) -> None:
    first, second, third = indices
    a, b = ([replace(sample(problem, 0), index=i) for i in indices] for problem in ("a", "b b"))
    store.write_part(a[:2])
    store.write_part(b)
    store.write_part([b[2], a[1]])
    assert store.drawn() == {"a": {first, second}, "b b": {first, second, third}}
    assert len(store.read(["text"])) == 5


def test_text_that_another_writer_stored_as_dictionaries(store: SampleStore) -> None:
    written = [steps("a", i, Verdict.correct(), StepCheck(1, 1)) for i in range(3)]
    part = f"{store.folder.path}/{store.write_part(written)}"
    with store.folder.fs.open(part, "rb") as file:
        table = pq.read_table(file)
    for name in ("problem_id", "verdict", "text", "final_answer"):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    with store.folder.fs.open(part, "wb") as file:
        pq.write_table(table, file)
    store.write_part([sample("b b", 0)])
    assert store.part(part) == written
    assert store.samples() == [*written, sample("b b", 0)]
    assert store.outcomes().c_P.tolist() == [3, 1, 0]


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _without_verdict(data: bytes) -> bytes:
    table = pq.read_table(pa.BufferReader(data)).drop_columns(["verdict"])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def _of_nothing(data: bytes) -> bytes:
    table = pq.read_table(pa.BufferReader(data))
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(0, "problem_id", pa.array([None], pa.string())), sink)
    return bytes(sink.getvalue())


def _steps_of_another_type(data: bytes) -> bytes:
    table = pq.read_table(pa.BufferReader(data))
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(table.column_names.index("steps"), "steps", pa.array(["3"])), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "not a readable part"),
        (lambda _: b"", "not a readable part"),
        (_without_verdict, "no column verdict"),
        (_of_nothing, "a row without problem_id"),
        (_steps_of_another_type, "no column steps of type int32"),
    ],
)
def test_a_damaged_part_is_named(store: SampleStore, damage: object, says: str) -> None:
    store.write_part([sample("a", 0)])
    store.write_part([sample("a", 1)])
    bad = store.parts()[1]
    assert callable(damage)
    store.folder.fs.pipe_file(bad, damage(store.folder.fs.cat_file(bad)))
    for read in (store.outcomes, store.samples, lambda: store.part(bad), lambda: store.rejudge(bad, [])):
        with pytest.raises(ReachlabError, match=says) as error:
            read()
        assert bad in str(error.value)
        assert "delete it and run the same command to draw its samples again" in str(error.value)
        assert "\n" not in str(error.value)


def test_a_later_column_lies_beside_the_others(store: SampleStore) -> None:
    store.write_part([sample("a", 0)])
    with store.folder.fs.open(store.parts()[0], "rb") as file:
        table = pq.read_table(file)
    store.write_part([sample("a", 1)])
    with store.folder.fs.open(f"{store.folder.path}/samples/part-zz.parquet", "wb") as file:
        pq.write_table(
            table.set_column(1, "sample", pa.array([2], pa.int32())).append_column("ppl", pa.array([1.5])), file
        )
    found = {row["sample"]: row["ppl"] for row in store.read(["ppl"]).to_pylist()}
    assert found == {0: None, 1: None, 2: 1.5}
    assert [s.index for s in store.samples()] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "a"', r"problems\.jsonl:2: not a problem \(Expecting"),
        ('{"id": "a", "answer": 1, "images": []}', r"problems\.jsonl:2: not a problem \('prompt'\)"),
        ('{"id": "a", "prompt": "p", "answer": 1, "images": [], "color": 1}', r"problems\.jsonl:2: .*color"),
        ("[]", r"problems\.jsonl:2: not a problem"),
    ],
)
def test_a_damaged_list_of_problems(tmp_path: Path, line: str, says: str) -> None:
    store = SampleStore(RunFolder(tmp_path))
    store.write_problems(PROBLEMS[:1])
    with (tmp_path / "problems.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ReachlabError, match=says):
        store.problems()


def test_a_folder_without_problems(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"not a run of samples \(no problems\.jsonl\)"):
        SampleStore(RunFolder(tmp_path)).problems()


def test_the_hash_follows_what_is_asked_and_what_is_right() -> None:
    first = hash_problems(PROBLEMS)
    assert hash_problems([replace(p, metadata={"other": 1}) for p in PROBLEMS]) == first
    changed: Sequence[Sequence[Problem]] = (
        PROBLEMS[:2],
        PROBLEMS[::-1],
        [replace(PROBLEMS[0], prompt="1+2="), *PROBLEMS[1:]],
        [replace(PROBLEMS[0], answer=3), *PROBLEMS[1:]],
        [replace(PROBLEMS[0], id="A"), *PROBLEMS[1:]],
        [PROBLEMS[0], replace(PROBLEMS[1], images=(PICTURES[1],)), PROBLEMS[2]],
    )
    assert len({first, *map(hash_problems, changed)}) == 7


WRITER = """
import sys
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Sample, Verdict

store, start = SampleStore(RunFolder(sys.argv[1])), int(sys.argv[2])
for part in range(20):
    first = start + 5 * part
    store.write_part([
        Sample(problem_id="a", index=i, text=str(i), tokens=1, finish="stop", logprob=0.0, seed=i, engine="e",
               verdict=Verdict.correct())
        for i in range(first, first + 10)
    ])
"""


def test_several_processes_may_write_at_once(tmp_path: Path) -> None:
    store = SampleStore(RunFolder(tmp_path))
    store.write_problems(PROBLEMS)
    arguments = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*arguments, str(start)], env=ENVIRONMENT) for start in (0, 0, 50)]
    while any(writer.poll() is None for writer in writers):
        # A reader never sees half a part.
        assert all(s.text == str(s.index) for s in store.samples())
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert store.drawn() == {"a": set(range(155))}
    assert not [name for name in names(tmp_path / "samples") if not name.startswith("part-")]
