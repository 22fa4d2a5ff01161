"""Which part of an answer is its program. Runs inside the walls: nothing but the standard library.

Where a function is asked for, it is the last block that defines it, together with what it needs from other blocks; an
example, an output or a test after it does not win. A text without such a block completes what the prompt began
(HumanEval), or is the program itself with prose around. Where a whole program is asked for, it is the last block that
reads input, or else prints. What the answer then makes of itself is its own affair: nothing is mended but indentation
that was lost at the very beginning of a completion.
"""

import ast
import re

if __package__:
    from reachlab.tasks.sandbox.fences import Block, fenced, stated
    from reachlab.tasks.sandbox.statements import Piece, chunks, closure, statements, top
else:  # inside the walls, where there is no package
    from fences import Block, fenced, stated  # type: ignore[import-not-found,no-redef]
    from statements import Piece, chunks, closure, statements, top  # type: ignore[import-not-found,no-redef]

READS = re.compile(r"\binput *\(|\bstdin\b|\bos\.read\b|\bopen *\( *0|\bfileinput\b|/dev/stdin")
PRINTS = re.compile(r"\bprint\b|\bstdout\b|\bos\.write\b")
FUTURE = re.compile(r"^from __future__ import [^\n]*+\n?", re.MULTILINE)
COMES_BACK = re.compile(r"^[ \t]*+(?:return|yield|raise)\b", re.MULTILINE)
MOST_BLOCKS, MOST_PIECES = 100, 5000
"""Blocks that are looked at, from the end, and statements a text is taken apart into: honest answers have fewer."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def program_of(text: str, begins: str = "", entry: str = "") -> str:
    """The program in an answer; "" where it states none.

    Args:
        begins: the beginning of a program that the prompt held, if it did.
        entry: what the program must define: names of functions, the first one foremost, or ``Class.method``; "" for a
            program that is run.
    """
    answer = stated(text)
    if not answer.strip():
        return ""
    before, blocks = fenced(answer)
    blocks = [block for block in blocks if block.code.strip()][-MOST_BLOCKS:]
    if not entry.split():
        return _script(answer, before, blocks)
    goal = _Goal(entry.split())
    head = _head(begins, goal)
    if chosen := goal.choose(blocks):
        program = _with_what_it_needs(chosen, blocks, head, goal.others)
    elif completed := _completion(before, answer, blocks, begins, goal):
        program = completed
    elif goal.bound(answer):
        program = _unfenced(answer, head, goal)
    else:
        program = _script(answer, before, blocks)
    return goal.as_asked(program)


class _Goal:
    """What a program must define."""

    def __init__(self, names: list[str]):
        self.holder, _, self.name = names[0].rpartition(".")
        self.others = frozenset(names[1:])
        self.names = frozenset({self.holder, self.name} - {""})
        name = "|".join(map(re.escape, sorted(self.names)))
        self.defines = re.compile(rf"^[ \t]*+(?:async +)?(?:def|class) +(?:{name})\b", re.MULTILINE)
        self.assigns = re.compile(
            rf"^(?:{re.escape(self.name)} *[=:]|(?:from|import)\b.*\b{re.escape(self.name)}$)", re.MULTILINE
        )

    def defined(self, source: str) -> bool:
        """Whether a text seems to have its `def` or `class`."""
        return bool(self.defines.search(source))

    def bound(self, source: str) -> bool:
        """Whether a text seems to give it a value in any way."""
        return self.defined(source) or bool(self.assigns.search(source))

    def met(self, piece: Piece) -> bool:
        """Whether a piece defines it, with more in it than a docstring."""
        if not self.names & piece.binds or not piece.tree:
            return False
        inner = self._functions(piece.tree)
        return not inner or not all(map(_says_nothing, inner))

    def comes_back(self, piece: Piece) -> bool:
        """Whether a function that a piece defines ever gives something back, itself and not by one in it."""
        waiting: list[ast.AST] = [s for f in (self._functions(piece.tree) if piece.tree else ()) for s in f.body]
        while waiting:
            node = waiting.pop()
            if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom, ast.Raise)):
                return True
            if not isinstance(node, (Function, ast.ClassDef, ast.Lambda)):
                waiting += ast.iter_child_nodes(node)
        return False

    def _functions(self, tree: ast.Module) -> list[Function]:
        found = [s for s in top(tree.body) if getattr(s, "name", "") in self.names]
        inner = [s for s in found if isinstance(s, Function)]
        for holder in (s for s in found if isinstance(s, ast.ClassDef)):
            inner += [s for s in holder.body if isinstance(s, Function) and s.name == self.name]
        return inner

    def choose(self, blocks: list[Block]) -> Piece | None:
        """The last block that defines it. One whose syntax is wrong is an answer too, unless it was cut off, or is not
        said to be Python where another one is."""
        fallback = None
        for python, spelt in ((True, self.defined), (True, self.bound), (False, self.defined)):
            broken = None
            for block in reversed([b for b in blocks if b.python is python and spelt(b.code)]):
                piece = Piece(_dedented(block.code))
                if self.met(piece):
                    return piece if block.language or broken is None else broken
                if python and piece.tree is None and block.closed:
                    if block.language:
                        return piece
                    broken = broken or piece
                fallback = fallback or (piece if python else None)
            if broken is not None:
                return broken
        return fallback

    def as_asked(self, program: str) -> str:
        """A program that has a method where a function is asked for, or the other way round, with both."""
        tree = Piece(program).tree if self.defined(program) else None
        body = {s.name: s for s in top(tree.body) if isinstance(s, (Function, ast.ClassDef))} if tree else {}
        function, holder = body.get(self.name), body.get(self.holder or "Solution")
        if self.holder and holder is None and isinstance(function, Function):
            itself = bool(function.args.args) and function.args.args[0].arg == "self"
            value = self.name if itself else f"staticmethod({self.name})"
            return f"{program}\n\nclass {self.holder}:\n    {self.name} = {value}\n"
        if not self.holder and function is None and isinstance(holder, ast.ClassDef):
            methods = {s.name for s in holder.body if isinstance(s, Function)}
            return f"{program}\n\n{self.name} = Solution().{self.name}\n" if self.name in methods else program
        return program


def _says_nothing(function: Function) -> bool:
    return all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in function.body
    )


def before_entry(begins: str, entry: str) -> str:
    """What a prompt has before the function that it begins: imports, helpers; a program, if the prompt is none."""
    return _head(begins, _Goal([entry]))


def _pieces(text: str) -> list[Piece]:
    found = chunks(text)
    return list(map(Piece, found if len(found) <= MOST_PIECES else [text]))


def _head(begins: str, goal: _Goal) -> str:
    pieces = _pieces(begins)
    return "\n".join(p.source for p in pieces if p.tree and p.tree.body and not goal.defined(p.source))


def _with_what_it_needs(chosen: Piece, blocks: list[Block], head: str, others: frozenset[str] = frozenset()) -> str:
    """A block, after the prompt's helpers and what it needs of other blocks."""
    if chosen.tree is None:
        return _joined(head, chosen.source)
    pieces = [Piece(_dedented(b.code)) for b in blocks if b.python]
    at = next((i for i, piece in enumerate(pieces) if piece.source == chosen.source), len(pieces))
    wanted, known = chosen.uses | others, chosen.binds | Piece(head).binds
    pool: list[Piece] = []
    if wanted - known:
        # Of two definitions the one before counts, and the nearer of those.
        for piece in [*reversed(pieces[at + 1 :]), *pieces[:at]]:
            pool += statements(piece)
    needed = closure(wanted, known, pool)
    missing = wanted - known - {name for piece in needed for name in piece.binds}
    stars = [p for p in pool if missing and p.imports and "*" in p.source]
    return _joined(head, *(piece.source for piece in [*stars, *needed]), chosen.source)


