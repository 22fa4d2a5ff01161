"""Wraps the prose of the documents at 120 columns. Tables, blocks, headings and generated parts stay as they are.

python docs/wrap.py
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 120
STAYS = re.compile(r"\||#|!\[|<!--|$|---")
ITEM = re.compile(r"(\s*)([-*]|\d+\.) ")
WORD = re.compile(r"(?:````.*?````|``[^`]*``|`[^`]{1,60}`|\S)+")
"""What is not broken: a word, with the code that stands in it."""
MEANS_MORE = re.compile(r"[-+*>|#=]+$|\d+[.)]$|[#|>]|```")
"""What may not begin a line, where it would be a list, a heading or a quotation."""


def fill(text: str, indent: str, hang: str) -> Iterator[str]:
    """The lines of a paragraph or an item."""
    line, start = indent, True
    for word in WORD.findall(text):
        if start or len(line) + 1 + len(word) <= WIDTH or MEANS_MORE.match(word):
            line, start = (line + word if start else f"{line} {word}"), False
        else:
            yield line
            line = hang + word
    yield line


def wrapped(text: str) -> str:
    """A page with its prose wrapped."""
    out: list[str] = []
    held: list[str] = []
    fenced = generated = False

    def flush() -> None:
        if held:
            item = ITEM.match(held[0])
            indent = item[0] if item else held[0][: len(held[0]) - len(held[0].lstrip())]
            hang = " " * len(indent) if item else indent
            out.extend(fill(" ".join([held[0][len(indent) :], *map(str.strip, held[1:])]), indent, hang))
            held.clear()

    for line in text.splitlines():
        fence = line.startswith("```")
        generated = (generated or line.startswith("<!-- generated")) and line != "<!-- end -->"
        if fence or fenced or generated or STAYS.match(line.lstrip()):
            flush()
            out.append(line)
            fenced ^= fence
        elif ITEM.match(line):
            flush()
            held.append(line)
        else:
            held.append(line)
    flush()
    return "\n".join(out) + "\n"


def pages() -> list[Path]:
    """What is wrapped."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def main() -> None:
    """Wrap what is not, and say so."""
    for page in pages():
        before = page.read_text(encoding="utf-8")
        if (after := wrapped(before)) != before:
            page.write_text(after, encoding="utf-8")
            print(f"wrapped: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
