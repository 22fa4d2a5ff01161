"""Rows of 2 kB imported: peak memory, seconds, and whether one that is killed three times is the same in the end.

The file is made here: a question a row (or `--each` samples of every problem), answers of about 2 kB, a label each.
The labels are taken as verdicts, so that what is measured is reading and storing; `--judge` has every answer judged.

Run: python benchmarks/bench_import_memory.py --rows 1000000 --kills 3
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from timing import machine

WORDS = (
    "we",
    "add",
    "the",
    "number",
    "of",
    "apples",
    "to",
    "that",
    "of",
    "pears",
    "and",
    "find",
    "so",
    "it",
    "follows",
)


def rows(total: int, each: int) -> Iterator[str]:
    """Lines of the file."""
    rng = random.Random(0)
    for number in range(total):
        problem = number // each
        said = " ".join(rng.choices(WORDS, k=330))
        right = rng.random() < 0.5
        answer = problem % 997 + problem % 13 if right else 10_000
        yield (
            json.dumps(
                {
                    "question": f"{problem}: What is {problem % 997} + {problem % 13}?",
                    "answer": problem % 997 + problem % 13,
                    "text": f"Attempt {number}: {said}. The answer is {answer}.",
                    "correct": right,
                }
            )
            + "\n"
        )


def run(words: list[str], kill_at: int | None, out: Path) -> tuple[int, float]:
    """The command's peak memory in bytes (judging workers apart) and seconds; killed at so many parts."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while kill_at is not None and process.poll() is None:
        if len(list(out.glob("samples/part-*.parquet"))) >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss * 1024, time.perf_counter() - start


def contents(out: Path) -> str:
    """A hash of all that a reader sees of a run."""
    digest = hashlib.blake2b()
    for path in sorted(
        p for p in out.rglob("*") if p.is_file() and p.name != "run.json" and not p.name.startswith(".")
    ):
        digest.update(f"{path.relative_to(out)}\n".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--each", type=int, default=1, help="samples of every problem")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--judge", action="store_true", help="judge every answer as math")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "samples.jsonl"
        with file.open("w") as made:
            made.writelines(rows(options.rows, options.each))
        print(machine(1), f"- {file.stat().st_size / 1e9:.2f} GB, {options.rows} rows")
        words = [sys.executable, "-m", "reachlab", "import", str(file)]
        words += [] if options.judge else ["--verdicts", "file"]
        whole, killed = Path(place) / "whole", Path(place) / "killed"
        peak, seconds = run([*words, "--out", str(whole)], None, whole)
        parts = len(list(whole.glob("samples/part-*.parquet")))
        print(f"undisturbed: {peak / 1e6:.0f} MB at most, {seconds:.0f} s, {options.rows / seconds:.0f} rows a second")
        for number in range(options.kills):
            at = parts * (number + 1) // (options.kills + 1)
            peak, seconds = run([*words, "--out", str(killed)], at, killed)
            print(f"killed at part {at} of {parts}: {peak / 1e6:.0f} MB at most, {seconds:.0f} s")
        peak, seconds = run([*words, "--out", str(killed)], None, killed)
        same = contents(whole) == contents(killed)
        print(f"gone on with to the end: {peak / 1e6:.0f} MB at most, {seconds:.0f} s; the same: {same}")
        if not same:
            sys.exit(1)


if __name__ == "__main__":
    main()
