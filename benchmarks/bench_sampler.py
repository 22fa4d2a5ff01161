"""Samples a second: our decoding loop against `transformers.generate`, same weights, prompts and settings.

256 samples a prompt, 48 new tokens each (no end of text), temperature 1, no truncation, float32. Both run at several
batch sizes and are quoted at their best; the two alternate, so that both see the machine as it is. The limit is the
machine's rate of matrix products: a token costs at least 2 operations a weight that it meets. Run: python
benchmarks/bench_sampler.py
"""

import argparse
import time

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.models.build import build_model
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import train_tokenizer
from timing import machine

SAMPLES, NEW_TOKENS = 256, 48
MODELS = {
    "dense 0.4 M": ModelConfig(family="qwen3", hidden=96, layers=4, heads=4),
    "MoE 1 M": ModelConfig(family="olmoe", hidden=96, layers=4, heads=4, experts=8, active_experts=2),
    "dense 4 M": ModelConfig(family="qwen3", hidden=256, layers=6, heads=8),
}
OUR_ROWS = (128, 256, 512, 1024)
PEER_PROMPTS = (1, 2, 4, 8)


def ours(engine: TransformersDecoder, prompts: torch.Tensor, rows: int) -> float:
    engine.rows = rows
    seeds = [[p * 100_003 + i for i in range(SAMPLES)] for p in range(len(prompts))]
    start = time.perf_counter()
    engine.generate(prompts.tolist(), seeds, Decoding(max_tokens=NEW_TOKENS))
    return time.perf_counter() - start


def peer(model: PreTrainedModel, prompts: torch.Tensor, at_once: int) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        for batch in torch.split(prompts, at_once):
            model.generate(
                batch,
                do_sample=True,
                top_k=0,
                max_new_tokens=NEW_TOKENS,
                num_return_sequences=SAMPLES,
                pad_token_id=0,
            )
    return time.perf_counter() - start


def matmul_rate(hidden: int) -> float:
    """Operations a second of float32 products of the size the model makes."""
    a, b = torch.randn(2048, hidden), torch.randn(hidden, 4 * hidden)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return float(2 * a.numel() * b.shape[1] / np.median(times))


def flops_per_token(model: PreTrainedModel, config: ModelConfig) -> float:
    """Twice the weights that one token meets."""
    experts = sum(p.numel() for n, p in model.named_parameters() if ".experts." in n)
    inactive = experts * (1 - config.active_experts / config.experts) if experts else 0
    return float(2 * (model.num_parameters() - inactive))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(machine(torch.get_num_threads()))
    asked = f"{options.prompts} prompts of {options.prompt_tokens} tokens"
    print(f"{asked} x {SAMPLES} samples x {NEW_TOKENS} new tokens, float32")
    tokenizer = train_tokenizer("number", [" ".join(map(str, range(100))) + "=99;99+-*/:"])
    for name, config in MODELS.items():
        model = build_model(config, tokenizer, seed=0).eval()
        model.generation_config.eos_token_id = None
        engine = TransformersDecoder(model, tokenizer)
        engine.ends = np.array([-1])
        prompts = torch.randint(3, len(tokenizer), (options.prompts, options.prompt_tokens))
        ours(engine, prompts[:1], 128), peer(model, prompts[:1], 1)
        mine: dict[int, list[float]] = {rows: [] for rows in OUR_ROWS}
        theirs: dict[int, list[float]] = {n: [] for n in PEER_PROMPTS if n <= options.prompts}
        for _ in range(options.repeats):
            for rows, peer_prompts in zip(OUR_ROWS, PEER_PROMPTS, strict=True):
                mine[rows].append(ours(engine, prompts, rows))
                if peer_prompts in theirs:
                    theirs[peer_prompts].append(peer(model, prompts, peer_prompts))
        total = options.prompts * SAMPLES
        fast = {rows: total / float(np.median(t)) for rows, t in mine.items()}
        slow = {n * SAMPLES: total / float(np.median(t)) for n, t in theirs.items()}
        best, peer_best = max(fast.values()), max(slow.values())
        limit = matmul_rate(config.hidden) / (flops_per_token(model, config) * NEW_TOKENS)
        print(f"\n{name}: {model.num_parameters() / 1e6:.2f} M parameters")
        print("  ours      " + "  ".join(f"{rows} rows {rate:.0f}/s" for rows, rate in fast.items()))
        print("  generate  " + "  ".join(f"{rows} rows {rate:.0f}/s" for rows, rate in slow.items()))
        print(f"  ratio {best / peer_best:.2f}x")
        print(f"  matrix products alone would allow {limit:.0f}/s: ours reaches {best / limit:.0%} of that")


if __name__ == "__main__":
    main()
