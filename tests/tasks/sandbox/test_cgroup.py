"""Where groups are made, and what their files say, for both versions; with real ones where this machine has them."""

import subprocess
from pathlib import Path

import pytest

from reachlab.tasks.sandbox import cgroup
from reachlab.tasks.sandbox.cgroup import Group, Home, Place, places_of

V1 = """\
30 23 0:30 / {top}/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
32 23 0:32 / {top}/memory rw,relatime - cgroup cgroup rw,memory
33 23 0:33 / {top}/systemd rw,relatime - cgroup cgroup rw,name=systemd
"""
V2 = "41 31 0:38 {root} {top}/unified rw,relatime - cgroup2 cgroup2 rw\n"


def folder(path: Path, controllers: str) -> Path:
    path.mkdir(parents=True)
    (path / "cgroup.subtree_control").write_text(controllers + "\n")
    return path


def test_version_1_is_below_our_own_group(tmp_path: Path) -> None:
    found = places_of(V1.format(top=tmp_path), "9:name=systemd:/\n4:memory:/a/b\n2:cpuacct:/\n0::/\n")
    assert found == [
        Place(tmp_path / "memory/a/b", 1, memory=True, cpu=False),
        Place(tmp_path / "cpuacct", 1, memory=False, cpu=True),
    ]


def test_version_2_is_beside_us_where_we_hand_nothing_down(tmp_path: Path) -> None:
    app = folder(tmp_path / "unified/user/app", "cpu memory pids")
    ours = folder(app / "run.scope", "")
    told = V2.format(root="/", top=tmp_path)
    assert places_of(told, "0::/user/app/run.scope\n") == [Place(app, 2, True, True), Place(ours, 2, False, True)]
    # In a container the group's own folder is what is mounted, and what is above it is not to be seen.
    top = folder(tmp_path / "box/unified", "")
    told = V2.format(root="/docker/x", top=tmp_path / "box")
    assert places_of(told, "0::/docker/x\n") == [Place(top, 2, False, True)]
    assert places_of(told, "0::/elsewhere\n") == []
    assert places_of("", "") == []


def test_the_files_of_version_2(tmp_path: Path) -> None:
    group = Group([Place(tmp_path, 2, True, True)], "g", 100 << 20)
    here = tmp_path / "g"
    assert (here / "memory.max").read_text() == str(100 << 20)
    assert (here / "memory.swap.max").read_text() == "0"
    assert (here / "memory.oom.group").read_text() == "1"
    (here / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")
    (here / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
    assert (group.counts_memory, group.counts_cpu, group.cpu_s(), group.out_of_memory()) == (True, True, 2.5, False)
    (here / "memory.events").write_text("low 0\noom 3\noom_kill 1\n")
    assert group.out_of_memory()
    assert group.enter()[-2:] == [str(here / "cgroup.procs"), "--"]


def test_the_files_of_version_1(tmp_path: Path) -> None:
    for name in ("m", "c"):
        (tmp_path / name).mkdir()
    group = Group([Place(tmp_path / "m", 1, True, False), Place(tmp_path / "c", 1, False, True)], "g", 100 << 20)
    assert (tmp_path / "m/g/memory.limit_in_bytes").read_text() == str(100 << 20)
    (tmp_path / "c/g/cpuacct.usage").write_text("2500000000\n")
    (tmp_path / "m/g/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert (group.cpu_s(), group.out_of_memory()) == (2.5, True)


def test_a_group_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        Group([Place(tmp_path, 2, False, True), Place(tmp_path / "nowhere", 2, False, True)], "g", 1 << 20)
    assert not list(tmp_path.iterdir())


def test_groups_go_with_the_next_or_at_the_end(tmp_path: Path) -> None:
    home = Home([Place(tmp_path, 2, False, True)])
    first = home.group(1 << 20)
    (inside,) = tmp_path.iterdir()
    (inside / "busy").mkdir()  # as if something were still inside
    assert not first.close()
    (inside / "busy").rmdir()
    second = home.group(1 << 20)
    assert len(list(tmp_path.iterdir())) == 1
    assert second.left is False
    home.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(cgroup.home() is None, reason="no control group is ours to make here")
def test_a_real_group_counts() -> None:
    home = cgroup.home()
    assert home is not None
    group = home.group(64 << 20)
    busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    subprocess.run([*group.enter(), "/bin/sh", "-c", busy], check=True)
    assert not group.counts_cpu or 0.02 < group.cpu_s() < 60
    if group.counts_memory:
        assert not group.out_of_memory()
        hungry = "head -c 200000000 /dev/zero | tail -c 199999999"
        ended = subprocess.run([*group.enter(), "/bin/sh", "-c", hungry], stdout=subprocess.DEVNULL, check=False)
        assert ended.returncode != 0
        assert group.out_of_memory()
    cgroup.leave()
    assert not any(path.exists() for path in group._made)
