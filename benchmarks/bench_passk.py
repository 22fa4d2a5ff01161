"""pass@k for every k, with bootstrap intervals, against the per-element loop of the paper's public script.

The peer (arXiv 2504.13837) gives pass@k alone, for one problem and one k at a time; ours gives it for all of
them, and the intervals of the curve over 10,000 resamples. Run: python benchmarks/bench_passk.py
"""

import os

import numpy as np
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import bootstrap_interval, resampling_weights
from reachlab.boundary.passk import pass_at_k
from timing import REPEATS, cpu, seconds

PROBLEMS, SAMPLES, RESAMPLES = 500, 1024, 10_000
PEER_PROBLEMS = 5


def peer(n_P: NDArray[np.int64], c_P: NDArray[np.int64], ks: NDArray[np.int64]) -> NDArray[np.float64]:
    def estimate(n: int, c: int, k: int) -> float:
        if n - c < k:
            return 1.0
        return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))

    return np.array([[estimate(int(n), int(c), int(k)) for k in ks] for n, c in zip(n_P, c_P, strict=True)])


def main() -> None:
    rng = np.random.default_rng(0)
    n_P = np.full(PROBLEMS, SAMPLES)
    c_P = rng.binomial(SAMPLES, rng.beta(0.3, 2.0, size=PROBLEMS))
    ks = np.arange(1, SAMPLES + 1)
    table_PK = pass_at_k(n_P, c_P, ks)
    weights_BP = resampling_weights(PROBLEMS, RESAMPLES)

    few = slice(0, PROBLEMS, PROBLEMS // PEER_PROBLEMS)
    assert np.allclose(peer(n_P[few], c_P[few], ks), table_PK[few])
    peer_time = seconds(lambda: peer(n_P[few], c_P[few], ks), repeats=3) * PROBLEMS / PEER_PROBLEMS
    table = seconds(lambda: pass_at_k(n_P, c_P, ks))
    weights = seconds(lambda: resampling_weights(PROBLEMS, RESAMPLES))
    interval = seconds(lambda: bootstrap_interval(table_PK, weights_BP))
    whole = seconds(lambda: bootstrap_interval(pass_at_k(n_P, c_P, ks), resampling_weights(PROBLEMS, RESAMPLES)))

    a, b = rng.random((2, 2048, 2048)).astype(np.float32)
    rate = 2 * 2048**3 / seconds(lambda: a @ b)
    limit = 2 * PROBLEMS * SAMPLES * RESAMPLES / rate

    print(f"{cpu()}, {os.cpu_count()} cores, numpy {np.__version__}")
    print(f"{PROBLEMS} problems x {SAMPLES} samples, every k, {RESAMPLES} resamples; medians of {REPEATS}")
    print(f"  table of pass@k            {table:8.3f} s")
    print(f"  resampling weights         {weights:8.3f} s")
    print(f"  intervals                  {interval:8.3f} s")
    print(f"  all three in one go        {whole:8.3f} s")
    print(f"  peer, without intervals    {peer_time:8.3f} s   ({PEER_PROBLEMS} problems, scaled)")
    print(f"  peer / our table           {peer_time / table:8.0f} x")
    print(f"  peer / all three           {peer_time / whole:8.0f} x")
    print(f"  limit: the matrix product  {limit:8.3f} s   at the {rate / 1e9:.0f} GFLOP/s of a square one")
    print(f"  all three / limit          {whole / limit:8.1f} x")


if __name__ == "__main__":
    main()
