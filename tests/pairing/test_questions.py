"""Templates are taken off, questions are not."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.pairing.matching_runs import SYMBOLS, WORDS, logged, stored

from reachlab.pairing.questions import RunAsks, beginning, cores, differing, plain, text_of
from reachlab.types import Chat

TEXTS = st.text("ab 1+?\n", max_size=12)


def test_the_longest_beginning_of_nine_in_ten() -> None:
    assert beginning([f"Q: What is {i}?" for i in range(2, 9)]) == "Q: What is "
    assert beginning([*(f"Q: {i}" for i in range(9)), "none of it"]) == "Q: "
    assert beginning(["Q: 1", "Q: 2", "none of it"]) == ""
    assert beginning(["one"]) == "one"
    assert beginning([]) == ""


@given(st.lists(TEXTS, min_size=1, max_size=12), TEXTS, TEXTS)
def test_cores_do_not_depend_on_the_template(questions: list[str], before: str, behind: str) -> None:
    assert cores([f"{before}{question}{behind}" for question in questions]) == cores(questions)


@given(st.lists(TEXTS, min_size=2, max_size=9))
def test_few_questions_are_the_same_exactly_if_their_cores_are(questions: list[str]) -> None:
    found = cores(questions)
    assert len(set(found)) == len(set(questions))


def test_plain_text() -> None:
    assert plain(" Caf\u0065\u0301 \n\tau lait ") == "Caf\u00e9 au lait"
    assert text_of(Chat(({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}))) == "a\nb"


def test_which_problems_ask_something_else(tmp_path: Path) -> None:
    ids = [str(i) for i in range(6)]
    words = RunAsks(stored(tmp_path / "a", logged(WORDS), kind="import"), "a")
    mixed = [*WORDS[:3], *SYMBOLS[3:]]
    other = RunAsks(stored(tmp_path / "b", logged([f"User: {q}\nAssistant:" for q in mixed]), kind="import"), "b")
    assert differing(words, other, ids) == ["3", "4", "5"]
    assert differing(other, words, ids[2:4]) == ["3"]
    assert differing(words, words, ids) == []


def test_a_run_that_is_ours_keeps_the_bare_question(tmp_path: Path) -> None:
    run = RunAsks(stored(tmp_path / "a", logged(WORDS)), "a")
    assert run.own
    assert run.task == "math"
    assert not RunAsks(stored(tmp_path / "b", logged(WORDS), kind="import"), "b").own
    exported = stored(tmp_path / "c", logged(WORDS), kind="import", config={"exported": "0"})
    assert RunAsks(exported, "c").own
