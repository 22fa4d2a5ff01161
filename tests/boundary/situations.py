"""Situations in which the truth is known, and what a comparison promises there. `docs/boundary.md` has them as a table.

    python -m tests.boundary.situations --simulations 600

A situation answers a seed with one or more yes or no: a wrong word, an interval that holds the truth. What is promised
is a share of yes, from `low` to `high`.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from reachlab.boundary.compare import compare
from reachlab.boundary.comparison import Findings
from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.posterior import posterior_pass_at_k
from reachlab.boundary.power import power_analysis
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.stopping import Floats

RESAMPLES = 400
WORD, HELD, HELD_OF_FEW = (0.0, 0.05), (0.93, 0.97), (0.93, 0.98)
Draw = Callable[[np.random.Generator], dict[str, bool]]


@dataclass(frozen=True)
class Situation:
    """What is simulated, and the share of yes that is promised to each question that `draw` answers."""

    name: str
    draw: Draw
    promised: dict[str, tuple[float, float]]


def outcomes(name: str, p_P: Floats, n: int, rng: np.random.Generator) -> Outcomes:
    """n samples of each problem."""
    ids = tuple(f"p{i}" for i in range(len(p_P)))
    return Outcomes(name, ids, np.full(len(p_P), n), rng.binomial(n, p_P), np.zeros(len(p_P), np.int64))


def told(found: Findings) -> bool:
    """Whether any pair got a word."""
    return any(pair.verdict.label != "undecided" for pair in (*found.pairs, *found.others))


def compared(models: Sequence[Outcomes | Recipe], rng: np.random.Generator, **options: Any) -> Findings:
    """With few resamples."""
    return compare(models, resamples=RESAMPLES, seed=int(rng.integers(2**31)), **options)


def hard(problems: int, rng: np.random.Generator) -> Floats:
    """Pass rates of a hard benchmark."""
    return rng.beta(0.3, 3, problems)


def mixed(problems: int, rng: np.random.Generator) -> Floats:
    """Impossible, hard and easy problems."""
    kind_P = rng.random(problems)
    rare_P, easy_P = rng.beta(0.5, 8, problems), rng.beta(5, 2, problems)
    return np.where(kind_P < 0.4, 0.0, np.where(kind_P < 0.6, rare_P, easy_P))


def equal_models(problems: int, n: int, models: int = 2, other_n: int = 0, **options: Any) -> Draw:
    """Models that are one."""

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        p_P = hard(problems, rng)
        sizes = [n, *[other_n or n] * (models - 1)]
        given = [outcomes(f"m{i}", p_P, size, rng) for i, size in enumerate(sizes)]
        return {"a word": told(compared(given, rng, **options))}

    return draw


def holds(low: Floats, high: Floats, truth: float, at: int) -> bool:
    """Whether an interval holds the truth."""
    return bool(low[at] - 1e-9 <= truth <= high[at] + 1e-9)


def other_problems(problems: int, n: int) -> Draw:
    """Intervals over problems, of a model and of a sharper, narrower one less it."""

    def two(count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        p_P = hard(count, rng)
        return p_P, np.where(rng.random(count) < 0.08, 0.0, np.clip(2 * p_P, 0, 0.97))

    ks = np.array([1, n])
    reach = [(1 - (1 - p_P[:, None]) ** ks).mean(axis=0) for p_P in two(400_000, np.random.default_rng(9))]

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        found = compared([outcomes(name, p_P, n, rng) for name, p_P in zip("ab", two(problems, rng), strict=True)], rng)
        curve, moved = found.models[0].curve, found.pairs[0].difference
        return {
            "k = 1": holds(curve.low, curve.high, reach[0][0], 0),
            "k = n": holds(curve.low, curve.high, reach[0][1], -1),
            "difference, k = 1": holds(moved.low, moved.high, reach[1][0] - reach[0][0], 0),
            "difference, k = n": holds(moved.low, moved.high, reach[1][1] - reach[0][1], -1),
        }

    return draw


def same_problems(population: Callable[[int, np.random.Generator], Floats], problems: int, n: int) -> Draw:
    """Intervals over samples: what these very problems' pass@k is."""

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        p_P = population(problems, rng)
        q_P = np.clip(1.3 * p_P, 0, 1)
        found = compared([outcomes("a", p_P, n, rng), outcomes("b", q_P, n, rng)], rng, ks=[n], over="samples")
        curve, moved = found.models[0].curve, found.pairs[0].difference
        truth, other = (float((1 - (1 - x) ** n).mean()) for x in (p_P, q_P))
        return {
            "k = n": holds(curve.low, curve.high, truth, -1),
            "difference, k = n": holds(moved.low, moved.high, other - truth, -1),
        }

    return draw


