"""Questions about small drawn scenes: count, read a chart, measure, compare, find an area.

The pictures are `reachlab/pictures/drawn_scenes.py`'s. An answer reads the quantities that the question names, one a
step, and computes, one operation a step. It is right when it ends in the right number and every step is true: who
guesses must guess each reading.

| kind | question | answer |
|---|---|---|
| `count` | `count r+b*g:` shapes of a colour | `r4;b2;g3;2*3=6;4+6=10` |
| `chart` | `chart r*g+b:` heights of bars | `r3;g4;b5;3*4=12;12+5=17` |
| `length` | `length g+r-y:` lengths of segments | `g5;r2;y3;5+2=7;7-3=4` |
| `spread` | `spread r g b:` the largest less the smallest | `r3;g9;b5;9-3=6` |
| `figure` | `area:` of a red and a blue rectangle | `a5;b3;5*3=15;c2;d4;2*4=8;15+8=23` |

`figures` is the share of the last kind: 0 in a corpus leaves a teacher something to show.
"""

import operator
import random
import re
from collections.abc import Sequence

from reachlab.errors import ReachlabError
from reachlab.pictures.drawn_scenes import COARSE, COLOURS, FINE, scene
from reachlab.tasks.base import GeneratedTask
from reachlab.types import Problem, StepCheck, Verdict

READING = re.compile(r"([a-z])([0-9]{1,3})")
SUM = re.compile(r"([0-9]{1,6})([-+*])([0-9]{1,6})=([0-9]{1,6})")
APPLY = {"+": operator.add, "-": operator.sub, "*": operator.mul}
READ = ("count", "chart", "length", "spread")
"""Kinds of which ordinary text is full."""
MOST_COUNTED = 4
"""Shapes of one colour, so that four colours find room."""


