from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from reachlab.reporting.changed_problems import ANSWER, MOST, changed_problems
from reachlab.reporting.entries import read_entries
from reachlab.reporting.problem_browser import interest


def test_the_problems_that_changed_most_with_an_answer_of_each_model(demo: Any) -> None:
    entries = read_entries(*demo)
    found = changed_problems(entries)
    order = interest(entries)[:MOST]
    assert [problem.id for problem in found] == [demo[0].problem_ids[p] for p in order]
    for problem, p in zip(found, order, strict=True):
        assert problem.prompt == (("", f"[12 11 9 3 ={problem.id[1:]}]"),)
        assert [answer.entry.name for answer in problem.answers] == ["base", "grpo", "pods", "distilled"]
        for answer in problem.answers:
            assert (answer.right, answer.scored) == (answer.entry.outcomes.c_P[p], answer.entry.outcomes.n_P[p])
            # A right answer is shown where there is one.
            assert answer.status == ("correct" if answer.right else "wrong")
            assert answer.text.endswith("=36" if answer.right else "=35")


def test_long_answers_are_cut(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "a", np.array([[1]]), text=lambda *_: "x" * 5_000)
    (problem,) = changed_problems(read_entries(*make.measure([run])))
    (answer,) = problem.answers
    assert ANSWER < len(answer.text) < ANSWER + 60
    assert "characters left out" in answer.text
