"""What the sandbox costs: HumanEval's solutions verified a second, and the time walls add to one.

Every canonical solution is judged one after the other in this process, on one core, start-up of every sandbox included;
with walls and without (UNSANDBOXED) in turns. Then through the judging pool, as `sample` and `rl` do it, on all cores.

Run: python benchmarks/bench_sandbox.py HumanEval.jsonl.gz
"""

import argparse
import os
import random
import statistics
import time
from pathlib import Path

from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from timing import machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="../shared/data/HumanEval.jsonl.gz")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    if not Path(options.file).exists():
        print(f"{options.file}: not there; name HumanEval's file. Nothing measured")
        return
    walled, loose = load_task(f"code:{options.file}"), load_task(f"code:{options.file},UNSANDBOXED=true")
    problems = walled.problems("all")
    texts = [str(walled.solve(problem, random.Random(0))) for problem in problems]
    print(machine(1), f"- {len(problems)} solutions, {options.repeats} times")
    times: dict[str, list[list[float]]] = {"walls": [], "no walls": []}
    for _ in range(options.repeats):
        rounds: dict[str, list[float]] = {"walls": [], "no walls": []}
        for problem, text in zip(problems, texts, strict=True):
            for name, task in (("walls", walled), ("no walls", loose)):
                start = time.perf_counter()
                verdict = task.verify(problem, text)
                rounds[name].append(time.perf_counter() - start)
                assert verdict.status == "correct", (problem.id, verdict)
        for name, spent in rounds.items():
            times[name].append(spent)
    for name, all_rounds in times.items():
        rate = len(problems) / statistics.median([sum(one) for one in all_rounds])
        middle = statistics.median([t for one in all_rounds for t in one])
        print(f"{name:9} {rate:5.1f} solutions a second on one core; one takes {middle * 1e3:.0f} ms in the middle")
    added = [a - b for a, b in zip(times["walls"][-1], times["no walls"][-1], strict=True)]
    print(f"walls add {statistics.median(added) * 1e3:.0f} ms in the middle, {max(added) * 1e3:.0f} ms at most")
    cores = len(os.sched_getaffinity(0))
    with Judge(walled, workers=cores) as judge:
        judge.verify(list(zip(problems, texts, strict=True))[: 2 * cores])
        start = time.perf_counter()
        judge.verify(list(zip(problems, texts, strict=True)))
        print(f"the pool on {cores} cores: {len(problems) / (time.perf_counter() - start):.1f} a second")


if __name__ == "__main__":
    main()
