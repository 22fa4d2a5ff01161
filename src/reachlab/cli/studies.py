"""The command that runs a whole study."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.help import help_of_group
from reachlab.cli.output import remark
from reachlab.cli.pages import help_of_study
from reachlab.studies import OWN_STUDIES, STUDIES

if TYPE_CHECKING:
    StudyConfig = Any
else:
    StudyConfig = Union[tuple(Annotated[study.config, tyro.conf.subcommand(study.name)] for study in OWN_STUDIES)]  # noqa: UP007


_asked: list[str] = []
"""The study that the command line names: two of them may take the same configuration."""


def take_in_others(words: Sequence[str]) -> None:
    """Have tyro know the studies that are not ours, before it reads the command line: what stands behind ``study``."""
    _asked[:] = words[:1]
    kinds = [Annotated[one.config, tyro.conf.subcommand(name)] for name, one in STUDIES.working()]
    flat: Any = Flat
    study.__annotations__["config"] = flat[Union[tuple(kinds)]]  # noqa: UP007


def study(config: Flat[StudyConfig]) -> None:
    """Run a whole study: from nothing, or from a checkpoint of your own, to a report.

    Example: reachlab study own --model runs/demo/base --task countdown --hours 0.3 --out runs/own
    """
    chosen = STUDIES[_asked[0]]
    written = chosen.run(config, remark)
    if chosen.says:
        print(chosen.says.format(written))


SMALL = "--base runs/demo/base"
EXAMPLES: dict[str, tuple[str, ...]] = {
    "own": ("study own --model runs/demo/base --task countdown --hours 0.3 --out runs/own",),
    "demo": ("study demo",),
    "visual": ("study visual --out runs/visual",),
    "algorithms": (f"study algorithms {SMALL} --seeds 2 --steps 5 --problems 50 --samples 32",),
    "rollouts": (f"study rollouts {SMALL} --values 4 16 --seeds 2 --steps 5 --problems 50 --samples 32",),
    "kl": (f"study kl {SMALL} --values 0 0.01 --seeds 2 --steps 5 --problems 50 --samples 32",),
    "checkpoints": (
        "rl --model runs/demo/base --task countdown --prompts 24 --rollouts 16 --max-tokens 14 --steps 20 "
        "--keep-every 10 --out runs/grpo",
        "study checkpoints --run runs/grpo --problems 50 --samples 64 --beside runs/demo/distilled",
    ),
    "temperature": (
        f"study temperature {SMALL} --model runs/demo/grpo --task countdown --max-tokens 14 --problems 50 "
        "--samples 64 --temperatures 0.6 1.0 --out runs/temperature-demo",
    ),
    "regime": ("study regime",),
}
"""Commands of each study, to copy in this order."""


def help_of(name: str) -> str:
    """What `reachlab study NAME --help` says; without a name, or with another one, which studies there are."""
    studies = dict(STUDIES.working())
    chosen = studies.get(name)
    if chosen is None:
        return help_of_group(
            "study", study.__doc__ or "", {one: kind.config.__doc__ or "" for one, kind in studies.items()}
        )
    return help_of_study(name, chosen.config, [f"reachlab {line}" for line in EXAMPLES.get(name, ())])
