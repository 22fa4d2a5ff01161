"""Max-variance down-sampling, against the loop over splits of the public code (arXiv 2504.13818).

Run: python benchmarks/bench_downsampling.py
"""

import os
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from reachlab.rl.rules import RULES
from reachlab.rl.rules.max_variance import max_variance
from timing import REPEATS, cpu, seconds

PROMPTS, ROLLOUTS, KEPT = 1024, 1024, 256
PEER_PROMPTS = 32


def peer(rewards_PN: NDArray[np.float32], m: int) -> list[NDArray[np.float32]]:
    """The rewards kept of each prompt."""
    kept = []
    for rewards_N in rewards_PN:
        sorted_N = rewards_N[np.argsort(rewards_N)]
        splits = (np.concatenate([sorted_N[:a], sorted_N[len(sorted_N) - (m - a) :]]) for a in range(m + 1))
        kept.append(max(splits, key=np.var))
    return kept


def main() -> None:
    rewards_PN = torch.randn(PROMPTS, ROLLOUTS, generator=torch.Generator().manual_seed(0))
    few = rewards_PN[:PEER_PROMPTS].numpy()
    ours_PM = rewards_PN.gather(1, max_variance(rewards_PN, KEPT)).sort(dim=1).values
    assert np.array_equal(ours_PM[:PEER_PROMPTS].numpy(), peer(few, KEPT))

    peer_time = seconds(lambda: peer(few, KEPT), repeats=3) * PROMPTS / PEER_PROMPTS
    times = {
        name: seconds(partial(rule.keep, rewards_PN, KEPT, None)) for name, rule in RULES.items() if not rule.keeps_all
    }
    binary_PN = (rewards_PN > 1).float()
    binary = seconds(lambda: max_variance(binary_PN, KEPT))

    keys_PN = torch.randint(1 << 62, (PROMPTS, ROLLOUTS)).numpy()
    copy = seconds(lambda: keys_PN.copy())
    limit = seconds(lambda: np.sort(keys_PN, axis=1)) - copy

    print(f"{cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{PROMPTS} prompts x {ROLLOUTS} rollouts, {KEPT} kept; medians of {REPEATS}")
    for name, took in times.items():
        print(f"  {name:<27}{1e3 * took:9.1f} ms")
    print(f"  max_variance, 0/1 rewards  {1e3 * binary:9.1f} ms")
    print(f"  peer's loop over splits    {1e3 * peer_time:9.1f} ms   ({PEER_PROMPTS} prompts, scaled)")
    print(f"  peer / max_variance        {peer_time / times['max_variance']:9.0f} x")
    print(f"  limit: one int64 sort      {1e3 * limit:9.1f} ms   on one core; a copy takes {1e3 * copy:.1f} ms")
    print(f"  max_variance / limit       {times['max_variance'] / limit:9.1f} x")


if __name__ == "__main__":
    main()
