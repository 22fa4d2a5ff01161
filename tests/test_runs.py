import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import in_a_fork, names

from reachlab.errors import ReachlabError
from reachlab.provenance import provenance
from reachlab.runs import RunFolder, check_page, differences, kept_at, training_step, write_atomically

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(params=["disk", "memory"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunFolder]:
    """A folder that is not there yet, on disk and behind a URL."""
    if request.param == "disk":
        yield RunFolder(tmp_path / "runs" / "one")
        return
    folder = RunFolder("memory://runs/one")
    yield folder
    folder.fs.rm("/runs", recursive=True)


def test_a_claimed_folder_says_what_it_is(run: RunFolder) -> None:
    run.claim("sample", {"seed": 1, "decoding": {"stop": (";",)}}, {"model_path": "m"})
    found = run.read_json("run.json")
    assert found["kind"] == "sample"
    assert found["config"] == {"seed": 1, "decoding": {"stop": [";"]}}
    assert found["facts"] == {"model_path": "m"}
    assert found["provenance"] == json.loads(json.dumps(provenance()))
    assert run.name == "one"


def test_the_same_run_may_go_on_and_its_facts_may_differ(run: RunFolder) -> None:
    run.claim("sample", {"seed": 1, "stop": (";",)}, {"model_path": "here"})
    before = run.fs.cat_file(run.file("run.json"))
    run.claim("sample", {"seed": 1, "stop": (";",)}, {"model_path": "there"})
    assert run.fs.cat_file(run.file("run.json")) == before


def test_another_configuration_is_refused_with_the_difference(run: RunFolder) -> None:
    run.claim("sample", {"seed": 1, "decoding": {"temperature": 1.0, "top_p": 1.0}})
    with pytest.raises(ReachlabError) as error:
        run.claim("sample", {"seed": 2, "decoding": {"temperature": 0.6, "top_p": 1.0}})
    says = str(error.value)
    assert "decoding.temperature was 1.0, now 0.6" in says
    assert "seed was 1, now 2" in says
    assert "top_p" not in says
    assert "\n" not in says
    with pytest.raises(ReachlabError, match='kind was "sample", now "rl"'):
        run.claim("rl", {"seed": 1, "decoding": {"temperature": 1.0, "top_p": 1.0}})


def test_results_that_nobody_claims_are_not_touched(run: RunFolder) -> None:
    run.write("samples/part-1.parquet", b"x")
    with pytest.raises(ReachlabError, match=r"holds results but no run\.json"):
        run.claim("sample", {})
    assert not run.exists("run.json")


def test_checkpoints_of_the_way_are_found_by_step(run: RunFolder) -> None:
    for step in (1_000_000, 50, 100):
        run.write(f"{kept_at(step)}/config.json", b"{}")
    run.write("checkpoints/step-x/config.json", b"{}")
    run.write("checkpoints/step-000007/model.safetensors", b"no configuration")
    assert [*run.kept()] == [50, 100, 1_000_000]
    assert all(training_step(path) == step for step, path in run.kept().items())
    assert run.kept()[50] == run.file("checkpoints/step-000050")


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("runs/rl/checkpoints/step-000050", 50),
        (Path("/a/checkpoints/step-1000000"), 1_000_000),
        ("runs/rl/checkpoints/step-000050/", 50),
        ("runs/rl", None),
        ("runs/rl/model", None),
        ("runs/step-50", None),
        ("runs/step-000050-b", None),
    ],
)
def test_the_step_is_in_the_name(path: str | Path, step: int | None) -> None:
    assert training_step(path) == step


def test_files_of_a_folder_whose_name_is_a_pattern(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "lr=[1e-3]*")
    run.write("samples/part-2.parquet", b"2")
    run.write("samples/part-1.parquet", b"1")
    run.write("samples/other.txt", b"3")
    assert [Path(p).name for p in run.glob("samples/part-*.parquet")] == ["part-1.parquet", "part-2.parquet"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1,\n "b"', "run.json: line 2: not JSON"),
        (b"[1]", "run.json: not a JSON object"),
        (b'{"a": "\xff"}', "run.json: not UTF-8 at byte 7"),
    ],
)
def test_a_damaged_description(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ReachlabError, match=says):
        RunFolder(tmp_path).claim("sample", {})


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match=r"nothing: not a run folder \(no run\.json\)"):
        RunFolder(tmp_path / "nothing").read_json("run.json")


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ReachlabError, match="taken"):
        RunFolder(tmp_path / "taken").claim("sample", {})
    assert (tmp_path / "taken").read_text() == "mine"


def test_metrics_leave_out_a_torn_line(run: RunFolder) -> None:
    assert run.metrics() == []
    run.write("metrics.jsonl", b'{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.25}\n{"step": 3, "lo')
    assert run.metrics() == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.25}]


