from dataclasses import replace

import numpy as np
import pytest

from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Stopping
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


def test_pass_at_k_goes_by_how_the_samples_were_drawn() -> None:
    plain = Outcomes("m", ("a", "b"), np.array([8, 6]), np.array([2, 1]), np.array([0, 2]))
    assert plain.largest_k == 6
    assert plain.pass_at_k([1, 6]) == pytest.approx(pass_at_k([8, 6], [2, 1], [1, 6]))
    stopped = replace(plain, stopping=Stopping(enough=1, before_P=np.array([4, -1])))
    assert stopped.largest_k == 6
    # The first four samples of a were wrong; of the other four two were right.
    assert stopped.pass_at_k([1, 4, 5, 6])[0] == pytest.approx([0, 0, 1 / 2, 5 / 6])
    assert stopped.pass_at_k([1, 6])[1] == pytest.approx([1 / 6, 1])
    with pytest.raises(ReachlabError, match="k = 7 is more than 6"):
        stopped.pass_at_k([7])


def test_where_all_stopped_the_last_look_is_the_largest_k() -> None:
    n_P, c_P, before_P = np.array([8, 16]), np.array([2, 1]), np.array([0, 8])
    stopped = Outcomes("m", ("a", "b"), n_P, c_P, n_P, Stopping(enough=1, before_P=before_P, horizon=64))
    assert stopped.largest_k == 64
    assert (stopped.pass_at_k([64]) == 1).all()
    unknown = replace(stopped, stopping=Stopping(enough=1, before_P=before_P))
    assert unknown.largest_k == 16


def test_select_keeps_the_order_given_and_all_that_belongs_to_a_problem() -> None:
    outcomes = Outcomes(
        "m", ("a", "b", "c"), np.array([8, 16, 4]), np.array([2, 1, 0]), np.array([0, 1, 2]),
        Stopping(enough=1, before_P=np.array([0, 8, -1]), horizon=32),
    )  # fmt: skip
    chosen = outcomes.select(["c", "b"])
    assert chosen.problem_ids == ("c", "b")
    assert (chosen.n_P.tolist(), chosen.c_P.tolist(), chosen.unscored_P.tolist()) == ([4, 16], [0, 1], [2, 1])
    assert chosen.stopping is not None
    assert (chosen.stopping.before_P.tolist(), chosen.stopping.horizon) == ([-1, 8], 32)
    with pytest.raises(ReachlabError, match="m: there is no problem 'x'"):
        outcomes.select(["a", "x"])


def test_refuses_counts_that_the_rule_could_not_have_left() -> None:
    with pytest.raises(ReachlabError, match="problem 0 was stopped with 1 right of 8, not 2 or more"):
        Outcomes("m", ("a",), np.array([8]), np.array([1]), np.array([0]), Stopping(enough=2, before_P=np.array([4])))
    with pytest.raises(ReachlabError, match="problem 0 with 6 right of 8 would have stopped at 4"):
        Outcomes("m", ("a",), np.array([8]), np.array([6]), np.array([0]), Stopping(enough=2, before_P=np.array([4])))
