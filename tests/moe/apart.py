"""Several processes, forked, that talk over gloo."""

import os
import pickle
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tests.tiny import in_a_fork
from torch.distributed import TCPStore  # type: ignore[attr-defined]


def apart(folder: Path, world: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(rank)` returned in each of `world` processes; a failure in one fails the test."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    files = [folder / f"rank{rank}" for rank in range(world)]

    def child(rank: int) -> None:
        torch.set_num_threads(1)
        found: Any
        try:
            store = TCPStore("127.0.0.1", server.port, is_master=False)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=30))
            found = work(rank)
            dist.destroy_process_group()
        except BaseException:
            found = traceback.format_exc()
        files[rank].write_bytes(pickle.dumps(found))

    ids = {in_a_fork(partial(child, rank)) for rank in range(world)}
    deadline = time.monotonic() + 60
    while ids and time.monotonic() < deadline:
        ids -= {i for i in ids if os.waitpid(i, os.WNOHANG)[0]}
        time.sleep(0.01)
    assert not ids, "a process hangs"
    found = [pickle.loads(file.read_bytes()) for file in files]
    for rank, result in enumerate(found):
        assert not isinstance(result, str), f"process {rank}:\n{result}"
    return found
