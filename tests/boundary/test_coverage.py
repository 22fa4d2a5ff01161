import numpy as np
import pytest

from reachlab.boundary.coverage import by_chance, coverage
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.stopping import Stopping

# Table 4 of arXiv 2504.13837: problems of AIME 2024 that the base and the RL-trained model solve.
AIME_BASE = [0, 1, 4, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, *range(22, 30)]
AIME_RL = [0, 1, 6, 7, 8, 9, 12, 14, 15, 16, 18, *range(22, 30)]

# Table 5: LiveCodeBench.
LCB_BASE = [
    400,
    402,
    403,
    407,
    409,
    412,
    413,
    417,
    418,
    419,
    422,
    423,
    427,
    432,
    433,
    436,
    438,
    439,
    440,
    444,
    445,
    448,
    449,
]
LCB_RL = [400, 402, 403, 407, 412, 413, 417, 418, 419, 422, 423, 427, 430, 433, 438, 439, 440, 444, 445, 449]


def outcomes(name: str, c_P: list[int], n: int) -> Outcomes:
    ids = tuple(map(str, range(len(c_P))))
    return Outcomes(name, ids, np.full(len(c_P), n), np.array(c_P), np.zeros(len(c_P), np.int64))


def test_four_sets() -> None:
    found = coverage(outcomes("base", [3, 0, 2, 0], 8), outcomes("other", [1, 4, 0, 0], 8))
    assert (found.both, found.gained, found.lost, found.neither) == (("0",), ("1",), ("2",), ("3",))


def test_the_papers_table_of_solvable_problems() -> None:
    base, rl = (
        outcomes(name, [int(i in solved) for i in range(30)], 1024)
        for name, solved in (("base", AIME_BASE), ("rl", AIME_RL))
    )
    found = coverage(base, rl)
    assert found.gained == ()
    assert found.lost == ("4", "11", "17", "19")
    assert len(found.both) == 19
    # One right sample of 1,024 is no proof of anything.
    assert (found.surely_lost, found.surely_gained) == ((), ())


def test_the_papers_table_of_code_problems() -> None:
    """Table 5: LiveCodeBench, problems 400 to 450. One is gained there; LCB_RL is the paper's list."""
    base, rl = (
        outcomes(name, [int(i in solved) for i in range(400, 451)], 128)
        for name, solved in (("base", LCB_BASE), ("rl", LCB_RL))
    )
    found = coverage(base, rl)
    assert [400 + int(i) for i in found.gained] == [430]
    assert [400 + int(i) for i in found.lost] == [409, 432, 436, 448]
    assert len(found.both) == len(LCB_BASE) - 4 == len(LCB_RL) - 1


def test_only_what_an_exact_test_supports_is_sure() -> None:
    found = coverage(outcomes("base", [0, 0, 40, 40, 20], 64), outcomes("other", [40, 1, 0, 39, 50], 64))
    assert found.gained == ("0", "1")
    assert (found.surely_gained, found.surely_lost) == (("0",), ("2",))
    assert (found.surely_more, found.surely_less) == (("0", "4"), ("2",))
    assert found.p is not None
    assert found.p[3] == 1


def test_more_problems_take_more_proof() -> None:
    few = coverage(outcomes("base", [0], 64), outcomes("other", [7], 64))
    many = coverage(outcomes("base", [0] * 50, 64), outcomes("other", [7] + [0] * 49, 64))
    assert (few.surely_gained, many.surely_gained) == (("0",), ())


def test_adaptive_samples_have_no_exact_test() -> None:
    base = outcomes("base", [0, 1], 8)
    stopped = Outcomes("other", base.problem_ids, np.array([8, 4]), np.array([0, 2]), np.zeros(2, np.int64),
                       Stopping(enough=1, before_P=np.array([-1, 0])))  # fmt: skip
    found = coverage(base, stopped)
    assert found.both == ("1",)
    assert found.surely_gained is None
    assert found.surely_lost is None
    assert found.p is None


def test_both_are_counted_on_as_many_samples() -> None:
    """The base was asked twice as often, and both solve each problem in one of 32: it seems to have lost some."""
    rng = np.random.default_rng(0)
    lost = []
    for seed in range(200):
        base = outcomes("base", rng.binomial(32, 1 / 32, 40).tolist(), 32)
        other = outcomes("other", rng.binomial(16, 1 / 32, 40).tolist(), 16)
        found = coverage(base, other, seed=seed)
        assert found.thinned
        assert set(found.lost) <= {i for i, c in zip(base.problem_ids, base.c_P, strict=True) if c}
        assert found.chance is not None
        lost.append((len(found.gained), len(found.lost), found.chance.lost))
    gained, lost_mean, chance = np.mean(lost, axis=0)
    either = 40 * (31 / 32) ** 16 * (1 - (31 / 32) ** 16)
    assert (gained, lost_mean, chance) == pytest.approx((either, either, either), rel=0.05)
    assert not coverage(base, base).thinned


def test_chance_is_that_of_all_ways_to_deal_the_names() -> None:
    base, other = outcomes("base", [1, 0, 3, 0], 4), outcomes("other", [0, 2, 4, 0], 4)
    found = coverage(base, other).chance
    # One right of eight: either has it. Two: both have one with 16 of 28. Seven: neither can have none.
    assert found is not None
    assert (found.gained, found.lost) == pytest.approx((1 / 2 + 6 / 28, 1 / 2 + 6 / 28))
    uneven = by_chance(outcomes("base", [1], 2), outcomes("other", [0], 6))
    assert (uneven.gained, uneven.lost) == pytest.approx((6 / 8, 2 / 8))


def test_runs_that_are_pooled_have_no_exact_test() -> None:
    found = coverage(outcomes("base", [0, 9], 16), outcomes("other", [9, 0], 48), pooled=True)
    assert (found.p, found.chance, found.surely_gained, found.mid_p) == (None, None, None, None)


def test_one_sample_of_each_is_mcnemars() -> None:
    found = coverage(outcomes("base", [0] * 9 + [1] * 3, 1), outcomes("other", [1] * 9 + [0] * 1 + [1] * 2, 1))
    assert (len(found.gained), len(found.lost)) == (9, 1)
    assert found.mid_p == pytest.approx(2 * (1 + 10 / 2) / 2**10)
    assert coverage(outcomes("base", [1], 2), outcomes("other", [0], 2)).mid_p is None
