"""Every command that a document shows is one, with options that are there and settings that can be."""

import functools
import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import tyro
from accelerate.commands.launch import launch_command_parser
from tests.docs.blocks import NEEDS, PAGES, REACHLAB, ROOT, Block, blocks, every_example, words_of

from reachlab.cli import COMMANDS
from reachlab.cli.moe import moe_families, moe_inspect
from reachlab.studies import STUDIES

BLOCKS = [block for page in PAGES for block in blocks(page)]
SHOWN = [(block, command) for block in BLOCKS for command in block.commands]
OTHERS = (
    "make ",
    "pip install ",
    "python -c ",
    ".venv/bin/python -m pytest ",
    "transformers serve ",
    "python -m sglang.launch_server ",
)
SERVERS = (".venv-vllm/bin/vllm serve ", ".venv-vllm/bin/ray start ")
NOT_HERE = ("MODEL", "TASK", "BIGGER", " Qwen/", " models/", "--device cuda", ".venv-vllm", "sglang", "ray start")
"""What stands in commands that cannot be run here."""
RUN = re.compile(r"(?:^|=|,)(runs/[\w/.-]+)")
"""A run's folder in a word of a command."""


def silent(command: Callable[..., None]) -> Callable[..., None]:
    """A function with the options of `command`, which does nothing."""

    @functools.wraps(command)
    def nothing(*_: object, **__: object) -> None:
        pass

    return nothing


ALL: dict[str, Callable[..., None]] = {**COMMANDS, "moe inspect": moe_inspect, "moe families": moe_families}


def parse(words: list[str]) -> None:
    """Read a command line as the command would."""
    name = " ".join(words[:2]) if words[0] == "moe" else words[0]
    tyro.cli(silent(ALL[name]), args=words[len(name.split()) :])


@pytest.mark.parametrize(("block", "command"), SHOWN, ids=lambda x: x.place if isinstance(x, Block) else "")
def test_it_is_a_command(block: Block, command: str) -> None:
    words = words_of(command)
    if words and block.page.name in ("CONTRIBUTING.md", "extend.md"):
        pytest.skip("it names what its recipes add, and is run with them by test_contributing.py or test_run.py")
    if words:
        parse(words)
    else:
        assert command.startswith(OTHERS + SERVERS), command
    for file, _, name in (word.partition("::") for word in command.split() if word.startswith("tests/")):
        assert (ROOT / file).exists(), command
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), command
    if command.startswith(("accelerate ", "ACCELERATE_USE_CPU=true accelerate ")):
        given = command.partition(" launch ")[2].split()
        assert launch_command_parser().parse_args(given).training_script == "reachlab"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.commands], ids=lambda b: b.place)
def test_what_cannot_be_run_here_says_so(block: Block) -> None:
    assert not block.needs or NEEDS.fullmatch(block.needs), f"{block.place}: {block.needs!r} is no need we know"
    absent = [word for word in NOT_HERE if any(word in command for command in block.commands)]
    assert bool(absent) == bool(block.needs), f"{block.place}: {absent} and {block.needs!r}"


def out_of(words: list[str]) -> str:
    """The folder that a command fills, said or not; nothing where it fills none, or a file."""
    if words[0] in ("report", "export", "moe"):
        return ""
    if "--out" in words:
        return words[words.index("--out") + 1]
    if words[:2] == ["study", "checkpoints"]:
        return f"{words[words.index('--run') + 1]}-checkpoints"
    studies = {study.name: study.config for study in STUDIES.values()}
    usual = (
        {f.name: f.default for f in fields(studies[words[1]])} if words[0] == "study" and words[1] in studies else {}
    )
    return str(usual.get("out", ""))


def test_a_folder_belongs_to_one_command() -> None:
    """A reader who runs all pages in one folder, and the examples of `--help`, is never refused for an --out that
    another command has filled."""
    shown = [(block.place, command) for block, command in SHOWN]
    shown += [(f"{name} --help", line) for name, line in every_example()]
    seen: dict[str, tuple[str, str]] = {}
    for where, command in shown:
        words = words_of(command)
        if words and (out := out_of(words)) and not out.startswith("runs/demo"):
            before, place = seen.setdefault(out, (REACHLAB.sub("", command), where))
            assert before == REACHLAB.sub("", command), f"{place} and {where} both fill {out}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_what_a_command_reads_was_made_before(page: Path) -> None:
    """By the demo, or by what stands above it on the page."""
    there = {"runs/demo"}
    for block in (block for block in blocks(page) if not block.needs):
        if block.language == "python":
            there |= set(re.findall(r'"(runs/[\w/.-]+)"', block.text))
        for words in filter(None, map(words_of, block.commands)):
            out = out_of(words)
            read = {path for word in words if word != out for path in RUN.findall(word)}
            missing = [path for path in read if not any(f"{path}/".startswith(f"{made}/") for made in there)]
            assert not missing, f"{block.place}: nothing has made {missing}"
            there |= {out} - {""}


def test_documents_have_only_languages_we_check() -> None:
    assert {block.language for block in BLOCKS} <= {"", "python", "json", "text", "math", "toml"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=lambda b: b.place)
def test_json_is_json(block: Block) -> None:
    """A document, a line of a document, or documents a line each."""
    text = block.text.strip()
    for line in text.splitlines() if text.startswith('{"') else [text]:
        assert json.loads(line if line.startswith("{") else f"{{{line}}}")


def test_every_small_file_is_shown() -> None:
    shown = "\n".join(command for _, command in SHOWN)
    for file in (ROOT / "examples" / "data").rglob("*"):
        name = re.sub(r"_\d+(?=\.jsonl$)", "_*", str(file.relative_to(ROOT)))
        assert file.is_dir() or name in shown, f"no document shows {name}"
