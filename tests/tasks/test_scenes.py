import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.errors import ReachlabError
from reachlab.pictures.reference import open_picture
from reachlab.tasks.registry import load_task
from reachlab.tasks.scenes import Scenes, _steps
from reachlab.types import Problem, StepCheck

KINDS = ("count", "chart", "length", "spread", "figure")


def problem(question: str, **values: int) -> Problem:
    kind = question.partition(" ")[0].rstrip(":")
    result = int(_steps(question, values)[-1].rpartition("=")[2])
    answer = {"values": values, "result": result}
    return Problem(id=question, prompt=question, answer=answer, metadata={"kind": kind})


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (problem("chart r*g+b:", r=3, g=4, b=5), "r3;g4;b5;3*4=12;12+5=17"),
        (problem("count r+b*g:", r=4, b=2, g=3, y=1), "r4;b2;g3;2*3=6;4+6=10"),
        (problem("length g+r-y:", g=5, r=2, y=3), "g5;r2;y3;5+2=7;7-3=4"),
        (problem("chart r*g*b:", r=2, g=3, b=4), "r2;g3;b4;2*3=6;6*4=24"),
        (problem("spread r g b:", r=3, g=9, b=5), "r3;g9;b5;9-3=6"),
        (problem("area:", a=5, b=3, c=2, d=4), "a5;b3;5*3=15;c2;d4;2*4=8;15+8=23"),
    ],
)
def test_answers_by_hand(asked: Problem, answer: str) -> None:
    task = Scenes()
    assert task.solve(asked, Random(0)) == answer
    assert task.verify(asked, f" {answer} ").status == "correct"
    assert task.final_answer(asked, answer) == answer.rpartition("=")[2]
    steps = answer.split(";")
    assert task.check_steps(asked, answer) == StepCheck(len(steps), len(steps))
    for cut in range(len(steps)):
        assert task.verify(asked, ";".join(steps[:cut])).status == "wrong"
    assert task.verify(asked, f"{answer};1+1=2").status == "wrong"


@pytest.mark.parametrize("text", ["g4;r3;b5;3*4=12;12+5=17", "r3;g4;4*3=12;b5;5+12=17", " r3 ; g4;b5;3*4=12; 12+5=17 "])
def test_any_true_way_is_right(text: str) -> None:
    task, asked = Scenes(), problem("chart r*g+b:", r=3, g=4, b=5, y=7)
    assert task.verify(asked, text).status == "correct"
    assert task.check_steps(asked, text).holds


@pytest.mark.parametrize(
    ("text", "why", "valid"),
    [
        ("r3;g5;b5;3*5=15;15+5=20", "g is 4, not 5", 1),
        ("r3;y7;g4;b5;3*4=12;12+5=17", "y is not asked for", 1),
        ("r3;r3;g4;b5;3*4=12;12+5=17", "r is not asked for, or read before", 1),
        ("r3;g4;b5;3*4=13;13+5=18", "wrong arithmetic: '3*4=13'", 3),
        ("r3;g4;b5;3*4=12;3+5=8", "3 is not there in '3+5=8'", 4),
        ("r3;g4;b5;8+9=17", "8 is not there", 3),
        ("r3;g4;b5;17", "not a step: '17'", 3),
        ("r3;g4;3*4=12", "b is not read", 3),
        ("r3;g4;b5;3+4=7;7+5=12", "ends at 12, not 17", 5),
        ("r3;g4;b5", "nothing is computed", 3),
        ("r3;g4;b5;3*4=12;b5", "b is not asked for, or read before", 4),
        ("", "not a step: ''", 0),
        ("r٣;g4;b5;3*4=12;12+5=17", "not a step", 0),
        ("r3;g4;b5;3*4=0000012;12+5=17", "not a step", 3),
        ("r3;g4;b5;3*4=12;12+5=17;", "not a step: ''", 5),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str, valid: int) -> None:
    task, asked = Scenes(), problem("chart r*g+b:", r=3, g=4, b=5, y=7)
    verdict = task.verify(asked, text)
    assert verdict.status == "wrong"
    assert verdict.reason.startswith(why)
    assert task.check_steps(asked, text).valid == valid


@given(seed=st.integers(0, 2**32), terms=st.integers(2, 4), most=st.integers(2, 9))
def test_drawn_problems_are_solved_by_their_solver_alone(seed: int, terms: int, most: int) -> None:
    task = Scenes(terms=terms, most=most, figures=0.3)
    asked = task.draw(Random(seed), listed=True)
    solution = task.solve(asked, Random(0))
    assert task.verify(asked, solution).status == "correct"
    assert task.final_answer(asked, solution) == task.gold(asked) == str(asked.answer["result"])
    assert not re.search(r"=-|;-", solution)
    assert set(f"{asked.prompt}{solution}") <= set(task.alphabet())
    attempts = [task.attempt(asked, Random(i)) for i in range(30)]
    wrong = [a for a in attempts if a != solution]
    assert all(task.verify(asked, a).status == "wrong" for a in wrong)
    assert 3 <= len(wrong) <= 27
    # A misreading is computed with as read.
    assert all(task.check_steps(asked, a).steps == task.check_steps(asked, solution).steps for a in wrong)
    assert 0 < task.chance(asked) <= 1 / 4


def test_a_corpus_without_figures_and_one_of_figures() -> None:
    kinds = [
        {p.metadata["kind"] for p in load_task(f"scenes,figures={share}").problems("train", 60)} for share in (0, 1)
    ]
    assert kinds == [set(KINDS) - {"figure"}, {"figure"}]
    assert {p.metadata["kind"] for p in load_task("scenes,kinds=chart+count,figures=0").problems("train", 40)} == {
        "chart", "count",
    }  # fmt: skip


def test_splits_do_not_meet_whatever_the_drawing() -> None:
    task = load_task("scenes")
    train, test = ({p.id for p in task.problems(split, 300)} for split in ("train", "test"))
    assert not train & test
    # The same question with the same readings is one problem, wherever things are drawn.
    small = Scenes(kinds="count", figures=0, most=2, terms=2)
    found = small.problems("all", 40)
    assert len({p.id for p in found}) == len({(p.prompt, p.id) for p in found}) == 40


def test_every_problem_has_a_picture_of_its_own_size() -> None:
    for asked in Scenes(size=32, figures=0.5).problems("test", 20):
        (reference,) = asked.images
        assert open_picture(reference).size == (32, 32)


@pytest.mark.parametrize(
    "wrong",
    ["kinds=tree", "terms=1", "terms=5", "most=10", "most=1", "size=8", "size=2000", "figures=2", "mistakes=-1"],
)
def test_settings_that_cannot_be(wrong: str) -> None:
    with pytest.raises(ReachlabError, match=f"scenes: .*{wrong}"):
        load_task(f"scenes,{wrong}")
