"""Answers judged a second: our math task against math-verify alone, on the same answers in the same run.

Ours is `Math.verify`, in this process on one thread; the peer is what math-verify's users write,
`verify(parse("$" + gold + "$"), parse(text))`, with its own time limits. They judge all answers by turns, one first and
then the other, each with empty caches; the ratio is that of a round. Then every answer is listed on which the two
differ, with the label where the file has one: WORSE is where the label sides with math-verify, and not every label is
right.

The answers are those of a file that `reachlab import` reads, its fields named as there, or more plainly, or found;
without a file, a few hundred made here.

Run: python benchmarks/bench_verify.py --answers answers.jsonl --text-field response --label-field result
"""

import argparse
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import math_verify

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.log import Log
from reachlab.tasks.math import Math
from reachlab.types import Problem, Verdict
from timing import machine

LIMIT_S = 5.0
"""Seconds that an answer may take, as in `reachlab import` and in math-verify."""


@dataclass(frozen=True)
class Answer:
    """A text, the gold answer it is judged by, and whether the file says that it is right."""

    place: str
    problem: Problem
    text: str
    label: bool | None


def read_answers(options: argparse.Namespace, file: str) -> Iterator[Answer]:
    """The answers of a file; a `*` in the text's field takes all that match."""
    config = ImportConfig(
        file=(file,),
        text=options.text_field,
        question=options.question_field,
        answer=options.gold_field,
        label=options.label_field,
    )
    log = Log(config)
    log.scan()
    for name, answers in log.answers():
        for a in answers:
            yield Answer(f"{name} {a.problem.id} {a.index}", a.problem, a.logged.text or "", a.label)


def made_answers() -> Iterator[Answer]:
    """Answers as models write them, right and wrong by turns."""
    rng = random.Random(0)
    ways = (
        "We add up and get {0} apples in all.\n#### {0}",
        "First 3 + 4 = 7, then some more work.\nThe answer is {0}.",
        "Substituting $x = 2$ we find that the result is $\\boxed{{{0}}}$.",
        "So there are 12 of one kind and 5 of the other, which leaves {0}",
        "**Final answer:** $\\boxed{{{0}}}$",
    )
    for i in range(300):
        a, b, wrong = rng.randint(2, 4000), rng.choice((3, 7, 11)), rng.random() < 0.3
        gold, said = rng.choice(
            (
                (str(a), str(a + wrong)),
                (f"\\frac{{{a}}}{{{b}}}", f"\\frac{{{a + wrong * b}}}{{{b}}}"),
                (f"{a}\\sqrt{{{b}}}", f"\\sqrt{{{b}}} \\cdot {a + wrong}"),
                (f"({a}, {b})", f"({a}, {b + wrong})"),
                (f"{a / 8}", f"{a / 8 + wrong}"),
            )
        )
        way = ways[2] if not said.replace(".", "").isdigit() else rng.choice(ways)
        problem = Problem(id=str(i), prompt="?", answer=gold, metadata={"question": "?"})
        yield Answer(f"made {i}", problem, way.format(said), not wrong)


def late(*_: object) -> None:
    raise TimeoutError(f"more than {LIMIT_S:g} s")


def ours(answer: Answer) -> Verdict:
    """What `Math` says, within the limit that a worker would be given."""
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, 1.0)  # again each second: what is below may swallow the error
    try:
        return Math().verify(answer.problem, answer.text)
    except Exception as error:
        return Verdict.unscored(f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def theirs(answer: Answer) -> bool:
    """What math-verify says."""
    return bool(
        math_verify.verify(math_verify.parse("$" + answer.problem.answer + "$"), math_verify.parse(answer.text))
    )


def forget() -> None:
    """Empty the caches that a turn would otherwise find filled: sympy's, and those of our tasks."""
    sys.modules["sympy.core.cache"].clear_cache()
    for name, module in list(sys.modules.items()):
        if name.startswith("reachlab.tasks"):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def timed(judge: Callable[[Answer], Any], answers: Sequence[Answer]) -> tuple[float, list[Any]]:
    """Seconds for all answers, and what is said of each."""
    forget()
    began = time.perf_counter()
    said = [judge(answer) for answer in answers]
    return time.perf_counter() - began, said


def print_differences(answers: Sequence[Answer], verdicts: Sequence[Verdict], peers: Sequence[bool]) -> None:
    """Who agrees with the labels how often, and each answer on which the two differ."""
    rows = list(zip(answers, verdicts, peers, strict=True))
    unscored = sum(verdict.status == "unscored" for verdict in verdicts)
    if labelled := [(a.label, v.status, peer) for a, v, peer in rows if a.label is not None]:
        mine = sum(status == ("correct" if label else "wrong") for label, status, _ in labelled)
        other = sum(peer == label for label, _, peer in labelled)
        print(
            f"  the labels agree with ours on {mine} of {len(labelled)} ({mine / len(labelled):.2%}), with math-verify "
            f"on {other} ({other / len(labelled):.2%})"
        )
    differ = [(a, v, peer) for a, v, peer in rows if v.status != ("correct" if peer else "wrong")]
    print(f"  {len(differ)} of {len(rows)} verdicts differ; {unscored} unscored by ours")
    for a, verdict, peer in differ:
        label = "no label" if a.label is None else f"label {'correct' if a.label else 'wrong'}"
        worse = " WORSE" if a.label is not None and a.label == peer else ""
        reason = f" ({verdict.reason[:80]})" if verdict.reason else ""
        print(
            f"  {a.place}:{worse} ours {verdict.status}{reason}, math-verify {'correct' if peer else 'wrong'}, {label}"
        )
        print(f"    gold {a.problem.answer[:60]!r}, text ends {' '.join(a.text.split())[-120:]!r}")


def compare(name: str, answers: Sequence[Answer], rounds: int) -> None:
    """Time both on these answers, and print what came out."""
    turns: dict[str, Callable[[Answer], Any]] = {"ours": ours, "math-verify": theirs}
    for judge in turns.values():
        timed(judge, answers[:50])  # grammars and expressions are compiled once a process
    times: list[dict[str, float]] = []
    said: dict[str, list[Any]] = {}
    for number in range(rounds):
        times.append({})
        for who in sorted(turns, reverse=bool(number % 2)):
            times[-1][who], said[who] = timed(turns[who], answers)
    print(f"{name}: {len(answers)} answers, {rounds} rounds")
    for who in turns:
        rates = [len(answers) / seconds[who] for seconds in times]
        print(f"  {who:<12} {statistics.median(rates):8.0f} answers a second ({min(rates):.0f} to {max(rates):.0f})")
    ratios = [seconds["math-verify"] / seconds["ours"] for seconds in times]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if rounds > 1 else ratios * 3
    print(f"  ours is {middle:.2f} times as fast, quartiles {low:.2f} and {high:.2f}")
    print_differences(answers, said["ours"], said["math-verify"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", nargs="*", default=[], metavar="FILE", help="files that `reachlab import` reads")
    parser.add_argument("--question-field", "--question")
    parser.add_argument("--gold-field", "--answer")
    parser.add_argument("--text-field", "--text")
    parser.add_argument("--label-field", "--label")
    parser.add_argument("--limit", type=int, help="take the first so many answers of a file")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(machine(1))
    for file in options.answers:
        try:
            answers = list(read_answers(options, file))[: options.limit]
        except ReachlabError as error:
            sys.exit(str(error))
        compare(file, answers, options.rounds)
    if not options.answers:
        compare("made here", list(made_answers())[: options.limit], options.rounds)


if __name__ == "__main__":
    main()