def _joined(*sources: str) -> str:
    """Sources end to end; what must be in front of everything is."""
    parts = [source for source in sources if source.strip()]
    whole = "\n\n".join(parts)
    return "".join(FUTURE.findall(whole)) + FUTURE.sub("", whole) if len(parts) > 1 else whole


def _completion(before: str, answer: str, blocks: list[Block], begins: str, goal: _Goal) -> str:
    """What the prompt began, completed; "" where the answer does not complete it."""
    if not begins.strip():
        return ""
    if not blocks:
        texts = [answer]
    elif _indent(before):  # what looks like a fence that opens ends the prompt's own
        texts = [before]
    elif goal.defined(answer):
        return ""
    else:
        texts = [block.code for block in reversed(blocks) if block.python]
    begun = len(chunks(begins))
    for text in texts:
        if goal.bound(text) and not _indent(text):
            continue  # the whole function again
        for body in _bodies(text, begins):
            pieces = _pieces(_continued(begins, body))
            at = max((i for i, p in enumerate(pieces[:begun]) if goal.defined(p.source)), default=-1)
            if at >= 0 and goal.met(pieces[at]) and (body == text or goal.comes_back(pieces[at])):
                return _reached(pieces, at, goal)
    return "" if blocks or goal.bound(answer) else _continued(begins, answer)


