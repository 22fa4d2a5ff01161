"""Lanes: judging processes that several callers share fairly. A lane is a thread of ours with one process.

A free lane takes a batch from the caller that has the fewest lanes, so a caller with one answer is not behind another's
ten thousand. There are `workers` lanes at most, and only where every one of them is held up by a slow answer may a
caller that has none get one more; of these, too, there are `workers` at most.

An answer at which a process dies, or finds no memory, may be the victim of what came before it: unless it was the first
of its process, it is judged once more as the first of a new one. What ran out of time is not.
"""

import itertools
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.tasks.overseer import Ended, Overseer
from reachlab.tasks.saying import Question, Said, Value, failed, read
from reachlab.tasks.worker import Ask
from reachlab.types import Problem

MOST_ANSWERS = 256
MOST_CHARACTERS = 1 << 21


@dataclass(eq=False, slots=True)
class Item:
    """An answer on its way: what is still asked of it and what was said. `places` are the caller's own."""

    problem: Problem
    text: str
    questions: tuple[Question, ...]
    places: list[int] = field(default_factory=list)
    said: dict[Question, Value] = field(default_factory=dict)
    alone: bool = False
    """Whether it has to be the first of a new process."""

    def settle(self, reply: Sequence[Said]) -> None:
        """Note what was said to all that is asked.

        Raises:
            ValueError: nothing that can be said.
        """
        for question, said in zip(self.questions, reply, strict=True):
            self.said[question] = read(question, said)
        self.questions = ()

    def fail(self, question: Question, reason: str) -> None:
        """Note that nothing was said to a question."""
        self.said[question] = read(question, failed(question, reason))
        self.questions = tuple(q for q in self.questions if q != question)


