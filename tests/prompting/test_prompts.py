import pytest

from reachlab.errors import ReachlabError
from reachlab.prompting.prompts import check_prompts, fit_answers
from reachlab.types import Problem

PROBLEMS = [Problem(id=str(i), prompt="x", answer=0) for i in range(3)]


def test_prompts_that_the_model_was_not_made_for() -> None:
    assert not check_prompts("task", PROBLEMS, [[1], [2], [3, 4]], 0)
    assert not check_prompts("task", PROBLEMS, [[0], [0], [0]], None)
    (remark,) = check_prompts("task", PROBLEMS, [[0, 1], [2], [0]], 0)
    assert remark.startswith("2 of 3 prompts hold characters that the model's tokenizer lacks")
    with pytest.raises(ReachlabError, match="task: the prompt of problem '1' has no token"):
        check_prompts("task", PROBLEMS, [[1], [], [1]], 0)


@pytest.mark.parametrize(("positions", "wanted"), [(None, 10**6), (100, 60), (100, 1)])
def test_what_fits_is_left_alone(positions: int | None, wanted: int) -> None:
    for said in (True, False):
        assert fit_answers("m", positions, 40, wanted, given=said) == (wanted, [])


def test_what_does_not_fit_is_refused_or_cut() -> None:
    with pytest.raises(
        ReachlabError,
        match=r"^m has 4,096 positions, and the longest prompt takes 40: --max-tokens 16384 does not fit, 4056 is the "
        r"most that does$",
    ):
        fit_answers("m", 4096, 40, 16384, given=True)
    most, remarks = fit_answers("m", 4096, 40, 16384, given=False)
    assert most == 4056
    assert remarks == [
        "answers may take 4,056 tokens and not 16,384: m has 4,096 positions, and the longest prompt takes 40"
    ]
    for said in (True, False):
        with pytest.raises(ReachlabError, match=r"m has 40 positions, .* takes 40: there is no room for an answer"):
            fit_answers("m", 40, 40, 1, given=said)
