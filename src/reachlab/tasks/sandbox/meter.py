"""What a sandbox takes: memory, CPU seconds, and whether it sleeps.

The control group says the first two where there is one (`cgroup.py`). Else they are added up here, as far as the kernel
shows them: the processes' memory, files in memory, the buffers of sockets (at their largest, which is what the filter
leaves them), the CPU time of processes that live or were buried by their parent.
"""

import contextlib
import os
import resource
from pathlib import Path

from reachlab.tasks.sandbox.cgroup import Group

TICKS = os.sysconf("SC_CLK_TCK")
UTIME, STATE = 11, 0
"""Places in /proc/PID/stat after the name: state; utime, stime, cutime, cstime."""


class Meter:
    """Of the process `pid` and its descendants.

    Args:
        group: its control group, if it has one.
        files: places inside the walls that hold files in memory.
    """

    def __init__(self, pid: int, group: Group | None, files: tuple[str, ...]):
        self.pid, self.group, self.files = pid, group, files

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        if self.group is not None and self.group.counts_cpu:
            return self.group.cpu_s()
        ticks = 0
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError):
                ticks += sum(map(int, _stat(f"/proc/{pid}")[UTIME : UTIME + 4]))
        return ticks / TICKS

    def runs(self) -> bool:
        """Whether anything is running, or ready to and waiting for a core."""
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError):
                if any(_stat(f"/proc/{pid}/task/{thread}")[STATE] == "R" for thread in os.listdir(f"/proc/{pid}/task")):
                    return True
        return False

    def too_much(self, limit: int) -> str:
        """ "" where memory is within its limit; else what is held."""
        if self.group is not None and self.group.counts_memory:
            return f"more than {limit >> 20} MiB" if self.group.out_of_memory() else ""
        held = self._memory_bytes()
        return f"{held >> 20} MiB" if held > limit else ""

    def _memory_bytes(self) -> int:
        processes = descendants(self.pid)
        pages = 0
        for pid in processes:
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        # The last is surely inside, where the first may still be outside.
        held = pages * resource.getpagesize()
        return held + (_files(processes[-1], self.files) + _sockets(processes[-1]) if self.files else 0)


def descendants(pid: int) -> list[int]:
    """A process and all that come from it, elders first."""
    found, at = [pid], 0
    while at < len(found):
        found += children(found[at])
        at += 1
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live; none of one that has ended."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return found


def _stat(place: str) -> list[str]:
    """The fields after the name, which may hold spaces and brackets."""
    return Path(f"{place}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _files(pid: int, places: tuple[str, ...]) -> int:
    """Bytes of the files in memory that a process sees."""
    total = 0
    for place in places:
        with contextlib.suppress(OSError):
            found = os.statvfs(f"/proc/{pid}/root{place}")
            total += (found.f_blocks - found.f_bfree) * found.f_frsize
    return total


def _sockets(pid: int) -> int:
    """Bytes that the sockets of a process's network may hold at most: a local one its buffer, one of TCP two."""
    most = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        buffer = int(Path("/proc/sys/net/core/wmem_default").read_text())
        tcp = sum(int(Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split()[2]) for way in "wr")
        for line in Path(f"/proc/{pid}/net/sockstat").read_text().splitlines():
            kind, _name, number, *_ = line.split()
            most += int(number) * {"sockets:": buffer, "TCP:": tcp}.get(kind, 0)
    return most
