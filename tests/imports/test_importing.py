import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from reachlab.code_hash import hash_of_modules
from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.importing import import_samples
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import StepCheck

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def stored(out: Path | str) -> dict[tuple[str, int], tuple[str, str]]:
    return {(s.problem_id, s.index): (s.text, s.verdict.status) for s in SampleStore(RunFolder(out)).samples()}


ROW = {"question": "2+2?", "answer": "4"}


def test_one_row_a_problem_with_a_list(tmp_path: Path) -> None:
    file = write(
        tmp_path / "x.jsonl",
        {"question": "2+2?", "answer": 4, "responses": ["It is 4.", "#### 5", "\\boxed{4}"]},
        {"question": "3+3?", "answer": "so\n#### 6", "responses": ["#### 6"]},
    )
    (run,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), workers=1))
    assert (run.name, run.problems, run.samples, run.correct, run.wrong, run.unscored) == (
        "run",
        2,
        4,
        3,
        1,
        0,
    )
    assert (run.labelled, run.agreement, run.disagreements) == (0, None, ())
    assert stored(tmp_path / "run") == {
        ("0", 0): ("It is 4.", "correct"),
        ("0", 1): ("#### 5", "wrong"),
        ("0", 2): ("\\boxed{4}", "correct"),
        ("1", 0): ("#### 6", "correct"),
    }
    problems = SampleStore(RunFolder(tmp_path / "run")).problems()
    assert [(p.id, p.prompt, p.answer) for p in problems] == [("0", "2+2?", "4"), ("1", "3+3?", "6")]
    assert not (tmp_path / "run" / "disagreements.jsonl").exists()


def test_one_row_a_sample_in_any_order(tmp_path: Path) -> None:
    rows = [{**ROW, "text": "4"}, {"question": "3+3?", "answer": "6", "text": "7"}, {**ROW, "text": "5"}]
    import_samples(ImportConfig(file=(write(tmp_path / "x.jsonl", *rows),), out=str(tmp_path / "run"), workers=1))
    assert stored(tmp_path / "run") == {
        ("0", 0): ("4", "correct"),
        ("0", 1): ("5", "wrong"),
        ("1", 0): ("7", "wrong"),
    }


def test_ids_and_numbers_of_the_files_own(tmp_path: Path) -> None:
    rows = [{**ROW, "problem_id": "p", "sample_index": i, "text": str(i)} for i in (9, 4)]
    import_samples(ImportConfig(file=(write(tmp_path / "x.jsonl", *rows),), out=str(tmp_path / "run"), workers=1))
    assert stored(tmp_path / "run") == {("p", 4): ("4", "correct"), ("p", 9): ("9", "wrong")}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_csv_and_parquet(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"x.{kind}"
    if kind == "csv":
        file.write_text('q,gold,said,ok\n2+2?,4,"It is\n4.",True\n2+2?,4,#### 5,0\n')
    else:
        table = pa.table({"q": ["2+2?"], "gold": [4], "said": [["It is\n4.", "#### 5"]], "ok": [[True, False]]})
        pq.write_table(table, file)
    config = ImportConfig(
        file=(str(file),),
        out=str(tmp_path / "run"),
        question="q",
        answer="gold",
        text="said",
        label="ok",
        workers=1,
    )
    (run,) = import_samples(config)
    assert (run.labelled, run.agreement) == (2, 1.0)
    assert stored(tmp_path / "run") == {("0", 0): ("It is\n4.", "correct"), ("0", 1): ("#### 5", "wrong")}


def test_a_star_gives_a_run_a_match_and_labels_are_compared(tmp_path: Path) -> None:
    def logged(a: int, a_right: bool, b: int, b_right: bool) -> dict[str, Any]:
        return {
            "org/a": {"solution": f"A: {a}", "is_correct": a_right},
            "b": {"solution": f"A: {b}", "is_correct": b_right},
        }

    file = write(
        tmp_path / "x.jsonl",
        {"question": "2+2?", "ground_truth": "so\nA: 4", **logged(4, True, 5, True)},
        {"question": "3+3?", "ground_truth": "so\nA: 6", **logged(7, False, 6, False)},
    )
    runs = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "runs"), workers=1))
    assert [(r.name, r.correct, r.agreement) for r in runs] == [("org_a", 1, 1.0), ("b", 1, 0.0)]
    assert [(d.problem_id, d.ours, d.theirs, d.text_tail) for d in runs[1].disagreements] == [
        ("0", "wrong", True, "A: 5"),
        ("1", "correct", False, "A: 6"),
    ]
    lines = (tmp_path / "runs" / "b" / "disagreements.jsonl").read_text().splitlines()
    assert [json.loads(line)["problem_id"] for line in lines] == ["0", "1"]
    assert (tmp_path / "runs" / "org_a" / "disagreements.jsonl").read_text() == ""


