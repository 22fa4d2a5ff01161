import pickle
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from reachlab.choices import Choices
from reachlab.errors import ReachlabError
from reachlab.extras import (
    ELSEWHERE,
    EXTRAS,
    MissingPackageError,
    extra_of,
    is_installed,
    missing,
    naming_extras,
    need,
)
from reachlab.installation import BASE

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
OPTIONAL: dict[str, list[str]] = PROJECT["optional-dependencies"]
NOT_FOR_USERS = {"all", "dev", "docs"}
"""Extras that are made of others, and those of whoever works on Reachlab."""


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", one, maxsplit=1)[0].replace("-", "_") for one in requirements}


def inside(extra: str) -> set[str]:
    """The extras that one is made of."""
    mine = [one for one in OPTIONAL[extra] if one.startswith("reachlab[")]
    return {name for one in mine for name in one.removeprefix("reachlab[").rstrip("]").split(",")}


def test_the_list_is_the_one_of_the_project() -> None:
    assert {extra: names(packages) for extra, packages in OPTIONAL.items() if extra not in NOT_FOR_USERS} == {
        extra: set(packages) for extra, packages in EXTRAS.items()
    }
    assert not names(PROJECT["dependencies"]) & {package for packages in EXTRAS.values() for package in packages}
    assert inside("all") == set(EXTRAS)
    assert inside("dev") == set(EXTRAS) - {"track", "vision"} | {"docs"}


def test_the_document_names_what_is_installed() -> None:
    text = (Path(__file__).parents[1] / "docs" / "install.md").read_text()
    base, _, extras = text.partition("## Extras")
    assert {row.split(" |")[0].strip("| ") for row in re.findall(r"^\| [a-z].*", base, re.M)} - {"package"} == {
        re.split("[>=]", one)[0] for one in PROJECT["dependencies"]
    }
    rows = {row.split("|")[1].strip(" `"): row.split("|")[3] for row in re.findall(r"^\| `.*", extras, re.M)}
    assert rows.keys() == OPTIONAL.keys() - {"docs"}
    for extra, packages in EXTRAS.items():
        assert {name.strip().replace("-", "_") for name in rows[extra].split(",")} == set(packages)
    assert {name.replace("pillow", "PIL") for name in names(PROJECT["dependencies"])} == set(BASE)


def test_the_error_names_package_and_extra() -> None:
    error = missing("torch", "`reachlab rl`")
    assert str(error) == "`reachlab rl` needs torch, which is in reachlab[train]: pip install 'reachlab[train]'"
    assert error.name == "torch"
    assert isinstance(error, ReachlabError)
    assert isinstance(error, ImportError)
    assert str(missing("huggingface_hub", extra="train")).endswith("pip install 'reachlab[train]'")
    assert "docs/engines.md" in str(missing("vllm"))
    assert set(ELSEWHERE).isdisjoint(package for packages in EXTRAS.values() for package in packages)


def test_every_package_has_an_extra_and_others_have_none() -> None:
    assert [extra_of(name) for name in ("numba", "peft", "numpy", "no_such")] == ["fast", "lora", None, None]


@pytest.mark.usefixtures("without_ray")
def test_what_is_needed_is_asked_for_without_importing_it() -> None:
    need("numpy", "json", what="this")
    assert not is_installed("ray")
    with pytest.raises(MissingPackageError, match=r"^--ray needs ray, which is in reachlab\[ray\]"):
        need("numpy", "ray", what="--ray")


def test_a_folder_of_ones_own_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trackio").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    assert not is_installed("trackio")


@pytest.mark.usefixtures("without_ray")
def test_an_import_that_fails_becomes_the_error() -> None:
    @naming_extras("a cluster")
    def cluster() -> None:
        import_module("ray.util")

    with pytest.raises(MissingPackageError, match=r"^a cluster needs ray, which") as caught:
        cluster()
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    listed: Choices[object] = Choices("none", {"cluster": "ray.util:ActorPool"})
    with pytest.raises(MissingPackageError, match=r"^this needs ray, which"):
        listed["cluster"]


@pytest.mark.parametrize("module", ["no_such_module", "reachlab.no_such", "numba.no_such_part"])
def test_any_other_module_that_is_missing_is_a_defect(module: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught, naming_extras():
        import_module(module)
    assert not isinstance(caught.value, ReachlabError)


@pytest.mark.usefixtures("without_ray")
def test_the_first_to_say_it_is_heard() -> None:
    with pytest.raises(MissingPackageError, match=r"^inner needs"), naming_extras("outer"), naming_extras("inner"):
        import_module("ray")
    with pytest.raises(MissingPackageError, match=r"^outer needs"), naming_extras("outer"), naming_extras():
        import_module("ray")


def test_the_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(missing("torch", "a worker")))
    assert (type(error), str(error), error.name) == (MissingPackageError, str(missing("torch", "a worker")), "torch")
