"""docs/extend.md as a stranger follows it: a package with entry points, one file, a broken package beside them.

The package is built by hand, a module and its dist-info, which is all that an installation leaves of one.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.tiny import ENVIRONMENT

from reachlab.registering import LISTS, list_of

PAGE = (Path(__file__).parents[1] / "docs" / "extend.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILE = next(text for language, text in BLOCKS if language == "python" and "@rl.register.task" in text)
PROJECT = next(text for language, text in BLOCKS if language == "toml")
MEASURE = next(text for language, text in BLOCKS if "RIGHT_SHARE = " in text)

IN_ONE_PROCESS = """
import contextlib, io, json, sys
from reachlab.cli import main

for words in json.loads(sys.argv[1]):
    sys.argv = ["reachlab", *words]
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as exit:
            code = exit.code
    print(json.dumps([code, out.getvalue()]), flush=True)
"""
SMALL = ["--problems", "5", "--samples", "4", "--max-tokens", "8"]


def run(folder: Path, *commands: str, packages: Path | None = None) -> list[tuple[int, str]]:
    """Exit code and all that was printed of each command, as one process runs them."""
    environment = {**ENVIRONMENT, "COLUMNS": "200", "REACHLAB_PLUGINS": ""}
    path = [str(packages)] if packages else []
    environment["PYTHONPATH"] = ":".join([*path, *filter(None, [environment.get("PYTHONPATH")])])
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS, words], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code or 0, text) for code, text in map(json.loads, done.stdout.splitlines())]


def install(folder: Path, name: str, entries: dict[str, dict[str, str]], module: str) -> None:
    """A package as pip leaves it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines: list[str] = []
    for group, those in entries.items():
        lines += [f"[{group}]", *(f"{left} = {place}" for left, place in those.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / f"{name.replace('-', '_')}.py").write_text(module)


def test_the_page_names_every_decorator_and_group() -> None:
    for kind in LISTS:
        assert f"| `register.{kind}(" in PAGE
        assert f"| `{list_of(kind).group}` |" in PAGE


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_package_and_what_is_left_without_it(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    project = tomllib.loads(PROJECT)["project"]
    module = f"{FILE}\n\n{MEASURE.replace('mine.', '')}"
    install(packages, project["name"], project["entry-points"], module)
    broken = {"reachlab.measures": {"bad": "broken:X"}, "reachlab.tasks": {"bad": "broken:X"}}
    install(packages, "broken", broken, "import nothing_there\n")
    begun = run(
        tmp_path,
        "tasks",
        "tasks backwards,length=3",
        "pretrain --data backwards --tokenizer char --hidden 32 --layers 1 --batch 8 --steps 2 --out base",
        "rl --model base --task backwards --rule lowest --reward in_place --rollouts 8 --keep 4 --prompts 2 --steps 1 "
        "--max-tokens 8 --out rl",
        " ".join(["sample --model base --task backwards --out a", *SMALL]),
        " ".join(["sample --model rl --task backwards --out b", *SMALL]),
        "measures a --json",
        "compare a b --resamples 50 --json",
        "report a b --resamples 50 --out page.html",
        "verify a",
        packages=packages,
    )
    assert [code for code, _ in begun] == [0] * len(begun), begun
    listed, shown, *_, measured, compared, reported, _ = (text for _, text in begun)
    assert "write a string backwards" in listed
    said = "'bad' of package broken 1.0 cannot be imported: ModuleNotFoundError: No module named 'nothing_there'"
    assert listed.count(said) == measured.count(said) == 1
    assert "solution" in shown
    assert '"right_share"' in measured
    assert '"right_share"' in compared
    assert "Share of right answers" in (tmp_path / "page.html").read_text()
    assert "error" not in reported
    about = json.loads((tmp_path / "rl" / "run.json").read_text())
    assert set(about["config"]["plugins"]) == {"task", "reward", "rule"}
    assert about["facts"]["plugins"]["rule"] == {"package": "reachlab-backwards", "version": "1.0"}
    assert about["config"]["budget"]["reward_range"] == [0.0, 1.0]
    (row,) = map(json.loads, (tmp_path / "rl" / "metrics.jsonl").read_text().splitlines())
    assert 0 <= row["accuracy"] <= row["reward"] <= 1

    install_again = packages / "reachlab_backwards.py"
    install_again.write_text(module.replace("text.strip()", "text"))
    (changed,) = run(tmp_path, " ".join(["sample --model base --task backwards --out a", *SMALL]), packages=packages)
    assert changed[0] == 2
    assert "plugins.task was" in changed[1]

    compared_again, reported_again, verified = run(
        tmp_path, "compare a b --resamples 50 --json", "report a b --resamples 50 --out other.html", "verify a"
    )
    assert (compared_again[0], reported_again[0]) == (0, 0)
    assert '"right_share"' not in compared_again[1]
    assert verified[0] == 2
    assert "the run's task 'backwards' is not here: it is of the package reachlab-backwards 1.0" in verified[1]


def test_one_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    shown, same, helped, unknown, missing = run(
        tmp_path,
        "tasks backwards,length=3 --plugin mine.py --json",
        "tasks mine.py:Backwards,length=3 --json",
        "rl --help",
        "rl --model m --task mine.py:Backwards --rule lowst --keep 2 --out r",
        "tasks --plugin nowhere.py",
    )
    assert shown == same
    assert json.loads(shown[1])[0]["answer"]
    assert "percentile,lowest}" in helped[1]  # this process has imported it
    assert unknown[0] == 2
    assert "no rule 'lowst'; choose one of none, max_variance, max_reward, random, percentile, lowest" in " ".join(
        unknown[1].split()
    )
    assert missing[0] == 2
    assert "nowhere.py: there is no such file" in missing[1]
