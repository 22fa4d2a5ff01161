"""The report of a large comparison: time and memory to write it, its size, time to open it.

The runs are made here, answers of arithmetic in words, in parts of 8,192 samples, in one of four shapes:

    usual   8 models x 500 problems x 1,024 samples of 600 to 2,400 characters, about 6 GB of text
    short   as many samples of 30 to 120 characters
    long    2 models x 500 problems x 100 samples of 20,000 characters
    many    1 model x 20,000 problems x 8 samples of 30 to 120 characters

The page is opened in headless chromium from the disk, offline, a fresh browser each time; without playwright or
chromium that half is left out. Run: python benchmarks/bench_report.py [SHAPE] [--models 8] [--problems 500] [--samples
1024] [--characters 600 2400]
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reachlab.boundary.compare import compare
from reachlab.reporting.page import write_report
from reachlab.runs import RunFolder
from reachlab.store.columns import LATER, SCHEMA
from reachlab.store.parts import write_parquet
from reachlab.store.samples import SampleStore
from reachlab.types import Problem
from timing import machine

SHAPES = {
    "usual": (8, 500, 1024, (600, 2_400)),
    "short": (8, 500, 1024, (30, 120)),
    "long": (2, 500, 100, (20_000, 20_001)),
    "many": (1, 20_000, 8, (30, 120)),
}
"""Models, problems, samples of each, characters of a sample."""
PART = 8_192
POOL = 30_000_000
"""Characters of the different texts of a run; 20,000 texts at most."""
OPENINGS = 5
WORDS = (
    "so then we have the first number plus second which gives let me check that again because it does not look right "
    "multiply divide subtract add remaining total therefore answer is wait maybe try another way with target left "
    "using each once now sum product difference quotient equals compute carefully step next finally we get "
)


def texts(characters: tuple[int, int], rng: np.random.Generator) -> list[str]:
    """Answers that shrink as prose does, not as one phrase repeated."""
    found, known = [], WORDS.split()
    for length in rng.integers(*characters, min(20_000, POOL // characters[1])) // 5:
        words = rng.choice(known, length).tolist()
        for at in range(0, length, 6):
            a, b = rng.integers(2, 99, 2)
            words[at] = f"{a} + {b} = {a + b}"
        found.append(" ".join(words))
    return found


def make_run(folder: Path, rate_P: np.ndarray, samples: int, characters: tuple[int, int], seed: int) -> RunFolder:
    rng = np.random.default_rng(seed)
    run = RunFolder(folder)
    run.claim("sample", {"task": "countdown,numbers=4", "samples": samples, "decoding": {"temperature": 1.0}})
    store = SampleStore(run)
    ids = [f"p{i:03d}" for i in range(len(rate_P))]
    ask = np.random.default_rng(0)  # every model the same
    prompts = [f"Use {ask.integers(1, 99, 4).tolist()} once each to make {ask.integers(10, 999)}." for _ in ids]
    store.write_problems(
        [Problem(id=i, prompt=p, answer={"target": p[-4:-1]}) for i, p in zip(ids, prompts, strict=True)]
    )
    pool = pa.array(texts(characters, rng))
    row_N = np.arange(len(ids) * samples)
    for number, start in enumerate(range(0, len(row_N), PART)):
        at_N = row_N[start : start + PART]
        p_N, n_N = at_N // samples, at_N % samples
        right_N = rng.random(len(at_N)) < rate_P[p_N]
        columns: dict[str, Any] = {
            "problem_id": pa.array(ids).take(pa.array(p_N)),
            "sample": n_N,
            "text": pool.take(pa.array(rng.integers(0, len(pool), len(at_N)))),
            "tokens": rng.integers(150, 600, len(at_N)),
            "finish": ["stop"] * len(at_N),
            "seed": at_N,
            "engine": ["transformers"] * len(at_N),
            "verdict": np.where(right_N, "correct", "wrong"),
            "score": right_N.astype(np.float32),
            "reason": np.where(right_N, "", "does not reach the target"),
        }
        arrays = [pa.array(columns.get(f.name, [None] * len(at_N)), f.type) for f in (*SCHEMA, *LATER)]
        table = pa.Table.from_arrays(arrays, schema=pa.schema([*SCHEMA, *LATER]))
        run.write(f"samples/part-{number:05d}.parquet", write_parquet(table))
    return run


def make_runs(root: Path, models: int, problems: int, samples: int, characters: tuple[int, int]) -> list[RunFolder]:
    rng = np.random.default_rng(0)
    base_P = rng.beta(0.3, 2.0, problems) * (rng.random(problems) < 0.9)
    runs = []
    for i in range(models):
        sharper_P = np.where(base_P > 0.01 * i, np.clip(base_P * (1 + i), 0, 0.97), base_P * 0.1)
        runs.append(make_run(root / f"model-{i}", sharper_P, samples, characters, i))
    return runs


def write(root: Path, out: Path) -> None:
    """In a process of its own, so that its memory is known."""
    runs = [RunFolder(folder) for folder in sorted(root.iterdir())]
    start = time.perf_counter()
    outcomes = [SampleStore(run).outcomes() for run in runs]
    read = time.perf_counter()
    comparison = compare(outcomes)
    compared = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_report(comparison, runs, out)
    done = time.perf_counter()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"  read and count the samples   {read - start:8.2f} s")
    print(f"  compare, 10,000 resamples    {compared - read:8.2f} s")
    print(f"  write the page               {done - compared:8.2f} s")
    print(f"  memory, before and at most   {before / 2**20:8.2f}, {most / 2**20:.2f} GiB")


SINCE = "performance.now()"
WATCH = f"""
new MutationObserver(() => {{
  if (document.documentElement?.dataset.ready) globalThis.readyAt ??= {SINCE};
  if (document.querySelector('dialog[open] pre')) globalThis.openAt ??= {SINCE};
}}).observe(document, {{ attributes: true, childList: true, subtree: true }});
"""


def opened(page: Path, place: str, wait: str) -> dict[str, float]:
    """Milliseconds from the start of the navigation, in a fresh browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True).new_page()
        tab.add_init_script(WATCH)
        tab.goto(page.as_uri() + place, timeout=120_000)
        tab.wait_for_selector(wait, timeout=120_000)
        found: dict[str, float] = tab.evaluate(
            """() => ({
              paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
              parsed: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
              ready: globalThis.readyAt, open: globalThis.openAt,
            })"""
        )
        if not place:
            tab.evaluate("location.hash = '#problems'")
            tab.wait_for_selector(".problems .rows a")
            found["list"] = tab.evaluate(
                """async () => {
                  const start = performance.now();
                  document.querySelector("[name=q]").value = "make";
                  document.querySelector(".filters").dispatchEvent(new Event("input", { bubbles: true }));
                  while (!location.hash.includes("make")) await new Promise(requestAnimationFrame);
                  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                  return performance.now() - start;
                }"""
            )
            found["read"] = tab.evaluate(
                """async () => {
                  const start = performance.now();
                  const links = document.querySelectorAll(".problems .rows a");
                  links[links.length >> 1].click();
                  while (!document.querySelector("dialog[open] pre")) await new Promise((done) => setTimeout(done));
                  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                  return performance.now() - start;
                }"""
            )
        # How fast this machine runs scripts at this moment: 30 million steps of a loop, some 30 ms on a free desktop.
        found["loop"] = tab.evaluate(
            """() => {
              const run = () => { let x = 0; for (let i = 0; i < 3e7; i++) x = (x * 31 + i) | 0; return x; };
              run();
              const start = performance.now();
              run();
              return performance.now() - start;
            }"""
        )
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", nargs="?", choices=SHAPES, default="usual")
    parser.add_argument("--models", type=int)
    parser.add_argument("--problems", type=int)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--characters", type=int, nargs=2)
    parser.add_argument("--keep", help="folder for the runs and the page; default a temporary one")
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write(*map(Path, args.write))
        return
    models, problems, samples, characters = SHAPES[args.shape]
    models, problems, samples = args.models or models, args.problems or problems, args.samples or samples
    characters = tuple(args.characters or characters)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(args.keep or temporary)
        runs, page = root / "runs", root / "report.html"
        if not runs.exists():
            make_runs(runs, models, problems, samples, characters)
        size = sum(f.stat().st_size for f in runs.rglob("*.parquet"))
        print(machine(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))))
        print(f"{models} models x {problems} problems x {samples} samples, {size / 2**30:.2f} GiB")
        subprocess.run([sys.executable, __file__, "--write", runs, page], check=True)
        print(f"  the page                     {page.stat().st_size / 1e6:8.2f} MB")
        if not shutil.which("chromium"):
            print("  no chromium here: not opened")
            return
        plain = [opened(page, "", "html[data-ready=true]") for _ in range(OPENINGS)]
        link = f"#problems?problem=p{problems // 2:03d}"
        linked = [opened(page, link, "dialog[open] pre") for _ in range(OPENINGS)]
        for name, runs_of, key in (
            ("first screen, curves too", plain, "paint"),
            ("whole file parsed", plain, "parsed"),
            ("figures live", plain, "ready"),
            ("search the list", plain, "list"),
            ("open a problem", plain, "read"),
            ("a link opens its problem", linked, "open"),
            ("yardstick: the loop", plain, "loop"),
        ):
            values = [one[key] for one in runs_of]
            print(f"  {name:<28} {statistics.median(values):8.0f} ms   {min(values):.0f} to {max(values):.0f}")


if __name__ == "__main__":
    main()
