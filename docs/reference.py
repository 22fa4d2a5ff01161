"""The long generated parts of the documents: commands with their options, algorithms with their equations.

`generate.py` writes them. A command's words are those of its `--help`, an algorithm's those of the docstring that opens
its file; nothing is said twice.
"""

import ast
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reachlab.choices import Choices

HOUSE = Path(__file__).resolve().parents[1] / "src" / "reachlab"
PAPER = re.compile(r"arXiv\s+(\d{4}\.\d{4,5})(v\d+)?")
STATISTICS = {
    "passk": "pass@k",
    "allk": "pass^k",
    "voting": "maj@k",
    "bestof": "best@k",
    "cover": "Cover@τ",
    "family": "Paired differences",
    "bands": "Simultaneous bands",
    "bootstrap": "Intervals over problems",
    "noise": "Intervals over samples",
    "cluster_mean": "Clusters",
    "seeds": "Recipes: several seeds",
    "signflip": "The test of equal models",
    "verdict": "Verdicts",
    "crossing": "Crossing",
    "gap": "Sampling-efficiency gap",
    "coverage": "Gained and lost",
    "exact": "One problem, two models",
    "support": "The support table",
    "posterior": "Few samples",
    "power": "Power",
    "foresight": "Power before a run",
    "beta_binomial": "How hard problems are",
    "averaged_fit": "The average of four fits",
    "extrapolation": "Beyond the samples",
    "stopping": "Adaptive sampling",
    "forecast": "When an adaptive run may stop",
    "chance": "Right by chance",
    "answer_entropy": "Answer entropy",
    "duplicates": "Copies",
    "perplexity": "Perplexity",
    "binomial": "The interval of a counted share",
}
"""Files of `boundary/` and what each estimates, in the order of a reader's questions."""
PIECES = {
    "losses": "The loss",
    "advantages": "Advantages",
    "kl": "Estimates of the KL",
    "weighting": "Importance weights of a selection",
}
"""Files of `rl/` that every algorithm shares."""


def docstring(path: Path) -> str:
    """What a file says of itself."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def markdown(said: str) -> str:
    """A docstring as Markdown: equations become blocks, papers links; the key of axes stays in the code."""
    out = []
    for paragraph in re.split(r"\n\s*\n", said):
        if paragraph.startswith("Axes."):
            continue
        lines = paragraph.splitlines()
        at = next((i for i, line in enumerate(lines) if line.startswith("    ")), len(lines))
        whole = all(line.startswith("    ") for line in lines[at:])
        if at == len(lines) or not whole:
            out.append(linked(paragraph.replace("``", "`")))
            continue
        block = textwrap.dedent("\n".join(lines[at:]))
        out += [linked("\n".join(lines[:at]))] if at else []
        out.append(f"```text\n{block}\n```")
    return "\n\n".join(out).replace("```\n\n```text\n", "\n")


def linked(text: str) -> str:
    """Papers by number become links, and what a file is called is code."""
    text = PAPER.sub(lambda m: f"[arXiv {m[1]}](https://arxiv.org/abs/{m[1]})", text)
    return text.replace("*", "\\*") if text.count("*") % 2 else text


def entry(title: str, path: Path, besides: str = "") -> str:
    """A heading, the file's docstring, and where it is."""
    where = path.relative_to(HOUSE.parents[1]).as_posix()
    return f"### {title}\n\n{markdown(docstring(path))}\n\n{besides}[`{path.name}`](../{where})\n"


def files_of(choices: "Choices[Any]", option: str) -> str:
    """An entry a choice that has a file of its own, in the order of the list that the command line offers."""
    paths = {
        name: HOUSE.parent / (choices.places[name].partition(":")[0].replace(".", "/") + ".py") for name in choices
    }
    own = {name: path for name, path in paths.items() if path.parent.parent.name in ("rl", "moe") and path.exists()}
    return "\n".join(entry(f"`{name}`", path, f"`{option} {name}` · ") for name, path in own.items())


