"""Opening a store of 4 million samples and aggregating it, against pyarrow.dataset and pandas reading the same files.

Eight runs of 500 problems × 1,024 samples in parts of about 8,000, texts of 240 characters. *Outcomes* is what
`reachlab compare` does first: each (problem, index) once, and the scored, correct and unscored of every problem. The
peers read the same three columns and group by problem and verdict; they do not look whether a sample was stored
twice, nor whether it belongs to a problem of the run. Also: everything `reachlab measures` reads of one run, and
`reachlab.load_run`.

Run: python benchmarks/bench_store.py [FOLDER] (it writes 1 GB to FOLDER, or uses what an earlier call left there)
"""

import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

import reachlab
from reachlab.boundary.outcomes import Outcomes
from reachlab.measures.copies import find_duplicates
from reachlab.measures.measured_run import Intervals, MeasuredRun
from reachlab.measures.results import measure_run
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.types import Problem, Sample, StepCheck, Verdict
from timing import machine, seconds

RUNS, PROBLEMS, SAMPLES, PART = 8, 500, 1024, 8192
WORDS = 40
COLUMNS = ["problem_id", "sample", "verdict"]


def write(folder: Path) -> None:
    """One run, and copies of it."""
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, size=(2000, 5), dtype=np.uint8)
    words = np.array([row.tobytes().decode() for row in letters])
    store = SampleStore(RunFolder(folder / "run0"))
    store.folder.claim("sample", {"task": "chain", "decoding": {"temperature": 1.0, "top_p": 1.0, "top_k": 0}})
    problems = [Problem(id=f"test/algebra/{i}.json", prompt=f"Problem {i}?", answer=str(i)) for i in range(PROBLEMS)]
    store.write_problems(problems)
    rate_P = rng.beta(0.3, 2.0, size=PROBLEMS)
    waiting: list[Sample] = []
    for problem, rate in zip(problems, rate_P, strict=True):
        right_N, said_NW = rng.random(SAMPLES) < rate, rng.integers(0, len(words), size=(SAMPLES, WORDS))
        for index, (right, said_W) in enumerate(zip(right_N.tolist(), said_NW, strict=True)):
            waiting.append(
                Sample(
                    problem_id=problem.id,
                    index=index,
                    text=" ".join(words[said_W]),
                    tokens=int(said_W[0]) % 300 + 1,
                    finish="stop",
                    logprob=-float(said_W.sum()) / 500,
                    seed=int(rng.integers(0, 2**62)),
                    engine="transformers",
                    verdict=Verdict.correct() if right else Verdict.wrong("another number"),
                    steps=StepCheck(3, 3) if right else StepCheck(1, 3),
                    final_answer="1" if right else str(said_W[0] % 20 + 2),
                )
            )
        while len(waiting) >= PART or (waiting and problem is problems[-1]):
            store.write_part(waiting[:PART])
            waiting = waiting[PART:]
    for run in range(1, RUNS):
        shutil.copytree(folder / "run0", folder / f"run{run}")


def stores(folder: Path) -> list[SampleStore]:
    return [SampleStore(RunFolder(folder / f"run{run}")) for run in range(RUNS)]


def ours(folder: Path) -> list[Outcomes]:
    return [store.outcomes() for store in stores(folder)]


def by_dataset(folder: Path) -> list[pa.Table]:
    found = []
    for run in range(RUNS):
        table = ds.dataset(folder / f"run{run}" / "samples", format="parquet").to_table(columns=COLUMNS)
        found.append(table.group_by(["problem_id", "verdict"]).aggregate([("sample", "count")]))
    return found


def by_pandas(folder: Path) -> list["pd.Series[int]"]:
    return [
        pd.read_parquet(folder / f"run{run}" / "samples", columns=COLUMNS).groupby(["problem_id", "verdict"]).size()
        for run in range(RUNS)
    ]


def by_pandas_once(folder: Path) -> list["pd.Series[int]"]:
    """The same with each (problem, index) once."""
    found = []
    for run in range(RUNS):
        frame = pd.read_parquet(folder / f"run{run}" / "samples", columns=COLUMNS)
        found.append(frame.drop_duplicates(["problem_id", "sample"]).groupby(["problem_id", "verdict"]).size())
    return found


def peak() -> float:
    """The most memory that this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main(folder: Path) -> None:
    if not (folder / f"run{RUNS - 1}").exists():
        write(folder)
    print(machine(pa.cpu_count()), f"pyarrow {pa.__version__}, pandas {pd.__version__}", sep=", ")
    size = sum(f.stat().st_size for f in folder.rglob("*.parquet")) / 1e9
    parts = sum(len(store.parts()) for store in stores(folder))
    print(f"{RUNS} runs x {PROBLEMS} problems x {SAMPLES} samples, {parts} parts, {size:.2f} GB; medians of 3")
    mine = seconds(lambda: ours(folder), repeats=3)
    print(f"  outcomes of all runs                 {mine:7.2f} s   peak {peak():.2f} GB")
    first, store = ours(folder)[0], stores(folder)[0]
    once = seconds(lambda: store.outcomes(chain=True), repeats=3)
    print(f"  chain outcomes of one run            {once:7.2f} s")
    copies = seconds(lambda: find_duplicates(store, None, [1, 1024]), repeats=3)
    print(f"  distinct texts and copies of one run {copies:7.2f} s   peak {peak():.2f} GB")
    measures = seconds(lambda: measure_run(MeasuredRun(store, Intervals())), repeats=3)
    print(f"  all measures of one run              {measures:7.2f} s   peak {peak():.2f} GB")
    frame = seconds(lambda: reachlab.load_run(folder / "run0"), repeats=3)
    print(f"  load_run of one run                  {frame:7.2f} s   peak {peak():.2f} GB")
    for name, peer in (
        ("pyarrow.dataset", by_dataset),
        ("pandas", by_pandas),
        ("pandas, each sample once", by_pandas_once),
    ):
        time = seconds(lambda: peer(folder), repeats=3)  # noqa: B023
        print(f"  {name:36} {time:7.2f} s   {time / mine:.1f}x ours")
    counts = by_pandas_once(folder)[0]
    assert counts.xs("correct", level="verdict").sum() == first.c_P.sum()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
