from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.boundary.outcomes import Outcomes
from reachlab.report import examples
from reachlab.report.entries import read_entries
from reachlab.report.examples import MOST, choose, collect, cut, gist, kind, spoken, written
from reachlab.types import Problem


def outcomes(*correct: list[int], n: int = 8) -> list[Outcomes]:
    ids = tuple(f"p{i}" for i in range(len(correct[0])))
    zeros = np.zeros(len(ids), int)
    return [Outcomes(f"m{i}", ids, zeros + n, np.array(c), zeros) for i, c in enumerate(correct)]


def test_the_clearest_losses_and_gains_come_first() -> None:
    found = outcomes([1, 5, 3, 0, 0, 0, 8], [0, 0, 0, 2, 6, 4, 8])
    assert choose(found)[:4] == [1, 2, 4, 5]
    assert [kind(found, p) for p in (0, 3, 6)] == ["lost by m1", "gained by m1", "solved by all"]


def test_kinds_name_every_model_concerned() -> None:
    assert kind(outcomes([1], [0], [0]), 0) == "lost by m1 and m2"
    assert kind(outcomes([0], [1], [0], [3]), 0) == "gained by m1 and m3"
    assert kind(outcomes([1], [0], [0], [0]), 0) == "lost by 3 models"
    assert kind(outcomes([0], [0]), 0) == "solved by none"
    assert (kind(outcomes([2]), 0), kind(outcomes([0]), 0)) == ("solved", "not solved")


counts = st.lists(st.integers(0, 8), min_size=30, max_size=30)


@given(st.lists(counts, min_size=1, max_size=9))
def test_a_choice_is_bounded_and_without_repeats(correct: list[list[int]]) -> None:
    found = choose(outcomes(*correct))
    assert len(found) == len(set(found)) <= MOST
    assert found


def test_each_model_shows_a_right_and_another_sample(tmp_path: Path, make: SimpleNamespace) -> None:
    right_PN = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    runs = [make.samples(tmp_path / name, right_PN, unscored=1) for name in ("a", "b")]
    shown = {e.problem_id: e for e in collect(read_entries(*make.measure(runs)))}
    assert [s.remark for s in shown["p0"].answers[0].samples] == [
        "sample 2, 12 tokens",
        "sample 0, 12 tokens, the verifier ran out of time",
    ]
    assert [s.status for s in shown["p0"].answers[0].samples] == ["correct", "unscored"]
    assert [s.remark.split(",")[0] for s in shown["p1"].answers[1].samples] == ["sample 0", "sample 1"]
    assert shown["p0"].answers[0].accuracy == "2 of 3 right, 1 unscored"
    assert shown["p2"].answers[1].accuracy == "4 of 4 right"


def test_prompts_of_every_shape() -> None:
    chat = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 +\n 2?"})
    assert spoken("2 + 2?") == (("", "2 + 2?"),)
    assert spoken(chat) == (("system", "Be brief."), ("user", "2 +\n 2?"))
    assert gist(chat) == "2 + 2?"
    assert gist(()) == ""
    parts = ({"role": "user", "content": [{"type": "text", "text": "hi"}]},)
    assert spoken(parts)[0][1] == '[{"type": "text", "text": "hi"}]'  # type: ignore[arg-type]


def test_long_texts_say_what_is_missing() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcdef", 3) == "abc … (3 more characters)"


@pytest.mark.parametrize(("answer", "text"), [("72", "72"), (72, "72"), ({"a": [1]}, '{"a": [1]}'), ("é", "é")])
def test_answers_as_text(answer: object, text: str) -> None:
    assert written(answer) == text


def test_a_sample_without_text_is_shown_as_such(tmp_path: Path, make: SimpleNamespace) -> None:
    problems = [Problem(id="p0", prompt="?", answer="!", images=("a.png", "b.png"))]
    run = make.samples(tmp_path / "a", np.zeros((1, 1)), problems=problems, text=lambda p, n, right: "")
    (shown,) = collect(read_entries(*make.measure([run])))
    assert shown.answers[0].samples[0].text == "(empty)"
    assert shown.images == 2
    assert len(shown.answers[0].samples) <= examples.SAMPLES
