"""The commands. Each is a thin function: read what was asked, call the room that does it, print what came out.

Rooms are imported inside the commands, and a command's module when it is asked for: so `reachlab --help` waits neither
for torch nor for what the others take. `help.py` shows them.
"""

import io
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from reachlab.choices import Choices
from reachlab.cli.headings import MOE
from reachlab.cli.help import ASKED, docstrings, help_of_group, overview
from reachlab.cli.output import remark
from reachlab.errors import ReachlabError
from reachlab.extras import naming_extras
from reachlab.option_names import GOES, present_words
from reachlab.origins import PluginWarning
from reachlab.plugins import load_plugin, load_plugins, taken_out

Command = Callable[..., None]

COMMANDS: Choices[Command] = Choices(
    "command",
    {
        name: f"reachlab.cli.{place}"
        for name, place in {
            "tasks": "samples:tasks",
            "pretrain": "training:pretrain",
            "distill": "training:distill",
            "rl": "training:rl",
            "merge": "training:merge",
            "sample": "samples:sample",
            "entropy": "samples:entropy",
            "import": "samples:import_",
            "export": "samples:export",
            "verify": "samples:verify",
            "chance": "measures:chance",
            "measures": "measures:measures",
            "reference": "samples:reference",
            "score": "samples:score",
            "perplexity": "measures:perplexity",
            "compare": "comparing:compare",
            "report": "comparing:report",
            "serve": "serving:serve",
            "power": "comparing:power",
            "study": "studies:study",
            "doctor": "doctor:doctor",
        }.items()
    },
    ours_alone=True,
)
"""The commands, imported when they are asked for."""

RENAMED = {"guess": "chance", "evidence": "measures"}
"""Old names of commands, which go on working for one version."""


def _present(words: list[str]) -> list[str]:
    """A command line under the names of today; an old one is said."""
    if not words:
        return words
    command, *rest = words
    if command in RENAMED:
        remark(f"`reachlab {command}` is called `reachlab {RENAMED[command]}` now; {GOES}")
        command = RENAMED[command]
    return [command, *present_words(command, rest, remark)]


def help_for(words: Sequence[str]) -> str | None:
    """What a command line that asks for help is shown; None where it names no command, which tyro says."""
    command, *rest = [word for word in words if word not in ASKED] or [""]
    if not command:
        return overview({**docstrings(COMMANDS.places), "moe": MOE})
    if command == "study":
        from reachlab.cli import studies

        return studies.help_of(rest[0] if rest else "")
    from reachlab.cli.pages import help_of

    if command == "moe":
        from reachlab.cli import moe

        inside = moe.COMMANDS.get(rest[0] if rest else "")
        return help_of(f"moe {rest[0]}", inside) if inside else help_of_group("moe", MOE, moe.said())
    return help_of(command, COMMANDS[command]) if command in COMMANDS else None


def _shown(otherwise: Callable[..., None]) -> Callable[..., None]:
    """How a warning is shown: one of somebody else's code that cannot be had is a remark, once."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, PluginWarning):
            line = " ".join(str(message).split())
            if line not in said:
                remark(line)
            said.add(line)
        else:
            otherwise(message, category, *where)

    return show


def run(words: Sequence[str]) -> None:
    """Have tyro read a command line and call its command. Of the one that it names, where it names one, and not of all:
    to build the parsers of what nobody asked for takes longer than many a command."""
    import tyro

    app = tyro.extras.SubcommandApp()
    named = words[0] if words else ""
    for name in [named] if named in COMMANDS else COMMANDS:
        if named != "moe":
            app.command(name=name)(COMMANDS[name])
    if named not in COMMANDS:
        from reachlab.cli import moe

        app.command(moe.moe, name="moe", help=MOE)
    app.cli(prog="reachlab", args=words)


def main() -> None:
    """Run a command; a user's error is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and answers may be no text that a terminal has
    warnings.showwarning = _shown(warnings.showwarning)
    try:
        words, plugins = taken_out(sys.argv[1:])
        load_plugins()
        for plugin in plugins:
            load_plugin(plugin)
        words = _present(words)
        if words == ["--version"]:
            from reachlab.installation import version_line

            print(version_line())
            return
        if words[:1] == ["study"]:
            from reachlab.cli.studies import take_in_others

            take_in_others(words[1:])
        if any(word in ASKED for word in words) and (said := help_for(words)) is not None:
            print(said)
            return
        with naming_extras(" ".join(["`reachlab", *words[:1]]) + "`"):
            run(words)
    except ReachlabError as error:
        # A message may quote what stands in a file, over several lines.
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(f"error: not enough memory ({' '.join(str(error).split())}); ask for less at once", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
