"""Programs judged by unit tests, in a sandbox: ``code:FILE`` with rows as `code_rows.py` understands them.

An answer is correct if every test holds, and its score is the share that does (partial credit, for RL). What the answer
does to time, memory or itself is wrong; where the sandbox fails it is unscored.
"""

import random
import re
from collections.abc import Mapping
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.base import FiniteTask, Split
from reachlab.tasks.code_rows import read_problems
from reachlab.tasks.sandbox.bubble import Limits, require
from reachlab.tasks.sandbox.referee import Answer, Code, Example, MissingModuleError, Passed, Referee, wall_limit_s
from reachlab.types import Problem, Verdict


class CodeTask(FiniteTask):
    """The problems of one file. Without one it only judges samples whose problems come along with them.

    Args:
        argument: the file (JSON lines, .gz too; Parquet) or data set.
        seconds: of CPU time for one test. total: for all tests of an answer.
        memory: MiB that an answer may take.
        packages: names of installed packages that an answer and the tests may import, as in numpy+scipy.
        tolerance: what numbers may differ by, absolutely below 1 and relatively above, where outputs or results are
            compared; 0 compares exactly.
        UNSANDBOXED: run answers without walls, as the user who runs this. For code you would run yourself.
    """

    isolated = True
    instruction = "Think step by step, then give the whole program in one ```python block."
    worked = "Question: {question}\nAnswer: {answer}\n\n"
    next_question = "\nQuestion:"
    reads_tags = True  # what a text holds of a program is found as it is

    def __init__(
        self,
        argument: str = "",
        seconds: float = 6.0,
        total: float = 30.0,
        memory: int = 512,
        packages: str | list[str] = "",
        tolerance: float = 0.0,
        UNSANDBOXED: bool = False,
    ):
        if not (seconds > 0 and total > 0 and memory >= 64):
            raise ReachlabError("code: seconds and total must be above 0, memory at least 64 (MiB)")
        if type(tolerance) not in (int, float) or not 0 <= tolerance < 1:
            raise ReachlabError(f"code: tolerance={tolerance} must be 0 or more and below 1")
        self.packages = tuple(re.split(r"[+\s]+", packages.strip())) if isinstance(packages, str) else tuple(packages)
        self.packages = tuple(name for name in self.packages if name)
        self.tolerance = float(tolerance)
        self.spec = f"code:{argument}" if argument else "code"
        self.limits = Limits(memory_bytes=int(memory) << 20, cpu_s=int(total) + 2, packages=self.packages)
        self.test_s, self.total_s, self.walls = float(seconds), float(total), UNSANDBOXED is not True
        self.verify_limit_s = wall_limit_s(self.total_s)
        if self.walls:
            require()
        self.all_problems = read_problems(argument, self.packages) if argument else []
        self._referee: Referee | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_referee": None}

    def problems(self, split: Split, n: int | None = None, seed: int = 0) -> list[Problem]:
        """As of any finite task."""
        if not self.all_problems:
            raise ReachlabError(f"task {self.spec!r} has no problems of its own; name a file, as in: code:FILE")
        return super().problems(split, n, seed)

    def key(self, problem: Problem) -> str:
        """What is asked, without the template around it."""
        return str(problem.metadata.get("question", problem.prompt))

    def question(self, problem: Problem) -> str:
        """What is asked, without the tests or the request below it."""
        return str(problem.metadata.get("question") or self.bare(problem))

    def instructed(self, problem: Problem) -> str:
        """What is to be written, the beginning of a program in a block of its own, and that a whole one is wanted."""
        begins = str(problem.metadata.get("begins", ""))
        if begins and begins == problem.prompt:
            return f"Complete this function:\n\n```python\n{begins.rstrip()}\n```\n\n{self.instruction}"
        return super().instructed(problem)

    def answer_as(self, problem: Problem, solution: str, said: str) -> str:
        """The whole program, in a block where one is asked for."""
        if "```python" not in said or "```" in solution:
            return solution
        begins = str(problem.metadata.get("begins", ""))
        # HumanEval's solutions go on where the prompt ends.
        whole = solution if not begins or "def " in solution.partition("\n")[0] else f"{begins}{solution}"
        return f"```python\n{whole.strip()}\n```"

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Run the program that `text` holds against the problem's tests.

        Raises:
            SandboxError: the sandbox or the tests failed; `judging.Judge` makes it "unscored".
        """
        if self._referee is None:
            self._referee = Referee(self.limits, test_s=self.test_s, total_s=self.total_s, walls=self.walls)
        about, tests = problem.metadata, problem.answer
        answer = Answer(text, str(about.get("begins", "")), str(about.get("entry", "")), str(tests.get("before", "")))
        try:
            found = judge(self._referee, answer, tests, self.tolerance)
        except MissingModuleError as error:
            return Verdict.unscored(str(error))
        if found.passed == found.tests:
            return Verdict.correct()
        return Verdict.wrong(f"{found.passed} of {found.tests} tests; {found.first}", found.passed / found.tests)

    def gold(self, problem: Problem) -> str | None:
        """None: tests are not an answer."""
        return None

    def solve(self, problem: Problem, rng: random.Random) -> str | None:
        """The solution that came with the problem, if one did."""
        return problem.metadata.get("solution")


def judge(referee: Referee, answer: Answer, tests: Mapping[str, Any], tolerance: float = 0.0) -> Passed:
    """Run a problem's tests, which are plain data: a run's problems.jsonl holds them.

    Raises:
        SandboxError: as of the referee.
    """
    if "code" in tests:
        names = tuple(tests["names"])
        return referee.code(
            answer, Code(tests=tests["code"], names=names, check=tests.get("check", ""), setup=tests.get("setup", ""))
        )
    examples = [Example(case["input"], case["output"]) for case in tests["examples"]]
    if tests.get("function"):
        return referee.calls(answer, tests["function"], examples, tolerance)
    return referee.programs(answer, examples, tolerance)
