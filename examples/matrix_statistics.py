"""Statistics on a matrix: tables of 0 and 1, or counts, are all that a comparison needs. No samples, no models.

    python examples/matrix_statistics.py                                 # base install; about 5 seconds
    python examples/matrix_statistics.py --base base.csv --trained rl.csv

A row is a problem, a column a sample: 1 right, 0 wrong, nan unscored (the verifier crashed; that is not a wrong
answer, and such a sample is left out of its problem). The same rows in the same order in both tables.

It prints pass@k of both with intervals and the verdict; the difference at each k with its p; pass@k of counts, with
an interval over answers instead of problems; and how many problems would show a difference of 5 points.
"""

import argparse

import numpy as np

import reachlab as rl


def tables(problems: int = 80, samples: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A base, and a model that is surer of what the base could do, and has lost the rest."""
    rng = np.random.default_rng(0)
    chance_P = rng.beta(0.4, 2.0, problems)
    surer_P = np.where(chance_P < 0.05, 0.0, np.minimum(1.0, 2.0 * chance_P))
    base_PN, trained_PN = (
        (rng.random((problems, samples)) < c_P[:, None]).astype(float) for c_P in (chance_P, surer_P)
    )
    base_PN[0, :3] = np.nan  # three samples could not be scored
    return base_PN, trained_PN


def main() -> None:
    """Compare, look closer, plan the next experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="a table of the base: .csv or .npy")
    parser.add_argument("--trained", help="one of the trained model")
    given = parser.parse_args()
    base, trained = (given.base, given.trained) if given.base and given.trained else tables()

    found = rl.compare({"base": base, "trained": trained})
    print(found)
    print("\nverdict:", found.verdicts["trained"].sentence)

    differences = found.to_frame("difference").set_index("k")
    print("\ndifference to the base, in points, with intervals for each k alone and p values:")
    shown = (differences[["difference", "low", "high"]] * 100).round(1).assign(p=differences["p"].round(4))
    print(shown[shown.index.isin([2**e for e in range(11)])].to_string())

    correct_P = np.random.default_rng(1).binomial(64, 0.1, size=80)
    print("\npass@k of counts, had these very problems been answered again:")
    print(rl.pass_at_k(correct_P, drawn=64, k=[1, 8, 64], over="samples"))

    print("\nhow many problems would show a difference of 5 points in pass@1, four times in five?")
    print(rl.power({"base": base, "trained": trained}, points=5, k=1).to_frame()[["samples", "problems"]].to_string())


if __name__ == "__main__":
    main()
