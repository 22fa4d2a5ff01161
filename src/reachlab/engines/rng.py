"""Where a sample's randomness comes from: a counter, not a stream.

    seed(sample)  = blake2b(run seed, problem id, sample index)                                     63 bits
    u(sample, t)  = SplitMix64(seed + (t + 1) · γ) / 2^24   with γ = 0x9E3779B97F4A7C15             uniform on [0, 1)

so token t of a sample is drawn with the same uniform whichever batch, process or machine the sample is in, and
whatever was drawn before it. SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014.

Axes. B: rows, of which each draws one token.
"""

import hashlib

import numpy as np

from reachlab.storable import encoded

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def sample_seed(run_seed: int, problem_id: str, index: int) -> int:
    """The 63-bit seed of one sample.

    Args:
        run_seed: the run's.
        problem_id: the problem's identity.
        index: the sample's number among that problem's.

    Example:
        The same sample of the same problem is drawn alike, whatever was drawn before:

        >>> sample_seed(0, "3+4", 17) == sample_seed(0, "3+4", 17) != sample_seed(0, "3+4", 18)
        True
    """
    key = encoded(f"{run_seed}\x1f{problem_id}\x1f{index}")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def uniforms(seeds_B: np.ndarray, positions_B: np.ndarray) -> np.ndarray:
    """One float32 uniform on [0, 1) a row: the draw for token `positions_B` of the sample with seed `seeds_B`.

    Args:
        seeds_B: (B,), the samples' seeds.
        positions_B: (B,), how many tokens each has drawn before.
    """
    with np.errstate(over="ignore"):
        z = seeds_B.astype(np.uint64) + (positions_B.astype(np.uint64) + np.uint64(1)) * GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    # 24 bits are exact in float32, so the largest value stays below 1.
    u_B: np.ndarray = (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
    return u_B
