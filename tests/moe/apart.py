"""Several processes, forked, that talk over gloo."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist
from tests.forked import forked, whole_results
from torch.distributed import TCPStore  # type: ignore[attr-defined]


def apart(folder: Path, world: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(rank)` returned in each of `world` processes; a failure in one fails the test."""

    def child(rank: int, port: int) -> object:
        store = TCPStore("127.0.0.1", port, is_master=False)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=30))
        found = work(rank)
        dist.destroy_process_group()
        return found

    return whole_results(forked(folder, world, child))
