import subprocess
from pathlib import Path

from reachlab.provenance import commit_of, provenance


def test_provenance_names_versions_and_the_commit() -> None:
    found = provenance()
    assert {"reachlab", "torch", "numpy"} <= set(found["versions"])
    assert found["commit"] is None or len(found["commit"]) == 40
    assert found["dirty"] in (True, False, None)


def test_an_environment_inside_somebodys_repository_is_no_checkout(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "--quiet")
    (tmp_path / "theirs.py").write_text("")
    git("add", "theirs.py")
    git("commit", "--quiet", "--message", "theirs")
    (tmp_path / "ours.py").write_text("")
    assert commit_of(tmp_path / "ours.py") == {"commit": None, "dirty": None}
    assert len(commit_of(tmp_path / "theirs.py")["commit"]) == 40
