"""A plain install, as its users have it: commands in processes that find no package of an extra."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engines.served import Scripted

from reachlab.extras import EXTRAS

ROOT = Path(__file__).parents[1]
DATA = ROOT / "examples" / "data"
BLOCK = '''
import os, sys

class Absent:
    """A finder by which these packages are not installed."""
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["ABSENT"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
'''
SEVERAL = """
import contextlib, io, json, sys
from reachlab.cli import main

for words in json.loads(sys.argv[1]):
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["reachlab", *words]
        try:
            main()
        except SystemExit as error:
            code = error.code
    print(json.dumps([words, code, out.getvalue(), err.getvalue()]))
"""
ALL = {package for packages in EXTRAS.values() for package in packages} | {"llvmlite"}

Several = Callable[..., list[tuple[list[str], int, str, str]]]


@pytest.fixture
def several(tmp_path: Path) -> Several:
    """Commands one after the other in a process without the packages: the words, exit code, stdout, stderr of each.
    The block is in force in the processes that it starts as well, such as those that judge."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "sitecustomize.py").write_text(BLOCK)

    def run(*commands: str, present: tuple[str, ...] = ()) -> list[tuple[list[str], int, str, str]]:
        path = os.pathsep.join([str(tmp_path / "absent"), str(ROOT / "src")])
        absent = " ".join(ALL - {*present})
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL, json.dumps([line.split() for line in commands])],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "ABSENT": absent, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.mark.slow
def test_what_a_plain_install_promises_works(several: Several, tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    found = several(
        "import data/answers.jsonl --question problem --answer gold --text responses --out judged",
        "import data/answers.jsonl --question problem --answer gold --text responses --out again",
        "import data/agent.json --verdicts file --out inspect",
        "import data/logs/samples_gsm8k_0.jsonl --out harness",
        "import data/logs/verl/1.jsonl --verdicts file --out verl",
        "reference --task countdown --problems 8 --out reference",
        "verify judged",
        "chance judged",
        "measures judged --resamples 50",
        "compare --matrix data/base.csv data/rl.csv --resamples 50",
        "power --matrix data/base.csv data/rl.csv",
        "report judged again --resamples 50 --out page.html",
        "export judged --out rows.jsonl",
        "export judged --out rows.parquet",
        "tasks countdown",
        "tasks math:data/gsm8k.jsonl --problems 1",
        "tasks --json",
    )
    assert {" ".join(words): err for words, code, _, err in found if code} == {}
    said = {words[0]: out for words, _, out, _ in found}
    (gym,) = (row for row in json.loads(said["tasks"]) if row["task"].startswith("gym"))
    assert "which is in reachlab[gym]" in gym["what"]
    assert "solved" in said["chance"]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 16
    assert "<html" in (tmp_path / "page.html").read_text()[:300]


def test_what_it_has_not_is_one_line_that_names_the_extra(several: Several, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model"
    checkpoint.mkdir()  # nothing looks into it: what lacks is said before
    wanted = {
        "pretrain --data countdown --out x": "`reachlab pretrain` needs torch, which is in reachlab[train]",
        f"rl --model {checkpoint} --task countdown --out x": "`reachlab rl` needs torch",
        f"distill --model {checkpoint} --teacher solver --task countdown --out x": "`reachlab distill` needs torch",
        f"sample --model {checkpoint} --task countdown --out x": "--engine transformers needs torch",
        "sample --model m --engine vllm --task countdown --out x": "--engine vllm needs vllm, which wants",
        "sample --model m --engine openai --base-url http://127.0.0.1:9 --task countdown --out x": (
            "--engine openai needs openai, which is in reachlab[openai]: pip install 'reachlab[openai]'"
        ),
        f"tasks countdown --model {checkpoint}": "`reachlab tasks --model` needs transformers",
        "tasks gym:chain_sum": "the task gym needs reasoning_gym, which is in reachlab[gym]",
        "tasks gsm8k": "which is in reachlab[data]",
        "serve a b": "`reachlab serve` needs starlette, which is in reachlab[serve]",
        "merge a --out b": "which is in reachlab[",
        "study demo --out x": "`reachlab study demo` needs torch",
        "moe families": "`reachlab moe` needs torch",
    }
    for words, code, out, err in several(*wanted):
        line = wanted[" ".join(words)]
        assert (code, out) == (2, ""), err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert line in err


def test_a_server_is_drawn_from_without_torch(several: Several, tmp_path: Path) -> None:
    with Scripted() as server:
        words = "sample --model m --engine openai --task countdown --problems 2 --samples 3 --out run --base-url"
        ((_, code, out, err),) = several(f"{words} {server.url}", present=("openai",))
    assert code == 0, err
    assert "run: 6 samples stored, 6 drawn now" in out
    assert sum(server.answered.values()) == 6
    assert list((tmp_path / "run" / "samples").iterdir())
