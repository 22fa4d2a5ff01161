import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from reachlab.boundary.coverage import Coverage, coverage
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.support import support


def sets(kept: int, grown: int, shrunk: int, out: int) -> Coverage:
    """A coverage of so many problems, of one sample each."""
    base = [1] * kept + [0] * grown + [1] * shrunk + [0] * out
    other = [1] * kept + [1] * grown + [0] * shrunk + [0] * out
    ids = tuple(map(str, range(len(base))))
    ones = np.ones(len(base), np.int64)
    was, now = (Outcomes(name, ids, ones, np.array(c, np.int64), 0 * ones) for name, c in (("b", base), ("m", other)))
    return coverage(was, now)


@pytest.mark.parametrize(
    ("counts", "srr", "ndr", "sds", "nscr"),
    [
        # Table 3 of arXiv 2507.14843: AIME 2024 and 2025, Minerva and Olympiad under SFT and DAPO; AMC23.
        ((15, 4, 4, 7), 0.789, 0.211, 0.332, 0.000),
        ((17, 3, 2, 8), 0.895, 0.150, 0.257, 0.045),
        ((14, 5, 1, 10), 0.933, 0.263, 0.411, 0.200),
        ((15, 2, 0, 13), 1.000, 0.118, 0.211, 0.118),
        ((138, 12, 34, 88), 0.802, 0.080, 0.145, -0.120),
        ((467, 25, 61, 122), 0.884, 0.051, 0.096, -0.065),
        ((37, 0, 3, 0), 0.925, 0.000, 0.000, -0.075),
        # Table 1: ProRL-1.5B-v1 on mathematics, to two digits there.
        ((1355, 5, 56, 131), 0.960, 0.004, 0.007, -0.036),
    ],
)
def test_the_papers_rows(counts: tuple[int, int, int, int], srr: float, ndr: float, sds: float, nscr: float) -> None:
    found = support("rl", sets(*counts))
    assert (found.kept, found.grown, found.shrunk, found.out) == counts
    assert found.retention is not None
    assert found.discovery is not None
    assert found.score is not None
    assert found.change is not None
    # The paper's SDS of the first row, 0.332, is 0.33241; its others round the same way.
    assert round(found.retention.value, 3) == srr
    assert round(found.discovery.value, 3) == ndr
    assert found.score == pytest.approx(sds, abs=6e-4)
    assert round(found.change, 3) + 0.0 == nscr


def test_what_there_are_no_problems_of_is_none() -> None:
    found = support("rl", sets(0, 0, 0, 5))
    assert (found.retention, found.discovery, found.score, found.change) == (None,) * 4
    only = support("rl", sets(0, 3, 0, 1))
    assert (only.retention, only.score, only.change) == (None, None, 1.0)
    assert only.discovery is not None
    assert only.discovery.value == 1
    nothing_kept = support("rl", sets(0, 0, 2, 1))
    assert (nothing_kept.discovery, nothing_kept.score, nothing_kept.change) == (None, None, -1.0)
    assert support("rl", sets(0, 2, 2, 1)).score == pytest.approx(0)


def test_all_kept_is_no_proof_of_it() -> None:
    """The interval of 10 of 10 reaches below 1, and of 0 of 10 above 0."""
    found = support("rl", sets(10, 0, 0, 0))
    assert found.retention is not None
    assert found.discovery is not None
    assert (found.retention.high, found.discovery.low) == (1, 0)
    assert found.retention.low == pytest.approx(float(beta.ppf(0.025, 10.5, 0.5)))
    assert found.discovery.high == pytest.approx(float(beta.ppf(0.975, 0.5, 10.5)))
    assert 0.75 < found.retention.low < 0.85


@given(st.tuples(*[st.integers(0, 30)] * 4))
def test_ratios_and_intervals_hold_together(counts: tuple[int, int, int, int]) -> None:
    kept, grown, shrunk, _ = counts
    found, swapped = support("rl", sets(*counts)), support("base", sets(kept, shrunk, grown, counts[3]))
    for share in (found.retention, found.discovery):
        if share is not None:
            assert 0 <= share.low <= share.value <= share.high <= 1
    # Swapping the two models swaps what is kept of the one and what is not new of the other.
    if found.retention is not None:
        assert swapped.discovery is not None
        assert found.retention.value == pytest.approx(1 - swapped.discovery.value)
    if found.change is not None:
        assert swapped.change == pytest.approx(-found.change)
    if found.score:
        assert found.score == pytest.approx(2 * kept * grown / (kept**2 + 2 * kept * grown + grown * shrunk))


@pytest.mark.slow
@pytest.mark.parametrize("problems", [30, 200])
def test_the_intervals_of_shares_hold_what_they_promise(problems: int) -> None:
    """Problems drawn from the four sets with chances 0.4, 0.03, 0.05 and 0.52; 4,000 comparisons."""
    rng = np.random.default_rng(problems)
    shares = np.array([0.4, 0.03, 0.05, 0.52])
    held = {"retention": 0, "discovery": 0}
    for counts in rng.multinomial(problems, shares, size=4000).tolist():
        found = support("rl", sets(*counts))
        for name, truth in (("retention", 0.4 / 0.45), ("discovery", 0.03 / 0.43)):
            share = getattr(found, name)
            held[name] += share is not None and share.low <= truth <= share.high
    assert all(0.92 <= count / 4000 <= 0.99 for count in held.values()), held
