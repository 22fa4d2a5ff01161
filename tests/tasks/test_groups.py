import json
from pathlib import Path

from tests.conftest import Command

from reachlab.store.problems import hash_problems
from reachlab.tasks.groups import LONGEST, groups_of
from reachlab.tasks.registry import load_task

ROWS = [
    {"problem": f"What is {n} + 1?", "answer": str(n + 1), "level": n % 3, "subject": "Sums", "unique_id": f"p{n}"}
    for n in range(12)
]


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_short_values_of_known_names() -> None:
    row = {"level": 3, "subject": " ", "type": ["a"], "source": "x" * (LONGEST + 1), "year": "2024", "other": "y"}
    assert groups_of(row) == {"level": 3, "year": "2024"}


def test_a_benchmarks_groups_stay_with_its_problems_and_change_no_identity(tmp_path: Path) -> None:
    problems = load_task(f"math:{written(tmp_path / 'a.jsonl', ROWS)}").problems("all")
    assert {p.metadata["level"] for p in problems} == {0, 1, 2}
    assert {p.metadata["subject"] for p in problems} == {"Sums"}
    bare = [{name: row[name] for name in ("problem", "answer", "unique_id")} for row in ROWS]
    without = load_task(f"math:{written(tmp_path / 'b.jsonl', bare)}").problems("all")
    assert hash_problems(problems) == hash_problems(without)


def test_choices_have_them_too(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "choices": ["a", "b"], "answer": n % 2, "subject": f"s{n % 2}"} for n in range(4)]
    problems = load_task(f"math:{written(tmp_path / 'c.jsonl', rows)}").problems("all")
    assert [p.metadata["subject"] for p in sorted(problems, key=lambda p: int(p.id))] == ["s0", "s1", "s0", "s1"]
    assert problems[0].metadata["choices"] == ["a", "b"]


def test_they_are_clusters(tmp_path: Path, checkpoint: Path, command: Command) -> None:
    task = f"math:{written(tmp_path / 'a.jsonl', ROWS)}"
    asked = ("--task", task, "--split", "all", "--samples", "2", "--max-tokens", "2")
    for name, seed in (("a", "0"), ("b", "1")):
        code, _, err = command("sample", "--model", checkpoint, *asked, "--seed", seed, "--out", tmp_path / name)
        assert code == 0, err
    runs = (tmp_path / "a", tmp_path / "b", "--cluster", "level", "--resamples", "100", "--json")
    code, out, err = command("compare", *runs)
    assert code == 0, err
    assert json.loads(out)["clusters"] == 3
