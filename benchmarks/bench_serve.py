"""`reachlab serve` on the large runs of bench_report.py: the first screen, a comparison, a problem, samples, a search.

The server is a process of its own, asked over HTTP; its memory is the most that it had (VmHWM). The first screen is
headless chromium's first contentful paint and is left out without playwright or chromium. Run:
python benchmarks/bench_serve.py [SHAPE] [--keep FOLDER], where FOLDER may be one of bench_report.py's.
"""

import argparse
import gzip
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench_report import SHAPES, make_runs
from timing import machine

PROBLEMS = 20
"""Problems that are opened, spread over all."""


def ask(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=600) as answer:
        body: bytes = answer.read()
    return body


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def memory(process: int) -> float:
    """The most that a process had, in GiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 2**20


def paint(address: str) -> float:
    """Milliseconds to the first screen in a fresh browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(address, timeout=120_000)
        tab.wait_for_timeout(1000)
        found: float = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        browser.close()
    return found


def measure(address: str, process: int, began: float) -> None:
    print(f"  address printed              {time.perf_counter() - began:8.2f} s")
    while not (state := json.loads(ask(f"{address}state")))["version"].endswith("-1"):
        assert not state["said"], state["said"]
        time.sleep(0.2)
    print(f"  compared, page ready         {time.perf_counter() - began:8.2f} s")
    print(f"  memory by then, at most      {memory(process):8.2f} GiB")
    version = state["version"]
    if shutil.which("chromium"):
        print(f"  first screen                 {statistics.median(paint(address) for _ in range(5)):8.0f} ms")
    index: dict[str, Any] = json.loads(gzip.decompress(ask(f"{address}block/{version}/index")))
    some = range(0, len(index["ids"]), max(1, len(index["ids"]) // PROBLEMS))
    opened = [timed(partial(ask, f"{address}block/{version}/chunk-{p}")) for p in some]
    turned = [timed(partial(ask, f"{address}samples/{version}/0/{p}?start=8")) for p in some]
    for name, values in (("open a problem", opened), ("20 more samples of a model", turned)):
        print(f"  {name:<28} {1000 * statistics.median(values):8.0f} ms   {1000 * max(values):.0f} at most")
    for name, text in (("search: 100 that are frequent", "answer"), ("search: all, for what is not", "no such words")):
        address_of = f"{address}search/{version}?{urllib.parse.urlencode({'q': text})}"
        print(f"  {name:<28} {timed(partial(ask, address_of)):8.2f} s")
    print(f"  memory in the end, at most   {memory(process):8.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", nargs="?", choices=SHAPES, default="usual")
    parser.add_argument("--keep", help="folder for the runs; default a temporary one")
    args = parser.parse_args()
    models, problems, samples, characters = SHAPES[args.shape]
    with tempfile.TemporaryDirectory() as temporary:
        runs = Path(args.keep or temporary) / "runs"
        if not runs.exists():
            make_runs(runs, models, problems, samples, characters)
        print(machine(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))))
        print(f"{args.shape}: {len(list(runs.iterdir()))} models x {problems} problems x {samples} samples")
        began = time.perf_counter()
        command = [sys.executable, "-m", "reachlab", "serve", *map(str, sorted(runs.iterdir())), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                measure(server.stdout.readline().strip(), server.pid, began)
            finally:
                server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