def test_problems_of_a_task_are_found_by_id_by_question_and_by_what_holds_it(tmp_path: Path) -> None:
    bench = write(
        tmp_path / "bench.jsonl",
        *({"id": f"p{i}", "problem": f"What is {i} + {i}?", "answer": 2 * i} for i in range(3)),
    )
    file = write(
        tmp_path / "x.jsonl",
        {"id": "p2", "prompt": "User: What is  2 + 2?\nAssistant:", "text": "4"},
        {"id": 17, "prompt": "What is 1 + 1?", "text": "3"},
        {"id": "p0", "text": "0"},
    )
    config = ImportConfig(file=(file,), out=str(tmp_path / "run"), task=f"math:{bench}", workers=1)
    import_samples(config)
    assert stored(tmp_path / "run") == {
        ("p2", 0): ("4", "correct"),
        ("p1", 0): ("3", "wrong"),
        ("p0", 0): ("0", "correct"),
    }
    stray = write(tmp_path / "y.jsonl", {"id": "p1", "prompt": "What is 9 + 9?", "text": "4"})
    with pytest.raises(
        ReachlabError, match=r"y\.jsonl: row 1: task 'math:.*' lists no problem with this question 'What is 9"
    ):
        import_samples(ImportConfig(file=(stray,), out=str(tmp_path / "other"), task=f"math:{bench}"))
    stray = write(tmp_path / "z.jsonl", {"id": "p9", "text": "4"})
    with pytest.raises(ReachlabError, match=r"z\.jsonl: row 1: .* no problem with this id 'p9'"):
        import_samples(ImportConfig(file=(stray,), out=str(tmp_path / "other"), task=f"math:{bench}"))


def test_pictures_come_along_and_make_a_question_another(tmp_path: Path) -> None:
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{colour}.png")
    rows = [
        {"question": "Find x.", "answer": "4", "image": "red.png", "response": "#### 4"},
        {"question": "Find x.", "answer": "5", "image": "blue.png", "response": "#### 4"},
        {"question": "Find x.", "answer": "4", "image": "red.png", "response": "#### 5"},
    ]
    (run,) = import_samples(
        ImportConfig(file=(write(tmp_path / "x.jsonl", *rows),), out=str(tmp_path / "a"), workers=1)
    )
    assert (run.problems, run.samples, run.correct) == (2, 3, 1)
    store = SampleStore(RunFolder(tmp_path / "a"))
    assert [Path(p.images[0]).name for p in store.problems()] == ["red.png", "blue.png"]
    assert len(store.image_hashes()) == 2
    file = write(tmp_path / "x.jsonl", {**rows[0], "image": "gone.png"})
    with pytest.raises(ReachlabError, match=r"x\.jsonl: row 1: field 'image': .*no such picture"):
        import_samples(ImportConfig(file=(file,), out=str(tmp_path / "b"), workers=1))


