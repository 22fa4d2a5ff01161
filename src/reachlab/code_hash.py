"""A hash of what modules compute: of their syntax trees, so that comments, docstrings and layout change nothing.

Of others' modules (`hash_of_modules`) it takes in what they import from the same package, or, for a file that is in no
package, from the same folder: a verifier whose helper changed is another verifier.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.storable import encoded

BESIDE = ("ctx", "kind", "type_comment", "type_params")
"""Fields of a syntax tree that say nothing of what is computed, or that some versions of Python lack."""

SHARED = ("site-packages", "dist-packages")
"""Folders in which files of one folder have nothing to do with each other."""


_imported: dict[str, tuple[Any, str]] = {}
"""Modules that are imported: what their import made, which a reload makes anew, and their code at that time."""


def hash_of_modules(modules: Iterable[str]) -> str:
    """A hash of the code of modules that are imported, and of their own that they import; nothing where none of them
    has a file.

    Raises:
        ReachlabError: a file has changed since it was imported: this process computes with what it was, and another one
            would with what it is.
    """
    found = note_imported(modules)
    for module, said in found.items():
        if module in _imported and _imported[module][1] != said:
            raise ReachlabError(f"{file_of(module)} has changed since it was imported; restart, or reload {module}")
    return digest_of({_called(module): said for module, said in found.items()}) if found else ""


def note_imported(modules: Iterable[str]) -> dict[str, str]:
    """Keep in mind what the code of modules is, as soon as they are imported; returns it, as it is now."""
    found = {name: said for name, (said, _) in reached(modules, file_of, lambda of, name: _own(of, name)).items()}
    for name in found:
        module = sys.modules.get(name)
        made = getattr(module, "__spec__", None) or module
        if module is None:
            _imported.pop(name, None)
        elif name not in _imported or _imported[name][0] is not made:
            _imported[name] = made, found[name]
    return found


def reached(
    modules: Iterable[str], path_of: Callable[[str], Path | None], follows: Callable[[str, str], bool]
) -> dict[str, tuple[str, list[str]]]:
    """Modules and what they reach by imports: each one's code as text, and the names that it imports.

    Args:
        modules: where to begin.
        path_of: the file of a module; None leaves it out.
        follows: whether what a module imports is looked at too.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    waiting = [*modules]
    while waiting:
        module = waiting.pop()
        if module in found or (path := path_of(module)) is None:
            continue
        said, names = _read(path, path.stat().st_mtime_ns)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        absolute = [importlib.util.resolve_name(name, package) if name.startswith(".") else name for name in names]
        found[module] = said, absolute
        waiting += [name for name in absolute if follows(module, name)]
    return found


def digest_of(code: Mapping[str, str]) -> str:
    """A hash of the texts of modules by name."""
    digest = hashlib.blake2b(digest_size=6)
    for module in sorted(code):
        digest.update(b"%s\0%s\0" % (module.encode(), encoded(code[module])))
    return digest.hexdigest()


def file_of(module: str) -> Path | None:
    """The file of a module, imported or not; None where there is none with source."""
    if module in sys.modules:
        found = getattr(sys.modules[module], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            return None
        found = spec.origin if spec is not None and spec.has_location else None
    path = Path(found) if isinstance(found, str) and found.endswith(".py") else None
    return path if path is not None and path.is_file() else None


def _own(module: str, name: str) -> bool:
    """Whether what a module imports is of the same package; of the same folder, where it is in none."""
    own, other = (one.partition(".")[0] for one in (module, name))
    if own == other:
        return True
    here, there = _home(own), _home(other)
    return here is not None and here[0] == (there or (None,))[0] and not here[1] and here[0].name not in SHARED


def _home(root: str) -> tuple[Path, bool] | None:
    """The folder that a module or a package of the first level lies in, and whether it is a package with a file; one
    without (``helpers/scoring.py`` and no ``helpers/__init__.py``) is a folder of modules."""
    if (path := file_of(root)) is not None:
        package = path.name == "__init__.py"
        return (path.parent.parent if package else path.parent).resolve(), package
    try:
        spec = getattr(sys.modules[root], "__spec__", None) if root in sys.modules else importlib.util.find_spec(root)
    except (ImportError, ValueError, AttributeError):
        return None
    folders = [] if spec is None or spec.has_location else [*(spec.submodule_search_locations or ())]
    return (Path(folders[0]).parent.resolve(), False) if folders else None


def _called(module: str) -> str:
    """A file of one's own by its name alone, however it was imported."""
    return module.removeprefix("reachlab_plugin_")


@cache
def _read(path: Path, _: int) -> tuple[str, list[str]]:
    tree = ast.parse(path.read_bytes())
    said: list[str] = []
    _code(tree, said)
    return " ".join(said), [*_imports(tree)]


def _imports(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports, wherever in it; also a name's, which may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}{'' if module.endswith('.') else '.'}{alias.name}" for alias in node.names)


def _code(node: Any, said: list[str]) -> None:
    """Append a syntax tree as text, the same in all versions of Python, docstrings left out."""
    if isinstance(node, ast.AST):
        said.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if name in BESIDE or value is None or value == []:
                continue
            if name == "body" and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                value = [inner for inner in value if not _is_text(inner)]
            said.append(name)
            _code(value, said)
        said.append(")")
    elif isinstance(node, list):
        said.append("[")
        for inner in node:
            _code(inner, said)
        said.append("]")
    else:
        said.append(repr(node))


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a text alone: documentation."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
