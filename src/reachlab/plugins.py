"""Files and modules of one's own: ``--plugin FILE.py|MODULE``, REACHLAB_PLUGINS, ``FILE.py:NAME``; and what they are.

A file is a module of its own name (`FILES`), so that it can be called like any other module, and its folder is looked
in for what it imports, as with ``python FILE.py``. What was imported stands in the environment, and so does a module
that registers something: processes that we start (judges, stages of a study, Ray's workers) import it first, so that a
task or a reward is found there too.

Which code made a choice is a hash of its syntax tree (`code_hash.py`): of its module, and of what that imports from the
same package, or for a file from the same folder.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reachlab.choices import Choices, installed
from reachlab.code_hash import SHARED, file_of, hash_of_modules, note_imported
from reachlab.errors import ReachlabError
from reachlab.object_hash import hash_of_object
from reachlab.origins import Maker

ENVIRONMENT = "REACHLAB_PLUGINS"
"""Files and modules, with the system's separator of paths between them."""
FILES = "reachlab_plugin_"
"""A file ``my_tasks.py`` is the module ``reachlab_plugin_my_tasks``."""
IDENTITY = "plugins"
"""Where a run's identity has the code of others' choices, and its facts who made them."""


def load_plugin(name: str) -> str:
    """Import a file or a module, once; returns the module's name.

    Raises:
        ReachlabError: there is none, or its own code raises; the message says where.
    """
    if not name:
        raise ReachlabError("--plugin is empty; name a file, e.g. my_tasks.py, or a module")
    if is_file(name):
        path = Path(name).expanduser().resolve()
        module, kept = _load_file(path), str(path)
    else:
        module, kept = _load_module(name), name
    note_imported([module])
    _tell_children(kept)
    return module


def note_registering(module: str) -> None:
    """A module registers choices: keep in mind what it is now, and have the processes that we start import it too. A
    notebook has none that they could import; a script that is run would run again."""
    note_imported([module])
    path = file_of(module)
    if path is None or module == "__main__" or module.startswith(FILES):  # of a file says so whoever imports it
        return
    alone = "." not in module and path.name != "__init__.py" and path.parent.name not in SHARED
    packaged = any(one.origin.module == module for those in installed().values() for one in those)
    _tell_children(str(path.resolve()) if alone and not packaged else module)


def _tell_children(name: str) -> None:
    known = _named()
    if name not in known:
        os.environ[ENVIRONMENT] = os.pathsep.join([*known, name])


def load_plugins() -> None:
    """Import what REACHLAB_PLUGINS names.

    Raises:
        ReachlabError: as of `load_plugin`.
    """
    for name in _named():
        load_plugin(name)


def is_file(name: str) -> bool:
    """Whether a plugin is named by its file."""
    return name.endswith(".py")


def is_loaded(file: str) -> bool:
    """Whether a file is imported already."""
    path = Path(file).expanduser().resolve()
    return getattr(sys.modules.get(FILES + path.stem), "__file__", None) == str(path)


def loaded_from(place: str) -> Any:
    """What ``FILE.py:NAME`` names.

    Raises:
        ReachlabError: no such file or name, or the file's own code raises.
    """
    file, _, name = place.rpartition(":")
    module = sys.modules[load_plugin(file)]
    if not name.isidentifier() or not hasattr(module, name):
        there = ", ".join(n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__)
        raise ReachlabError(f"{file} has no {name!r}; it has {there or 'nothing of its own'}")
    return getattr(module, name)


def travels(thing: Any) -> bool:
    """Whether another process can have a class or a function: what is defined in a notebook, or inside a function,
    cannot."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return named.__module__ != "__main__" and "<" not in named.__qualname__


def made_by(chosen: Mapping[str, tuple[Choices[Any], str]]) -> dict[str, Maker]:
    """Who made what a run chose, by its role; ours are left out."""
    found = {role: choices.origin(name) for role, (choices, name) in chosen.items()}
    return {role: origin for role, origin in found.items() if origin is not None}


def identity_of(makers: Mapping[str, Maker]) -> dict[str, Any]:
    """What a run's identity has of others' choices: their code. Nothing where all are ours."""
    return {IDENTITY: {role: code_of(origin) for role, origin in makers.items()}} if makers else {}


def facts_of(makers: Mapping[str, Maker]) -> dict[str, Any]:
    """What a run keeps of who made others' choices: package and version, or the file."""
    return {IDENTITY: {role: _fact(origin) for role, origin in makers.items()}} if makers else {}


def code_of(origin: Maker) -> str:
    """A hash of the code of somebody else's choice: of its module; of the object alone, where that is in no file."""
    if origin.module not in sys.modules:
        importlib.import_module(origin.module)
    if code := hash_of_modules([origin.module]):
        return code
    return "not in a file" if origin.found is None else hash_of_object(origin.found)


def told(facts: Mapping[str, Any], role: str) -> str:
    """Who made a run's choice, in words, from the run's facts; nothing where it is ours."""
    kept = facts.get(IDENTITY)
    fact = kept.get(role) if isinstance(kept, Mapping) else None
    if not isinstance(fact, Mapping):
        return ""
    if fact.get("package"):
        return f"it is of the package {fact['package']} {fact.get('version') or ''}".rstrip() + ": install it"
    if fact.get("file"):
        return f"it is of {fact['file']}: give it with --plugin"
    return "it was registered in a notebook or a script: put it into a file, and give that with --plugin"


def words_for(facts: Mapping[str, Any]) -> list[str]:
    """The options that have the files of a run's choices again."""
    kept = facts.get(IDENTITY)
    found = kept.values() if isinstance(kept, Mapping) else ()
    files = {str(fact["file"]): None for fact in found if isinstance(fact, Mapping) and fact.get("file")}
    return [word for file in files for word in ("--plugin", file)]


def taken_out(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """A command line without its ``--plugin``, and what those name.

    Raises:
        ReachlabError: nothing stands behind one.
    """
    rest: list[str] = []
    found: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--plugin":
            found.append(next(left, ""))
        elif word.startswith("--plugin="):
            found.append(word.partition("=")[2])
        else:
            rest.append(word)
    if "" in found:
        raise ReachlabError("--plugin needs a file, e.g. --plugin my_tasks.py, or a module")
    return rest, found


def _named() -> list[str]:
    return [name for name in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if name]


def _fact(origin: Maker) -> dict[str, str]:
    if origin.package:
        return {"package": origin.package, "version": origin.version}
    return {"file": origin.file} if origin.file else {"module": origin.module}


def _load_file(path: Path) -> str:
    name = FILES + path.stem
    there = sys.modules.get(name)
    if there is not None:
        if Path(str(there.__file__)) != path:
            raise ReachlabError(f"two plugins are called {path.name}: {there.__file__} and {path}; rename one")
        return name
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ReachlabError(f"plugin {path}: there is no such file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _broken(str(path), error) from error
    return name


def _load_module(name: str) -> str:
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        importlib.import_module(name)
    except BaseException as error:
        raise _broken(name, error) from error
    return name


def _broken(name: str, error: BaseException) -> BaseException:
    """What is raised where a plugin's own code raises."""
    if isinstance(error, KeyboardInterrupt | MemoryError):
        return error
    if isinstance(error, ReachlabError):
        return ReachlabError(f"plugin {name}: {error}")
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{name}:{line}" if line else name
    return ReachlabError(f"plugin {where}: not imported: {type(error).__name__}: {error}")