def test_a_task_whose_questions_are_told_apart_by_their_pictures(tmp_path: Path) -> None:
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    listed = [{"id": n, "question": "Find <image1> x.", "answer": str(n), "image": f"{n}.png"} for n in range(2)]
    task = f"visual:{write(tmp_path / 'task.jsonl', *listed)}"
    answers = [{"id": n, "response": f"#### {n}"} for n in (1, 0)]
    file = write(tmp_path / "x.jsonl", *answers)
    (run,) = import_samples(ImportConfig(file=(file,), task=task, text="response", out=str(tmp_path / "a"), workers=1))
    assert (run.problems, run.correct) == (2, 2)
    file = write(tmp_path / "y.jsonl", {"question": "Find x.", "response": "#### 1"})
    with pytest.raises(ReachlabError, match="lists several problems with this question"):
        import_samples(ImportConfig(file=(file,), task=task, text="response", out=str(tmp_path / "b"), workers=1))


@pytest.mark.usefixtures("nothing_registered")
def test_the_code_of_a_task_of_ones_own_is_part_of_the_run(tmp_path: Path) -> None:
    plugin = tmp_path / "own_chain.py"
    text = "from reachlab.tasks.chain import Chain\n\nclass Mine(Chain):\n    'Mine.'\n"
    plugin.write_text(text)
    (problem,) = load_task(f"{plugin}:Mine,length=2").problems("test", 1)
    file = write(tmp_path / "x.jsonl", {"prompt": problem.prompt, "completion": "no"})
    config = ImportConfig(file=(file,), out=str(tmp_path / "run"), task=f"{plugin}:Mine,length=2", problems=1)
    import_samples(config)
    import_samples(config)
    document = RunFolder(tmp_path / "run").read_json("run.json")
    assert document["config"]["plugins"] == {"task": hash_of_modules(["reachlab_plugin_own_chain"])}
    assert document["facts"]["plugins"] == {"task": {"file": str(plugin)}}
    plugin.write_text(f"{text}    X = 1\n")
    del sys.modules["reachlab_plugin_own_chain"]
    with pytest.raises(ReachlabError, match=r"plugins\.task was"):
        import_samples(config)
    ours = ImportConfig(file=(file,), out=str(tmp_path / "ours"), task="chain,length=2", problems=1)
    import_samples(ours)
    assert "plugins" not in RunFolder(tmp_path / "ours").read_json("run.json")["config"]


def test_any_task_judges(tmp_path: Path) -> None:
    import random

    task = load_task("chain,length=2")
    asked = task.problems("test", 6, seed=3)
    rows = [
        {"prompt": p.prompt, "completion": task.solve(p, random.Random(0)) if i else "no"} for i, p in enumerate(asked)
    ]
    file = write(tmp_path / "x.jsonl", *rows)
    config = ImportConfig(file=(file,), out=str(tmp_path / "run"), task="chain,length=2", problems=6, problem_seed=3)
    (run,) = import_samples(config)
    assert (run.problems, run.correct, run.wrong) == (6, 5, 1)
    store = SampleStore(RunFolder(tmp_path / "run"))
    assert store.problems() == asked
    assert [s.steps for s in store.samples()] == [StepCheck(0, 2), *[StepCheck(2, 2)] * 5]
    assert [s.final_answer for s in store.samples()] == [None, *(task.gold(p) for p in asked[1:])]


GOOD = {**ROW, "text": "4"}


