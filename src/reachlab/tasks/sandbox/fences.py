"""What a text states, and the blocks that it fences. Runs inside the walls: nothing but the standard library.

What counts begins after the last end of reasoning and ends before the first end-of-text mark. Blocks are fenced as in
CommonMark, and as models really fence them: on the line of other words, without an end, with docstrings that hold
fences, or between tags. One pass over the lines; every expression is linear in what it reads.
"""

import re
from collections.abc import Iterable

if __package__:
    from reachlab.tasks.sandbox.marks import ENDS, MESSAGE_ENDS, REASONING
else:  # inside the walls, where there is no package
    from marks import ENDS, MESSAGE_ENDS, REASONING  # type: ignore[import-not-found,no-redef]


def _any(marks: Iterable[str]) -> str:
    return "|".join(map(re.escape, dict.fromkeys(marks)))


def _outside_quotes(pattern: str) -> re.Pattern[str]:
    """A mark that is meant: no string's, nor one that is spoken of between backticks. A fence may be next to it."""
    return re.compile(rf"""(?<!["'])(?<!(?<!`)`)(?:{pattern})(?!["']|`(?!`))""")


REASONED = _outside_quotes(rf"(?:{_any(end for _, end in REASONING)})(?:<\|message\|>)?")
REASONS = _outside_quotes(_any(begin for begin, _ in REASONING))
MARKS = _outside_quotes(
    rf"{_any(ENDS)}|<\|(?:user|assistant)\|>|<\|im_start\|>(?:assistant)?|<s>|<bos>|<file_separator>"
    r"|<\|start_header_id\|>(?:assistant<\|end_header_id\|>)?|<[|｜]begin▁of▁sentence[|｜]>|<｜(?:User|Assistant)｜>"
)
LEADING = re.compile(rf"(?:[ \t\n]*+{MARKS.pattern}\n?)++")
ENDED = _outside_quotes(_any(MESSAGE_ENDS))
TAGGED = _outside_quotes(r"<(?:answer|code|python|solution)>|(?m:^)[ \t]*+\[(?:PYTHON|BEGIN|ANSWER|CODE)\]")
UNTAGGED = _outside_quotes(r"</(?:answer|code|python|solution)>|\[(?:/\w{1,9}|DONE|END)\]")

