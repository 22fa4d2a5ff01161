"""Your own samples to a verdict: two JSON lines files are imported, judged, compared and shown on one page.

    python examples/own_samples.py                                       # base install; about 5 seconds
    python examples/own_samples.py --base base.jsonl --trained rl.jsonl

A line is a problem with its right answer and what a model wrote: {"question": ..., "answer": ..., "responses": [...]}.
Other common names of fields are found too, and so are the logs of other tools. Without files of yours two are made: a
base that is right now and then, and a model after RL that is right more often on what the base could do already.

It prints how many answers were right, the table of pass@k with intervals, and the verdict in words; page.html has the
curves, the problems and every answer.
"""

import argparse
import json
import random
from pathlib import Path

import reachlab as rl


def made_up(file: Path, sharper: bool) -> Path:
    """Answers to sums by a model that is no model: each problem has a chance to be answered right."""
    rng, rows = random.Random(0), []
    for _ in range(100):
        a, b, chance = rng.randint(100, 999), rng.randint(100, 999), rng.betavariate(0.5, 2.0)
        chance = min(1.0, 2.5 * chance) * (chance > 0.06) if sharper else chance
        noise = random.Random(f"{a} {b} {sharper}")
        said = [a + b if noise.random() < chance else a + b + noise.randint(1, 9) for _ in range(32)]
        responses = [f"{a} + {b} = {number}. The answer is {number}." for number in said]
        rows.append({"question": f"What is {a} + {b}?", "answer": str(a + b), "responses": responses})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def main() -> None:
    """Import both, compare, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="samples of the base")
    parser.add_argument("--trained", type=Path, help="samples of the trained model, of the same problems")
    parser.add_argument("--out", type=Path, default=Path("runs/own-samples"), help="where everything is kept")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    base_file = given.base or made_up(given.out / "base.jsonl", sharper=False)
    trained_file = given.trained or made_up(given.out / "trained.jsonl", sharper=True)

    base = rl.import_samples(base_file, out=given.out / "base").run
    trained = rl.import_samples(trained_file, out=given.out / "trained").run
    for run in (base, trained):
        print(run.name, run.verdicts)

    found = rl.compare({"base": base, "trained": trained})
    print(found)
    print("\nverdict:", found.verdicts["trained"].sentence)
    print("page:", rl.report(found, given.out / "page.html").path)


if __name__ == "__main__":
    main()
