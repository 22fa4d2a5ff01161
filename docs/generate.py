"""Writes the parts of the documents that the code knows: a tree, and tables of rooms, tasks, algorithms.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; what stands there is replaced. `make docs` runs
this; a test fails where a document is not what it would write.

    python docs/generate.py
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "src" / "reachlab"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
BAR = "\\|"
"""What a bar is in a cell."""
PAPER = re.compile(r"arXiv\s+(\d{4}\.\d{4,5})")


def sentence(text: str) -> str:
    """The first sentence, or the head of a list, on one line."""
    line = " ".join(text.split("\n\n")[0].split())
    whole = re.match(r".*?(?<!e\.g)(?<!i\.e)(?<!Dr)[.?](?= |$)", line)
    return (whole[0] if whole else line).rstrip(".:")


def doc_of(path: Path) -> str:
    """What a file, or a folder of Python, says of itself first."""
    file = path / "__init__.py" if path.is_dir() else path
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n" for cells in lines)


def papers(text: str) -> str:
    """Links to the papers that a docstring names."""
    return ", ".join(f"[{number}](https://arxiv.org/abs/{number})" for number in dict.fromkeys(PAPER.findall(text)))


def rooms() -> str:
    """Every room and file at the top of the house, the highest floor first."""
    sys.path.insert(0, str(ROOT))
    from tests.test_layers import FLOORS

    def row(name: str) -> list[str]:
        path = HOUSE / name if (HOUSE / name).is_dir() else HOUSE / f"{name}.py"
        return [f"{FLOORS[name]:g}", f"`{path.name}{'/' if path.is_dir() else ''}`", sentence(doc_of(path))]

    return table(("floor", "room", "holds"), map(row, sorted(FLOORS, key=lambda name: (-FLOORS[name], name))))


def tree() -> str:
    """Every file of the house with the first sentence of its docstring."""

    def lines(folder: Path, depth: int) -> Iterator[str]:
        for path in sorted(folder.iterdir(), key=lambda p: (p.is_dir(), p.name)):
            module = path.suffix == ".py" and path.name != "__init__.py"
            if module or (path / "__init__.py").exists():
                name = f"{'  ' * depth}{path.name}{'/' if path.is_dir() else ''}"
                yield f"{name:<34} {sentence(doc_of(path))}\n"
            if (path / "__init__.py").exists():
                yield from lines(path, depth + 1)

    return f"```text\nsrc/reachlab/\n{''.join(lines(HOUSE, 1))}```\n"


def tasks() -> str:
    """The families of tasks, with their settings."""
    from reachlab.tasks.listing import list_tasks
    from reachlab.tasks.registry import FAMILIES

    rows = [row for row in list_tasks() if row["task"] in FAMILIES]
    return table(
        ("family", "what is asked", "settings and their defaults"),
        ([f"`{row['task']}`", row["what"], f"`{row['settings']}`" if row["settings"] else ""] for row in rows),
    )


def benchmarks() -> str:
    """Published benchmarks by name."""
    from reachlab.tasks.benchmarks import BENCHMARKS

    return table(
        ("name", "what", "family", "template", "data on the hub"),
        ([f"`{name}`", b.what, f"`{b.family}`", f"`{b.template}`", f"`{b.hub}`"] for name, b in BENCHMARKS.items()),
    )


def algorithms() -> str:
    """The rows of `ALGORITHMS`: their choices, and the equation and source that open their files."""
    from reachlab.rl.algorithms import ALGORITHMS

    means = {
        "sequence": "an answer's tokens, then answers", "token": "tokens", "constant": "answers × `--max-tokens`",
        "sum": "answers, tokens summed",
    }  # fmt: skip

    def row(name: str) -> list[str]:
        algorithm = ALGORITHMS[name]
        doc = doc_of(HOUSE / "rl" / "algorithms" / f"{name}.py")
        clip = "none" if algorithm.clip_low is None else f"{algorithm.clip_low}, {algorithm.clip_high}"
        place = "none of its own: loss" if algorithm.kl_place == "none" else algorithm.kl_place
        besides = [
            "a critic, `--critic-lr`" if algorithm.critic else "",
            "one greedy answer a problem" if algorithm.greedy_baseline else "",
            "`--redraws`" if algorithm.dynamic_sampling else "",
            f"`--overlong-buffer {algorithm.overlong}`" if algorithm.overlong else "",
        ]
        what = sentence(doc).partition(": ")[2]
        return [
            f"`{name}` ({papers(doc)})", what, means[algorithm.aggregate], clip, f"{place}, {algorithm.kl_estimator}",
            ", ".join(filter(None, besides)),
        ]  # fmt: skip

    head = ("", "what it is", "loss: mean over", "clip", "KL, if `--kl-coef` is above 0", "besides")
    return table(head, map(row, ALGORITHMS))


def rules() -> str:
    """The rules of down-sampling."""
    from reachlab.rl.rules import RULES

    return table(
        ("rule", "keeps"),
        ([f"`{name}`", sentence(rule.keep.__doc__ or "")] for name, rule in RULES.items()),
    )


def measures() -> str:
    """What is measured on samples."""
    from reachlab.measures import markdown

    return markdown()


def formats() -> str:
    """The formats of logs that are imported."""
    from reachlab.imports.formats import FORMATS

    head = ("`--format`", "who writes it", "a sample", "right answer", "label")
    return table(head, ([f"`{kind.name}`", *kind.row] for kind in FORMATS.values()))


def in_full(name: str) -> Callable[[], str]:
    """A part of `reference.py`, which is read when it is asked for."""

    def part() -> str:
        sys.path.insert(0, str(ROOT))
        from docs import reference

        return str(getattr(reference, name)())

    return part


LONG = (
    "algorithms_in_full", "rules_in_full", "budgets_in_full", "routing_in_full", "statistics_in_full", "commands",
    "public",
)  # fmt: skip
PARTS: dict[str, Callable[[], str]] = {
    "rooms": rooms,
    "tree": tree,
    "tasks": tasks,
    "benchmarks": benchmarks,
    "algorithms": algorithms,
    "rules": rules,
    "formats": formats,
    "measures": measures,
    **{name: in_full(name) for name in LONG},
}


def written(text: str) -> str:
    """A page with its generated parts as they should be."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)


def main() -> None:
    """Write what is not up to date, and say so."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = written(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
