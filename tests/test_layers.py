"""The house's one rule: a room imports only from floors below its own, and from itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import reachlab

FLOORS = {
    **dict.fromkeys(("errors", "option_names", "types"), 0.5),
    **dict.fromkeys(("choices", "next_token_loss"), 0.75),
    **dict.fromkeys(("boundary", "moe", "rl"), 1),
    # The second floor's files without a room, which its rooms use.
    **dict.fromkeys(("limits", "locks", "provenance", "storable", "text_hashes"), 1.4),
    **dict.fromkeys(("runs", "progress", "threads"), 1.5),
    "hub": 1.6,
    "pictures": 1.75,
    **dict.fromkeys(("tasks", "models"), 2),
    "prompting": 2.5,
    "engines": 2.75,
    "store": 3,
    "measures": 3.25,
    "pairing": 3.5,
    **dict.fromkeys(("sampling", "imports", "exports"), 3.75),
    "training": 4,
    "commands": 4.1,
    "report": 4.25,
    **dict.fromkeys(("regime", "serve"), 4.5),
    "studies": 5,
    "checks": 5.5,
    "cli": 6,
    "__main__": 7,
}
ROOT = Path(reachlab.__file__).parent
MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")
HEAVY = {"torch", "transformers", "plotly", "reasoning_gym", "math_verify", "pandas", "starlette", "uvicorn"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Names of the modules that a syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield str(node.module)
            if str(node.module).startswith("reachlab"):  # what is named may be a module itself
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def ours(path: Path) -> set[str]:
    """The rooms that a module imports."""
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    return {name.split(".")[1] for name in names if name.startswith("reachlab.")} - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    own = room(path)
    above = {r for r in ours(path) if r != own and FLOORS[r] >= FLOORS[own]}
    if own in ("boundary", "moe", "rl"):
        above = ours(path) - {own, "errors", "types", "choices", "next_token_loss"}
    assert not above, f"{own} (floor {FLOORS[own]}) imports {', '.join(sorted(above))}"


def test_every_room_has_a_floor() -> None:
    assert {room(p) for p in MODULES} == set(FLOORS)


def test_a_module_that_only_configures_is_light() -> None:
    """`reachlab --help` must not wait for torch: nothing the command line imports at its top may be heavy."""
    seen: set[str] = set()
    waiting = ["reachlab.cli"]
    while waiting:
        name = waiting.pop()
        module = ROOT.parent / name.replace(".", "/")
        path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if name in seen or not path.is_file() or name == "reachlab":
            continue
        seen.add(name)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # Only what runs at import: functions are left out.
        top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        found = set(imported(top))
        assert not {n.split(".")[0] for n in found} & HEAVY, name
        waiting.extend(n for n in found if n.startswith("reachlab."))
    assert "reachlab.training.config" in seen
