"""What the benchmarks share: the machine's name, and medians of repeated timings."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

REPEATS = 11


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of `work`, after one run that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def cpu() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine(threads: int) -> str:
    """One line that says what a number was measured on."""
    return f"{cpu()}, {os.cpu_count()} cores, {threads} threads, load {os.getloadavg()[0]:.1f}"
