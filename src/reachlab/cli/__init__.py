"""The commands. Each is a thin function: read what was asked, call the room that does it, print what came out.

Rooms are imported inside the commands, so that `reachlab --help` does not wait for torch. The order here is that of
`--help`: the pipeline's.
"""

import io
import sys
from collections.abc import Callable

import tyro

from reachlab.cli import comparing, measures, moe, samples, serving, studies, training
from reachlab.cli.output import remark
from reachlab.errors import ReachlabError

COMMANDS: dict[str, Callable[..., None]] = {
    "tasks": samples.tasks,
    "pretrain": training.pretrain,
    "distill": training.distill,
    "rl": training.rl,
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
RENAMED_OPTIONS = {"rl": {"--lot": "--random-keep"}}
"""Old names of options, by command; likewise."""
GOES = "the old name goes with the next version"

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
    for at, word in enumerate(rest):
        option, equals, value = word.partition("=")
        if (new := RENAMED_OPTIONS.get(command, {}).get(option)) is not None:
            remark(f"{option} is called {new} now; {GOES}")
            rest[at] = f"{new}{equals}{value}"
    return [command, *rest]


def main() -> None:
    """Run a command; a user's error is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and answers may be no text that a terminal has
    try:
        description = "Measure what a training stage added to a language model."
        app.cli(prog="reachlab", description=description, args=_present(sys.argv[1:]))
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