@pytest.mark.parametrize("line", ['{"step": 2, "lo', "[1]", "null", '{"loss": 1}', '{"step": 2.5}', '{"step": true}'])
def test_metrics_are_never_silently_fewer(run: RunFolder, line: str) -> None:
    run.write("metrics.jsonl", f'{{"step": 1}}\n\n{line}\n{{"step": 3}}\n')
    with pytest.raises(ReachlabError, match=r"metrics.jsonl: line 3 is no training step's: '"):
        run.metrics()
    assert run.metrics(foreign=True) == [{"step": 1}, {"step": 3}]


def test_writing_is_whole_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    write_atomically(target, b"old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["file"]


def test_a_failed_rename_keeps_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.mkdir()
    (target / "inside").write_text("kept")
    with pytest.raises(ReachlabError, match="file: not written: "):
        write_atomically(target, b"new")
    assert names(tmp_path) == ["file"]
    assert (target / "inside").read_text() == "kept"


FILL = """
import sys
from pathlib import Path
from reachlab.errors import ReachlabError
from reachlab.runs import write_atomically
try:
    write_atomically(Path(sys.argv[1]), b"x" * 300_000)
except ReachlabError as error:
    print(error)
    sys.exit(2)
"""


def _limit_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_file_size_limit_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "part"
    target.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FILL, target],
        preexec_fn=_limit_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == f"{target}: not written: File too large\n"
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["part"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("cannot mount a small disk here (needs root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_an_error_and_what_was_stored_stays(small_disk: Path) -> None:
    run = RunFolder(small_disk / "run")
    run.write("samples/part-1.parquet", b"stored")
    with pytest.raises(ReachlabError, match=r"part-2\.parquet: not written: No space left on device") as error:
        run.write("samples/part-2.parquet", b"x" * 300_000)
    assert "\n" not in str(error.value)
    assert names(small_disk / "run" / "samples") == ["part-1.parquet"]
    run.write("samples/part-3.parquet", b"there is room again")


@given(JSON, JSON)
def test_values_differ_exactly_where_it_says(old: Any, new: Any) -> None:
    found = list(differences({"config": old}, {"config": new}))
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    # True and 1 are equal in Python, and None stands for a key that is not there.
    if same:
        assert not found
    if found:
        assert old != new
    assert all(" was " in line and ", now " in line for line in found)


def test_a_folder_that_is_somebody_elses_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out, says in (
        (tmp_path, "not empty .it holds notes.txt"),
        (tmp_path / "notes.txt", "a file"),
        (Path("/"), "not empty"),
    ):
        with pytest.raises(ReachlabError, match=says):
            RunFolder(out).claim("sample", {})
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".gitkeep").touch()
    RunFolder(tmp_path / "empty").claim("sample", {})
    (tmp_path / "empty" / "notes.txt").touch()
    RunFolder(tmp_path / "empty").claim("sample", {})


@pytest.mark.parametrize("url", ["foo://x", "foo://x/y"])
def test_urls_of_no_known_kind(url: str) -> None:
    with pytest.raises(ReachlabError, match=f"'{url}': no folder or file that can be opened"):
        RunFolder(url)


def test_a_claimed_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.claim("sample", {})
    run.write("samples/part-1.parquet", b"1")
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(ReachlabError, match=r"its run\.json is gone while the run goes on"):
        run.write("samples/part-2.parquet", b"2")
    assert not (tmp_path / "run").exists()


def test_what_killed_writers_left_is_swept_and_a_living_ones_file_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.claim("sample", {})
    run.write("samples/part-1.parquet", b"1")
    host, dead = socket.gethostname().replace(".", "_"), in_a_fork(int)
    os.waitpid(dead, 0)
    kept = [
        f".part-2.parquet.{host}-{os.getpid()}-01234567.tmp",
        ".part-3.parquet.elsewhere-5-01234567.tmp",
        ".notes.tmp",
    ]
    swept = [
        f".part-4.parquet.{host}-{dead}-01234567.tmp",
        ".part-5.parquet.elsewhere-6-01234567.tmp",
        ".a.89abcdef.tmp",
    ]
    for name in (*kept, *swept):
        (tmp_path / "run" / "samples" / name).touch()
    for name in swept[1:]:
        os.utime(tmp_path / "run" / "samples" / name, (0, 0))
    RunFolder(tmp_path / "run").claim("sample", {})
    assert sorted(names(tmp_path / "run" / "samples")) == sorted([*kept, "part-1.parquet"])


@pytest.mark.parametrize("part", ["config", "facts", "provenance"])
def test_a_description_with_a_part_of_another_kind(tmp_path: Path, part: str) -> None:
    (tmp_path / "run.json").write_text(f'{{"{part}": [1]}}')
    with pytest.raises(ReachlabError, match=rf"run\.json: {part} is not a JSON object"):
        RunFolder(tmp_path).read_json("run.json")


def test_only_an_older_page_is_replaced(tmp_path: Path) -> None:
    page, other = tmp_path / "page.html", tmp_path / "run.json"
    check_page(page)
    page.write_text("\n \n<!DOCTYPE html>")
    check_page(page)
    other.write_text("{}")
    for out in (tmp_path, other, "", "s3://bucket/x.html", other / "x"):
        with pytest.raises(ReachlabError):
            check_page(out)