class Job:
    """What one caller asks."""

    def __init__(self, items: Iterable[Item], lock: threading.RLock):
        self.waiting = deque(items)
        self.alone: deque[Item] = deque()
        self.left = len(self.waiting)
        self.news: list[Item] = []
        self.told = threading.Condition(lock)
        self.lanes, self.turn = 0, 0
        self.error: Exception | None = None

    @property
    def waits(self) -> int:
        """How many items no lane has."""
        return len(self.waiting) + len(self.alone)

    def take(self, lanes: int, *, fresh: bool) -> list[Item]:
        """The next batch for a lane: one that needs a new process, or what stands in front."""
        if fresh and self.alone:
            return [self.alone.popleft()]
        batch: list[Item] = []
        room, characters = max(1, min(MOST_ANSWERS, len(self.waiting) // (2 * lanes))), 0
        while self.waiting and len(batch) < room and characters < MOST_CHARACTERS:
            batch.append(self.waiting.popleft())
            characters += len(batch[-1].text)
        return batch


class Lanes:
    """Up to `workers` lanes, opened when there is work; `start` begins a process."""

    def __init__(self, start: Callable[[], Overseer], workers: int):
        self.start, self.workers = start, workers
        self.lock = threading.RLock()
        self._work = threading.Condition(self.lock)
        self._jobs: list[Job] = []
        self.lanes: list[_Lane] = []
        self._turns = itertools.count(1)

    def run(self, items: Iterable[Item]) -> Generator[Item, None, None]:
        """Each item as soon as all that is asked of it is said, in no promised order. From any thread.

        Whoever ends the iteration early leaves nothing behind.

        Raises:
            ReachlabError: a process cannot be started, or the lanes were closed meanwhile.
        """
        job = Job(items, self.lock)
        try:
            with self.lock:
                self._jobs.append(job)
                self.look()
            while job.left:
                with self.lock:
                    while not job.news and job.error is None:
                        job.told.wait()
                    news, job.news = job.news, []
                    job.left -= len(news)
                    if isinstance(job.error, ReachlabError):
                        raise ReachlabError(str(job.error)) from job.error  # one for each caller
                    if job.error is not None:
                        raise RuntimeError("a lane of the judge failed") from job.error
                yield from news
        finally:
            self._drop(job)

    def close(self) -> None:
        """End all lanes. New work opens new ones."""
        with self.lock:
            ended, self.lanes = self.lanes, []
            self.fail(ReachlabError("the judge was closed while it judged"))
            for lane in ended:
                lane.leave()
            self._work.notify_all()
        for lane in ended:
            lane.join()

    # -- for lanes --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Call free lanes to what waits, and open more where there are too few."""
        with self.lock:
            self._work.notify_all()
            self._open()

    def take(self, lane: "_Lane") -> tuple[Job, list[Item]] | None:
        """Wait for a batch; None where the lane has to go."""
        with self.lock:
            while lane in self.lanes and lane.lives:
                self._open()
                fresh, extra = lane.fresh, len(self.lanes) > self.workers
                if not fresh and self._wants_fresh():
                    break  # makes room for a new process
                jobs = [j for j in self._jobs if (j.waiting or (fresh and j.alone)) and not (extra and j.lanes)]
                if jobs:
                    job = min(jobs, key=lambda j: (j.lanes, j.turn))
                    job.turn, job.lanes, lane.job = next(self._turns), job.lanes + 1, job
                    return job, job.take(self.workers, fresh=fresh)
                if extra:
                    break
                self._work.wait()
            self.gone(lane)
            return None

    def settle(self, job: Job, items: list[Item]) -> None:
        """Hand over items of which all is said."""
        with self.lock:
            if items:
                job.news += items
                job.told.notify()

    def give_back(self, lane: "_Lane", items: list[Item]) -> None:
        """The lane is free; these items were not settled."""
        with self.lock:
            if (job := lane.job) is not None:
                lane.job = None
                job.lanes -= 1
                job.alone.extend(item for item in items if item.alone)
                job.waiting.extendleft(item for item in reversed(items) if not item.alone)
                if items:
                    self.look()

    def gone(self, lane: "_Lane") -> None:
        """The lane is no more to be counted on."""
        with self.lock:
            if lane in self.lanes:
                self.lanes.remove(lane)
                self.look()

    def fail(self, error: Exception, only: Job | None = None) -> None:
        """Tell a caller, or all of them."""
        with self.lock:
            for job in [job for job in self._jobs if only in (None, job)]:
                self._jobs.remove(job)
                job.error = error
                job.told.notify()

    def _open(self) -> None:
        while self._short() and (len(self.lanes) < self.workers or self._stuck()):
            lane = _Lane(self)
            lane.start()  # may fail where no thread can be had; it waits for the lock that is held here
            self.lanes.append(lane)

    def _drop(self, job: Job) -> None:
        """Forget a job; lanes that are still at it must not go on."""
        with self.lock:
            if job in self._jobs:
                self._jobs.remove(job)
            for lane in [lane for lane in self.lanes if lane.job is job and job.left]:
                lane.leave()
                self.gone(lane)

    def _idle(self) -> list["_Lane"]:
        """Lanes that start or wait for work."""
        return [lane for lane in self.lanes if lane.job is None]

    def _wants_fresh(self) -> bool:
        return sum(len(j.alone) for j in self._jobs) > sum(lane.fresh for lane in self._idle())

    def _short(self) -> bool:
        return self._wants_fresh() or sum(j.waits for j in self._jobs) > len(self._idle())

    def _stuck(self) -> bool:
        """Whether a caller has no lane and none will soon be free."""
        starved = any(j.waits and not j.lanes for j in self._jobs)
        return starved and len(self.lanes) < 2 * self.workers and all(lane.slow for lane in self.lanes)


class _Lane(threading.Thread):
    """One process, and the thread that serves it until it is no more."""

    def __init__(self, lanes: Lanes):
        super().__init__(daemon=True, name="judge")
        self.lanes = lanes
        self.process: Overseer | None = None
        self.job: Job | None = None
        self.slow = self.leaving = False

    @property
    def fresh(self) -> bool:
        """Whether its process has judged nothing yet."""
        return self.process is None or not self.process.answered

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.lives()

    def leave(self) -> None:
        """Have it end now, whatever it is at; the lanes' lock is held."""
        self.leaving = True
        if self.process is not None:
            self.process.kill()

    def run(self) -> None:
        """Serve until the process ends, or is not needed."""
        # The process inherits it: a Ctrl-C must not hit it before it knows to ignore that.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            process = self.lanes.start()
            try:
                with self.lanes.lock:
                    self.process = process
                    if self.leaving:
                        return
                process.greet()
                while (work := self.lanes.take(self)) and self._serve(process, *work):
                    pass
            finally:
                process.close()
        except Exception as error:  # for the callers, who wait in threads of their own
            if not self.leaving:
                self.lanes.fail(error, self.job)
        finally:
            self.lanes.give_back(self, [])
            self.lanes.gone(self)

    def _serve(self, process: Overseer, job: Job, batch: list[Item]) -> bool:
        """Have a batch judged; whether the process can go on."""
        problems = {id(item.problem): item.problem for item in batch}
        places = {key: at for at, key in enumerate(problems)}
        asked: list[Ask] = [(places[id(item.problem)], item.text, item.questions) for item in batch]
        process.give(list(problems.values()), asked)
        rest = deque(batch)
        going = True
        try:
            message: dict[str, Any] = {}
            while "over" not in message:
                message = process.hear() or {}
                self._tell(process.slow)
                self._settle(process, job, rest, message.get("said", []))
                if "starved" in message:
                    raise Ended(str(message["starved"]))
            going = not message.get("grown")
        except Ended as ended:
            going = False
            if culprit := _culprit(asked, process.place, len(batch) - len(rest)):
                self._blame(job, rest, *culprit, ended, victim=process.answered > 0 or culprit[0] > 0)
        self.lanes.give_back(self, list(rest))
        return going

    def _tell(self, slow: bool) -> None:
        """Let others have a lane while this one is slow."""
        if slow != self.slow:
            self.slow = slow
            self.lanes.look()

    def _settle(self, process: Overseer, job: Job, rest: deque[Item], replies: list[list[Said]]) -> None:
        done = []
        try:
            for reply in replies:
                rest[0].settle(reply)
                done.append(rest.popleft())
        except (ValueError, TypeError, IndexError) as error:
            raise Ended(f"verifier died: its process talks nonsense: {error}") from error
        finally:
            process.answered += len(done)
            self.lanes.settle(job, done)

    def _blame(self, job: Job, rest: deque[Item], at: int, question: Question, ended: Ended, *, victim: bool) -> None:
        """Settle the question at which the process ended, or have it asked again where it may be a `victim`."""
        item = rest[at]
        item.alone = victim and not ended.late
        if not item.alone:
            item.fail(question, ended.reason)
        if not item.questions:
            del rest[at]
            self.lanes.settle(job, [item])


def _culprit(asked: Sequence[Ask], place: int, settled: int) -> tuple[int, Question] | None:
    """Which of the unsettled answers, and which question about it, a process was at that had begun `place` questions.

    None where all it had begun is settled: it ended between two answers.
    """
    order = [(at, question) for at, (_, _, questions) in enumerate(asked) for question in questions]
    at, question = order[min(max(place, 1), len(order)) - 1]
    return (at - settled, question) if at >= settled else None
