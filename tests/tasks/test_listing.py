from pathlib import Path

import pytest
from PIL import Image

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import open_picture
from reachlab.tasks.listing import list_tasks, show_task
from reachlab.tasks.registry import FAMILIES, load_task
from reachlab.types import Problem, Verdict


def test_every_family_and_every_dataset_is_listed() -> None:
    rows = list_tasks()
    names = [row["task"] for row in rows]
    assert names[: len(FAMILIES)] == list(FAMILIES)
    assert "gym:gsm_symbolic" in names
    assert len(names) == len(set(names)) > 80
    assert "numbers=4" in rows[0]["settings"]
    assert all(row["what"] for row in rows)


def test_a_shown_problem_is_the_one_that_is_sampled() -> None:
    shown = show_task("countdown,numbers=3", "test", 4, 7)
    task = load_task("countdown,numbers=3")
    problems = task.problems("test", 4, 7)
    assert [row["id"] for row in shown] == [p.id for p in problems]
    for row, problem in zip(shown, problems, strict=True):
        again = Problem(id=row["id"], prompt=row["prompt"], answer=row["answer"])
        assert again.prompt == problem.prompt
        assert task.verify(again, row["solution"]) == Verdict.correct()


def test_what_problems_show_is_put_into_a_folder(tmp_path: Path) -> None:
    problems = load_task("scenes").problems("test", 2, 7)
    assert [row["pictures"] for row in show_task("scenes", "test", 2, 7)] == [1, 1]
    shown = show_task("scenes", "test", 2, 7, str(tmp_path / "new" / "folder"))
    assert [row["pictures"] for row in shown] == ["1.png", "2.png"]
    for problem, row in zip(problems, shown, strict=True):
        with Image.open(tmp_path / "new" / "folder" / row["pictures"]) as picture:
            assert picture.tobytes() == open_picture(problem.images[0]).tobytes()
    assert "pictures" not in show_task("chain", "test", 1, 0)[0]


@pytest.mark.parametrize(("spec", "n"), [("countdown", 0), ("countdown", -1), ("chain", 0)])
def test_no_problem_to_show(spec: str, n: int) -> None:
    with pytest.raises(ReachlabError, match=f"problems={n} must be 1 or more"):
        show_task(spec, "test", n, 0)


@pytest.mark.parametrize("setting", ["numbers=3.5", "numbers=true", 'numbers="3"', "max_value=[]"])
def test_a_setting_that_is_no_whole_number(setting: str) -> None:
    with pytest.raises(ReachlabError, match="is not a whole number"):
        load_task(f"countdown,{setting}")


def test_a_file_shows_its_own_first_rows(tmp_path: Path) -> None:
    rows = [f'{{"question": "{n} + {n}?", "answer": "{2 * n}"}}' for n in range(1, 5)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    spec = f"math:{tmp_path / 'rows.jsonl'}"
    assert [row["prompt"].split()[0] for row in show_task(spec, "auto", 3, 0)] == ["1", "2", "3"]
    assert len(show_task(spec, "auto", 9, 0)) == 4
    assert show_task("chain", "auto", 2, 0) == show_task("chain", "test", 2, 0)
    (tmp_path / "rows.jsonl").write_text(rows[0])
    empty = "test" if load_task(spec).problems("train") else "train"
    with pytest.raises(ReachlabError, match=r"of its 1 problems each is test or train by a hash .*; --split all takes"):
        show_task(spec, empty, 3, 0)  # type: ignore[arg-type]
