"""Samples a second: the embedded engine against vLLM on this machine, same checkpoints, prompts and settings.

Each runs in an environment of its own (`make vllm`) as a process that is kept; they take turns, so that both see the
machine as it is. 8 prompts x 256 samples of up to 48 tokens, temperature 1, float32. Loading and warm-up do not count.

Run: python benchmarks/bench_engines.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import machine

SAMPLES, NEW_TOKENS, PROMPTS = 256, 48, 8
VLLM = Path(__file__).parents[1] / ".venv-vllm" / "bin" / "python"


def serve(engine_name: str, model: str) -> None:
    """Answer each line of standard input with the seconds of one round."""
    from reachlab.engines import open_engine
    from reachlab.engines.config import Decoding
    from reachlab.sampling.config import SampleConfig

    arguments = json.dumps({"max_model_len": 128}) if engine_name == "vllm" else ""
    config = SampleConfig(model=model, task="countdown", out="x", engine=engine_name, vllm_args=arguments)
    engine = open_engine(config)
    prompts = [f"{n} 9 {n + 2} 4=33:" for n in range(2, 2 + PROMPTS)]

    def work(start: int) -> int:
        seeds = [[start + p * 100_003 + i for i in range(SAMPLES)] for p in range(PROMPTS)]
        found = engine.answer(prompts, seeds, Decoding(max_tokens=NEW_TOKENS))
        return sum(a.tokens for row in found for a in row)

    work(0)
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin, 1):
        began = time.perf_counter()
        tokens = work(number * 10**7)
        print(json.dumps([time.perf_counter() - began, tokens]), flush=True)
    engine.close()


def started(process: "subprocess.Popen[str]") -> bool:
    """Whether it came to its first round."""
    assert process.stdout is not None
    while (line := process.stdout.readline()).strip() != "ready":
        if not line:
            return False
    return True


def make(folder: Path, family: str) -> str:
    """A checkpoint of about a million parameters."""
    from reachlab.models.build import build_model
    from reachlab.models.checkpoint import save_model
    from reachlab.models.config import ModelConfig
    from reachlab.models.tokenizer import train_tokenizer

    tokenizer = train_tokenizer("char", ["0123456789+-*/=:; "])
    config = ModelConfig(
        family=family,  # type: ignore[arg-type]
        hidden=128, layers=4, heads=4, kv_heads=4, intermediate=384 if family == "qwen3" else 128, experts=8,
        active_experts=2, positions=128, tokenizer="char",
    )  # fmt: skip
    model = build_model(config, tokenizer, seed=0)
    save_model(folder / family, model, tokenizer)
    return str(folder / family)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", nargs=2, metavar=("ENGINE", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    if not VLLM.exists():
        raise SystemExit("error: no .venv-vllm here: make vllm")
    print(machine(len(os.sched_getaffinity(0))))
    with tempfile.TemporaryDirectory() as place:
        for family in ("qwen3", "olmoe"):
            model = make(Path(place), family)
            running = {}
            for name, python in (("transformers", sys.executable), ("vllm", str(VLLM))):
                words = [python, __file__, "--serve", name, model]
                environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
                running[name] = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                    env=environment,
                )  # fmt: skip
            rates: dict[str, list[float]] = {name: [] for name in running}
            ended = [name for name, process in running.items() if not started(process)]
            if ended:
                print(f"{family}: {' and '.join(ended)} ended before the first round; no comparison")
                for process in running.values():
                    process.kill()
                    process.wait()
                continue
            for _ in range(options.repeats):
                for name, process in running.items():
                    assert process.stdin is not None
                    assert process.stdout is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    while not (line := process.stdout.readline()).startswith("["):
                        pass
                    rates[name].append(PROMPTS * SAMPLES / json.loads(line)[0])
            for process in running.values():
                assert process.stdin is not None
                process.stdin.close()
                process.wait(60)
            middle = {name: statistics.median(found) for name, found in rates.items()}
            ratios = [a / b for a, b in zip(rates["transformers"], rates["vllm"], strict=True)]
            print(
                f"{family}: transformers {middle['transformers']:.0f} samples a second, vllm {middle['vllm']:.0f}: "
                f"{statistics.median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f} by round)"
            )


if __name__ == "__main__":
    main()
