"""A task whose verifier does to itself whatever the answer says."""

import os
import random
import signal
import sys
import time
from typing import Any, cast

from reachlab.tasks.base import FiniteTask
from reachlab.types import Problem, Status, StepCheck, Verdict

HELD: list[bytearray] = []
"""What a verifier keeps of the answers before."""


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Hostile(FiniteTask):
    isolated = True
    spec = "hostile"

    def __init__(self, n: int = 8, isolated: bool = True) -> None:
        self.all_problems = [Problem(id=str(i), prompt=f"{i}?", answer=str(i)) for i in range(n)]
        self.isolated = isolated
        self.seen = 0

    def key(self, problem: Problem) -> str:
        return str(problem.prompt)

    def verify(self, problem: Problem, text: str) -> Verdict:
        what, _, said = text.partition(":")
        self.seen += 1
        _raise(what)
        match what:
            case "hang":
                while True:
                    time.sleep(60)
            case "burn":
                while True:
                    pass
            case "busy":
                # One long step inside the interpreter: no thread or signal handler runs.
                return Verdict.wrong(str((9**9**9) % 7))
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fragile" if self.seen > 1:
                os.kill(os.getpid(), signal.SIGSEGV)
            case "memory":
                return Verdict.wrong(str(len(bytearray(64 << 30))))
            case "hold":
                HELD.append(bytearray(500 << 20))
            case "need":
                bytearray(700 << 20)
            case "print":
                print("noise" * 1000)
                sys.stdout.flush()
                os.write(1, b"more noise")
            case "flood":
                for descriptor in (1, 2) * 200:
                    os.write(descriptor, b"noise\n" * 10_000)
            case "last words":
                os.write(2, b"noise\n" * 100_000 + b"here it ends\n\n")
                os._exit(3)
            case "sleep" | "work":
                now = time.monotonic if what == "sleep" else time.process_time
                end = now() + float(said.split(":")[0])
                while now() < end:
                    if what == "sleep":
                        time.sleep(0.01)
            case "random":
                return Verdict.wrong(str(random.random()))
            case "pid":
                return Verdict.wrong(str(os.getpid()))
            case "seen":
                return Verdict.wrong(str(self.seen))
            case "score":
                return Verdict("wrong", float(said))
            case "status":
                return Verdict(cast(Status, said))
        return Verdict.correct() if text.endswith(problem.answer) else Verdict.wrong()


def _raise(what: str) -> None:
    match what:
        case "raise":
            raise ValueError("no such number")
        case "raise half":
            raise ValueError("half \ud800 and \x00")
        case "raise much":
            raise ValueError("much " * 20_000_000)
        case "raise unspeakable":
            raise UnspeakableError
        case "raise deep":
            _raise(what)
        case "raise exit":
            sys.exit("enough")
        case "raise interrupt":
            raise KeyboardInterrupt


class Stepping(Hostile):
    """Its answers have steps and a final answer, and do to these what they do to the verifier; `hangs_at` one alone."""

    def __init__(self, n: int = 8, isolated: bool = True, hangs_at: str = "") -> None:
        super().__init__(n, isolated)
        self.hangs_at = hangs_at

    def _suffer(self, problem: Problem, text: str, at: str) -> Verdict:
        return super().verify(problem, text if self.hangs_at in ("", at) else text.split(":")[-1])

    def verify(self, problem: Problem, text: str) -> Verdict:
        return self._suffer(problem, text, "verify")

    def check_steps(self, problem: Problem, text: str) -> StepCheck | None:
        self._suffer(problem, text, "check_steps")
        said = text.split(":")[-1]
        return StepCheck(9, 1) if said == "beyond" else StepCheck(len(said), 2) if said else None

    def final_answer(self, problem: Problem, text: str) -> str | None:
        self._suffer(problem, text, "final_answer")
        return text.split(":")[-1] or None


class Unloadable(Hostile):
    def __reduce__(self) -> Any:
        return _fail, ()


def _fail() -> None:
    raise RuntimeError("this task does not load")
