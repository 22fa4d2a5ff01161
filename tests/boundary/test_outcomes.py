import numpy as np
import pytest

from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import ReachlabError


def test_copies_and_locks_its_counts() -> None:
    n_P = np.array([4, 4])
    outcomes = Outcomes("m", ("a", "b"), n_P, np.array([1, 4]), np.array([0, 2]))
    n_P[0] = 0
    assert outcomes.n_P.tolist() == [4, 4]
    with pytest.raises(ValueError, match="read-only"):
        outcomes.c_P[0] = 9


@pytest.mark.parametrize(
    ("ids", "n", "c", "unscored", "message"),
    [
        (("a", "b"), [4], [1, 1], [0, 0], r"m: n_P has shape \(1,\) for 2 problems"),
        (("a", "a"), [4, 4], [1, 1], [0, 0], "m: problem id 'a' appears more than once"),
        (("a", "b"), [4, 4], [1, 5], [0, 0], "m: problem 'b' has 5 correct of 4"),
        (("a", "b"), [4, 4], [1, -1], [0, 0], "m: c_P must hold whole numbers, none below 0"),
        (("a", "b"), [4, 4], [1, 1], [0.5, 0], "m: unscored_P must hold whole numbers"),
    ],
)
def test_refuses(ids: tuple[str, ...], n: list[int], c: list[int], unscored: list[int], message: str) -> None:
    with pytest.raises(ReachlabError, match=message):
        Outcomes("m", ids, np.array(n), np.array(c), np.array(unscored))
