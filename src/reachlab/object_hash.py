"""A hash of what an object computes that is in no file, as in a notebook: of its byte code and of all that this uses.

Functions say their instructions, defaults, closures and the globals that they name; classes their members and bases;
other objects what `pickle` would have of them. What lies in a library is said by its name, and what lies in a file of
one's own by that file's code (`code_hash.py`). Docstrings are none of the instructions. What none of this describes
surely is refused, so that two choices that differ are never taken for one.
"""

import dis
import hashlib
import re
import sys
import types
import typing
from collections.abc import Iterator
from enum import Enum
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from reachlab.code_hash import SHARED, hash_of_modules
from reachlab.errors import ReachlabError

PLAIN = (str, bytes, bool, int, float, complex, types.NoneType, types.EllipsisType, types.NotImplementedType, range)
SPOKEN = (types.GenericAlias, types.UnionType, typing.TypeVar, PurePath)
"""Objects that their text describes."""
SLOTS = (types.GetSetDescriptorType, types.MemberDescriptorType)
BUILT_IN = (
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)
BESIDE = (
    *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__annotate__", "__annotate_func__"),
    *("__annotations_cache__", "__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__"),
    *("__match_args__", "__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__"),
    "__slotnames__",
)
"""Members of a class that compute nothing, or that stand in others of its members too."""
HAS_DOCSTRING = 0x4000000
"""The flag of code that newer versions of Python have."""
GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


class _UnsureError(Exception):
    """An object that nothing describes surely; the message says which."""


def hash_of_object(found: Any) -> str:
    """A hash of a class, a function or another object.

    Raises:
        ReachlabError: it uses something that cannot be told apart from another.
    """
    try:
        return _hash(found)
    except (_UnsureError, RecursionError) as error:
        what = str(error) if isinstance(error, _UnsureError) else "something that is nested too deeply"
        name = getattr(found, "__qualname__", None) or getattr(found, "name", None) or type(found).__name__
        raise ReachlabError(
            f"{name} uses {what}, of which no run can say whether it is the same again; put it into a file or a package"
        ) from error


