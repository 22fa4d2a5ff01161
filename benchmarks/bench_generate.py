"""Tokens a second on a GPU: the embedded engine against `transformers.generate`, each at its best batch size.

A dense model of about 100 M parameters, 64 prompts x 256 samples x 256 new tokens (no end of text), temperature 1,
bfloat16. `generate` answers one batch of each size, ours all of the work. The limit is memory: a step reads the weights
once, every row's own keys and values, and a prompt's once a block, at the rate at which the device copies.

Run: python benchmarks/bench_generate.py --device cuda
"""

import argparse
import time
import traceback

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.engines.config import Decoding
from reachlab.engines.cuda_graph import CudaGraphSteps
from reachlab.engines.transformers import BLOCK_ROWS, TransformersDecoder
from reachlab.models.build import build_model
from reachlab.models.config import ModelConfig
from reachlab.models.tokenizer import train_tokenizer


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def ours(engine: TransformersDecoder, prompts: torch.Tensor, samples: int, new: int, rows: int) -> float:
    """Tokens a second."""
    engine.rows = rows
    seeds = [[p * 100_003 + i for i in range(samples)] for p in range(len(prompts))]
    wait(engine.model.device)
    start = time.perf_counter()
    engine.generate(prompts.tolist(), seeds, Decoding(max_tokens=new))
    wait(engine.model.device)
    return len(prompts) * samples * new / (time.perf_counter() - start)


def peer(model: PreTrainedModel, prompts: torch.Tensor, new: int, rows: int) -> float:
    """Tokens a second."""
    batch = prompts.repeat_interleave(-(-rows // len(prompts)), 0)[:rows].to(model.device)
    wait(model.device)
    start = time.perf_counter()
    with torch.no_grad():
        model.generate(batch, do_sample=True, top_k=0, max_new_tokens=new, pad_token_id=0)
    wait(model.device)
    return rows * new / (time.perf_counter() - start)


def copy_rate(device: torch.device) -> float:
    """Bytes a second, read and written, of a copy on the device."""
    size = 1 << (31 if device.type == "cuda" else 26)
    a, b = torch.empty(size, dtype=torch.uint8, device=device), torch.empty(size, dtype=torch.uint8, device=device)
    times = []
    for _ in range(6):
        wait(device)
        start = time.perf_counter()
        b.copy_(a)
        wait(device)
        times.append(time.perf_counter() - start)
    return 2 * size / min(times)


def captured_agrees(engine: TransformersDecoder, prompts: torch.Tensor) -> None:
    """Say whether steps are captured, and whether the answers are those of the steps as they are."""
    prompts = prompts[:4]
    seeds = [[p * 100_003 + i for i in range(64)] for p in range(len(prompts))]
    found, original = [], CudaGraphSteps._capture

    def told(self: CudaGraphSteps, *args: object) -> object:
        try:
            return original(self, *args)  # type: ignore[arg-type]
        except RuntimeError:
            traceback.print_exc()
            raise

    def never(self: CudaGraphSteps, *args: object) -> object:
        raise RuntimeError("not asked for")

    for capture in (told, never):
        CudaGraphSteps._capture = capture  # type: ignore[assignment, method-assign]
        rows = engine.generate(prompts.tolist(), seeds, Decoding(max_tokens=80))
        found.append([c.tokens.tolist() for row in rows for c in row])
    CudaGraphSteps._capture = original  # type: ignore[method-assign]
    same = sum(a == b for a, b in zip(*found, strict=True))
    print(f"captured and not: {same} of {len(found[0])} answers are the same", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=14)
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--rows", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--peer-rows", type=int, nargs="+", default=[256, 1024, 4096])
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    tokenizer = train_tokenizer("bpe", ["a"], 258)
    tokenizer.add_tokens([f"<{i}>" for i in range(options.vocab - len(tokenizer))])
    config = ModelConfig(family="qwen3", hidden=options.hidden, layers=options.layers, heads=options.hidden // 64,
                         intermediate=4 * options.hidden)  # fmt: skip
    model = build_model(config, tokenizer, seed=0).to(device).eval()
    prompts = torch.randint(3, options.vocab, (options.prompts, options.prompt_tokens))
    model.generation_config.eos_token_id = None
    engine = TransformersDecoder(model, tokenizer)
    engine.ends = np.array([-1])
    if device.type == "cuda":  # elsewhere nothing is captured, and any answer would be the same
        captured_agrees(engine, prompts)
    model.to(getattr(torch, options.dtype))
    engine = TransformersDecoder(model, tokenizer)
    engine.ends = np.array([-1])
    rate = copy_rate(device)
    size = f"{model.num_parameters() / 1e6:.0f} M parameters, {options.dtype}"
    print(f"{name}, torch {torch.__version__}, {size}, copies {rate / 1e12:.2f} TB/s")
    ours(engine, prompts[:4], 32, 8, 64)
    peer(model, prompts, 8, 64)
    best, peer_best, bytes_a_token = (0.0, 0), (0.0, 0), 2 * 2 * options.layers * options.hidden
    for rows in options.peer_rows:
        peer_best = max(peer_best, (peer(model, prompts, options.new_tokens, rows), rows))
        print(f"generate, {rows} rows: best so far {peer_best[0]:,.0f} tokens/s at {peer_best[1]} rows", flush=True)
    for rows in options.rows:
        found = ours(engine, prompts, options.samples, options.new_tokens, rows)
        own = rows * options.new_tokens / 2 * bytes_a_token
        shared = rows / BLOCK_ROWS * options.prompt_tokens * bytes_a_token
        limit = rows / ((model.num_parameters() * 2 + own + shared) / (rate))
        print(f"ours, {rows} rows: {found:,.0f} tokens/s, {found / limit:.0%} of what memory allows", flush=True)
        best = max(best, (found, rows))
    print(f"ratio {best[0] / peer_best[0]:.2f}x ({best[1]} against {peer_best[1]} rows)", flush=True)


if __name__ == "__main__":
    main()
