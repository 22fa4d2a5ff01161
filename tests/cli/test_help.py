import contextlib
import inspect
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable

import pytest
import tyro
from tests.conftest import Command
from tests.docs.blocks import ROOT, every_example
from tests.docs.test_parsed import ALL, parse, silent

from reachlab.cli import COMMANDS, help_for, moe
from reachlab.cli.headings import CLASSES, EVERYDAY, FAMILIES, HEADINGS, LAST, ORDER
from reachlab.cli.help import docstrings, first_sentence
from reachlab.cli.pages import help_of, sections
from reachlab.commands.options import configuration, options_of
from reachlab.studies import STUDIES

PLAIN = {name: command for name, command in ALL.items() if name != "study"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
MADE = re.compile(r"(?<![\w/])runs/(?!demo\b)[\w/-]+")


def of_tyro(command: Callable[..., None]) -> set[str]:
    """The options that tyro takes, but for the contrary of a flag."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        tyro.cli(silent(command), args=["--help"])
    boxes = said.getvalue().partition("show this help message and exit")[2]
    heads = [line.strip("│| ").split(" ")[0].rstrip(",") for line in boxes.splitlines()]
    return {head for head in heads if OPTION.fullmatch(head)} - {"--help"}


def configurations() -> dict[str, type]:
    found = {name: configuration(command) for name, command in PLAIN.items()}
    return found | {f"study {study.name}": study.config for study in STUDIES.values()}


@pytest.mark.parametrize("name", PLAIN)
def test_help_has_every_option_and_no_other(name: str) -> None:
    ours = {option.words[0] for option in options_of(configuration(PLAIN[name])) if option.words}
    assert ours == of_tyro(PLAIN[name])
    said = help_for([*name.split(), "--help"])
    assert said is not None
    assert ours <= set(OPTION.findall(said))
    assert all(option.says for option in options_of(configuration(PLAIN[name])))


@pytest.mark.parametrize("name", [*PLAIN, *(f"study {study.name}" for study in STUDIES.values())])
def test_help_reads_as_plain_words(name: str) -> None:
    said = help_for([*name.split(), "-h"])
    assert said is not None
    assert said.startswith(f"usage: reachlab {name}")
    for noise in ("config", "None", "default: ''", "default: )", "default: False"):
        assert noise not in re.sub(r"`[^`]*`", "", said), noise
    heads = [line for line in said.splitlines() if line and not line.startswith((" ", "usage")) and len(line) < 60]
    assert heads.index("Options") < heads.index("Examples")
    assert "Further options" not in heads, "a new option wants a heading: cli/headings.py"
    assert max(len(line) for line in said.split("\nExamples\n")[0].splitlines()) <= 110


def test_headings_are_of_options_that_there_are() -> None:
    everything = [option for config in configurations().values() for option in options_of(config)]
    owners = {option.owner: {o.name for o in everything if o.owner == option.owner} for option in everything}
    assert CLASSES.keys() | HEADINGS.keys() <= owners.keys()
    for owner, names in HEADINGS.items():
        assert set(names) <= owners[owner], owner
    for name, wanted in ((n, w) for n, w in EVERYDAY.items() if n in configurations()):
        assert set(wanted) <= {option.name for option in options_of(configurations()[name])}, name
        assert [o.name for o in sections(name, options_of(configurations()[name]))["Options"]] == list(wanted)
    heads = {heading for name, config in configurations().items() for heading in sections(name, options_of(config))}
    assert {*ORDER, *LAST} <= heads
    assert {name for _, names in FAMILIES for name in names} >= {*COMMANDS, "moe"}


def test_values_and_defaults_are_said_shortly() -> None:
    said = " ".join((help_for(["sample", "--help"]) or "").split())
    assert "--temperature NUMBER Divides" in said
    assert "usage: reachlab sample --model TEXT --task TEXT --out TEXT [options]" in said
    assert "--engine {transformers,vllm,openai}" in said
    assert "--concurrency INT Requests under way at each server. (default: 64)" in said
    assert "Servers that answer" in said
    said = " ".join((help_for(["rl", "--help"]) or "").split())
    assert "--band NUMBER NUMBER" in said
    assert "(default: 0.125 0.75)" in said
    assert "(default: 10)" in said
    assert "--watch, --no-watch" in said
    assert "(default: on)" in said
    assert "--advise, --no-advise" not in said


def test_every_command_has_an_example() -> None:
    shown = {name for name, _ in every_example()}
    assert shown >= {*COMMANDS, *(f"moe {name}" for name in moe.COMMANDS)}
    assert {name for name in shown if name.startswith("study ")} <= {f"study {name}" for name in STUDIES}


@pytest.mark.parametrize(("name", "line"), every_example())
def test_an_example_runs_where_the_demo_has_run(name: str, line: str) -> None:
    words = shlex.split(line)
    parse(words[1:])
    before = [other for of, other in every_example() if of == name]
    made = {word for other in before[: before.index(line)] for word in shlex.split(other)} | {
        words[words.index("--out") + 1] if "--out" in words else ""
    }
    assert set(MADE.findall(line)) <= made
    for file in re.findall(r"examples/data/[\w/.*-]+", line):
        assert list(ROOT.glob(file)), file


def test_help_is_found_wherever_it_is_asked_for(command: Command) -> None:
    for words in (["--help"], ["-h"], ["rl", "--model", "m", "--help"], ["study", "--help"], ["study", "own", "-h"]):
        code, out, _ = command(*words)
        assert code == 0
        assert out.startswith("usage: reachlab")
    code, out, err = command("chess", "--help")
    assert code != 0 or "tasks" in out + err
    assert "Listen to a mixture" in (help_for(["moe", "--help"]) or "")
    assert "the old name goes" in command("guess", "--help")[2]


def test_the_overview_says_how_to_name_start_afresh_and_delete() -> None:
    said = " ".join((help_for(["--help"]) or "").split())
    for words in ("ORG/NAME", "give another --out", "rm -r runs/NAME", "compare base=runs/a"):
        assert words in said
    assert "Example" not in said


def test_the_first_sentence() -> None:
    assert first_sentence("One of pass@k, e.g. two\nlines. Three.") == "One of pass@k, e.g. two lines"
    assert first_sentence("No stop\n\nExample: reachlab x") == "No stop"
    assert "usage: reachlab tasks [TASK] [options]" in help_of("tasks", COMMANDS["tasks"])


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from reachlab.cli import COMMANDS, help_for; [help_for([name, '-h']) for name in COMMANDS]; "
        "print(sorted({'torch', 'transformers', 'pandas', 'plotly', 'reasoning_gym'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_read_off_the_source_is_what_the_commands_say() -> None:
    assert docstrings(COMMANDS.places) == {name: inspect.getdoc(command) for name, command in COMMANDS.items()}


def test_the_overview_imports_no_command() -> None:
    code = (
        "import sys; from reachlab.cli import help_for; help_for(['--help']); "
        "print(sorted({'tyro', 'rich', 'fsspec', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_command_line_is_read_by_its_own_command_alone(command: Command) -> None:
    assert "Perhaps you meant" in command("compare", "--resamplez", "3")[2]
    assert "serve, power, study, doctor, moe" in " ".join(command("compar")[2].replace("│", " ").split())
    assert "Missing value" in command("entropy", "--model", "x")[2]
