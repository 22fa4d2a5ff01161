"""Work side by side on a CPU: one thread of torch each.

A small model's operations are too short to be split between cores: the threads of one operation wait for each other at
its end, thousands of times a second, and for a core that something else keeps busy. Independent pieces of work, each
computed by one thread, wait once. The threads are kept: a new one would begin with fresh memory and fault its pages in
again.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

In = TypeVar("In")
Out = TypeVar("Out")


def threads_on(device: torch.device) -> int:
    """How many pieces of work are computed side by side: torch's threads on a CPU, elsewhere one."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def side_by_side(work: Callable[[In], Out], pieces: Iterable[In], threads: int) -> list[Out]:
    """`work` of every piece, in order, computed by up to `threads` threads at a time."""
    if threads <= 1:
        return [work(piece) for piece in pieces]
    return list(_pool(threads).map(work, pieces))


def ahead(items: Iterator[Out]) -> Iterator[Out]:
    """The items, each made by a thread of its own while the one before it is worked on."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="reachlab-ahead") as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    # Between two operations a thread needs the interpreter's lock for microseconds; by default it may wait 5 ms for it.
    sys.setswitchinterval(0.0005)
    # For OpenMP the count is a thread's own; for MKL it is the process's, and the main thread's products get one too.
    return ThreadPoolExecutor(threads, thread_name_prefix="reachlab", initializer=torch.set_num_threads, initargs=(1,))
