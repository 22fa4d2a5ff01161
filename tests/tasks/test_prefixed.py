import json
import random
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reachlab.errors import ReachlabError
from reachlab.tasks.asked import Asked
from reachlab.tasks.asking import Asking
from reachlab.tasks.prefixed import Prefixed, cut_question, end_of_rest
from reachlab.tasks.registry import bare_task, load_task, prefix_of, with_prefix
from reachlab.tasks.templates import TEMPLATES

QUESTION = "Ann has 3 apples and 4 pears. How many fruits are there in all?"


def inner(task: Asked) -> Prefixed:
    assert isinstance(task.task, Prefixed)
    return task.task


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two questions that can be cut, and one that cannot."""
    rows = [
        {"question": QUESTION, "answer": "3 + 4 = 7\n#### 7"},
        {"question": "Factorise!", "answer": "1"},
        {"question": "小明有三个苹果，又买了两个，一共有几个？", "answer": "5"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@given(st.text(alphabet="ab \n小明.", min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_cut_loses_nothing_and_leaves_words_on_both_sides(question: str, share: float) -> None:
    parts = cut_question(question, share)
    text = question.strip()
    if parts is None:
        assert len(text.split()) <= 1
        assert sum(c in "小明" for c in text) <= 1
        return
    shown, rest = parts
    assert shown + rest == text
    assert shown == shown.strip() != ""
    assert rest.strip() != ""
    apart = rest[0].isspace() or rest[0] in "小明" or shown[-1] in "小明"
    assert apart


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.01, "Ann"), (0.6, "Ann has 3 apples and 4 pears. How many"), (0.99, QUESTION.removesuffix(" all?"))],
)
def test_a_cut_is_at_the_nearest_word(share: float, shown: str) -> None:
    assert cut_question(QUESTION, share) == (shown, QUESTION.removeprefix(shown))


@pytest.mark.parametrize(
    ("rest", "text", "end"),
    [
        (" in all?", " in all?", 8),
        (" in all?", "in\n  all? The answer is 7", 9),
        (" in all?", "\nin all?It is 7", 8),
        (" in all?", " in all", None),
        (" in all?", " In all?", None),
        (" is 1", " is 1", 5),
        (" is 1", " is 1. Next", 5),
        (" is 1", " is 10", None),
        (" is 1", " is 1.5", None),
        (" costs 3.", " costs 3.50", None),
        (" costs 3.", " costs 3.Answer", 9),
        (" 3=36:", " 3=36:11*3=33", 6),
        ("几个？", "几个？五个", 3),
        ("几个", "几个五", 2),
        (" (a+b)", " (a+b) or", 6),
    ],
)
def test_an_exact_completion(rest: str, text: str, end: int | None) -> None:
    assert end_of_rest(rest, text) == end


def test_a_file_asked_for_the_rest(file: Path) -> None:
    whole, task = load_task(f"math:{file}"), load_task(f"math:{file},prefix=0.6")
    problems = task.problems("all")
    assert inner(task).posed("all") == (problems, 1)
    assert [p.id for p in problems] == ["0", "2"]
    assert [p.prompt for p in problems] == ["Ann has 3 apples and 4 pears. How many", "小明有三个苹果，又买了两"]
    assert [task.question(p) for p in problems] == [whole.question(p) for p in whole.problems("all") if p.id != "1"]
    assert [task.key(p) for p in problems] == [whole.key(p) for p in whole.problems("all") if p.id != "1"]
    assert (task.decoding["temperature"], task.finite, task.isolated) == (0.0, True, False)
    first = problems[0]
    assert (task.gold(first), task.shown_answer(first)) == (None, "fruits are there in all?")
    assert task.verify(first, f"{task.solve(first, random.Random(0))} 7").status == "correct"
    assert task.final_answer(first, " fruits are there in all? 7") is None


def test_what_is_wrong_has_a_score_and_says_where(file: Path) -> None:
    task = load_task(f"math:{file},prefix=0.6")
    problem = task.problems("all")[0]
    said = task.verify(problem, " fruits are in all there, and what?")
    assert (said.status, said.score, said.reason) == ("wrong", 0.8, "word 3 of 5 is 'in', not 'there'")
    assert task.verify(problem, "").reason == "word 1 of 5 is missing, not 'fruits'"
    assert task.verify(problem, "").score == 0.0
    # Only as many words count as are wanted.
    assert task.verify(problem, f"{'no ' * 5} fruits are there in all?").score == 0.0
    assert task.verify(problem, " fruits are there in all!").score == 1.0


def test_the_answer_is_what_follows_the_rest(file: Path) -> None:
    task = inner(load_task(f"math:{file},prefix=0.6"))
    problem = task.problems("all")[0]
    whole, text = task.answered(problem, " fruits are there in all? 7.")
    assert (whole.prompt, whole.answer, text) == (QUESTION, "7", " 7.")
    assert task.task.verify(whole, text).status == "correct"
    assert task.answered(problem, " apples? The answer is 3.")[1] == " apples? The answer is 3."
    assert json.loads(json.dumps(problem.metadata)) == problem.metadata


def test_generated_questions_and_their_stream() -> None:
    whole, task = load_task("countdown"), load_task("countdown,prefix=0.5")
    assert [p.id for p in task.problems("test", 5, 3)] == [p.id for p in whole.problems("test", 5, 3)]
    some = list(islice(task.stream("train", 0), 4))
    assert some[2] == next(task.stream("train", 0, start=2))
    assert {task.split_of(p) for p in some} == {"train"}
    assert all(task.verify(p, str(p.answer["rest"])).status == "correct" for p in some)
    assert task.alphabet() == whole.alphabet()


def test_a_stream_goes_on_behind_what_cannot_be_cut(file: Path) -> None:
    whole, task = load_task(f"math:{file}"), load_task(f"math:{file},prefix=0.6")
    ids = [p.id for p in islice(whole.stream("all", 0), 12)]
    assert "1" in ids[:9]
    expected = [next(i for i in ids[at:] if i != "1") for at in range(9)]
    assert [p.id for p in islice(task.stream("all", 0), 9)] == expected
    assert [next(task.stream("all", 0, start=at)).id for at in range(9)] == expected


def test_options_and_tests_are_no_part_of_the_question(tmp_path: Path) -> None:
    (tmp_path / "choice.jsonl").write_text(
        json.dumps({"question": "Which is a planet?", "choices": ["Mars", "Moon"], "answer": 0})
    )
    (tmp_path / "code.jsonl").write_text(
        json.dumps({"task_id": 1, "text": "Write a function to add two.", "test_list": ["assert add(1, 2) == 3"]})
    )
    for spec, question in (
        (f"math:{tmp_path}/choice.jsonl", "Which is a planet?"),
        (f"code:{tmp_path}/code.jsonl,UNSANDBOXED=true", "Write a function to add two."),
    ):
        (problem,) = load_task(f"{spec},prefix=0.5").problems("all")
        assert f"{problem.prompt}{problem.answer['rest']}" == question
        assert bare_task(f"{spec},prefix=0.5").question(problem) == question
        assert bare_task(spec).question(load_task(spec).problems("all")[0]) == question


def test_a_benchmark_by_name_is_asked_bare_and_greedily(file: Path) -> None:
    task = load_task(f"math500:{file},prefix=0.6")
    assert load_task(f"math500:{file}").decoding["temperature"] == 0.6
    assert dict(task.decoding) == {"temperature": 0.0}
    assert task.problems("all")[0].prompt == "Ann has 3 apples and 4 pears. How many"


def test_pictures_are_left_out(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    (tmp_path / "x.jsonl").write_text(json.dumps({"question": "How long is a?", "answer": "1", "image": "x.png"}))
    task = load_task(f"visual:{tmp_path}/x.jsonl,prefix=0.5")
    (problem,) = task.problems("all")
    assert (problem.prompt, problem.images) == ("How long", ())
    assert inner(task).whole(problem).images != ()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("countdown,prefix=1", "prefix=1 must be above 0 and below 1"),
        ("countdown,prefix=0", "prefix=0 must be above 0 and below 1"),
        ("countdown,prefix=true", "must be above 0 and below 1"),
        ("countdown,prefix=half", "must be above 0 and below 1"),
        ("countdown,prefix=0.5,template=chat", "with nothing around it"),
    ],
)
def test_what_cannot_be(spec: str, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        load_task(spec)


def test_nothing_stands_around_it() -> None:
    for asking in (Asking(template=TEMPLATES["boxed"]), Asking(shots=2), Asking(system="Be brief.")):
        with pytest.raises(ReachlabError, match="with nothing around it"):
            load_task("countdown,prefix=0.5", asking)
    assert load_task("countdown,prefix=0.5", Asking()).asking.identity() == {"template": "bare"}


def test_a_task_whose_questions_are_single_words() -> None:
    with pytest.raises(ReachlabError, match="none of its 3 questions can be cut"):
        load_task("chain,prefix=0.5").problems("test", 3)


def test_the_spec_says_the_prefix() -> None:
    assert with_prefix("math:a,b.jsonl", 0.6) == "math:a,b.jsonl,prefix=0.6"
    assert with_prefix("countdown,prefix=0.60", 0.6) == "countdown,prefix=0.60"
    assert [prefix_of(s) for s in ("countdown", "countdown,prefix=0.25", "a,b", "")] == [None, 0.25, None, None]
    with pytest.raises(ReachlabError, match="leave one of them out"):
        with_prefix("countdown,prefix=0.4", 0.6)
