"""Several processes, forked, that find each other through a store, as those of a launcher do."""

import faulthandler
import os
import pickle
import signal
import struct
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tests.tiny import in_a_fork
from torch.distributed import TCPStore  # type: ignore[attr-defined]

Work = Callable[[int, int], object]
PORT = struct.Struct("i")
HANGS_AFTER_S = 60.0


def forked(folder: Path, world: int, work: Work) -> list[Any]:
    """What `work(rank, port of the store)` returned in each of `world` processes, or its traceback; None where it died.

    The store opens when all have been forked. Its thread answers a process as soon as it knocks, and one that is
    forked at that moment may find a lock of the C library held for ever.
    """
    told, tell = os.pipe()
    files = [folder / f"{world}-{tell}-{rank}" for rank in range(world)]
    for file in files:
        file.unlink(missing_ok=True)

    def child(rank: int) -> None:
        # Where it hangs, for whoever reads the failure.
        faulthandler.dump_traceback_later(HANGS_AFTER_S - 5, file=2)
        torch.set_num_threads(1)
        found: object
        try:
            (port,) = PORT.unpack(os.read(told, PORT.size))
            found = work(rank, port)
        except BaseException:
            found = traceback.format_exc()
        files[rank].write_bytes(pickle.dumps(found))

    waiting = {in_a_fork(partial(child, rank)) for rank in range(world)}
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.write(tell, PORT.pack(store.port) * world)
    os.close(told)
    os.close(tell)
    deadline = time.monotonic() + HANGS_AFTER_S
    try:
        while waiting and time.monotonic() < deadline:
            waiting -= {i for i in waiting if os.waitpid(i, os.WNOHANG)[0]}
            time.sleep(0.01)
        assert not waiting, "a process hangs"
    finally:
        for i in waiting:
            os.kill(i, signal.SIGKILL)
            os.waitpid(i, 0)
    return [pickle.loads(f.read_bytes()) if f.exists() else None for f in files]


def whole_results(found: list[Any]) -> list[Any]:
    """The results, where no process failed."""
    for rank, result in enumerate(found):
        assert not isinstance(result, str), f"process {rank}:\n{result}"
    return found
