"""Control groups: the kernel's own account of what a sandbox takes, and its limit on memory.

A group counts what no list of processes shows: socket buffers, pipes, files in memory, page tables, the CPU time of
processes that are gone. Memory needs a controller that is ours to use: of cgroup v2 in our own group or its parent (a
user's, where systemd delegates it; root's), or of cgroup v1. CPU time needs any group of v2, or v1's cpuacct. Where
there is neither, `meter.py` adds up processes.

A group is removed when its sandbox closes, or with the next one, as the kernel may take a moment to bury the last
process. Should ours be killed, a shell that waits for its end removes what is left.
"""

import contextlib
import os
import secrets
import subprocess
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"'
"""A shell that goes into groups and becomes what it is told."""
GUARD = """
read _
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    left=
    for prefix in "$@"; do
        for group in "$prefix"-*; do [ ! -d "$group" ] || rmdir "$group" || left=1; done
    done
    [ "$left" ] || exit 0
    sleep 0.25
done
"""
"""A shell that waits until we are gone."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where groups can be made, and what for."""

    path: Path
    version: int
    memory: bool
    cpu: bool


class Home:
    """Makes this process's groups."""

    def __init__(self, places: list[Place]):
        self.places, self.pid = places, os.getpid()
        self._name, self._numbers = f"reachlab-{self.pid}-{secrets.token_hex(4)}", count()
        self._old: list[Group] = []
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", *(str(place.path / self._name) for place in places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def group(self, memory_bytes: int) -> "Group":
        """A new group with a limit.

        Raises:
            OSError: the kernel refuses.
        """
        self._old = [group for group in self._old if not (group.left and group.close())]
        group = Group(self.places, f"{self._name}-{next(self._numbers)}", memory_bytes)
        self._old.append(group)
        return group

    def close(self) -> None:
        """Make no more, and wait until all are removed."""
        if self._guard.stdin is not None and self.pid == os.getpid():
            self._guard.stdin.close()
            self._guard.wait()


class Group:
    """One group in each place.

    Raises:
        OSError: the kernel refuses.
    """

    def __init__(self, places: list[Place], name: str, memory_bytes: int):
        self._made: list[Path] = []
        self.left = False
        self._cpu: Path | None = None
        self._events: Path | None = None
        try:
            for place in places:
                path = place.path / name
                path.mkdir()
                self._made.append(path)
                if place.memory:
                    self._limit(path, place.version, memory_bytes)
                if place.cpu:
                    self._cpu = path / ("cpu.stat" if place.version == 2 else "cpuacct.usage")
        except OSError:
            self.close()
            raise

    def _limit(self, path: Path, version: int, memory_bytes: int) -> None:
        limit, swap = ("max", "swap.max") if version == 2 else ("limit_in_bytes", "memsw.limit_in_bytes")
        (path / f"memory.{limit}").write_text(str(memory_bytes))
        with contextlib.suppress(OSError):  # a kernel without swap has no such file
            (path / f"memory.{swap}").write_text("0" if version == 2 else str(memory_bytes))
        if version == 2:
            (path / "memory.oom.group").write_text("1")
        self._events = path / ("memory.events" if version == 2 else "memory.oom_control")

    @property
    def counts_memory(self) -> bool:
        """Whether the kernel keeps the memory limit."""
        return self._events is not None

    @property
    def counts_cpu(self) -> bool:
        """Whether the kernel adds up CPU time."""
        return self._cpu is not None

    def enter(self) -> list[str]:
        """The beginning of a command line that starts inside."""
        return ["/bin/sh", "-c", ENTER, "sh", *(str(path / "cgroup.procs") for path in self._made), "--"]

    def cpu_s(self) -> float:
        """Seconds of CPU time of all that ever ran inside."""
        assert self._cpu is not None
        text = self._cpu.read_text()
        if self._cpu.name == "cpuacct.usage":
            return int(text) / 1e9
        return _field(text, "usage_usec") / 1e6

    def out_of_memory(self) -> bool:
        """Whether the kernel had to kill for the limit."""
        return self._events is not None and _field(self._events.read_text(), "oom_kill") > 0

    def close(self) -> bool:
        """Remove it, and say whether it is gone: not while anything is inside."""
        self.left = True
        for path in list(self._made):
            with contextlib.suppress(OSError):
                path.rmdir()
            if not path.exists():
                self._made.remove(path)
        return not self._made


def _field(text: str, name: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


@cache
def home() -> Home | None:
    """Where this process makes groups; None where it can make none."""
    places = []
    for place in places_of(*_told()):
        here = Home([place])
        try:
            group = here.group(64 << 20)
            try:
                if subprocess.run([*group.enter(), "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                    places.append(place)
            finally:
                group.close()
        except OSError:
            continue  # not ours to use
        finally:
            here.close()
        if any(p.memory for p in places) and any(p.cpu for p in places):
            break
    return Home(places) if places else None


def leave() -> None:
    """Make no more groups, until `home` is asked again: this process only looked whether it can."""
    if home.cache_info().currsize and (here := home()) is not None:
        here.close()
    home.cache_clear()


def _told() -> tuple[str, str]:
    """What is mounted where, and which groups we are in."""
    try:
        return Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text()
    except OSError:
        return "", ""


def places_of(mountinfo: str, groups: str) -> list[Place]:
    """Places worth a try: those for memory first."""
    mounts = [line.split() for line in mountinfo.splitlines()]
    ours = [line.split(":", 2) for line in groups.splitlines()]
    found = []
    for root, point, kind, options in ((m[3], m[4], m[m.index("-") + 1], m[-1].split(",")) for m in mounts):
        for _, controllers, path in ours:
            inside = Path(point) / os.path.relpath(path, root)
            if ".." in inside.parts:
                continue
            if kind == "cgroup2" and not controllers:
                found += _unified(inside, Path(point))
            elif kind == "cgroup" and set(controllers.split(",")) <= set(options):
                memory, cpu = "memory" in controllers.split(","), "cpuacct" in controllers.split(",")
                if memory or cpu:
                    found.append(Place(inside, 1, memory, cpu))
    return sorted(found, key=lambda place: -place.memory)


def _unified(ours: Path, top: Path) -> list[Place]:
    """Our own group of v2, or its parent: a group with processes in it may not hand memory down, its parent may."""
    found = []
    for path in dict.fromkeys((ours, ours.parent if ours != top else ours)):
        try:
            memory = "memory" in (path / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        found.append(Place(path, 2, memory, True))
    return found
