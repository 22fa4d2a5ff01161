"""Tokens a second of `reachlab sample --engine vllm`, judging and storing included, against the same vLLM driven bare.

One engine in one process; three ways take turns, in another order each round, so that all see the machine as it is:
bare (a request a prompt, n = 256, everything asked for at once, answers thrown away), ours without seeds and
log-probabilities (what bare does), and ours with both. 256 answers a prompt, temperature 1, top-p 0.95, all as long as
they may be (no end of text), so that no side is lucky. The number is the median ratio of paired rounds: by the clock,
and by the CPU time of this process and vLLM's, which neighbours on a busy machine disturb less. Loading and warm-up do
not count. What ours adds is by the sample, not by the token: short answers show it, long ones do not.

Run: .venv-vllm/bin/python benchmarks/bench_vllm.py [--model FOLDER] [--device cuda --prompts 64 --max-tokens 1024]
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reachlab.engines.config import Decoding
from reachlab.engines.vllm import VllmEngine, open_engine
from reachlab.runs import RunFolder
from reachlab.sampling.backend import LocalBackend
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.drawing import Drawer
from reachlab.sampling.settling import SettledRun
from reachlab.sampling.work import SamplingWork
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from timing import machine

N = 256


def make(folder: Path) -> str:
    """A checkpoint of about a million parameters, where what is not vLLM weighs most."""
    from reachlab.models.build import build_model
    from reachlab.models.checkpoint import save_model
    from reachlab.models.config import ModelConfig
    from reachlab.models.tokenizer import train_tokenizer

    tokenizer = train_tokenizer("char", ["0123456789+-*/=:;> "])
    config = ModelConfig(hidden=128, layers=4, heads=4, kv_heads=4, intermediate=384, positions=512, tokenizer="char")
    save_model(folder / "small", build_model(config, tokenizer, seed=0), tokenizer)
    return str(folder / "small")


def nothing(*_: Any, **__: Any) -> None:
    """Nobody watches."""


def cpu_seconds() -> float:
    """CPU time of this process and of those it started."""
    parents, times = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        number = int(stat.parent.name)
        parents[number], times[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    family, grown = {os.getpid()}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in family} - family
        family, grown = family | more, bool(more)
    return sum(times.get(number, 0) for number in family) / os.sysconf("SC_CLK_TCK")


Rate = tuple[float, float]
"""Tokens a second on the clock, and a second of CPU time."""


class Side:
    """The two ways of driving one engine."""

    def __init__(self, engine: VllmEngine, task: str, prompts: int, decoding: Decoding, place: Path):
        self.engine, self.task, self.decoding, self.place = engine, load_task(task), decoding, place
        self.problems = self.task.problems("all" if self.task.finite else "test", prompts)
        self.rounds = 0
        params_of = engine._sampling_params

        def endless(seed: int, decoding: Decoding) -> Any:
            params = params_of(seed, decoding)
            params.ignore_eos = True
            return params

        engine._sampling_params = endless  # type: ignore[method-assign]

    def ours(self, *, whole: bool) -> Rate:
        """Tokens through the machinery; `whole` with seeds and log-probabilities."""
        self.rounds += 1
        self.engine.seeded = self.engine.logprobs = whole
        self.engine._params = None
        drawer = Drawer(self.engine, self.task, self.problems, self.decoding, self.rounds, verify_timeout=5.0)
        folder = RunFolder(str(self.place / str(self.rounds)))
        config = SampleConfig(model="m", task="countdown", out=folder.url, engine="vllm", part=2048)
        folder.claim("sample", {"task": config.task})
        store = SampleStore(folder)
        run = SettledRun(
            config=config, decoding=self.decoding, task=self.task, problems=list(self.problems), prefixed=None,
            longest=0, identity={}, facts={}, plan=None, remarks=[],
        )  # fmt: skip
        work = SamplingWork(run, store, lambda remark: None)
        vars(work)["backend"] = LocalBackend(drawer)
        keys = [(p, s) for p in range(len(self.problems)) for s in range(N)]
        found = self.timed(lambda: sum(s.tokens for _, drawn in work.draw([keys], nothing) for s in drawn))
        drawer.judge.close()
        return found

    def timed(self, work: Callable[[], int]) -> Rate:
        """The rate of something that gives so many tokens."""
        began, spent = time.perf_counter(), cpu_seconds()
        tokens = work()
        return tokens / (time.perf_counter() - began), tokens / (cpu_seconds() - spent)

    def bare(self) -> Rate:
        """vLLM alone."""
        vllm = self.engine._vllm
        params = vllm.SamplingParams(
            n=N, temperature=self.decoding.temperature, top_p=self.decoding.top_p, max_tokens=self.decoding.max_tokens,
            ignore_eos=True,
            output_kind=self.engine._final,
        )  # fmt: skip

        async def one(problem: Any) -> int:
            number = next(self.engine._numbers)
            tokens = 0
            async for out in self.engine._llm.generate(self.engine._given(problem.asked), params, f"bare-{number}"):
                tokens = sum(len(o.token_ids) for o in out.outputs)
            return tokens

        async def every() -> int:
            return sum(await asyncio.gather(*(one(problem) for problem in self.problems)))

        return self.timed(lambda: self.engine.wait_for(every()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="a checkpoint; default a small one, made here")
    parser.add_argument("--task", default="countdown")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vllm-args", default='{"max_model_len": 512}')
    options = parser.parse_args()
    arguments = json.loads(options.vllm_args)
    if options.device == "cpu":
        # Its start-up compiles for minutes, and the ratio is not about its kernels.
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        arguments.setdefault("enforce_eager", True)
    print(machine(len(os.sched_getaffinity(0))), flush=True)
    with tempfile.TemporaryDirectory() as place:
        model = options.model or make(Path(place))
        config = SampleConfig(model=model, task=options.task, out="x", engine="vllm", vllm_args=json.dumps(arguments))
        engine = open_engine(config)
        decoding = Decoding(max_tokens=options.max_tokens, top_p=0.95)
        side = Side(engine, options.task, options.prompts, decoding, Path(place))
        ways: dict[str, Callable[[], Rate]] = {
            "bare": side.bare,
            "ours": lambda: side.ours(whole=False),
            "with seeds": lambda: side.ours(whole=True),
        }
        for way in ways.values():
            way()
        rates: dict[str, list[Rate]] = {name: [] for name in ways}
        for number in range(options.rounds):
            for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
                rates[name].append(ways[name]())
            said = [f"{name} {r[-1][0]:,.0f} tok/s, {r[-1][1]:,.0f} a CPU second" for name, r in rates.items()]
            print("  ".join(said), flush=True)
        engine.close()
    asked = f"{options.prompts} prompts x {N} x up to {options.max_tokens} tokens, {engine.dtype}"
    print(f"{Path(model).name}, {options.task}, {asked}")
    for name in ("ours", "with seeds"):
        said = []
        for what, of in enumerate(("by the clock", "by CPU time")):
            ratios = [mine[what] / bare[what] for mine, bare in zip(rates[name], rates["bare"], strict=True)]
            said.append(f"{statistics.median(ratios):.1%} {of} ({min(ratios):.1%} to {max(ratios):.1%})")
        middle = [statistics.median(rate for rate, _ in rates[way]) for way in (name, "bare")]
        print(f"  {name}: {middle[0]:,.0f} of {middle[1]:,.0f} tok/s; of bare {', '.join(said)}")


if __name__ == "__main__":
    main()
