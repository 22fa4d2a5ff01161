"""A hash of an object that is in no file follows all that it computes with."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import reachlab as rl
from reachlab.errors import ReachlabError
from reachlab.object_hash import hash_of_object
from reachlab.plugins import code_of
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.tasks.rewards import REWARDS

START = """
import functools, math, re
from dataclasses import dataclass, field

def helper(x): return x + 1
WEIGHT = [1, {"a": 2}]
def outer(y):
    def inner(x): return x * y
    return inner
class Base:
    def twice(self, x): return 2 * x
@dataclass(frozen=True)
class Setting:
    share: float = 0.5
    names: list = field(default_factory=list)
"""

CLASS = """
class Mine(Base):
    size = 3
    sizes = [3, 4]
    def f(self, x=1, *, y=2): return x + y + super().twice(x)
    @property
    def p(self): return 5
    @staticmethod
    def s(): return 6
    @classmethod
    def c(cls): return cls.size
"""


def made(source: str) -> Any:
    """What a notebook calls Mine."""
    names: dict[str, Any] = {"__name__": "a_notebook"}
    exec(START + source, names)
    return names["Mine"]


def test_docstrings_and_comments_change_nothing() -> None:
    body = "def Mine(x):\n    return x + 1\n"
    said = body.replace("    return", '    """What it does."""\n    # why\n    return')
    assert hash_of_object(made(body)) == hash_of_object(made(said)) == hash_of_object(made(f"\n\n# why\n{body}"))
    said = CLASS.replace("    size =", '    """What it is."""\n    size =')
    assert hash_of_object(made(CLASS)) == hash_of_object(made(said))


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        (
            CLASS,
            [("size = 3", "size = 4"), ("[3, 4]", "[3, 5]"), ("x=1", "x=2"), ("y=2", "y=3"), ("x + y", "x - y")]
            + [("return 5", "return 6"), ("return 6", "return 7"), ("cls.size", "cls.sizes"), ("(Base)", "")],
        ),
        ("def Mine(x): return helper(x) + WEIGHT[0]\n", [("helper(x)", "x"), ("WEIGHT[0]", "WEIGHT[1]")]),
        ("Mine = outer(2)\n", [("2", "3")]),
        ("Mine = functools.partial(helper, x=1)\n", [("1", "2")]),
        ("Mine = Setting(share=.2)\n", [(".2", ".9"), ("share=.2", "names=[1]")]),
        ("P = re.compile('a')\ndef Mine(x): P.match(x)\n", [("'a'", "'b'"), ("'a'", "'a', re.I"), ("match", "sub")]),
        ("Mine = lambda x: math.floor(x)\n", [("floor", "ceil")]),
        ("Mine = lambda x: x in {'a', 'b'}\n", [("'b'", "'c'")]),
        ("Mine = {'a': Base().twice}\n", [("'a'", "'b'"), ("Base().twice", "helper")]),
    ],
)  # fmt: skip
def test_what_it_computes_with_counts(source: str, changes: list[tuple[str, str]]) -> None:
    texts = [source, *(source.replace(*change) for change in changes)]
    assert len({hash_of_object(made(text)) for text in texts}) == len(texts)
    assert hash_of_object(made(source)) == hash_of_object(made(source))


@pytest.mark.parametrize(
    "change",
    [("x + 1", "x + 2"), ('"a": 2', '"a": 3'), ("x * y", "x / y"), ("2 * x", "3 * x"), ("float = 0.5", "float = 0.6")],
)  # fmt: skip
def test_what_the_notebook_has_beside_it_counts(change: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = "class Mine(Base):\n    def f(self): return helper(1), WEIGHT, outer(1), Setting()\n"
    before = hash_of_object(made(source))
    monkeypatch.setitem(globals(), "START", START.replace(*change))
    assert hash_of_object(made(source)) != before


def test_sets_are_the_same_in_any_order() -> None:
    one, other = set(range(0, 4000, 8)), set(range(3992, -1, -8))
    assert hash_of_object({"a", "b"}) == hash_of_object({"b", "a"}) != hash_of_object({"a", "c"})
    assert hash_of_object(one) == hash_of_object(other)
    assert hash_of_object(np.array([1.0, 2.0])) != hash_of_object(np.array([1.0, 3.0]))


def test_what_cannot_be_told_apart_is_refused() -> None:
    for found, says in ((torch.ones(2), "a tensor"), ((x for x in "ab"), "a generator")):
        names = {"__name__": "a_notebook", "found": found}
        exec("def mine(x): return found", names)
        with pytest.raises(ReachlabError, match=f"mine uses {says}, of which no run can say .* a file or a package"):
            hash_of_object(names["mine"])


def test_a_file_beside_the_notebook_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for text in ("V = 1\ndef f(): return V\n", "V = 2\ndef f(): return V\n"):
        (tmp_path / "beside_notebook.py").write_text(text)
        monkeypatch.delitem(sys.modules, "beside_notebook", raising=False)
        names: dict[str, Any] = {"__name__": "a_notebook"}
        exec("import beside_notebook\nfrom beside_notebook import f\n", names)
        exec("def one(): return f()\ndef other(): return beside_notebook.V\n", names)
        found += [hash_of_object(names["one"]), hash_of_object(names["other"])]
    del sys.modules["beside_notebook"]
    assert len({*found}) == 4


@pytest.mark.usefixtures("nothing_registered")
def test_what_is_registered_in_a_notebook_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))

    def code(kind: str, name: str, source: str) -> str:
        exec(source, {"__name__": "a_notebook", "rl": rl, "ALGORITHMS": ALGORITHMS})
        origin = {"algorithm": ALGORITHMS, "reward": REWARDS}[kind].origin(name)
        assert origin is not None
        return code_of(origin)

    algorithm = (
        "from dataclasses import replace\nrl.register.algorithm('mine')(replace(ALGORITHMS['grpo'], clip_high={}))"
    )
    assert len({code("algorithm", "mine", algorithm.format(clip)) for clip in (0.2, 0.9)}) == 2
    reward = "@rl.register.reward('ours', range=(0.0, {}))\ndef f(problem, text): return 1.0\n"
    assert len({code("reward", "ours", reward.format(high)) for high in (1.0, 2.0)}) == 2
