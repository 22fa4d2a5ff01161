"""What is in the wheel and the sdist, and what the package index would show of them."""

import re
import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from tests.package.conftest import ROOT
from tests.package.outside import Outside

import reachlab

pytestmark = [pytest.mark.slow, pytest.mark.package]

VERSION = reachlab.__version__
INFO = f"reachlab-{VERSION}.dist-info"
PAGES = f"https://github.com/reachlab/reachlab/blob/v{VERSION}/"
FILES = f"https://raw.githubusercontent.com/reachlab/reachlab/v{VERSION}/"


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist()}


def metadata(wheel: Path) -> Message:
    return message_from_bytes(contents(wheel)[f"{INFO}/METADATA"])


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    source = ROOT / "src"
    ours = {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}
    ours = {name: text for name, text in ours.items() if "__pycache__" not in name and ".egg-info/" not in name}
    assert {"reachlab/py.typed", "reachlab/reporting/assets/vendor/temml.LICENSE"} <= ours.keys()
    assert {name: text for name, text in contents(wheel).items() if not name.startswith(INFO)} == ours


def test_licences_are_with_it(wheel: Path) -> None:
    licences = [name.removeprefix(f"{INFO}/licenses/") for name in contents(wheel) if "/licenses/" in name]
    assert sorted(licences) == sorted(metadata(wheel).get_all("License-File", []))
    assert metadata(wheel)["License-Expression"] == "Apache-2.0 AND MIT"
    assert "LICENSE" in licences
    assert len(licences) == 3


def test_the_sdist_has_every_file_of_the_repository(sdist: Path) -> None:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or no repository")
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    assert tracked - names == set()
    assert names >= {"PKG-INFO", "tests/conftest.py"}
    assert not [name for name in names if re.search(r"__pycache__|(^|/)(runs|\.venv|\.cache|dist)/", name)]


def test_the_wheel_from_the_tree_is_that_from_the_sdist_bit_for_bit(wheel: Path, tools: Outside) -> None:
    """The one in `dist` was made from the sdist, in an environment of its own (`make package`)."""
    tools.call("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", tools.folder, ROOT)
    assert (tools.folder / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_time_of_a_build_can_be_said(wheel: Path, tools: Outside) -> None:
    words = ("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", tools.folder, ROOT)
    tools.call(*words, SOURCE_DATE_EPOCH="1760000000")
    with zipfile.ZipFile(tools.folder / wheel.name) as file:
        assert {entry.date_time[:3] for entry in file.infolist()} == {(2025, 10, 9)}
    assert contents(tools.folder / wheel.name) == contents(wheel)


def test_the_index_would_take_them(wheel: Path, sdist: Path, tools: Outside) -> None:
    """It renders the description, and refuses unknown classifiers and fields that are too long."""
    said = tools.call("twine", "check", "--strict", wheel, sdist)
    assert said.count("PASSED") == 2
    known = tools.says(
        "import trove_classifiers; print(*sorted(trove_classifiers.classifiers), sep='\\n')"
    ).splitlines()
    assert set(metadata(wheel).get_all("Classifier", [])) <= set(known)


def test_links_and_pictures_of_the_description_lead_to_the_repository(wheel: Path) -> None:
    payload = metadata(wheel).get_payload(decode=True)
    assert isinstance(payload, bytes)
    targets = re.findall(r"\]\(([^)\s]+)\)", payload.decode())
    shown = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", payload.decode())
    assert shown
    assert all(target.startswith(FILES) for target in shown)
    assert not [target for target in targets if not target.startswith(("https://", "#"))]
    ours = [t.removeprefix(FILES).removeprefix(PAGES).partition("#")[0] for t in targets if "/reachlab/reachlab/" in t]
    assert len(ours) == len([target for target in targets if target.startswith((FILES, PAGES))])
    assert not [path for path in ours if not (ROOT / path).is_file()]


def test_the_citation_is_one(tools: Outside) -> None:
    assert "valid" in tools.call("cffconvert", "--validate", "-i", ROOT / "CITATION.cff")
    assert VERSION in tools.call("cffconvert", "-f", "apalike", "-i", ROOT / "CITATION.cff")
