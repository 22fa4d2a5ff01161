import numpy as np
import pytest

from reachlab.boundary import noise as module
from reachlab.boundary.bootstrap import resampled_means, resampling_weights
from reachlab.boundary.noise import Noise
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.passk import pass_at_k
from reachlab.boundary.stopping import Stopping
from reachlab.errors import ReachlabError

KS = np.array([1, 3, 8])


def outcomes(n_P: list[int], c_P: list[int], stopping: Stopping | None = None) -> Outcomes:
    ids = tuple(map(str, range(len(n_P))))
    return Outcomes("m", ids, np.array(n_P), np.array(c_P), np.zeros(len(n_P), np.int64), stopping)


def test_redrawn_counts_are_binomial_and_centred() -> None:
    one = outcomes([8, 8, 8], [0, 2, 8])
    weights_BP = np.ones((20_000, 3), np.float32)
    noise = Noise(one, weights_BP, seed=0)
    assert (noise.counts_BC.sum(axis=1) == 3).all()
    # Of c = 0 and c = 8 nothing else can be drawn; of c = 2 a binomial.
    expected = np.array([(0.75**8) + 1, *(0.0,) * 7, (0.25**8) + 1])
    for c in range(1, 8):
        expected[c] = np.prod(range(9 - c, 9)) / np.prod(range(1, c + 1)) * 0.25**c * 0.75 ** (8 - c)
    assert noise.counts_BC.mean(axis=0) == pytest.approx(expected, abs=0.015)
    # Its mean is taken off, so what is left has none.
    left_K = (noise.counts_BC @ noise.table(KS)).mean(axis=0) - noise.mean(KS).sum(axis=0)
    assert left_K == pytest.approx(np.zeros(3), abs=0.01)
    assert noise.mean(KS) == pytest.approx(1 - (1 - np.array([[0], [0.25], [1]])) ** KS)


def test_a_problem_drawn_twice_is_answered_twice() -> None:
    one = outcomes([8, 8], [4, 0])
    weights_BP = np.tile(np.array([2, 0], np.float32), (5000, 1))
    counts_BC = Noise(one, weights_BP, seed=0).counts_BC
    assert (counts_BC.sum(axis=1) == 2).all()
    same = (counts_BC == 2).any(axis=1).mean()
    assert same == pytest.approx(0.1964, abs=0.02)  # Σ C(8, c)² / 4^8


def test_as_a_product_it_is_the_mean_of_redrawn_pass_at_k() -> None:
    one = outcomes([9, 8, 12], [3, 1, 6])
    weights_BP = resampling_weights(3, 300)
    noise = Noise(one, weights_BP, seed=1)
    values = np.concatenate([pass_at_k(one.n_P, one.c_P, KS) - noise.mean(KS), noise.table(KS)])
    weights = np.concatenate([weights_BP, noise.counts_BC], axis=1)
    means_KB = np.concatenate([m.copy() for _, m in resampled_means(values, weights, 3)])
    assert means_KB.mean(axis=1) == pytest.approx(pass_at_k(one.n_P, one.c_P, KS).mean(axis=0), abs=0.03)


def test_adaptive_samples_are_refused() -> None:
    stopped = outcomes([8, 4], [0, 2], Stopping(enough=1, before_P=np.array([-1, 0])))
    with pytest.raises(ReachlabError, match="m was sampled adaptively"):
        Noise(stopped, np.ones((2, 2), np.float32), 0)


def test_what_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(ReachlabError, match=r"m: 20 resamples of 8 samples a problem .* fewer resamples"):
        Noise(outcomes([8, 8], [1, 2]), np.ones((20, 2), np.float32), 0)
