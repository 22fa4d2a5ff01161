"""Scoring (`reachlab score`) as a share of the model's own forward throughput.

Answers of unequal length to several prompts, from text to one log-probability an answer: cut into tokens, packed,
passed, log-softmax and sum. A packed token is one that has to be computed: each prompt once, each answer without its
last. Against, for as many packed tokens:

- the model's own pass: `model(input_ids).logits` over full rows as long as the mean prompt and answer, at the best of a
  few batch sizes, side by side or not; no padding, no log-softmax, nothing but the pass;
- the usual way: transformers on right-padded batches of prompt and answer, log_softmax and gather, at its best size.

They alternate over rounds. Speeds are medians, shares and ratios medians of those within a round, by the clock and,
where others use the machine too, by the seconds that the processor spent (`cpu`). Run: python
benchmarks/bench_scoring.py [--device cuda --dtype bfloat16]
"""

import argparse
import time
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.measures.scorer import Scorer
from reachlab.models.build import build_model
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import encode, train_tokenizer
from reachlab.threads import side_by_side
from timing import machine

MODELS = {
    "dense 0.4 M": ModelConfig(family="qwen3", hidden=96, layers=4, heads=4),
    "MoE 1 M": ModelConfig(family="olmoe", hidden=96, layers=4, heads=4, experts=8, active_experts=2),
    "dense 4 M": ModelConfig(family="qwen3", hidden=256, layers=6, heads=8),
    "MoE 11 M": ModelConfig(family="olmoe", hidden=256, layers=6, heads=8, experts=8, active_experts=2),
    "dense 200 M": ModelConfig(family="qwen3", hidden=1024, layers=16, heads=16, kv_heads=8, intermediate=3072),
}
PEER_ROWS = (8, 16, 32, 64)
NAIVE_ROWS = (16, 64)
Work = Callable[[], Any]


def seconds(works: dict[str, Work], rounds: int, device: torch.device) -> dict[str, np.ndarray]:
    """Of each, over rounds in which they alternate: (R, 2), wall and processor seconds."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number:  # the first warms up
                found[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: np.array(times) for name, times in found.items()}


def best(found: dict[str, np.ndarray], kind: str, clock: int) -> np.ndarray:
    """Seconds a round of the variant of a kind that has the least median."""
    return min((t[:, clock] for name, t in found.items() if name.startswith(kind)), key=lambda t: float(np.median(t)))


def passes(model: PreTrainedModel, batches: list[torch.Tensor], threads: int) -> None:
    """The model's own pass over full rows."""

    def work(ids_BT: torch.Tensor) -> None:
        with torch.no_grad():
            model(input_ids=ids_BT, use_cache=False).logits  # noqa: B018

    side_by_side(work, batches, threads)


