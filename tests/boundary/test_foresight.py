import numpy as np
import pytest
from scipy.special import ndtri

from reachlab.boundary.beta_binomial import BetaBinomial
from reachlab.boundary.foresight import detectable
from reachlab.errors import ReachlabError

BASE = BetaBinomial(0.0, np.array([0.6]), np.array([2.0]))


@pytest.mark.parametrize("k", [1, 16])
def test_it_is_what_two_models_of_the_bases_spread_show(k: int) -> None:
    """Two models whose true pass@k correlate by 1/2 over problems: the spread of the mean difference, by simulation."""
    problems, samples, studies = 50, 16, 4000
    rng = np.random.default_rng(0)
    # Half of the problems' difficulty is shared: the two models have the same p there, and p of their own elsewhere.
    shared = rng.random((studies, problems)) < 0.5
    ours, theirs = rng.beta(0.6, 2.0, (2, studies, problems))
    theirs = np.where(shared, ours, theirs)
    c = rng.binomial(samples, np.stack([ours, theirs]))
    found = c / samples if k == 1 else (c > 0).astype(float)
    spread = (found[1] - found[0]).mean(axis=1).std()
    z = float(ndtri(0.975) + ndtri(0.8))
    assert detectable(BASE, problems, samples, k) == pytest.approx(z * spread, rel=0.05)


def test_four_times_the_problems_show_half() -> None:
    assert detectable(BASE, 400, 16, 1) == pytest.approx(detectable(BASE, 100, 16, 1) / 2)


@pytest.mark.parametrize(("problems", "samples", "k"), [(0, 4, 1), (10, 4, 2), (10, 0, 0)])
def test_what_cannot_be_foreseen(problems: int, samples: int, k: int) -> None:
    with pytest.raises(ReachlabError, match="k must be 1 or samples"):
        detectable(BASE, problems, samples, k)
