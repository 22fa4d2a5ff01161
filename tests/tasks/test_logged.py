import json
from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.tasks.registry import load_task
from reachlab.types import Problem


def test_nothing_is_judged_and_nothing_asked() -> None:
    task = load_task("logged")
    problem = Problem(id="a", prompt="", answer="4", metadata={"question": "2+2?"})
    assert task.verify(problem, "4").status == "unscored"
    assert task.gold(problem) is None
    assert task.final_answer(problem, "4") is None
    with pytest.raises(ReachlabError, match="has no problems of its own"):
        task.problems("test")


def test_the_questions_of_a_file(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "Q: 2 + 2?\nA:", "answer": None, "metadata": {"question": "2 + 2?"}},
        {"id": "b", "prompt": [{"role": "user", "content": "x"}], "metadata": {"bare": "What is x?"}},
        {"prompt": "3 + 3?"},
    ]
    file = tmp_path / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task(f"logged:{file}")
    problems = task.problems("all")
    assert [(p.id, p.prompt) for p in problems] == [("a", "2 + 2?"), ("b", "What is x?"), ("2", "3 + 3?")]
    assert [task.question(p) for p in problems] == [p.prompt for p in problems]
    assert task.verify(problems[0], "4").status == "unscored"
    (first, *_) = load_task(f"logged:{file},prefix=0.5").problems("all")
    assert (first.prompt, first.answer["rest"]) == ("2 +", " 2?")
    file.write_text('{"id": "a", "prompt": [{"role": "user", "content": "x"}]}\n')
    with pytest.raises(ReachlabError, match=r"problems\.jsonl:1: no question as text"):
        load_task(f"logged:{file}")
