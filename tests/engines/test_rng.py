import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from reachlab.engines.rng import sample_seed, uniforms

SEED = st.integers(0, 2**63 - 1)


def split_mix(seed: int, steps: int) -> list[int]:
    """SplitMix64 in Python's own whole numbers, as published."""
    found, mask = [], 2**64 - 1
    for _ in range(steps):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        found.append(z ^ (z >> 31))
    return found


def test_the_reference_stream() -> None:
    # The first outputs for seed 1234567, as listed with the author's own code (prng.di.unimi.it/splitmix64.c).
    assert split_mix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(SEED, st.integers(1, 40))
def test_draws_are_the_published_stream_of_the_seed(seed: int, steps: int) -> None:
    ours = uniforms(np.full(steps, seed), np.arange(steps))
    assert ours.dtype == np.float32
    assert ours.tolist() == [(z >> 40) / 2**24 for z in split_mix(seed, steps)]


@given(st.lists(st.tuples(SEED, st.integers(0, 10**6)), min_size=1, max_size=20))
def test_a_draw_is_the_same_in_any_batch(rows: list[tuple[int, int]]) -> None:
    seeds, positions = (np.array(column) for column in zip(*rows, strict=True))
    together = uniforms(seeds, positions)
    alone = [uniforms(seeds[i : i + 1], positions[i : i + 1])[0] for i in range(len(rows))]
    assert together.tolist() == alone
    assert ((together >= 0) & (together < 1)).all()


def test_draws_are_uniform_over_tokens_and_over_samples() -> None:
    n = 100_000
    over_tokens = uniforms(np.full(n, 7), np.arange(n))
    seeds = np.array([sample_seed(0, "problem", i) for i in range(n)])
    first, second = (uniforms(seeds, np.full(n, t)) for t in (0, 1))
    for draws in (over_tokens, first, second):
        assert kstest(draws, "uniform").pvalue > 1e-4
    for a, b in ((first, second), (over_tokens[1:], over_tokens[:-1]), (first[1:], first[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)


def test_seeds_are_distinct_and_of_63_bits() -> None:
    runs, problems, samples = range(5), ("a", "b", "a b", "1", ""), range(200)
    seeds = {sample_seed(r, p, s) for r in runs for p in problems for s in samples}
    assert len(seeds) == 5 * 5 * 200
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


def test_fields_of_a_seed_do_not_run_into_each_other() -> None:
    assert sample_seed(1, "1", 1) != sample_seed(11, "", 1)
    assert sample_seed(0, "a", 11) != sample_seed(0, "a1", 1)


def test_seeds_never_change() -> None:
    """Runs that were begun with an earlier version must go on with the same draws."""
    assert sample_seed(0, "3 9 11 12=36", 0) == 2959072815523557308
    assert sample_seed(7, "Größe", 255) == 4672463602417430035
