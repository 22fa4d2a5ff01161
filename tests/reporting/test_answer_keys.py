from pathlib import Path
from typing import Any

import pytest

from reachlab.reporting.answer_keys import answer_keys
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem


def keys(folder: Path, task: str, answer: Any) -> Any:
    run = RunFolder(folder)
    run.claim("sample", {"task": task}, {})
    (found,) = answer_keys(SampleStore(run), [Problem(id="p", prompt="?", answer=answer)])
    return found


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("72", "72"),
        (72, "72"),
        ([1, 2], "[1, 2]"),
        (None, ""),
        ({"target": 7, "numbers": [1, 2]}, [["target", "7"], ["numbers", "[1, 2]"]]),
    ],
)
def test_a_key_is_a_text_or_a_table(tmp_path: Path, answer: Any, shown: Any) -> None:
    assert keys(tmp_path, "nobody-knows-it", answer) == shown


def test_the_task_says_what_of_its_entry_is_the_answer(tmp_path: Path) -> None:
    entry = "{'question': '1 + 1 =', 'answer': '2', 'metadata': {'difficulty': (1, 2)}}"
    assert keys(tmp_path / "a", "gym:chain_sum", entry) == "2"
    assert keys(tmp_path / "b", "gym:chain_sum", "of another day") == "of another day"
