"""The study that a command line names is the one that runs."""

from pathlib import Path

import pytest
from tests.conftest import Command

PLUGIN = """
from dataclasses import dataclass
from pathlib import Path

import reachlab as rl
from reachlab.studies.config import DemoConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    "A claim."

    out: str = "x"
    "Where."


@rl.register.study("first", takes=Config)
def first(config, tell):
    return Path("FIRST")


@rl.register.study("second_one", takes=Config)
def second(config, tell):
    return Path("SECOND")


@rl.register.study("third", takes=DemoConfig)
def third(config, tell):
    return Path("THIRD")
"""


@pytest.mark.usefixtures("nothing_registered")
@pytest.mark.parametrize(("name", "says"), [("first", "FIRST"), ("second_one", "SECOND"), ("third", "THIRD")])
def test_two_studies_of_one_configuration_are_told_apart(
    name: str, says: str, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "studies_here.py").write_text(PLUGIN)
    code, out, _ = command("study", name, "--plugin", tmp_path / "studies_here.py")
    assert (code, out) == (0, f"the report is {says}\n")