def _hash(found: Any) -> str:
    walk = _Walk()
    walk.say(found)
    return hashlib.blake2b("\0".join(walk.said).encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()


class _Walk:
    """Says an object as texts, each part of it once."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._met: dict[int, tuple[int, Any]] = {}

    def say(self, found: Any) -> None:
        if isinstance(found, PLAIN) and type(found) in PLAIN:
            self.said.append(f"{type(found).__name__} {found!r}")
            return
        if id(found) in self._met:
            self.said.append(f"again {self._met[id(found)][0]}")
            return
        self._met[id(found)] = len(self._met), found
        if isinstance(found, types.ModuleType):
            self._module(found.__name__)
        elif isinstance(found, types.CodeType):
            self._code(found)
        elif isinstance(found, types.FunctionType):
            self._function(found)
        elif isinstance(found, type):
            self._class(found)
        else:
            self._thing(found)

    def all(self, kind: str, *parts: Any) -> None:
        self.said.append(f"{kind} {len(parts)}")
        for part in parts:
            self.say(part)

    def _module(self, name: str) -> None:
        """A module, or a thing's module: a library by its name, one's own by its code."""
        self.said.append(f"module {name}")
        if not _is_library(name):
            self.said.append(hash_of_modules([name]))

    def _function(self, found: types.FunctionType) -> None:
        library = _is_library(found.__module__)
        self.said.append(f"function {found.__qualname__}")
        if (library or _has_file(found.__module__)) and "<" not in found.__qualname__:
            self._module(found.__module__)
            return
        self._code(found.__code__)
        self.all("defaults", found.__defaults__, found.__kwdefaults__, vars(found))
        for cell in found.__closure__ or ():
            try:
                self.all("cell", cell.cell_contents)
            except ValueError:
                self.said.append("empty cell")
        if library:
            return
        for name in sorted(set(_globals(found.__code__))):
            if name in found.__globals__:
                self.all(f"global {name}", found.__globals__[name])
                if isinstance(package := found.__globals__[name], types.ModuleType):
                    self._below(package.__name__, found.__code__)

    def _below(self, package: str, code: types.CodeType) -> None:
        """The modules of a package of one's own that a function reaches by their names: ``helpers.scoring``."""
        if _is_library(package):
            return
        names = set(_names(code))
        for module in sorted(name for name in sys.modules if name.startswith(f"{package}.")):
            if names.issuperset(module.removeprefix(f"{package}.").split(".")):
                self._module(module)

    def _code(self, code: types.CodeType) -> None:
        count = code.co_argcount + code.co_kwonlyargcount
        self.said.append(f"code {code.co_argcount} {code.co_posonlyargcount} {count} {code.co_varnames[: count + 2]}")
        self.said.append(f"{code.co_flags & ~HAS_DOCSTRING} {code.co_exceptiontable.hex()}")
        for step in dis.get_instructions(code):
            self.said.append(step.opname)
            constant = step.opcode in dis.hasconst
            self.say(step.argval) if constant else self.said.append(f"{step.argval}")

    def _class(self, found: type) -> None:
        self.said.append(f"class {found.__module__} {found.__qualname__}")
        library = _is_library(found.__module__)
        if library or (_has_file(found.__module__) and "<" not in found.__qualname__):
            self._module(found.__module__)
            return
        self.all("bases", *found.__bases__, type(found))
        for name, value in sorted(vars(found).items()):
            if name not in BESIDE:
                self.all(f"member {name}", value)

    def _thing(self, found: Any) -> None:
        self.said.append(type(found).__qualname__)
        if isinstance(found, list | tuple) and type(found) in (list, tuple):
            self.all("items", *found)
        elif isinstance(found, set | frozenset) and type(found) in (set, frozenset):
            self.said += sorted(_hash(one) for one in found)
        elif isinstance(found, dict | types.MappingProxyType) and type(found) in (dict, types.MappingProxyType):
            self.all("items", *(part for item in found.items() for part in item))
        elif isinstance(found, SPOKEN):
            self.said.append(repr(found))
        elif isinstance(found, re.Pattern):
            self.all("pattern", found.pattern, found.flags)
        elif isinstance(found, SLOTS):
            self.said.append(found.__name__)
        elif isinstance(found, BUILT_IN):
            owner = getattr(found, "__self__", None)
            self.said.append(f"{getattr(found, '__module__', '')} {found.__qualname__}")
            if owner is not None and not isinstance(owner, types.ModuleType):
                self.say(owner)
        elif isinstance(found, types.MethodType | staticmethod | classmethod):
            self.all("method", found.__func__, getattr(found, "__self__", None))
        elif isinstance(found, property):
            self.all("property", found.fget, found.fset, found.fdel)
        elif isinstance(found, partial):
            self.all("partial", found.func, found.args, found.keywords)
        elif isinstance(found, Enum):
            self.all(f"member {found.name}", type(found), found.value)
        elif hasattr(found, "__wrapped__"):
            self.all("wrapped", found.__wrapped__)
        else:
            self._reduced(found)

    def _reduced(self, found: Any) -> None:
        """An object as `pickle` has it: what makes it, and its state."""
        if type(found).__module__.partition(".")[0] == "torch" and hasattr(found, "untyped_storage"):
            raise _UnsureError("a tensor")
        self.say(type(found))
        try:
            made: Any = found.__reduce_ex__(4)
        except Exception as error:
            raise _UnsureError(f"a {type(found).__qualname__}") from error
        if isinstance(made, str):
            self.said.append(made)
            return
        for part in made:
            self.say([*part] if isinstance(part, Iterator) else part)


def _is_library(module: str | None) -> bool:
    """Whether a module is no business of a run's identity: ours, Python's, or an installed one."""
    root = (module or "").partition(".")[0]
    if root == "reachlab" or root in sys.stdlib_module_names:
        return True
    found = getattr(sys.modules.get(module or ""), "__file__", None)
    if not isinstance(found, str):
        return False
    return not found.endswith(".py") or any(part in SHARED for part in Path(found).parts)


def _has_file(module: str | None) -> bool:
    return isinstance(getattr(sys.modules.get(module or ""), "__file__", None), str)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Code, and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _globals(code: types.CodeType) -> Iterator[str]:
    """The globals that code reads."""
    for inner in _codes(code):
        yield from (str(step.argval) for step in dis.get_instructions(inner) if step.opname in GLOBALS)


def _names(code: types.CodeType) -> Iterator[str]:
    for inner in _codes(code):
        yield from inner.co_names