OPENS = re.compile(r"([ \t]*+)(?:(?:[-*+>]|[0-9]{1,9}[.)])[ \t]++)?(`{3,}+|~{3,}+)[ \t]*+([^`]*+)")
LATE = re.compile(r"(?<!`)(`{3,}+)[ \t]*+((?:python|py)[\w.]{0,9}+)?[ \t]*+\Z", re.IGNORECASE)
ONE_LINE = re.compile(r"[ \t]*+(`{3,}+)(?:(?:python|py)[0-9]?[ \t])?([^`]++)\1[ \t]*+", re.IGNORECASE)
LANGUAGE = re.compile(r"[{.\s]*+([\w+#.-]*+)")
TOKEN = re.compile(r"""\"\"\"|'''|"|'|#|[()\[\]{}]""")
STRING_END = {
    '"': re.compile(r'(?:[^"\\]|\\.)*+"'),
    "'": re.compile(r"(?:[^'\\]|\\.)*+'"),
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*+"""', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]|\\.|'(?!''))*+'''", re.DOTALL),
}


class Block:
    """A fenced block: its language, "" where none is named, and whether its end is there."""

    # No dataclass: importing what makes one takes longer than all else here, for every answer.
    def __init__(self, language: str, code: str, closed: bool = True):
        self.language, self.code, self.closed = language, code, closed

    @property
    def python(self) -> bool:
        """Whether it is fenced as Python, or as nothing in particular."""
        return not self.language or self.language.startswith("py")


def stated(text: str) -> str:
    """The part of a text that is its answer; "" where a reasoning never ends."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    leading = LEADING.match(text)
    text = text[leading.end() :] if leading else text
    text = MARKS.split(text, maxsplit=1)[0]
    ends = [match.end() for match in REASONED.finditer(text)]
    if text.startswith("analysis") and "assistantfinal" in text:  # Harmony, its marks left out in decoding
        ends.append(text.rindex("assistantfinal") + len("assistantfinal"))
    text = text[max(ends, default=0) :]
    if REASONS.search(text):
        return ""
    return ENDED.split(text, maxsplit=1)[0]


class Quotes:
    """Whether a program, read line after line, is in a string of several lines or in brackets."""

    def __init__(self) -> None:
        self.string, self.depth = "", 0

    def read(self, line: str) -> None:
        """Go on by a line."""
        at = 0
        if self.string:
            end = STRING_END[self.string].match(line)
            if not end:
                return
            self.string, at = "", end.end()
        while token := TOKEN.search(line, at):
            kind, at = token.group(), token.end()
            if kind == "#":
                return
            if kind in STRING_END:
                end = STRING_END[kind].match(line, at)
                if not end:
                    self.string = kind if len(kind) == 3 else ""
                    return
                at = end.end()
            else:
                self.depth = max(0, self.depth + (1 if kind in "([{" else -1))


def fenced(text: str) -> tuple[str, list[Block]]:
    """What stands before the first fence, and all blocks in their order.

    A fence inside a docstring belongs to it, if that docstring ends.
    """
    lines = text.split("\n")
    found = _Found()
    at, aware = 0, True
    outside: list[str] = []
    while at < len(lines):
        line = lines[at]
        at += 1
        if one := ONE_LINE.fullmatch(line):
            found.flush(outside)
            found.blocks.append(Block("", one[2]))
            continue
        opens = OPENS.fullmatch(line) or (LATE.search(line) if line.count("```") == 1 else None)
        if not opens:
            outside.append(line)
            continue
        late = opens.re is LATE
        indent, fence, info = ("", opens[1], opens[2] or "") if late else (opens[1], opens[2], opens[3])
        if late:
            outside.append(line[: opens.start()])
        found.flush(outside)
        code, end, closed = _inside(lines, at, indent, fence, aware)
        if not closed and aware:
            # A docstring that never ends; once is enough, or a hostile text would be read for each fence again.
            aware = False
            code, end, closed = _inside(lines, at, indent, fence, aware)
        found.blocks.append(_block(info, code, closed))
        at = end
    found.flush(outside)
    return found.before or "", found.blocks


class _Found:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.before: str | None = None

    def flush(self, outside: list[str]) -> None:
        """Take up what stood outside, and the blocks between tags in it."""
        piece = "\n".join(outside)
        outside.clear()
        self.before = piece if self.before is None else self.before
        at = 0
        while tag := TAGGED.search(piece, at):
            end = UNTAGGED.search(piece, tag.end())
            at = end.end() if end else len(piece)
            code = piece[tag.end() : end.start() if end else at]
            if code.strip():
                self.blocks.append(Block("python", code, end is not None))


def _inside(lines: list[str], at: int, indent: str, fence: str, aware: bool) -> tuple[list[str], int, bool]:
    """The lines of a block that opened before line `at`, where to go on, and whether its end was found."""
    code: list[str] = []
    quotes = Quotes()
    while at < len(lines):
        line = lines[at]
        if fence in line and not (aware and quotes.string):
            other = OPENS.fullmatch(line)
            if other and other[2].startswith(fence):
                # With a language it is the beginning of the next block, whose forerunner was not ended.
                return code, at + (not other[3].strip()), True
            if line.rstrip().endswith(fence) and line.count(fence) == 1:
                return [*code, line.rstrip().removesuffix(fence)], at + 1, True
        if aware:
            quotes.read(line)
        code.append(line.removeprefix(indent))
        at += 1
    return code, at, False


def _block(info: str, code: list[str], closed: bool) -> Block:
    language = LANGUAGE.match(info)
    name = language[1].lower() if language else ""
    if not name and code and code[0].strip().lower() in ("python", "python3", "py"):
        code = code[1:]
    return Block(name, "\n".join(code), closed)
