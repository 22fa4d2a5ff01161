"""100,000 samples imported, verified as math and stored: seconds.

The file is made here, out of GSM8K's published model solutions (`gsm8k_model_solutions.jsonl`) and MATH-500's worked
solutions (`math500.jsonl`), which lie in the folder that is named. So that equal texts are not judged just once, every
sample gets a first line of its own, and a third of the MATH answers another number.

Run: python benchmarks/bench_import.py ../shared/data
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from timing import machine


def rows(folder: Path, total: int) -> Iterator[dict[str, object]]:
    """Samples with their question and gold answer."""
    rng = random.Random(0)
    math = [json.loads(line) for line in (folder / "math500.jsonl").open()]
    school = [json.loads(line) for line in (folder / "gsm8k_model_solutions.jsonl").open()]
    models = [name for name, value in school[0].items() if isinstance(value, dict)]
    for number in range(total):
        if number % 2:
            row = math[number // 2 % len(math)]
            text, gold = row["solution"], row["answer"]
            if rng.random() < 1 / 3:
                text = f"{text}\nSo it is $\\boxed{{{rng.randint(2, 999)}}}$."
        else:
            row = school[number // 2 % len(school)]
            text, gold = row[rng.choice(models)]["solution"], row["ground_truth"]
        question = row.get("problem") or row["question"]
        yield {"question": question, "answer": gold, "text": f"Attempt {number}.\n{text}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=0, help="judging processes; 0 is one a core")
    options = parser.parse_args()
    if not (options.folder / "math500.jsonl").exists():
        print(f"{options.folder}: no math500.jsonl here; name its folder. Nothing measured")
        return
    with tempfile.TemporaryDirectory() as place:
        file, out = Path(place) / "samples.jsonl", Path(place) / "run"
        with file.open("w") as made:
            made.writelines(json.dumps(row) + "\n" for row in rows(options.folder, options.samples))
        words = [sys.executable, "-m", "reachlab", "import", str(file), "--out", str(out)]
        if options.workers:
            words += ["--workers", str(options.workers)]
        print(machine(1), f"- {file.stat().st_size / 1e6:.0f} MB of samples")
        start = time.perf_counter()
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        spent = time.perf_counter() - start
        size = sum(part.stat().st_size for part in out.rglob("*.parquet"))
        print(said.strip())
        print(
            f"{options.samples} samples in {spent:.0f} s: {options.samples / spent:.0f} a second; "
            f"{size / options.samples:.0f} bytes a sample in the store"
        )


if __name__ == "__main__":
    main()
