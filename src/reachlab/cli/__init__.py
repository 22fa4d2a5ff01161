"""The commands. Each is a thin function: read what was asked, call the room that does it, print what came out.

Rooms are imported inside the commands, so that `reachlab --help` does not wait for torch. `help.py` shows them.
"""

import io
import sys
from collections.abc import Callable, Sequence

import tyro

from reachlab.cli import comparing, measures, moe, samples, serving, studies, training
from reachlab.cli.help import ASKED, help_of, help_of_group, overview
from reachlab.cli.output import remark
from reachlab.errors import ReachlabError
from reachlab.option_names import GOES, present_words

COMMANDS: dict[str, Callable[..., None]] = {
    "tasks": samples.tasks,
    "pretrain": training.pretrain,
    "distill": training.distill,
    "rl": training.rl,
    "merge": training.merge,
    "sample": samples.sample,
    "entropy": samples.entropy,
    "import": samples.import_,
    "export": samples.export,
    "verify": samples.verify,
    "chance": measures.chance,
    "measures": measures.measures,
    "reference": samples.reference,
    "score": samples.score,
    "perplexity": measures.perplexity,
    "compare": comparing.compare,
    "report": comparing.report,
    "serve": serving.serve,
    "power": comparing.power,
    "study": studies.study,
}

RENAMED = {"guess": "chance", "evidence": "measures"}
"""Old names of commands, which go on working for one version."""

app = tyro.extras.SubcommandApp()
for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)
app.command(moe.moe, name="moe", help=moe.HELP)


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
        return overview({**COMMANDS, "moe": moe.HELP})
    if command == "study":
        return studies.help_of(rest[0] if rest else "")
    if command == "moe":
        inside = moe.COMMANDS.get(rest[0] if rest else "")
        return help_of(f"moe {rest[0]}", inside) if inside else help_of_group("moe", moe.HELP, moe.said())
    return help_of(command, COMMANDS[command]) if command in COMMANDS else None


def main() -> None:
    """Run a command; a user's error is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and answers may be no text that a terminal has
    try:
        words = _present(sys.argv[1:])
        if any(word in ASKED for word in words) and (said := help_for(words)) is not None:
            print(said)
            return
        app.cli(prog="reachlab", args=words)
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