def _bodies(text: str, begins: str) -> list[str]:
    """A completion as it is, and as it would be if indentation at its beginning had not been lost; likely first."""
    if not COMES_BACK.search(text):
        return [text]
    lines = text.split("\n")
    first, pad = lines.index(_first_line(text)), _indent(text)
    ours = [indent for indent in map(_indent, begins.split("\n")) if indent]
    wanted = ours[-1] if ours else "    "
    rest = [indent for indent in map(_indent, lines[first + 1 :]) if indent]
    moved = "\n".join(wanted + line.removeprefix(pad) if line.startswith(pad) else line for line in lines)
    mended = [
        "\n".join([*lines[:first], other + lines[first].lstrip(), *lines[first + 1 :]])
        for other in (wanted, min(rest, key=len, default=wanted))
    ]
    return [text, moved, *mended] if pad else [moved, *mended, text]


def _continued(begins: str, text: str) -> str:
    """The text after the beginning, on a line of its own where the beginning's last line is whole."""
    last = begins.rsplit("\n", 1)[-1].strip()
    whole = last.endswith((":", '"""', "'''")) or last.startswith("#")
    return f"{begins}\n{text}" if whole and not text.startswith("\n") else begins + text


def _reached(pieces: list[Piece], at: int, goal: _Goal) -> str:
    """Of the statements of a text the one at `at`, what it needs, what is imported and set up before it; no more, as a
    text goes on with tests, or with the next task."""
    chosen = pieces[at]
    needed = closure(chosen.uses | goal.others, chosen.binds, [p for p in pieces if p is not chosen])
    kept = {id(p) for p in [chosen, *needed]} | {id(p) for p in pieces[:at] if p.imports or _sets_up(p, goal)}
    return _joined("\n".join(p.source for p in pieces if id(p) in kept))


def _sets_up(piece: Piece, goal: _Goal) -> bool:
    """Whether a statement before the function is more than prose or a definition: a table that is filled, a limit."""
    body = piece.tree.body if piece.tree else []
    return (
        bool(body)
        and all(
            isinstance(s, (ast.For, ast.While, ast.Assign, ast.AugAssign))
            or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and isinstance(s.value.func, ast.Attribute))
            for s in body
        )
        and not goal.names & (piece.uses | piece.binds)
    )


def _unfenced(answer: str, head: str, goal: _Goal) -> str:
    """The program in a text without fences: all of it where it is Python, or else the function and what it needs."""
    tree = None if head else Piece(answer).tree
    if tree and not any(isinstance(s, ast.Expr) and isinstance(s.value, ast.Name) for s in tree.body):
        return answer
    text = answer if re.search(r"^(?:async|def|class)\b", answer, re.MULTILINE) else _dedented(answer)
    pieces = [*_pieces(head), *_pieces(text)]
    at = max((i for i, p in enumerate(pieces) if goal.met(p)), default=-1)
    return _reached(pieces, at, goal) if at >= 0 else _joined(head, answer)


def _script(answer: str, before: str, blocks: list[Block]) -> str:
    """The program that is to be run."""
    found = [(Piece(_dedented(b.code)), b) for b in reversed(blocks)]
    python = [(piece, b) for piece, b in found if b.python and (piece.tree or (b.language and b.closed))]
    programs = [(piece, _with_what_it_needs(piece, blocks, "")) for piece, _ in python]
    for does in (READS, PRINTS):
        for acts in (True, False):
            for piece, program in programs:
                if does.search(program) and (not acts or _acts(piece)):
                    return program
    if other := next((p.source for p, b in found if not b.python and p.tree and READS.search(p.source)), ""):
        return other
    for text in (before, answer):
        pieces = _pieces(text)
        real = [i for i, p in enumerate(pieces) if p.tree and not _prose(p)]
        if real:
            return "\n".join(p.source for p in pieces[real[0] : real[-1] + 1])
    return found[0][0].source if found else answer


def _acts(piece: Piece) -> bool:
    """Whether it does something, and not only defines it. So does what has no tree, as far as one can tell."""
    return piece.tree is None or not all(isinstance(s, (*DEFINITIONS, ast.Assign)) for s in piece.tree.body)


def _prose(piece: Piece) -> bool:
    """Whether what can be read as Python does nothing: a word, a number, a list of numbers."""
    body = piece.tree.body if piece.tree else []
    return not any(
        not isinstance(s, ast.Expr) or any(isinstance(n, (ast.Call, ast.Await)) for n in ast.walk(s)) for s in body
    )


def _first_line(text: str) -> str:
    """The first line that is neither empty nor a comment."""
    lines = text.split("\n")
    return next((line for line in lines if line.strip() and line.lstrip()[0] != "#"), lines[0])


def _indent(text: str) -> str:
    """What the first line of code is indented by."""
    first = _first_line(text)
    return first[: len(first) - len(first.lstrip(" \t"))] if first.strip() else ""


def _dedented(code: str) -> str:
    """Code without the indentation of its first line, where all of it has that."""
    pad = _indent(code)
    lines = code.split("\n")
    if not pad or not all(line.startswith(pad) or not line.strip() for line in lines):
        return code
    return "\n".join(line.removeprefix(pad) for line in lines)
