"""The names of `import reachlab`: the table, the block for type checkers and `__all__` agree, whatever is imported."""

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tests.tiny import ENVIRONMENT

import reachlab as rl

SOURCE = ast.parse(Path(str(rl.__file__)).read_text(encoding="utf-8"))


def test_a_type_checker_sees_what_is_there() -> None:
    (block,) = [node for node in SOURCE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name  # a name that is offered, as PEP 484 has it
            seen[alias.name] = node.module
    assert seen == rl.PLACES
    assert set(rl.__all__) == {*seen, "__version__"}
    assert set(rl.__all__) <= set(dir(rl))


@pytest.mark.parametrize("name", sorted(rl.PLACES))
def test_every_name_is_there_and_says_what_it_is_for(name: str) -> None:
    found = getattr(rl, name)
    assert found is getattr(import_module(rl.PLACES[name]), name)
    assert inspect.getdoc(found)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'campare'"):
        rl.campare  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(rl, "__wrapped__")


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(ENVIRONMENT), timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_light() -> None:
    out = run(
        "import sys, reachlab; reachlab.ReachlabError; print({'numpy', 'torch', 'pandas', 'tyro'} & {*sys.modules})"
    )
    assert out == "set()\n"


def test_no_module_of_the_package_takes_a_name() -> None:
    """A room or file `reachlab/compare.py` would stand in the place of the function once it is imported."""
    root = Path(str(rl.__file__)).parent
    rooms = {path.stem for path in root.glob("*.py")} | {path.name for path in root.iterdir() if path.is_dir()}
    assert not rooms & set(rl.__all__)


@pytest.mark.slow
def test_imports_in_any_order_leave_every_name() -> None:
    script = (
        "import json, pkgutil, reachlab\n"
        "from importlib import import_module\n"
        "for room in reversed([m.name for m in pkgutil.walk_packages(reachlab.__path__, 'reachlab.')]):\n"
        "    if 'fused_cpu' in room or 'kernels' in room or 'sandbox' in room or '__main__' in room: continue\n"
        "    try: import_module(room)\n"
        "    except ImportError: pass\n"
        "print(json.dumps([n for n, at in reachlab.PLACES.items()\n"
        "    if getattr(reachlab, n) is not getattr(import_module(at), n)]))"
    )
    assert json.loads(run(script)) == []