@pytest.mark.parametrize(
    ("rows", "named", "says"),
    [
        ([GOOD, '{"question": '], {}, r"x\.jsonl:2: not JSON"),
        (
            [GOOD, {"question": "a", "answer": "4"}],
            {},
            r"x\.jsonl:2: no field 'text'; its fields: question, answer",
        ),
        ([GOOD, {"text": "a", "answer": "4"}], {}, r"x\.jsonl:2: no field 'question'"),
        ([GOOD, {**GOOD, "text": 4}], {}, r"x\.jsonl:2: field 'text': text wanted, found 4"),
        ([GOOD, {**GOOD, "answer": [1]}], {}, r"x\.jsonl:2: the right answer: text or a number wanted"),
        ([GOOD, {**GOOD, "question": 1}], {}, r"x\.jsonl:2: field 'question': text wanted"),
        (
            [{**GOOD, "id": 1}, {**GOOD, "id": 1, "question": "b"}],
            {},
            r"x\.jsonl:2: problem '1' has another question .*:1",
        ),
        (
            [{**GOOD, "sample_id": 1}] * 2,
            {},
            r"x\.jsonl:2: sample 1 of problem '0' again; each may come once",
        ),
        ([{**GOOD, "sample_id": -1}], {}, r"x\.jsonl: row 1: field 'sample_id': a sample's number"),
        ([{**GOOD, "sample_id": "x"}], {}, r"x\.jsonl: row 1: field 'sample_id': a sample's number"),
        ([{**GOOD, "ok": True}, GOOD], {"label": "ok"}, r"x\.jsonl:2: no field 'ok'"),
        ([{**GOOD, "ok": "perhaps"}], {"label": "ok"}, r"x\.jsonl: row 1: field 'ok': right or wrong wanted"),
        ([{**GOOD, "ok": True}], {"verdicts": "file"}, "--verdicts file, and no labels are found"),
        ([GOOD, GOOD], {"format": "nope"}, "--format: there is no format 'nope'; choose one of reachlab, "),
        ([{**GOOD, "text": ["4", "5"], "is_correct": [True]}], {}, "1 labels for 2 answers"),
        (
            [{"a": {"s": "1"}, "b": {"s": "2"}, **ROW}, {"a": {"s": "1"}, **ROW}],
            {"text": "*.s"},
            r":2: no field 'b\.s'",
        ),
        (
            [{"a/": {"s": "1"}, "a?": {"s": "2"}, **ROW}],
            {"text": "*.s"},
            "two runs in the log give the same folder name",
        ),
        (
            [{"input": "a", "target": "b"}],
            {},
            r"no answers found; its fields are input, target; .* --text FIELD",
        ),
        ([GOOD], {"text": "nope"}, r"x\.jsonl: row 1: no field 'nope'; its fields: question, answer, text"),
        ([GOOD], {"task": "nope"}, "unknown task family 'nope'"),
        ([], {}, r"x\.jsonl: empty file"),
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, rows: list[Any], named: dict[str, Any], says: str) -> None:
    file = write(tmp_path / "x.jsonl", *rows)
    with pytest.raises(ReachlabError, match=says) as caught:
        import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), workers=1, **named))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_importing_again_changes_nothing_and_mends_what_is_missing(tmp_path: Path) -> None:
    rows = [{**ROW, "text": str(i), "is_correct": i == 4} for i in range(10)]
    file, out = write(tmp_path / "x.jsonl", *rows), tmp_path / "run"
    config = ImportConfig(file=(file,), out=str(out), workers=1)
    told: list[tuple[int, int]] = []
    first = import_samples(config, lambda done, of: told.append((done, of)))
    assert told[-1] == (10, 10)
    files = {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    told.clear()
    assert import_samples(config, lambda done, of: told.append((done, of))) == first
    assert told == []
    assert {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()} == files

    (part,) = (out / "samples").iterdir()
    part.unlink()
    (out / "problems.jsonl").unlink()  # killed between the two
    assert import_samples(config) == first
    assert {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()} == files


def test_another_file_or_mapping_is_refused_and_the_run_kept(tmp_path: Path) -> None:
    file, out = write(tmp_path / "x.jsonl", {**GOOD, "response": "5"}), tmp_path / "run"
    import_samples(ImportConfig(file=(file,), out=str(out), workers=1))
    before = stored(out)
    with pytest.raises(ReachlabError, match=r'fields\.text was "text", now "response"'):
        import_samples(ImportConfig(file=(file,), out=str(out), text="response", workers=1))
    write(tmp_path / "x.jsonl", GOOD)
    with pytest.raises(ReachlabError, match="files was"):
        import_samples(ImportConfig(file=(file,), out=str(out), workers=1))
    assert stored(out) == before


def test_the_default_folder_is_named_by_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = import_samples(ImportConfig(file=(write(tmp_path / "some.run.jsonl", GOOD),), workers=1))
    assert (run.name, run.folder) == ("some.run", "runs/some.run")


def test_an_answer_that_hangs_the_verifier_is_unscored_and_disagrees_with_any_label(tmp_path: Path) -> None:
    file = write(
        tmp_path / "x.jsonl",
        {
            **ROW,
            "question": "How tall?",
            "answer": "9^{9^{9^{9}}}",
            "text": "\\boxed{9^{9^{9^{8}}}}",
            "is_correct": False,
        },
        {**GOOD, "is_correct": True},
    )
    (run,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), workers=1, verify_timeout=1))
    assert (run.correct, run.unscored, run.labelled) == (1, 1, 2)
    assert [(d.ours, d.theirs) for d in run.disagreements] == [("unscored", False)]


