"""The command that runs a whole study."""

from typing import TYPE_CHECKING, Annotated, Any, Union

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import remark
from reachlab.studies import STUDIES

if TYPE_CHECKING:
    StudyConfig = Any
else:
    StudyConfig = Union[tuple(Annotated[study.config, tyro.conf.subcommand(study.name)] for study in STUDIES)]  # noqa: UP007


def study(config: Flat[StudyConfig]) -> None:
    """Run a whole study: from nothing, or from a checkpoint of your own, to a report.

    Example: reachlab study own --model CHECKPOINT --task gym:chain_sum --hours 0.5 --out runs/own
    """
    chosen = next(study for study in STUDIES if study.config is type(config))
    written = chosen.run(config, remark)
    if chosen.says:
        print(chosen.says.format(written))