class Scenes(GeneratedTask):
    """Scenes of `size` pixels, quantities up to `most`, `terms` of them in a question.

    Args:
        kinds: which, joined by +; of count, chart, length and spread.
        figures: share of questions about the area of a figure.
        terms: quantities a question asks for. most: the largest of them.
        size: width and height of a picture, in pixels.
        mistakes: share of `attempt`s that misread something.
    """

    answer_decides = False  # every step is judged: a right result from a false reading is wrong

    instruction = (
        "Read the picture: count shapes of a colour, read heights of bars or lengths of segments, by the first letters "
        "of their colours (red, green, blue, yellow), or the sides that are marked a, b, c and d. Give what you "
        "read, a letter with its number each, then what you compute, one operation a step, products first, joined by "
        "semicolons and without spaces, between <answer> and </answer>: for count r+b*g: with 4, 2 and 3 that is "
        "<answer>r4;b2;g3;2*3=6;4+6=10</answer>; spread is the largest less the smallest, area the sum of both "
        "rectangles."
    )

    def __init__(
        self,
        kinds: str = "count+chart+length+spread",
        figures: float = 0.2,
        terms: int = 3,
        most: int = 9,
        size: int = 64,
        mistakes: float = 0.5,
    ):
        self.kinds = tuple(dict.fromkeys(str(kinds).split("+")))
        if strange := [k for k in self.kinds if k not in READ]:
            raise ReachlabError(f"scenes: kinds={kinds}: no kind {strange[0]!r}; there are {', '.join(READ)}")
        if not 2 <= terms <= len(COLOURS):
            raise ReachlabError(f"scenes: terms={terms} must be 2 to {len(COLOURS)}")
        if not 2 <= most <= 9:
            raise ReachlabError(f"scenes: most={most} must be 2 to 9")
        if not FINE <= size <= COARSE:
            raise ReachlabError(f"scenes: size={size} must be {FINE} to {COARSE} pixels")
        if not (0 <= figures <= 1 and 0 <= mistakes <= 1):
            raise ReachlabError(f"scenes: figures={figures} and mistakes={mistakes} are shares, 0 to 1")
        self.figures, self.terms, self.most, self.size, self.mistakes = figures, terms, most, size, mistakes
        self.spec = "scenes"

    def draw(self, rng: random.Random, *, listed: bool) -> Problem:
        """A scene and a question about it, whose every result is a natural number."""
        while True:
            kind = "figure" if rng.random() < self.figures else rng.choice(self.kinds)
            names = "abcd" if kind == "figure" else "".join(rng.sample(sorted(COLOURS), len(COLOURS)))
            values = {name: rng.randint(1, self._most(kind)) for name in names}
            asked = names[: self.terms]
            signs = [rng.choice("+-*" if kind == "length" else "+*") for _ in asked[1:]]
            if kind == "figure":
                question = "area:"
            elif kind == "spread":
                question = f"spread {' '.join(asked)}:"
            else:
                question = f"{kind} {asked[0]}{''.join(s + n for s, n in zip(signs, asked[1:], strict=True))}:"
            steps = _steps(question, values)
            if not any("=-" in step for step in steps):
                break
        # What else is in the picture does not change what is asked.
        read = [step for step in steps if READING.fullmatch(step)]
        return Problem(
            id=f"{question}{''.join(read)}",
            prompt=question,
            answer={"values": dict(sorted(values.items())), "result": int(steps[-1].rpartition("=")[2])},
            images=(scene(kind, dict(sorted(values.items())), rng.randrange(10**9), self.size),),
            metadata={"kind": kind},
        )

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Right when every step is true, every quantity asked for is read, and the last step gives the result."""
        said = _split(text)
        _, reason, unread = _follow(problem, said)
        if reason:
            return Verdict.wrong(reason)
        if unread:
            return Verdict.wrong(f"{unread[0]} is not read")
        match, result = SUM.fullmatch(said[-1]), problem.answer["result"]
        if not match:
            return Verdict.wrong("nothing is computed")
        return Verdict.correct() if int(match[4]) == result else Verdict.wrong(f"ends at {match[4]}, not {result}")

    def check_steps(self, problem: Problem, text: str) -> StepCheck:
        """How many steps hold: what is read is in the picture and asked for, and what is computed follows."""
        said = _split(text)
        return StepCheck(_follow(problem, said)[0], len(said))

    def gold(self, problem: Problem) -> str:
        """The result."""
        return str(problem.answer["result"])

    def final_answer(self, problem: Problem, text: str) -> str | None:
        """The number that it ends in."""
        match = SUM.fullmatch(_split(text)[-1])
        return str(int(match[4])) if match else None

    def solve(self, problem: Problem, rng: random.Random) -> str:
        """Read and compute."""
        return ";".join(_steps(str(problem.prompt), problem.answer["values"]))

    def attempt(self, problem: Problem, rng: random.Random) -> str:
        """What somebody writes who looks: `mistakes` of the attempts misread a quantity or two, most by one."""
        values = dict(problem.answer["values"])
        if rng.random() < self.mistakes:
            asked = [step[0] for step in _steps(str(problem.prompt), values) if READING.fullmatch(step)]
            for name in rng.sample(asked, rng.choice((1, 1, 2))):
                near = [v for v in range(1, self._most(problem.metadata["kind"]) + 1) if v != values[name]]
                values[name] = rng.choices(near, [1 / (v - values[name]) ** 2 for v in near])[0]
        return ";".join(_steps(str(problem.prompt), values))

    def chance(self, problem: Problem) -> float:
        """The chance that readings drawn at random are all right: what looking nowhere can do."""
        steps = _steps(str(problem.prompt), problem.answer["values"])
        return float(self._most(problem.metadata["kind"]) ** -sum(bool(READING.fullmatch(step)) for step in steps))

    def _most(self, kind: str) -> int:
        return min(self.most, MOST_COUNTED) if kind == "count" else self.most

    def alphabet(self) -> str:
        """Every character of a question or an answer."""
        return "0123456789+-*=:; abcdefghiklmnoprstuyvwx"


def _split(text: str) -> list[str]:
    return [step.strip() for step in text.strip().split(";")]


def _follow(problem: Problem, said: Sequence[str]) -> tuple[int, str, list[str]]:
    """How many steps hold, what is wrong with the next one ("" when all hold), and which quantities are not read."""
    values, unread = problem.answer["values"], _asked(str(problem.prompt))
    table: list[int] = []  # what is read or computed, and not yet used
    for valid, step in enumerate(said):
        if reading := READING.fullmatch(step):
            name, number = reading[1], int(reading[2])
            if name not in unread:
                return valid, f"{name} is not asked for, or read before", unread
            if number != values[name]:
                return valid, f"{name} is {values[name]}, not {number}", unread
            unread.remove(name)
            table.append(number)
        elif computed := SUM.fullmatch(step):
            a, sign, b, result = int(computed[1]), computed[2], int(computed[3]), int(computed[4])
            for used in (a, b):
                if used not in table:
                    return valid, f"{used} is not there in {step!r}", unread
                table.remove(used)
            if APPLY[sign](a, b) != result:
                return valid, f"wrong arithmetic: {step!r}", unread
            table.append(result)
        else:
            return valid, f"not a step: {step[:40]!r}", unread
    return len(said), "", unread


def _asked(question: str) -> list[str]:
    """The quantities that a question is about."""
    kind, _, rest = question.rstrip(":").partition(" ")
    return list("abcd") if kind == "area" else [sign for sign in rest if sign.isalpha()]


def _steps(question: str, values: dict[str, int]) -> list[str]:
    """The readings and operations that answer a question about quantities."""
    kind, _, rest = question.rstrip(":").partition(" ")
    if kind == "area":
        (first, red), (second, blue) = (_area(pair, values) for pair in ("ab", "cd"))
        return [*first, *second, f"{red}+{blue}={red + blue}"]
    if kind == "spread":
        asked: Sequence[str] = rest.split(" ")
        read = [values[name] for name in asked]
        return [*(f"{n}{values[n]}" for n in asked), f"{max(read)}-{min(read)}={max(read) - min(read)}"]
    asked, signs = rest[0::2], rest[1::2]
    return [*(f"{n}{values[n]}" for n in asked), *_compute([values[n] for n in asked], signs)]


def _area(sides: str, values: dict[str, int]) -> tuple[list[str], int]:
    wide, high = (values[side] for side in sides)
    return [f"{sides[0]}{wide}", f"{sides[1]}{high}", f"{wide}*{high}={wide * high}"], wide * high


def _compute(numbers: Sequence[int], signs: Sequence[str]) -> list[str]:
    """The operations, products first, each as one step."""
    left, todo, steps = list(numbers), list(signs), []
    while todo:
        at = todo.index("*") if "*" in todo else 0
        a, sign, b = left[at], todo.pop(at), left.pop(at + 1)
        left[at] = APPLY[sign](a, b)
        steps.append(f"{a}{sign}{b}={left[at]}")
    return steps
