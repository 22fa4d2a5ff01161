"""Version, changelog, citation and metadata of the package say the same."""

import re
import tomllib
from pathlib import Path

import reachlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
ENTRY = re.compile(r"^## \[([^\]]+)\] - (Unreleased|\d{4}-\d{2}-\d{2})$", re.MULTILINE)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
"""What Keep a Changelog lets a section be."""


def cited(key: str) -> str:
    """A line of CITATION.cff about the software itself; empty where there is none."""
    found = re.search(rf"^{key}: \"?(.*?)\"?$", CITATION, re.MULTILINE)
    return found[1] if found else ""


def test_version_changelog_and_citation_agree() -> None:
    version, date = ENTRY.findall(CHANGELOG)[0]
    assert version == reachlab.__version__ == cited("version")
    assert cited("date-released") == ("" if date == "Unreleased" else date)


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["project"]["dynamic"]
    place = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert place == ROOT / "src" / "reachlab" / "__init__.py"
    assert re.findall(r'^__version__ = "(.*)"$', place.read_text(encoding="utf-8"), re.MULTILINE) == [
        reachlab.__version__
    ]


def test_every_entry_of_the_changelog_has_a_form() -> None:
    heads = re.findall(r"^## .*$", CHANGELOG, re.MULTILINE)
    assert len(heads) == len(ENTRY.findall(CHANGELOG))
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)) <= KINDS


def test_the_repository_is_the_same_everywhere() -> None:
    urls = PROJECT["project"]["urls"]
    assert cited("repository-code") == urls["Repository"]
    assert urls["Changelog"].startswith(urls["Repository"])
    assert urls["Issues"] == f"{urls['Repository']}/issues"
    where = urls["Repository"].removeprefix("https://github.com/")
    readme = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    assert all(f"/{where}/" in rule["replacement"] for rule in readme)


def test_papers_are_cited_and_linked() -> None:
    linked = {url.rpartition("/")[2] for url in PROJECT["project"]["urls"].values() if "arxiv.org" in url}
    assert linked == {"2504.13837", "2504.12463", "2504.13818"}
    assert set(re.findall(r"^    url: https://arxiv.org/abs/(\S+)$", CITATION, re.MULTILINE)) == linked
    assert set(re.findall(r"^    doi: 10.48550/arXiv.(\S+)$", CITATION, re.MULTILINE)) == linked


def test_authors_are_those_of_the_citation() -> None:
    names = re.findall(r"^  - name: (.*)$", CITATION, re.MULTILINE)
    assert PROJECT["project"]["authors"] == [{"name": name} for name in names]


def test_what_is_vendored_has_its_licence_with_ours() -> None:
    vendor = ROOT / "src" / "reachlab" / "reporting" / "assets" / "vendor"
    files = {path for pattern in PROJECT["project"]["license-files"] for path in ROOT.glob(pattern)}
    assert files == {ROOT / "LICENSE", *(path.with_suffix(".LICENSE") for path in vendor.glob("*.js"))}
