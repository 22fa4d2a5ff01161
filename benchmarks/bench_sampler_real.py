"""The embedded engine against `transformers.generate` on a real model: many samples of each of four questions.

The model is a checkpoint with a chat template (`--model`; SmolLM2-135M-Instruct is what LOG.md quotes). Both answer the
same questions, 32 samples each, 64 tokens, float32, temperature 1, with the whole distribution and with top-p 0.95;
`--natural` lets answers end by themselves. The peer gets all questions at once, left-padded, with its default cache
(`--static`: its static one). The two take turns, and a ratio is that of one round, so that both meet the machine as it
is; CPU seconds, which a busy machine disturbs less, stand beside the clock. A token costs 2 operations a weight at
least: the rate of float32 products of these very shapes says what they allow. Run:

    python benchmarks/bench_sampler_real.py --model FOLDER
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab.engines.config import Decoding
from reachlab.engines.fused_cpu_weights import FusedCpuWeights
from reachlab.engines.transformers import TransformersDecoder
from reachlab.models.checkpoint import load_model
from timing import machine

CACHED = Path(__file__).parents[1] / ".cache" / "smollm2-135m-instruct"
QUESTIONS = (
    "A farmer has 12 hens. Each hen lays 5 eggs a week. How many eggs does he get in 3 weeks?",
    "What is the capital of France, and which river flows through it?",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Explain in two sentences why the sky is blue.",
)


class Bench:
    """Both samplers over the same prompts."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.model, tokenizer = load_model(options.model, "float32")
        self.model.eval()
        words = "You will find all that matters below. " * options.longer
        self.prompts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": words + q}], add_generation_prompt=True, tokenize=True, return_dict=False
            )
            for q in QUESTIONS
        ]
        self.engine = TransformersDecoder(self.model, tokenizer)
        if not options.natural:
            self.engine.ends = np.array([-1])
        tokenizer.padding_side = "left"
        self.padded = tokenizer.pad({"input_ids": self.prompts}, return_tensors="pt")

    def ours(self, round_: int, top_p: float, tokens: int) -> int:
        """Tokens drawn by the embedded engine."""
        seeds = [[(round_ * 4 + p) * 100_003 + i for i in range(self.options.samples)] for p in range(len(QUESTIONS))]
        found = self.engine.generate(self.prompts, seeds, Decoding(max_tokens=tokens, top_p=top_p))
        return sum(len(a.tokens) for row in found for a in row)

    @torch.no_grad()
    def peer(self, round_: int, top_p: float, tokens: int) -> int:
        """Tokens drawn by `generate`, those behind an end not counted."""
        torch.manual_seed(round_)
        settings: dict[str, int | str] = {} if self.options.natural else {"min_new_tokens": tokens}
        if self.options.static:
            settings["cache_implementation"] = "static"
        out = self.model.generate(
            **self.padded, do_sample=True, top_k=0, top_p=top_p, temperature=1.0, max_new_tokens=tokens,
            num_return_sequences=self.options.samples, **settings,
        )  # fmt: skip
        answers = out[:, self.padded["input_ids"].shape[1] :]
        ended = (answers == self.engine.ends.max()).cumsum(1)
        return int((ended <= 1).sum()) if self.options.natural else answers.numel()


def timed(work, *arguments: float) -> tuple[float, float, int]:  # type: ignore[no-untyped-def]
    """Seconds by the clock, CPU seconds, and tokens."""
    clock, cpu = time.perf_counter(), time.process_time()
    tokens = work(*arguments)
    return time.perf_counter() - clock, time.process_time() - cpu, tokens


def rates(model: PreTrainedModel, rows: int) -> tuple[float, float]:
    """Operations a CPU second of one thread, over every product of one step; bytes a second read by one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    weights = FusedCpuWeights(model)
    matrices = list(weights.logits_NHV)
    for layer in weights.layers:
        matrices += [*layer.qkv_NHF, layer.out_FH, *(layer.gate_up_NHF if layer.gate_up_NHF is not None else ())]
        matrices += [layer.down_FH] if layer.down_FH is not None else []
    inputs = {m.shape[0]: torch.randn(rows, m.shape[0]) for m in matrices}
    outputs = {m.shape[1]: torch.empty(rows, m.shape[1]) for m in matrices}
    times, reads = [], []
    for _ in range(6):
        cpu = time.thread_time()
        for m in matrices:
            torch.mm(inputs[m.shape[0]], m, out=outputs[m.shape[1]])
        times.append(time.thread_time() - cpu)
        cpu = time.thread_time()
        for m in matrices:
            m.sum()
        reads.append(time.thread_time() - cpu)
    torch.set_num_threads(threads)
    elements = sum(m.numel() for m in matrices)
    return 2 * rows * elements / statistics.median(times), 4 * elements / statistics.median(reads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=CACHED)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--top-p", type=float, nargs="+", default=[1.0, 0.95])
    parser.add_argument("--longer", type=int, default=0, help="sentences of 8 words before each question")
    parser.add_argument("--natural", action="store_true", help="answers end by themselves")
    parser.add_argument("--static", action="store_true", help="the peer's static cache")
    options = parser.parse_args()
    if not (options.model / "config.json").exists():
        print(f"no model at {options.model}: nothing measured (--model FOLDER)")
        return
    torch.set_num_threads(options.threads)
    bench = Bench(options)
    print(machine(options.threads))
    print(f"prompts of {[len(p) for p in bench.prompts]} tokens x {options.samples} samples x {options.tokens} tokens")
    rate, read = rates(bench.model, options.samples * len(QUESTIONS) // options.threads)
    work = 2 * bench.model.num_parameters() * options.samples * len(QUESTIONS) * (options.tokens - 1)
    print(f"one thread: products {rate / 1e9:.0f} Gflop/s of CPU time, reads {read / 1e9:.1f} GB/s")
    print(f"products of {options.tokens - 1} steps with every row: {work / rate:.1f} CPU seconds")
    bench.ours(0, 1.0, 3), bench.peer(0, 1.0, 3)
    for top_p in options.top_p:
        clock, cpu = [], []
        for number in range(1, options.rounds + 1):
            (a, b, mine), (c, d, theirs) = (timed(f, number, top_p, options.tokens) for f in (bench.ours, bench.peer))
            clock.append(c / theirs / (a / mine))
            cpu.append(d / theirs / (b / mine))
            print(
                f"  top-p {top_p}: ours {a:.1f} s ({b:.1f} CPU, {mine} tokens), generate {c:.1f} s ({d:.1f} CPU, "
                f"{theirs} tokens): {clock[-1]:.2f}x, CPU {cpu[-1]:.2f}x; load {machine(0).rsplit(' ', 1)[1]}",
                flush=True,
            )
        print(f"top-p {top_p}: {statistics.median(clock):.2f}x by the clock, {statistics.median(cpu):.2f}x CPU a token")


if __name__ == "__main__":
    main()
