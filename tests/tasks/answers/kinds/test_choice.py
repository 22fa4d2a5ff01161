import pytest

from reachlab.tasks.answers.kinds.choice import ChoiceKind, gold_choice, options_in

CITIES = ChoiceKind(("Paris", "London", "Rome"))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("(b) or not", None),
        ("B. London", "B"),
        ("London", "B"),
        ("B. Paris", "B Paris"),
        ("Rome (B)", "Rome (B)"),
        ("A and C", "A,C"),
        ("A or B", "A,B"),
        ("A man", None),
        ("A because it is right", "A"),
        ("B is wrong", None),
        ("not B", None),
    ],
)
def test_what_a_clause_picks(text: str, letter: str | None) -> None:
    assert CITIES.picked(text) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("It cannot be A, so it must be B.", "B"),
        ("A. Paris\nB. London\nC. Rome", None),
        ("A. Paris\nB. London\nC. Rome\nThus C.", "C"),
        ("Option A is wrong. Option B is right.", "B"),
        ("We can rule out (B).", None),
        ("The capital is London, not Paris.", "B"),
        ("Which one is London?", None),
        ("Options: A, B, C", None),
    ],
)
def test_what_a_text_picks(text: str, letter: str | None) -> None:
    found = CITIES.loose(text)
    assert (found[0] if found and len(found[0]) == 1 else None) == letter


def test_a_number_must_be_what_the_text_states() -> None:
    numbers = ChoiceKind(("0", "1", "2", "10"))
    assert [numbers.picked(t) for t in ("1", "-1", "1.5", "x^1", "The answer is 10")] == ["B", None, None, None, "D"]


def test_gold_choices_and_listed_options() -> None:
    assert [gold_choice(t, ()) for t in ("B", "(B)", "\\text{(B)}", "B. London", "A, C", "AC", "D=5", "London")] == [
        "B",
        "B",
        "B",
        "B",
        "A,C",
        "A,C",
        None,
        None,
    ]
    assert gold_choice("London", CITIES.options) == "B"
    assert options_in("Which?\n(A) 3\n(B) 4") == ("3", "4")
    assert options_in("A man walks. B is a point.") == ()
