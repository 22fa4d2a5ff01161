import numpy as np
import pytest
from scipy.stats import binom

from reachlab.boundary import noise as module
from reachlab.boundary.bootstrap import Weights
from reachlab.boundary.noise import Noise
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Stopping
from reachlab.errors import ReachlabError

KS = np.array([1, 3, 8])


def outcomes(n_P: list[int], c_P: list[int], stopping: Stopping | None = None) -> Outcomes:
    ids = tuple(map(str, range(len(n_P))))
    return Outcomes("m", ids, np.array(n_P), np.array(c_P), np.zeros(len(n_P), np.int64), stopping)


def split(noise: Noise) -> tuple[Weights, Weights]:
    """How often each c*, and each p* of the grid, came up."""
    return noise.counts_BX[:, : noise.n + 1], noise.counts_BX[:, noise.n + 1 :]


def test_redrawn_counts_are_binomial_around_drawn_rates() -> None:
    one = outcomes([8] * 6, [0, 0, 0, 2, 5, 8])
    noise = Noise(one, np.ones((20_000, 6), np.float32), seed=0)
    right_BC, rate_BG = split(noise)
    assert (right_BC.sum(axis=1) == 6).all()
    assert (rate_BG.sum(axis=1) == 6).all()
    posterior_G = noise.rates.weight_UG[noise.rates.row_P].sum(axis=0)
    assert rate_BG.mean(axis=0) == pytest.approx(posterior_G, abs=0.02)
    expected_C = binom.pmf(np.arange(9)[:, None], 8, noise.rates.values_G) @ posterior_G
    assert right_BC.mean(axis=0) == pytest.approx(expected_C, abs=0.02)
    # An estimate less what it estimates has no mean.
    left_K = (noise.counts_BX @ noise.table(KS)).mean(axis=0)
    assert left_K == pytest.approx(np.zeros(3), abs=0.015)


def test_none_right_of_a_few_is_not_never() -> None:
    """Every problem is solved once in ten: of those that show none of 8 some will show one next time."""
    one = outcomes([8] * 40, np.random.default_rng(0).binomial(8, 0.1, 40).tolist())
    noise = Noise(one, np.ones((200, 40), np.float32), seed=0)
    right_BC, _ = split(noise)
    assert right_BC[:, 0].std() > 1


def test_a_problem_drawn_twice_is_answered_twice() -> None:
    one = outcomes([8, 8], [4, 4])
    weights_BP = np.tile(np.array([2, 0], np.float32), (5000, 1))
    right_BC, rate_BG = split(Noise(one, weights_BP, seed=0))
    assert (right_BC.sum(axis=1) == 2).all()
    assert (rate_BG.sum(axis=1) == 2).all()
    assert 0.1 < (right_BC == 2).any(axis=1).mean() < 0.3  # 0.196 of two binomials with p = 1/2


def test_the_table_is_pass_at_k_less_what_it_estimates() -> None:
    noise = Noise(outcomes([9, 8, 12], [3, 1, 6]), np.ones((2, 3), np.float32), seed=1)
    table = noise.table(KS)
    assert table[:9] == pytest.approx(pass_at_k(np.full(9, 8), np.arange(9), KS))
    assert table[9:] == pytest.approx(-(1 - (1 - noise.rates.values_G[:, None]) ** KS))


def test_adaptive_samples_are_refused() -> None:
    stopped = outcomes([8, 4], [0, 2], Stopping(enough=1, before_P=np.array([-1, 0])))
    with pytest.raises(ReachlabError, match="m was sampled adaptively"):
        Noise(stopped, np.ones((2, 2), np.float32), 0)


def test_what_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(ReachlabError, match=r"m: 20 resamples of 8 samples a problem .* fewer resamples"):
        Noise(outcomes([8, 8], [1, 2]), np.ones((20, 2), np.float32), 0)
