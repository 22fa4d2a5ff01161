"""Statements of Python in a text: where they begin and end, what they bind, what they use. Runs inside the walls:
nothing but the standard library."""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from functools import cached_property

if __package__:
    from reachlab.tasks.sandbox.fences import Quotes
else:  # inside the walls, where there is no package
    from fences import Quotes  # type: ignore[import-not-found,no-redef]

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__"}
GOES_ON = re.compile(r"[)\]}]|(?:else|elif|except|finally)\b")
BEGINS = re.compile(r"(?:async )?def |class |import |from |@")


def parsed(source: str) -> ast.Module | None:
    """The tree; None where it is not Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Piece:
    """Some source that stands for itself: a program, or one statement of it."""

    def __init__(self, source: str):
        self.source = source

    @cached_property
    def tree(self) -> ast.Module | None:
        """Its tree."""
        return parsed(self.source)

    @cached_property
    def binds(self) -> frozenset[str]:
        """The names that it gives a value at the top level."""
        return frozenset(name for s in top(self.tree.body if self.tree else []) for name in _bound(s))

    @cached_property
    def uses(self) -> frozenset[str]:
        """The names of its own top level that stand in it anywhere, but for those that it binds or Python knows."""
        try:
            waiting = [symtable.symtable(self.source, "answer.py", "exec")]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset()
        found: set[str] = set()
        while waiting:
            table = waiting.pop()
            waiting += table.get_children()
            module = table.get_type() == "module"
            found |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (module or s.is_global())}
        return frozenset(found) - self.binds - BUILTINS

    @cached_property
    def imports(self) -> bool:
        """Whether it imports and does nothing else."""
        body = self.tree.body if self.tree else []
        return bool(body) and all(isinstance(s, (ast.Import, ast.ImportFrom)) for s in body)


def top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of the top level, also below `if`, `try`, `with` and loops."""
    waiting = list(reversed(body))
    while waiting:
        statement = waiting.pop()
        yield statement
        for name in ("body", "orelse", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                waiting += getattr(statement, name, [])
        for handler in getattr(statement, "handlers", []):
            waiting += handler.body


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in statement.names)
    else:
        targets = [getattr(statement, "target", None), *getattr(statement, "targets", ())]
        targets += [item.optional_vars for item in getattr(statement, "items", ())]
        for target in targets:
            nodes = ast.walk(target) if target is not None else ()
            yield from (n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def chunks(text: str) -> list[str]:
    """A text cut where statements of the top level may begin, code or not; comments stay with what is before them."""
    found: list[list[str]] = []
    quotes = Quotes()
    more = False
    for line in text.split("\n"):
        begins = bool(line) and not line[0].isspace() and line[0] != "#" and not quotes.string
        if begins and quotes.depth and BEGINS.match(line):
            quotes.depth = 0  # a bracket that prose has left open
        if not found or (begins and not quotes.depth and not more and not GOES_ON.match(line)):
            found.append([])
        found[-1].append(line)
        quotes.read(line)
        more = line.endswith("\\") or (begins and line[0] == "@") or (more and not begins)
    return ["\n".join(lines) for lines in found]


def statements(piece: Piece) -> list[Piece]:
    """A program's statements, one by one."""
    lines = piece.source.split("\n")
    found = []
    for statement in piece.tree.body if piece.tree else []:
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
        found.append(Piece("\n".join(lines[first - 1 : statement.end_lineno])))
    return found


def closure(wanted: frozenset[str], known: frozenset[str], pool: list[Piece]) -> list[Piece]:
    """The pieces of `pool` that bind what is wanted and not known, and what those use in turn; the last one that binds
    a name counts. In their order."""
    binders = {name: number for number, piece in enumerate(pool) for name in piece.binds}
    taken: set[int] = set()
    waiting = list(wanted - known)
    while waiting:
        number = binders.get(waiting.pop())
        if number is not None and number not in taken:
            taken.add(number)
            waiting += pool[number].uses - known
    return [pool[number] for number in sorted(taken)]
