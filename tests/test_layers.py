"""The house's one rule: a room imports only from floors below its own, and from itself."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

import pytest

import reachlab
from reachlab.cli import COMMANDS
from reachlab.exports import WRITERS as EXPORTS
from reachlab.extras import EXTRAS
from reachlab.imports.formats import FORMATS
from reachlab.measures import MEASURES
from reachlab.tasks.registry import FAMILIES

FLOORS = {
    **dict.fromkeys(("errors", "option_names", "types"), 0.5),
    **dict.fromkeys(("extras", "origins"), 0.6),
    **dict.fromkeys(("choices", "next_token_loss"), 0.75),
    **dict.fromkeys(("boundary", "moe", "rl"), 1),
    # The second floor's files without a room, which its rooms use.
    **dict.fromkeys(("limits", "locks", "provenance", "storable", "text_hashes"), 1.4),
    **dict.fromkeys(("runs", "progress", "threads"), 1.5),
    "code_hash": 1.45,
    "object_hash": 1.5,
    "registering": 1.65,
    "hub": 1.6,
    "plugins": 1.6,
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
    "reporting": 4.25,
    "comparing": 4.4,
    **dict.fromkeys(("regime", "serving"), 4.5),
    "studies": 5,
    "integrations": 5.1,
    "installation": 5.25,
    "checks": 5.5,
    **dict.fromkeys(("cli", "library"), 6),
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


def walked(starts: Iterable[str]) -> dict[str, set[str]]:
    """What runs when these modules of ours are imported: each module, and what it imports at its top."""
    found: dict[str, set[str]] = {}
    waiting = [*starts]
    while waiting:
        name = waiting.pop()
        module = ROOT.parent / name.replace(".", "/")
        path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if name in found or not path.is_file() or name == "reachlab":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # Only what runs at import: functions are left out.
        top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        found[name] = set(imported(top))
        waiting.extend(n for n in found[name] if n.startswith("reachlab."))
    return found


def heavy(found: dict[str, set[str]], packages: Set[str]) -> dict[str, set[str]]:
    return {name: bad for name, names in found.items() if (bad := {n.split(".")[0] for n in names} & packages)}


def modules_of(choices: Mapping[str, str]) -> set[str]:
    return {place.partition(":")[0] for place in choices.values()}


def test_a_module_that_only_configures_is_light() -> None:
    """`reachlab --help` must not wait for torch: nothing the command line imports at its top may be heavy."""
    found = walked(["reachlab.cli", "reachlab.cli.moe", *modules_of(COMMANDS.places)])
    assert not heavy(found, HEAVY)
    assert "reachlab.training.config" in found


BASE = (
    *("tasks", "sample", "import", "export", "verify", "reference", "chance", "measures", "perplexity"),
    *("compare", "report", "power", "doctor"),
)
"""Commands that a plain install has."""
WITH_A_MODEL = {"reachlab.prompting.rendered"}
"""What one of them imports where a checkpoint is named."""
CHOSEN = tuple(choices.places for choices in (COMMANDS, EXPORTS, FAMILIES, FORMATS, MEASURES))


def inside(command: str) -> set[str]:
    """What a command, and the functions beside it that are no commands, import when they run."""
    module, _, name = COMMANDS.places[command].partition(":")
    others = {place.partition(":")[2] for place in COMMANDS.places.values()} - {name}
    tree = ast.parse((ROOT.parent / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name not in others]
    return set(imported(ast.Module([*functions], [])))


def test_what_a_plain_install_has_imports_nothing_of_the_extras() -> None:
    packages = {package for packages in EXTRAS.values() for package in packages}
    starts = {name for command in BASE for name in inside(command)} - WITH_A_MODEL
    chosen = {name for places in CHOSEN for name in modules_of(places)} - {"reachlab.tasks.gym"}
    found = walked({*starts, *chosen, "reachlab.engines.openai"})
    assert not heavy(found, packages)
    assert {"reachlab.sampling.run", "reachlab.reporting.page", "reachlab.comparing.models"} <= found.keys()
