import numpy as np
import pytest
from scipy.special import betaln

from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.rates import Rates


def outcomes(n: int, c_P: list[int]) -> Outcomes:
    ids = tuple(map(str, range(len(c_P))))
    return Outcomes("m", ids, np.full(len(c_P), n), np.array(c_P), np.zeros(len(c_P), np.int64))


def test_the_grid_covers_what_can_be() -> None:
    found = Rates(outcomes(64, [0, 3, 64]))
    assert (found.values_G[0], found.values_G[-1]) == (0, 1)
    assert (np.diff(found.values_G) > 0).all()
    assert found.values_G[1] < 1 / 6400 < 1 - 1 / 6400 < found.values_G[-2]
    assert found.weight_UG.sum(axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("n", [4, 64])
def test_posterior_means_are_those_of_the_population(n: int) -> None:
    """Many problems of one beta: the posterior is the beta's own, up to the fit and the grid."""
    rng = np.random.default_rng(0)
    c_P = rng.binomial(n, rng.beta(0.5, 2, 20_000))
    found = Rates(outcomes(n, c_P.tolist()))
    mean_P = (found.weight_UG @ found.values_G)[found.row_P]
    # A prior without a shape knows the rarest problems less well than the true one.
    assert mean_P == pytest.approx((0.5 + c_P) / (2.5 + n), abs=0.03)
    failing_P = (found.weight_UG @ (1 - found.values_G) ** n)[found.row_P]
    expected_P = np.exp(betaln(0.5 + c_P, 2 + 2 * n - c_P) - betaln(0.5 + c_P, 2 + n - c_P))
    assert failing_P == pytest.approx(expected_P, abs=0.05)


def test_what_was_right_once_is_not_impossible_and_what_was_wrong_once_not_certain() -> None:
    found = Rates(outcomes(8, [0] * 10 + [1, 7] + [8] * 10))
    weight_PG = found.weight_UG[found.row_P]
    assert weight_PG[10, 0] == weight_PG[11, -1] == 0
    assert weight_PG[0, found.values_G < 0.02].sum() > 0.3


def test_draws_follow_the_weights() -> None:
    found = Rates(outcomes(8, [0, 3, 8]))
    drawn = found.draw(np.repeat([0, 1, 2], 30_000), np.random.default_rng(0)).reshape(3, -1)
    for p in range(3):
        share_G = np.bincount(drawn[p], minlength=len(found.values_G)) / 30_000
        assert share_G == pytest.approx(found.weight_UG[found.row_P[p]], abs=0.012)