def test_text_that_cannot_be_stored_is_stored_escaped_and_judged(tmp_path: Path) -> None:
    asked = {"question": "half \ud800?", "answer": "5", "id": "\udfff", "is_correct": False}
    file = write(tmp_path / "x.jsonl", {**asked, "text": "\ud800 \\boxed{5}"}, {**asked, "text": "\\boxed{\ud800}"})
    (run,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), workers=1))
    assert run.samples == run.labelled == 2
    store = SampleStore(RunFolder(tmp_path / "run"))
    assert [(p.id, p.prompt) for p in store.problems()] == [("\\udfff", "half \\ud800?")]
    right, other = store.samples()
    assert (right.text, right.verdict.status) == ("\\ud800 \\boxed{5}", "correct")
    assert other.text == "\\boxed{\\ud800}"
    assert other.verdict.status != "correct"


@pytest.mark.slow
def test_the_model_solutions_file(tmp_path: Path) -> None:
    file = DATA / "gsm8k_model_solutions.jsonl"
    if not file.exists():
        pytest.skip(f"benchmark file {file.name} is not beside this checkout")
    runs = import_samples(ImportConfig(file=(str(file),), out=str(tmp_path)))
    assert {r.name for r in runs} == {
        "6b_finetuning",
        "6b_verification",
        "175b_finetuning",
        "175b_verification",
    }
    assert [r.samples for r in runs] == [r.labelled for r in runs] == [1319] * 4
    assert sum(len(r.disagreements) for r in runs) <= 0.001 * 4 * 1319


def test_a_mark_of_reasoning_is_named_with_the_task(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", {**ROW, "text": "\\boxed{5} [[done]] 4"}, {**ROW, "text": "\\boxed{4}"})
    for task, statuses in ((None, ["wrong", "correct"]), ("math,reasoning_end=[[done]]", ["correct", "wrong"])):
        out = tmp_path / str(task)[:4]
        import_samples(ImportConfig(file=(file,), out=str(out), task=task, workers=1))
        assert [s.verdict.status for s in SampleStore(RunFolder(str(out))).samples()] == statuses
    with pytest.raises(ReachlabError, match="has no problems of its own; name a file"):
        import_samples(ImportConfig(file=(file,), out=str(tmp_path / "code"), task="code,UNSANDBOXED=true", workers=1))


def test_options_come_along_with_imported_samples(tmp_path: Path) -> None:
    row = {"question": "Capital of the UK?", "choices": ["Paris", "London"], "answer": "B"}
    texts = ["B", "London", "(B) London", "Paris", "B. Paris", "A"]
    file = write(tmp_path / "x.jsonl", *({**row, "text": text} for text in texts))
    (run,) = import_samples(ImportConfig(file=(file,), out=str(tmp_path / "run"), workers=1))
    assert (run.problems, run.correct, run.wrong) == (1, 3, 3)