def templates(clusters: int, smallest: int, largest: int, n: int = 16) -> Draw:
    """Problems made from templates, which the two models, equal over all templates, find hard each in its own way."""

    def two(count: int, rng: np.random.Generator) -> tuple[list[Floats], list[str]]:
        of_P = np.repeat(np.arange(count), rng.integers(smallest, largest + 1, count))
        shared_P = rng.normal(-1.5, 1.5, count)[of_P] + rng.normal(size=len(of_P))
        return [expit(shared_P + rng.normal(size=count)[of_P]) for _ in range(2)], of_P.astype(str).tolist()

    ks = np.array([1, n])
    (p_P, _), _ = two(20_000, np.random.default_rng(9))
    reach = (1 - (1 - p_P[:, None]) ** ks).mean(axis=0)

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        both, labels = two(clusters, rng)
        of = {f"p{i}": label for i, label in enumerate(labels)}
        found = compared([outcomes(name, p, n, rng) for name, p in zip("ab", both, strict=True)], rng, clusters=of)
        curve, moved = found.models[0].curve, found.pairs[0].difference
        return {
            "a word": told(found),
            "k = 1": holds(curve.low, curve.high, reach[0], 0),
            "k = n": holds(curve.low, curve.high, reach[1], -1),
            "difference, k = 1": holds(moved.low, moved.high, 0.0, 0),
            "difference, k = n": holds(moved.low, moved.high, 0.0, -1),
        }

    return draw


def recipes(runs: int, base_runs: int, problems: int = 100, n: int = 16, spread: float = 0.3) -> Draw:
    """Equal recipes, whose seeds move all problems together by so many logits."""

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        logit_P = logit(np.clip(hard(problems, rng), 1e-9, 1 - 1e-9))

        def recipe(name: str, count: int) -> Recipe:
            moved = [0.0] if count == 1 else rng.normal(0, spread, count).tolist()
            return Recipe(name, tuple(outcomes(f"{name}{i}", expit(logit_P + x), n, rng) for i, x in enumerate(moved)))

        return {"a word": told(compared([recipe("a", base_runs), recipe("b", runs)], rng))}

    return draw


def narrower(problems: int, n: int) -> Draw:
    """A model twice as often right that has lost all of one in ten problems: narrower by more than δ."""

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        p_P = hard(problems, rng)
        q_P = np.where(rng.random(problems) < 0.1, 0.0, np.clip(2 * p_P, 0, 0.95))
        found = compared([outcomes("a", p_P, n, rng), outcomes("b", q_P, n, rng)], rng)
        return {"sharper only": found.pairs[0].verdict.label == "sharper only"}

    return draw


def few_samples(problems: int, n: int) -> Draw:
    """The posterior of these very problems' pass@1."""

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        p_P = hard(problems, rng)
        found = posterior_pass_at_k(outcomes("a", p_P, n, rng), np.array([1]))
        return {"k = 1": holds(found.low, found.high, float(p_P.mean()), 0)}

    return draw


def planned(k: int, n: int = 16) -> Draw:
    """As many problems as `power` asks for a difference that is there."""

    def two(problems: int, rng: np.random.Generator) -> list[Floats]:
        p_P = rng.beta(0.7, 2, problems)
        return [p_P, np.clip(p_P + 0.05 + 0.08 * rng.normal(size=problems), 0, 1)]

    pilot = np.random.default_rng(9)
    p_P, q_P = two(1_000_000, pilot)
    points = 100 * float(((1 - p_P) ** k - (1 - q_P) ** k).mean())
    first, second = (outcomes(name, p, 24, pilot) for name, p in zip("ab", two(3000, pilot), strict=True))
    plan = power_analysis(first, second, [k], [points], [n])
    (problems,) = plan.ks[0].needed[0].problems

    def draw(rng: np.random.Generator) -> dict[str, bool]:
        given = [outcomes(name, p, n, rng) for name, p in zip("ab", two(problems, rng), strict=True)]
        return {"found": bool(compared(given, rng).pairs[0].difference.sign[k - 1])}

    return draw


HELD_BOTH = dict.fromkeys(("k = 1", "k = n", "difference, k = 1", "difference, k = n"), HELD)
HELD_AT_N = dict.fromkeys(("k = n", "difference, k = n"), HELD)

