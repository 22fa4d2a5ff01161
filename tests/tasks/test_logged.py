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
