import pytest

from reachlab.tasks.answers.quantities import RUN, quantity


def last(text: str) -> str | None:
    return quantity(text, list(RUN.finditer(text))[-1])


@pytest.mark.parametrize(
    "text",
    [
        "She pays 18",
        "So 9 * 2 = 18",
        "it is about 18",
        "x = 18",
        "x is 18",
        "She has 18 left",
        "of 3 only 18",
        "(18)",
        "18)",
        "18!",
    ],
)
def test_a_number_that_stands_for_itself(text: str) -> None:
    said = last(text)
    assert said is not None
    assert said.rpartition("=")[2].strip() == "18"


@pytest.mark.parametrize(
    "text",
    [
        "It is not 18",
        "it isn't 18",
        "rather than 18",
        "anything but 18",
        "18 is wrong",
        "18 does not work",
        "Step 18",
        "不是18",
        "18? No, wait",
    ],
)
def test_a_number_that_is_denied_or_a_label(text: str) -> None:
    assert last(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "at least 18",
        "more than 18",
        "x > 18",
        "half of 18",
        "the square root of 18",
        "18 squared",
        "18 or 20",
        "17 and 18",
        "18 more than x",
        "x + y = 18",
        "|x| = 18",
        "x^2 = 18",
        "log(x) = 18",
        "n! = 18",
        "18 pi",
        "18 and a half",
        "3 to 18",
        "18 times x",
        "18 apples and 3",
    ],
)
def test_a_number_that_is_something_else(text: str) -> None:
    said = last(text)
    assert said is not None
    assert said.strip() != "18"
