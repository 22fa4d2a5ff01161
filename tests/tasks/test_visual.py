"""Files in the shapes of MathVista, MathVision and Geometry3K, with real pictures in them."""

import io
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import open_picture
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.tasks.templates import BOXED

VISTA: list[dict[str, Any]] = [
    {
        "pid": "1", "question": "How many bars are there?", "choices": None, "unit": None, "precision": None,
        "answer": "4", "question_type": "free_form", "answer_type": "integer", "query": "Hint: ...",
    },
    {
        "pid": "2", "question": "What is the length of AB?", "choices": None, "unit": "cm", "precision": 2.0,
        "answer": "1.45", "question_type": "free_form", "answer_type": "float",
    },
    {
        "pid": "3", "question": "Which is larger?", "choices": ["A", "B"], "unit": None, "precision": None,
        "answer": "A", "question_type": "multi_choice", "answer_type": "text",
    },
    {
        "pid": "4", "question": "What colour is the largest bar?", "choices": None, "unit": None, "precision": None,
        "answer": "Red", "question_type": "free_form", "answer_type": "text",
    },
]  # fmt: skip
VISION: list[dict[str, Any]] = [
    {"id": "7", "question": "How many triangles? <image1>", "options": [], "answer": "12", "level": 3},
    {"id": "8", "question": "Which of <image1> fits?", "options": ["A", "B", "C", "D", "E"], "answer": "C", "level": 1},
    {"id": "9", "question": "What is the area in <image1>?", "options": [], "answer": "\\frac{9}{2}", "level": 5},
]  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REACHLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pictures"


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    return buffer.getvalue()


def with_files(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Rows whose `image` is a path beside the data file, as in the benchmarks' own archives."""
    (folder / "images").mkdir(parents=True)
    for number in range(len(rows)):
        (folder / "images" / f"{number}.png").write_bytes(picture("red" if number % 2 else "blue"))
    return [{**row, "image": f"images/{number}.png"} for number, row in enumerate(rows)]


def test_mathvision_lines_with_files_beside_them(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in with_files(VISION, tmp_path / "data"))
    (tmp_path / "data" / "test.jsonl").write_text(lines)
    task = load_task(f"mathvision:{tmp_path}/data/test.jsonl")
    first, second = task.problems("all")
    assert (first.id, second.id) == ("7", "9")  # not the one with choices
    assert first.prompt == f"How many triangles?\n{BOXED}\n"
    assert open_picture(first.images[0]).getpixel((0, 0)) == (0, 0, 255)
    assert first.images == (str(tmp_path / "data" / "images" / "0.png"),)
    with Judge(task, workers=1, timeout_s=20) as judge:
        found = judge.verify([(second, "It is \\boxed{4.5}."), (second, "\\boxed{9/4}"), (first, "12"), (first, "")])
    assert [v.status for v in found] == ["correct", "wrong", "correct", "wrong"]


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet", "datasets"])
def test_mathvista_in_each_form(tmp_path: Path, form: str, cache: Path) -> None:
    """Paths in JSON, bytes in Parquet, pictures in a data set: the same problems."""
    if form in ("jsonl", "json"):
        rows = with_files(VISTA, tmp_path / "data")
        path = tmp_path / "data" / f"testmini.{form}"
        path.write_text(json.dumps({row["pid"]: row for row in rows}) if form == "json"
                        else "".join(json.dumps(row) + "\n" for row in rows))  # fmt: skip
        spec = str(path)
    else:
        kinds = ["red" if n % 2 else "blue" for n in range(4)]
        rows = [{**row, "image": "images/x.jpg", "decoded_image": {"bytes": picture(kind), "path": None}}
                for row, kind in zip(VISTA, kinds, strict=True)]  # fmt: skip
        (tmp_path / "hub").mkdir()
        if form == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / "hub" / "testmini.parquet")
            spec = str(tmp_path / "hub" / "testmini.parquet")
        else:
            table = datasets.Dataset.from_list(rows).cast_column("decoded_image", datasets.Image())
            table.to_parquet(tmp_path / "hub" / "testmini.parquet")
            spec = f"datasets:{tmp_path / 'hub'}#{next(iter(datasets.load_dataset(str(tmp_path / 'hub'))))}"
    task = load_task(f"mathvista:{spec}")
    problems = task.problems("all")
    assert [p.id for p in problems] == ["1", "2", "4"]
    assert "(Unit: cm)" in str(problems[1].prompt)
    assert [open_picture(p.images[0]).getpixel((0, 0)) for p in problems] == [(0, 0, 255), (255, 0, 0), (255, 0, 0)]
    assert cache.exists() == (form in ("parquet", "datasets"))
    if cache.exists():
        assert len(list(cache.iterdir())) == 2  # by content
    said = [
        (0, "\\boxed{4}", True),
        (0, "5", False),
        (1, "\\boxed{1.449}", True),
        (1, "about 1.45 cm", True),
        (1, "1.44", False),
        (1, "no idea", False),
        (2, "The answer is red.", True),
        (2, "\\boxed{Blue}", False),
    ]
    with Judge(task, workers=1, timeout_s=20) as judge:
        found = judge.verify([(problems[p], text) for p, text, _ in said])
    assert [v.status == "correct" for v in found] == [right for *_, right in said], found


