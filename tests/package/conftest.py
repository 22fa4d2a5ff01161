"""What `make package` has built: the files, the tools, and two environments of users."""

import os
from pathlib import Path

import pytest
from tests.package.outside import Outside

ROOT = Path(__file__).parents[2]


def _nothing_to_look_at() -> str:
    """Why; empty where there is something."""
    if not (stamp := ROOT / "dist" / ".installed").exists():
        return "there is no package here: run `make package`"
    made_of = [ROOT / "pyproject.toml", ROOT / "README.md", *(ROOT / "src").rglob("*")]
    newest = max(path.stat().st_mtime for path in made_of if path.is_file() and "__pycache__" not in path.parts)
    return "the package is older than its sources: run `make package`" if newest > stamp.stat().st_mtime else ""


@pytest.fixture(scope="session")
def dist() -> Path:
    """The folder of the wheel and the sdist."""
    if why := _nothing_to_look_at():
        # Where the package was built a moment ago, nothing to look at is no reason to pass.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    return ROOT / "dist"


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    """The sdist."""
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture
def tools(dist: Path, tmp_path: Path) -> Outside:
    """What builds and checks packages."""
    return Outside(ROOT / ".venv-package", tmp_path)


@pytest.fixture
def plain(dist: Path, tmp_path: Path) -> Outside:
    """Where somebody typed `pip install reachlab`."""
    return Outside(ROOT / ".venv-plain", tmp_path)


@pytest.fixture
def train(dist: Path, tmp_path: Path) -> Outside:
    """Where somebody typed `pip install 'reachlab[train]'`."""
    return Outside(ROOT / ".venv-train", tmp_path)