SITUATIONS = (
    Situation("two equal models, 30 problems × 64 samples", equal_models(30, 64), {"a word": WORD}),
    Situation("two equal models, 100 × 64", equal_models(100, 64), {"a word": WORD}),
    Situation("two equal models, 20 × 16 and 20 × 256", equal_models(20, 16, other_n=256), {"a word": WORD}),
    Situation("two equal models, 100 × 1", equal_models(100, 1), {"a word": WORD}),
    Situation("four equal models against the first, 20 × 16", equal_models(20, 16, 4), {"a word": WORD}),
    Situation("four equal models against the first, 100 × 16", equal_models(100, 16, 4), {"a word": WORD}),
    Situation("six equal models, all pairs, 20 × 16", equal_models(20, 16, 6, pairs="all"), {"a word": WORD}),
    Situation("other problems, 30 × 64", other_problems(30, 64), dict.fromkeys(HELD_BOTH, HELD_OF_FEW)),
    Situation("other problems, 100 × 64", other_problems(100, 64), HELD_BOTH),
    Situation("the same problems again, 30 × 16", same_problems(hard, 30, 16), HELD_AT_N),
    Situation("the same problems again, 100 × 64", same_problems(hard, 100, 64), HELD_AT_N),
    Situation("the same problems again, of three kinds, 100 × 64", same_problems(mixed, 100, 64), HELD_AT_N),
    Situation(
        "two equal models, the same problems again, 100 × 16", equal_models(100, 16, over="samples"), {"a word": WORD}
    ),
    Situation("10 templates × 20 problems", templates(10, 20, 20), {"a word": WORD, **HELD_BOTH}),
    Situation("20 templates × 10 problems", templates(20, 10, 10), {"a word": WORD, **HELD_BOTH}),
    Situation("20 templates of 2 to 40 problems", templates(20, 2, 40), {"a word": WORD, **HELD_BOTH}),
    Situation("equal recipes, 3 seeds against 3", recipes(3, 3), {"a word": WORD}),
    Situation("equal recipes, 2 seeds against 2", recipes(2, 2), {"a word": WORD}),
    Situation("a recipe of 3 seeds against the base that it equals", recipes(3, 1), {"a word": WORD}),
    Situation("truly narrower by 4 points, 100 × 64", narrower(100, 64), {"sharper only": WORD}),
    Situation("truly narrower by 4 points, 400 × 64", narrower(400, 64), {"sharper only": WORD}),
    Situation("few samples, 30 × 1", few_samples(30, 1), {"k = 1": HELD}),
    Situation("few samples, 100 × 4", few_samples(100, 4), {"k = 1": HELD}),
    Situation("as many problems as `power` says, k = 1", planned(1), {"found": (0.76, 0.84)}),
    Situation("as many problems as `power` says, k = n = 16", planned(16), {"found": (0.76, 0.84)}),
)


def simulate(situation: Situation, simulations: int, seed: int = 0) -> dict[str, float]:
    """The share of yes to each question."""
    answers = [situation.draw(np.random.default_rng([seed, i])) for i in range(simulations)]
    return {question: float(np.mean([a[question] for a in answers])) for question in situation.promised}


def row(situation: Situation, simulations: int) -> str:
    """One row of the table in docs/boundary.md."""
    found = simulate(situation, simulations)
    cells = [
        f"{question}: {100 * share:.1f} %" if len(found) > 1 else f"{100 * share:.1f} %"
        for question, share in found.items()
    ]
    promises = dict.fromkeys(
        f"{'a word' if low == 0 else 'holds' if (low, high) in (HELD, HELD_OF_FEW) else 'found'}, "
        + (f"at most {100 * high:.0f} %" if low == 0 else f"{100 * low:.0f} to {100 * high:.0f} %")
        for low, high in situation.promised.values()
    )
    return f"| {situation.name} | {'; '.join(promises)} | {', '.join(cells)} |"


def _numbered(at: int, simulations: int) -> str:
    return row(SITUATIONS[at], simulations)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Simulate what a comparison promises.")
    parser.add_argument("--simulations", type=int, default=600)
    parser.add_argument("--only", default="", help="situations whose name holds this")
    options = parser.parse_args()
    chosen = [at for at, situation in enumerate(SITUATIONS) if options.only in situation.name]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for line in pool.map(_numbered, chosen, [options.simulations] * len(chosen)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