def algorithms_in_full() -> str:
    """Every RL algorithm, and the pieces they share."""
    from reachlab.rl.algorithms import ALGORITHMS

    pieces = "\n".join(entry(title, HOUSE / "rl" / f"{name}.py") for name, title in PIECES.items())
    return files_of(ALGORITHMS, "--algorithm") + "\n" + pieces


def rules_in_full() -> str:
    """Every rule of down-sampling."""
    from reachlab.rl.rules import RULES

    return files_of(RULES, "--rule")


def budgets_in_full() -> str:
    """Every rollout budget."""
    from reachlab.rl.budgets import BUDGETS

    return files_of(BUDGETS, "--budget")


def routing_in_full() -> str:
    """Every method of routing, then every estimator, then balancing."""
    from reachlab.moe.estimators import ESTIMATORS
    from reachlab.moe.methods import METHODS

    return "\n".join(
        [
            files_of(METHODS, "--routing"),
            files_of(ESTIMATORS, "--estimator"),
            entry("Load balancing", HOUSE / "moe" / "balance.py"),
        ]
    )


def statistics_in_full() -> str:
    """Every estimator of the reasoning boundary."""
    return "\n".join(entry(title, HOUSE / "boundary" / f"{name}.py") for name, title in STATISTICS.items())


def commands() -> str:
    """Every command with its options under the headings of its `--help`, and its examples."""
    from reachlab.cli import COMMANDS, moe
    from reachlab.cli.help import examples_of
    from reachlab.cli.studies import EXAMPLES
    from reachlab.commands.options import configuration
    from reachlab.studies import STUDIES

    def parts() -> Iterator[str]:
        for name, command in COMMANDS.items():
            said = inspect_doc(command)
            if name != "study":
                yield command_entry(name, said, configuration(command), examples_of(said))
                continue
            yield command_entry(name, said, None, [])
            for _, study in STUDIES.working():
                lines = [f"reachlab {line}" for line in EXAMPLES.get(study.name, ())]
                yield command_entry(f"study {study.name}", study.config.__doc__ or "", study.config, lines)
        for name, command in moe.COMMANDS.items():
            said = inspect_doc(command)
            yield command_entry(f"moe {name}", said, configuration(command), examples_of(said))

    return "\n".join(parts())


def inspect_doc(command: Callable[..., None]) -> str:
    """A command's docstring, without its indentation."""
    return textwrap.dedent("    " + (command.__doc__ or "")).strip()


def command_entry(name: str, said: str, config: type | None, examples: Sequence[str]) -> str:
    """A command: what it is for, its options, commands to copy."""
    from reachlab.cli.pages import sections
    from reachlab.commands.options import options_of

    paragraphs = (p for p in re.split(r"\n\s*\n", said.strip()) if not p.lstrip().startswith("Example: "))
    out = [f"## reachlab {name}", *(" ".join(p.replace("``", "`").split()) for p in paragraphs)]
    for heading, options in sections(name, options_of(config) if config else ()).items():
        if options:
            out += [f"**{heading}**", option_table(options)]
    if examples:
        out.append("```text\n" + "\n".join(examples) + "\n```")
    return "\n\n".join(out) + "\n"


def option_table(options: Iterable[object]) -> str:
    """A row an option: what is typed, and what it means."""
    from reachlab.commands.options import Option

    rows = []
    for option in options:
        assert isinstance(option, Option)
        default = "needed" if option.required and option.words else f"`{option.default}`" if option.default else ""
        says = " ".join(option.says.split()).replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| `{option.typed}` | {says} | {default} |")
    return "\n".join(["| option | what it does | default |", "| --- | --- | --- |", *rows])


def public() -> str:
    """The names of the package with what each is for."""
    sys.path.insert(0, str(HOUSE.parents[1]))
    from docs.hooks import public_objects

    import reachlab

    rows = []
    for name, found in public_objects(reachlab).items():
        said = (getattr(found, "__doc__", "") or "").strip().split("\n\n")[0]
        first = re.split(r"(?<=\.)\s|: see ", " ".join(said.split()), maxsplit=1)[0].rstrip(".").replace("|", "\\|")
        rows.append(f"| `{name}` | {first} |")
    return "\n".join(["| name | what it is |", "| --- | --- |", *rows]) + "\n"
