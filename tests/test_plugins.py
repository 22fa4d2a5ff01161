"""Files and modules of one's own."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from reachlab.errors import ReachlabError
from reachlab.origins import Maker
from reachlab.plugins import (
    ENVIRONMENT,
    code_of,
    facts_of,
    identity_of,
    load_plugin,
    load_plugins,
    loaded_from,
    taken_out,
    told,
    travels,
    words_for,
)  # fmt: skip
from reachlab.tasks.identity import canonical, same_task
from reachlab.tasks.registry import bare_task, check_known, load_task, parse_spec
from reachlab.tasks.version import verifier_of

TASK = """
import reachlab as rl
from reachlab.tasks.chain import Chain
from beside import LENGTH


@rl.register.task("mine")
class Mine(Chain):
    "Of a file."

    def __init__(self, length: int = LENGTH):
        super().__init__(length)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_registered: None) -> Path:
    """The current folder, with a file of one's own and what that imports."""
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "beside.py").write_text("LENGTH = 3\n")
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_imported_once_and_told_to_children(folder: Path) -> None:
    assert load_plugin("mine.py") == load_plugin(str(folder / "mine.py")) == "reachlab_plugin_mine"
    assert os.environ[ENVIRONMENT] == str(folder / "mine.py")
    load_plugin("json")
    assert os.environ[ENVIRONMENT].split(os.pathsep) == [str(folder / "mine.py"), "json"]
    load_plugins()
    assert load_task("mine").problems("test", 1)


def test_a_file_that_cannot_be_had_is_one_line(folder: Path) -> None:
    (folder / "broken.py").write_text("import math\n\nx = 1 / 0\n")
    (folder / "other").mkdir()
    (folder / "other" / "mine.py").write_text("")
    load_plugin("mine.py")
    for name, says in (
        ("broken.py", r"plugin .*broken.py:3: not imported: ZeroDivisionError: division by zero"),
        ("nowhere.py", r"plugin .*nowhere.py: there is no such file"),
        ("no_such_module", "plugin no_such_module: not imported: ModuleNotFoundError"),
        ("other/mine.py", "two plugins are called mine.py: .*; rename one"),
        ("", "--plugin is empty"),
    ):
        with pytest.raises(ReachlabError, match=says):
            load_plugin(name)
    assert "reachlab_plugin_broken" not in sys.modules
    os.environ[ENVIRONMENT] = "broken.py"
    with pytest.raises(ReachlabError, match="ZeroDivisionError"):
        load_plugins()


def test_a_task_is_named_by_its_file(folder: Path) -> None:
    assert parse_spec("mine.py:Mine,length=2") == ("mine.py:Mine", None, {"length": 2})
    assert parse_spec("a/mine.py:Mine:FILE") == ("a/mine.py:Mine", "FILE", {})
    # A run's word is no reason to import a file.
    with pytest.raises(ReachlabError, match=r"mine.py is not imported; give it with --plugin mine.py"):
        bare_task("mine.py:Mine")
    assert not same_task("mine.py:Mine", "./mine.py:Mine")
    assert load_task("mine.py:Mine,length=2").problems("test", 1)
    assert canonical("mine.py:Mine,length=3") == f"{folder / 'mine.py'}:Mine"
    assert same_task("mine.py:Mine", "./mine.py:Mine")
    assert type(bare_task("mine.py:Mine")).__name__ == "Mine"
    with pytest.raises(ReachlabError, match=r"mine.py has no 'Nine'; it has Mine"):
        loaded_from("mine.py:Nine")


def test_what_a_command_line_says() -> None:
    words = ["--plugin", "a.py", "rl", "--task", "t", "--plugin=b.py", "--plugin", "c"]
    assert taken_out(words) == (["rl", "--task", "t"], ["a.py", "b.py", "c"])
    with pytest.raises(ReachlabError, match="--plugin needs a file"):
        taken_out(["rl", "--plugin"])


def test_a_run_keeps_the_code_and_whose_it_is(folder: Path) -> None:
    load_plugin("mine.py")
    mine = Maker(module="reachlab_plugin_mine")
    theirs = Maker(module="json", package="a-package", version="1.0")
    makers = {"task": mine, "rule": theirs}
    assert identity_of({}) == facts_of({}) == {}
    assert identity_of(makers)["plugins"] == {"task": code_of(mine), "rule": code_of(theirs)}
    facts = facts_of(makers)
    assert facts["plugins"]["rule"] == {"package": "a-package", "version": "1.0"}
    assert words_for(facts) == ["--plugin", str(folder / "mine.py")]
    assert told(facts, "rule") == "it is of the package a-package 1.0: install it"
    assert told(facts, "budget") == told({}, "task") == ""
    assert code_of(Maker(module="builtins")) == "not in a file"
    with pytest.raises(ReachlabError, match=r"the run's task 'gone' is not here: it is of .*mine.py: give it"):
        check_known("gone", facts)
    with pytest.raises(ReachlabError, match="unknown task family 'gone'"):
        check_known("gone", {})


def test_a_changed_helper_is_other_code(folder: Path) -> None:
    load_plugin("mine.py")
    mine = Maker(module="reachlab_plugin_mine")
    first = code_of(mine)
    (folder / "beside.py").write_text("LENGTH = 3  # three\n")
    assert code_of(mine) == first
    (folder / "beside.py").write_text("LENGTH = 4\n")
    with pytest.raises(ReachlabError, match=r"beside.py has changed since it was imported; restart, or reload beside"):
        code_of(mine)
    importlib.reload(sys.modules["beside"])
    assert code_of(mine) != first


def test_what_was_imported_counts_and_not_what_the_file_is_now(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    mine = importlib.import_module("mine")
    (folder / "mine.py").write_text(TASK + "\nX = 1\n")
    for asked in (lambda: code_of(Maker(module="mine")), lambda: verifier_of(load_task("mine"))):
        with pytest.raises(ReachlabError, match=r"mine.py has changed since it was imported; restart, or reload mine"):
            asked()
    importlib.reload(mine)
    assert code_of(Maker(module="mine"))
    del sys.modules["mine"]


def test_a_module_that_registers_is_told_to_children(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    package = folder / "of_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(TASK.replace('"mine"', '"theirs"').replace("mine", "of_package"))
    importlib.import_module("mine")
    importlib.import_module("of_package.tasks")
    assert os.environ[ENVIRONMENT].split(os.pathsep) == [str(folder / "mine.py"), "of_package.tasks"]
    notebook = ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", notebook)
    exec("import reachlab as rl\nrl.register.export('no')(print)\n", vars(notebook))
    assert len(os.environ[ENVIRONMENT].split(os.pathsep)) == 2
    words = [sys.executable, "-m", "reachlab", "tasks", "mine"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "=?" in done.stdout
    for name in ("mine", "of_package", "of_package.tasks"):
        del sys.modules[name]


def test_what_travels() -> None:
    class Local:
        pass

    assert travels(Maker)
    assert travels(load_plugin)
    assert not travels(Local)
    assert not travels(lambda: 0)
    kept, Local.__module__, Local.__qualname__ = Local, "__main__", "Local"
    assert not travels(kept)
