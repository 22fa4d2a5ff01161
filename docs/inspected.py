"""What the site says of a function that takes a command's options: the signature and the docstring that it has when it
runs (`library/functions.py`), with every option, and not those of its source.

Source: griffe's extensions, https://mkdocstrings.github.io/griffe/guide/users/how-to/support-decorators/
"""

import inspect
from typing import Any

import griffe


class WithOptions(griffe.Extension):
    """Functions of `reachlab.library` as `help` shows them."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Take what the function is at run time, where it has more keywords than its source."""
        if not func.path.startswith("reachlab.library.") or "options" not in func.parameters:
            return
        found = griffe.dynamic_import(func.path)
        if not hasattr(found, "__signature__"):
            return
        func.docstring = griffe.Docstring(inspect.getdoc(found) or "", parent=func, parser="numpy")
        func.parameters = griffe.Parameters(*map(_parameter, inspect.signature(found).parameters.values()))


def _parameter(of: inspect.Parameter) -> griffe.Parameter:
    """A parameter as griffe has it; its type stands in the docstring."""
    default = None if of.default is of.empty else repr(of.default)
    kind = griffe.ParameterKind(of.kind.description)
    return griffe.Parameter(of.name, kind=kind, default=default, annotation=None)
