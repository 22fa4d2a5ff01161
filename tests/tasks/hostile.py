"""A task whose verifier does to itself whatever the answer says."""

import os
import random
import signal
import sys
import time
from typing import Any

from reachlab.tasks.base import FiniteTask
from reachlab.types import Problem, StepCheck, Verdict


class Hostile(FiniteTask):
    isolated = True
    spec = "hostile"

    def __init__(self, n: int = 8, isolated: bool = True) -> None:
        self.all_problems = [Problem(id=str(i), prompt=f"{i}?", answer=str(i)) for i in range(n)]
        self.isolated = isolated

    def key(self, problem: Problem) -> str:
        return str(problem.prompt)

    def verify(self, problem: Problem, text: str) -> Verdict:
        match text.split(":")[0]:
            case "hang":
                while True:
                    time.sleep(60)
            case "busy":
                return Verdict.wrong(
                    str((9**9**9) % 7)
                )  # one long step inside the interpreter: no thread or signal handler runs
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise ValueError("no such number")
            case "memory":
                return Verdict.wrong(str(len(bytearray(64 << 30))))
            case "print":
                print("noise" * 1000)
                sys.stdout.flush()
                os.write(1, b"more noise")
            case "slow":
                time.sleep(0.02)
            case "random":
                return Verdict.wrong(str(random.random()))
            case "pid":
                return Verdict.wrong(str(os.getpid()))
        return Verdict.correct() if text.endswith(problem.answer) else Verdict.wrong()


class Stepping(Hostile):
    """Its answers have steps and a final answer, and do to these what they do to the verifier."""

    def check_steps(self, problem: Problem, text: str) -> StepCheck | None:
        self.verify(problem, text)
        said = text.split(":")[-1]
        return StepCheck(9, 1) if said == "beyond" else StepCheck(len(said), 2) if said else None

    def final_answer(self, problem: Problem, text: str) -> str | None:
        self.verify(problem, text)
        return text.split(":")[-1] or None


class Unloadable(Hostile):
    def __reduce__(self) -> Any:
        return _fail, ()


def _fail() -> None:
    raise RuntimeError("this task does not load")