def test_geometry3k_with_lists_of_pictures(tmp_path: Path) -> None:
    rows = [
        {"images": [{"bytes": picture("red"), "path": "a.png"}], "problem": "<image>Find x.", "answer": "2\\sqrt{3}"},
        {"images": [{"bytes": picture("blue"), "path": "b.png"}], "problem": "<image>Find x.", "answer": "7"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    task = load_task(f"geometry3k:{tmp_path}/train.parquet")
    first, second = task.problems("all")
    assert first.metadata["question"] == second.metadata["question"] == "Find x."
    assert task.key(first) != task.key(second)
    with Judge(task, workers=1, timeout_s=20) as judge:
        assert judge.verify([(first, "\\boxed{\\sqrt{12}}")])[0].status == "correct"


def test_splits_do_not_depend_on_where_pictures_lie(tmp_path: Path) -> None:
    keys = []
    for name in ("here", "there"):
        rows = with_files(VISION, tmp_path / name)
        (tmp_path / name / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = load_task(f"visual:{tmp_path}/{name}/x.jsonl")
        keys.append([task.key(p) for p in task.problems("all")])
    assert keys[0] == keys[1]


def broken(row: dict[str, Any], folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "ok.png").write_bytes(picture("red"))
    (folder / "bad.png").write_bytes(b"not a picture")
    whole = {"id": 1, "question": "a?", "answer": "1", "image": "ok.png", **row}
    (folder / "x.jsonl").write_text(json.dumps(whole) + "\n")
    return f"visual:{folder}/x.jsonl"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"image": "gone.png"}, r"x\.jsonl:1: field 'image': .*gone\.png: no such picture"),
        ({"image": "bad.png"}, r"x\.jsonl:1: field 'image': .*bad\.png: not a picture"),
        ({"image": None}, r"x\.jsonl:1: no picture"),
        ({"image": 7}, r"x\.jsonl:1: field 'image': a picture or the path"),
        ({"question": " <image1> "}, r"x\.jsonl:1: field 'question': text wanted"),
        ({"question": None}, r"x\.jsonl:1: no field question or problem"),
        ({"answer": None}, r"x\.jsonl:1: field 'answer'"),
        ({"answer": True}, r"x\.jsonl:1: field 'answer'"),
        ({"options": ["A", "B"]}, "all 1 questions are multiple choice"),
    ],
)
def test_bad_rows(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(ReachlabError, match=said):
        load_task(broken(row, tmp_path / "d"))


def test_ids_that_come_twice_and_templates_that_are_not_there(tmp_path: Path) -> None:
    spec = broken({}, tmp_path / "d")
    file = tmp_path / "d" / "x.jsonl"
    file.write_text(file.read_text() * 2)
    with pytest.raises(ReachlabError, match=r"x\.jsonl:2: id '1' again"):
        load_task(spec)
    with pytest.raises(ReachlabError, match="no template 'x'"):
        load_task(f"{spec},template=x")
