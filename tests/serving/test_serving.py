import sys
from pathlib import Path

import pytest
from tests.conftest import Command


def test_what_cannot_be_served_is_one_line(command: Command, runs: Path) -> None:
    for words, said in (
        (("serve",), "name at least one run folder"),
        (("serve", "--matrix", "right.csv"), "a page shows samples, which tables do not hold"),
        (("serve", "a=b,b"), "names a run twice"),
        (("serve", runs, "--port", "70000"), "port=70000 must be 0 to 65535"),
        (("serve", runs, "--port", "0", "--host", "no.such.host.invalid"), "--port 0 takes one that is free"),
    ):
        code, _, err = command(*words)
        assert code == 2, words
        assert said in err
        assert len(err.splitlines()) - ("note: " in err) == 1


def test_another_host_is_warned_of(command: Command, runs: Path) -> None:
    _, _, err = command("serve", runs, "--port", "0", "--host", "no.such.host.invalid")
    assert "note: --host no.such.host.invalid: whoever reaches this machine" in err


def test_without_the_packages_the_command_says_what_to_install(
    command: Command, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = command("serve", runs)
    assert code == 2
    assert err == (
        "error: `reachlab serve` needs uvicorn, which is in reachlab[serve]: pip install 'reachlab[serve]'\n"
    )
