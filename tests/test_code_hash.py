"""A hash of code follows what it computes, and not its looks."""

import sys
from pathlib import Path

import pytest

from reachlab.code_hash import hash_of_modules

BODY = "import re\n\n\ndef f(x: int) -> int:\n    return x + 1\n"


def hash_of(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, **others: str) -> str:
    """The hash of a module with this source, beside others in its folder."""
    folder.mkdir()
    for name, text in {"hashed_main": source, **others}.items():
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    return hash_of_modules(["hashed_main"])


@pytest.mark.parametrize(
    ("source", "same"),
    [
        (BODY, True),
        (f'"""What it does."""\n\n{BODY}'.replace("return", '"""More."""\n    return'), True),
        (BODY.replace("return x + 1", "return (x  # why\n            + 1)"), True),
        (BODY.replace("+ 1", "+ 2"), False),
        (BODY.replace("+", "-"), False),
        (BODY.replace("f(x", "g(x"), False),
        (BODY.replace("-> int", "-> float"), False),
    ],
)
def test_code_and_not_its_looks(source: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (hash_of(tmp_path / f"{i}", monkeypatch, text) for i, text in enumerate((source, BODY)))
    assert (one == other) is same


def test_what_it_imports_of_its_own_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import json\n\nimport hashed_helper\n"
    helpers = ("X = 1", "X = 1  # one", "X = 2")
    first, same, other = (
        hash_of(tmp_path / f"{i}", monkeypatch, source, hashed_helper=text) for i, text in enumerate(helpers)
    )
    assert first == same != other
    assert hash_of(tmp_path / "3", monkeypatch, source, hashed_helper="X = 1", hashed_third="X = 3") == first


def test_a_folder_without_init_is_its_own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(name: str, scoring: str, beside: str) -> str:
        helpers = tmp_path / name / "hashed_helpers"
        helpers.mkdir(parents=True)
        (helpers / "scoring.py").write_text(f"from hashed_beside import W\nV = {scoring}\n")
        (tmp_path / name / "hashed_beside.py").write_text(f"W = {beside}\n")
        (tmp_path / name / "hashed_main.py").write_text("from hashed_helpers.scoring import V\n")
        for module in ("hashed_main", "hashed_helpers", "hashed_helpers.scoring", "hashed_beside"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [str(tmp_path / name), *sys.path])
            patch.setattr(sys, "path_importer_cache", {})
            found = hash_of_modules(["hashed_main"])
        monkeypatch.delitem(sys.modules, "hashed_helpers", raising=False)
        return found

    assert made("a", "1", "1") == made("b", "1  # one", "1")
    assert len({made("c", "1", "1"), made("d", "2", "1"), made("e", "1", "2")}) == 3


def test_what_is_in_no_file_has_none() -> None:
    assert hash_of_modules(["no_such_module"]) == ""
