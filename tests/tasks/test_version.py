"""A verifier's hash follows what it computes."""

from pathlib import Path

import pytest

from reachlab.tasks import version
from reachlab.tasks.registry import load_task
from reachlab.tasks.version import verifier_of


def test_every_family_has_its_own() -> None:
    found = {name: verifier_of(load_task(name)) for name in ("math", "countdown", "chain", "gym:chain_sum")}
    assert len({one["code"] for one in found.values()}) == len(found)
    assert set(found["math"]) == {"code", "latex2sympy2-extended", "sympy"}
    assert set(found["gym:chain_sum"]) == {"code", "reasoning-gym"}
    assert set(found["chain"]) == {"code"}
    assert verifier_of(load_task("chain,length=3,blind=true")) == found["chain"]


def test_it_reads_what_the_verifier_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = tmp_path / "tasks"
    (tasks / "answers").mkdir(parents=True)
    for name, text in (
        ("asked", ""),
        ("chain", "def f():\n    from reachlab.tasks.answers import inner"),
        ("answers/inner", "X = 1"),
    ):
        (tasks / f"{name}.py").write_text(text)
    monkeypatch.setattr(version, "TASKS", tasks)

    def code() -> str:
        version._verifier.cache_clear()
        return verifier_of(load_task("chain"))["code"]

    first = code()
    (tasks / "answers" / "inner.py").write_text("X = 1  # one")
    assert code() == first
    (tasks / "answers" / "inner.py").write_text("X = 2")
    assert code() != first
    version._verifier.cache_clear()