def naive(model: PreTrainedModel, prompts: list[list[int]], answers: list[list[list[int]]], rows: int) -> list[float]:
    """Right-padded batches, in the order of the samples."""
    pairs = [(prompt, answer) for prompt, row in zip(prompts, answers, strict=True) for answer in row]
    found = []
    for start in range(0, len(pairs), rows):
        batch = pairs[start : start + rows]
        longest = max(len(p) + len(a) for p, a in batch)
        ids_BT = torch.zeros(len(batch), longest, dtype=torch.long)
        mask_BT = torch.zeros(len(batch), longest)
        for i, (p, a) in enumerate(batch):
            ids_BT[i, : len(p) + len(a)] = torch.tensor([*p, *a])
            mask_BT[i, len(p) : len(p) + len(a)] = 1
        ids_BT, mask_BT = ids_BT.to(model.device), mask_BT.to(model.device)
        with torch.no_grad():
            logits_BTV = model(input_ids=ids_BT, use_cache=False).logits[:, :-1]
        logprobs_BT = logits_BTV.float().log_softmax(-1).gather(2, ids_BT[:, 1:, None])[..., 0]
        found += (logprobs_BT * mask_BT[:, 1:]).sum(1).tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--answers", type=int, default=32, help="a prompt")
    parser.add_argument("--prompt-tokens", type=int, default=32, help="mean")
    parser.add_argument("--answer-tokens", type=int, default=64, help="mean")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--models", nargs="*", default=list(MODELS)[:4], choices=list(MODELS))
    parser.add_argument("--tokens", type=int, default=0, help="of a pack; 0 as the command chooses")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    device, rng = torch.device(options.device), Random(0)
    print(machine(torch.get_num_threads()) + (f", {torch.cuda.get_device_name()}" if device.type == "cuda" else ""))

    characters = [chr(0x4E00 + i) for i in range(options.vocabulary - 3)]
    tokenizer = train_tokenizer("char", ["".join(characters)], options.vocabulary)

    def text(mean: int) -> str:
        return "".join(rng.choices(characters, k=max(1, round(mean * rng.lognormvariate(-0.08, 0.4)))))

    prompts = encode(tokenizer, [text(options.prompt_tokens) for _ in range(options.prompts)])
    texts = [text(options.answer_tokens) for _ in range(options.prompts * options.answers)]
    packed = sum(map(len, prompts)) + sum(map(len, texts))  # an end of text each is added, and not fed
    whole = round(options.prompt_tokens + packed / len(texts))
    print(f"{len(prompts)} prompts x {options.answers} answers, {packed:,} packed tokens; full rows of {whole}")

    for name in options.models:
        model = build_model(MODELS[name], tokenizer, seed=0).eval().to(device, getattr(torch, options.dtype))
        plain = deepcopy(model)
        scorer = Scorer(model, tokenizer, options.tokens)

        def cut() -> list[list[list[int]]]:
            flat = scorer.encode(texts, [True] * len(texts), [False] * len(texts))  # noqa: B023
            return [flat[i : i + options.answers] for i in range(0, len(flat), options.answers)]

        answers = cut()
        packs = scorer.pack(prompts, answers)
        works: dict[str, Work] = {
            "all": lambda: scorer.logprobs(scorer.pack(prompts, cut())),  # noqa: B023
            "passes": lambda: scorer.logprobs(packs),  # noqa: B023
        }
        shares = {}
        for rows in PEER_ROWS:
            count = max(1, round(packed / rows / whole))
            batches = [torch.randint(3, options.vocabulary, (rows, whole), device=device) for _ in range(count)]
            shares[f"peer {rows}"] = count * rows * whole / packed
            works[f"peer {rows}"] = lambda b=batches: passes(plain, b, scorer.threads)  # type: ignore[misc] # noqa: B023
            if scorer.threads > 1:
                shares[f"peer {rows} apart"] = shares[f"peer {rows}"]
                works[f"peer {rows} apart"] = lambda b=batches: passes(plain, b, 1)  # type: ignore[misc] # noqa: B023
        for rows in NAIVE_ROWS:
            works[f"naive {rows}"] = lambda n=rows: naive(plain, prompts, answers, n)  # type: ignore[misc] # noqa: B023
        error = np.abs(scorer.logprobs(packs) - naive(plain, prompts, answers, 16)).max()
        found = {key: t / shares.get(key, 1) for key, t in seconds(works, options.rounds, device).items()}
        print(f"\n{name}: {model.num_parameters() / 1e6:.2f} M parameters; log P differs by {error:.1e} at most")
        for at, clock in enumerate(("clock", "cpu")):
            whole_R, passes_R, peer_R, usual_R = (best(found, kind, at) for kind in ("all", "passes", "peer", "naive"))
            print(
                f"  {clock:<6}scoring {packed / np.median(whole_R):>9,.0f} tokens/s   "
                f"own pass {packed / np.median(peer_R):>9,.0f}   share {np.median(peer_R / whole_R):.0%} "
                f"(passes alone {np.median(peer_R / passes_R):.0%})   "
                f"usual way {packed / np.median(usual_R):>9,.0f}   ratio {np.median(usual_R / whole_R):.2f}x"
            )


if __name__ == "__main__":
    main()
