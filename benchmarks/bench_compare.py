"""All count-based statistics of a large comparison: 8 models x 500 problems x 1,024 samples, 10,000 resamples.

Curves with intervals, paired differences with simultaneous bands and sign-flip tests, crossings, solved sets with
exact tests, gaps and verdicts, at every k, the pairs as one family. The named peer is the same work done per model and
k with `scipy.stats.bootstrap` (BCa, vectorised over resamples) on a few of the 1,024 values of k, scaled; it gives the
intervals of the curves alone. Memory is the process's peak.

Run: python benchmarks/bench_compare.py
"""

import resource
from typing import Any

import numpy as np
from scipy import stats

from reachlab.boundary.compare import compare
from reachlab.boundary.outcomes import Outcomes
from timing import machine, seconds

MODELS, PROBLEMS, SAMPLES, RESAMPLES = 8, 500, 1024, 10_000
CLUSTERS = 25
PEER_KS = (1, 32, 1024)


def population() -> list[Outcomes]:
    rng = np.random.default_rng(0)
    base_P = rng.beta(0.3, 2.0, size=PROBLEMS)
    ids = tuple(map(str, range(PROBLEMS)))
    found = []
    for model in range(MODELS):
        chance_P = np.clip(base_P * (1 + model / 2), 0, 1) * (rng.random(PROBLEMS) > model / 40)
        c_P = rng.binomial(SAMPLES, chance_P)
        found.append(Outcomes(f"model {model}", ids, np.full(PROBLEMS, SAMPLES), c_P, np.zeros(PROBLEMS, np.int64)))
    return found


def main() -> None:
    outcomes = population()
    table_PK = outcomes[0].pass_at_k(PEER_KS)

    def peer() -> None:
        for values_P in table_PK.T:
            stats.bootstrap((values_P,), np.mean, n_resamples=RESAMPLES, method="BCa", batch=1000)

    print(machine(2))
    print(f"{MODELS} models x {PROBLEMS} problems x {SAMPLES} samples, every k, {RESAMPLES} resamples")
    clusters = {str(i): str(i % CLUSTERS) for i in range(PROBLEMS)}
    settings: dict[str, dict[str, Any]] = {
        "7 pairs with the base": {},
        f"{CLUSTERS} clusters": {"clusters": clusters},
        "28 pairs, all with all": {"pairs": "all"},
        "over both": {"over": "both"},
    }
    for name, setting in settings.items():
        spent = seconds(lambda setting=setting: compare(outcomes, resamples=RESAMPLES, **setting), repeats=3)  # type: ignore[misc]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"  {name:<24} {spent:6.2f} s, peak memory {memory:.2f} GB")
    scaled = seconds(peer, repeats=1) * MODELS * SAMPLES / len(PEER_KS)
    print(f"  scipy.stats.bootstrap, curves alone, scaled from {len(PEER_KS)} values of k: {scaled:.0f} s")


if __name__ == "__main__":
    main()
