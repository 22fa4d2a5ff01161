"""The scripts of `examples/` in the hands of somebody who has the wheel with the extra that each names, and no
repository."""

import shutil

import pytest
from tests.examples.scripts import FOLDER, NEEDS
from tests.package.outside import Outside

pytestmark = [pytest.mark.slow, pytest.mark.package]


def check(name: str, where: Outside) -> None:
    shutil.copytree(FOLDER, where.folder / "examples")
    NEEDS[name][1](where.call("python", f"examples/{name}.py"))


@pytest.mark.parametrize("name", [name for name, (extra, _) in NEEDS.items() if not extra])
def test_the_base_install_is_enough(name: str, plain: Outside) -> None:
    check(name, plain)


@pytest.mark.parametrize("name", [name for name, (extra, _) in NEEDS.items() if extra == "train"])
def test_what_trains(name: str, train: Outside) -> None:
    check(name, train)
