"""The command that runs a whole study."""

from typing import Annotated

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import remark
from reachlab.studies.config import (
    AlgorithmsConfig,
    CheckpointsConfig,
    DemoConfig,
    KLConfig,
    RegimeConfig,
    RolloutsConfig,
    TemperatureConfig,
    VisualConfig,
)
from reachlab.studies.own.config import OwnConfig

Study = (
    Annotated[OwnConfig, tyro.conf.subcommand("own")]
    | Annotated[DemoConfig, tyro.conf.subcommand("demo")]
    | Annotated[VisualConfig, tyro.conf.subcommand("visual")]
    | Annotated[AlgorithmsConfig, tyro.conf.subcommand("algorithms")]
    | Annotated[RolloutsConfig, tyro.conf.subcommand("rollouts")]
    | Annotated[KLConfig, tyro.conf.subcommand("kl")]
    | Annotated[CheckpointsConfig, tyro.conf.subcommand("checkpoints")]
    | Annotated[TemperatureConfig, tyro.conf.subcommand("temperature")]
    | Annotated[RegimeConfig, tyro.conf.subcommand("regime")]
)


def study(config: Flat[Study]) -> None:
    """Run a whole study: from nothing, or from a checkpoint of your own, to a report.

    Example: reachlab study own --model CHECKPOINT --task gym:chain_sum --hours 0.5 --out runs/own
    """
    if isinstance(config, OwnConfig):
        from reachlab.studies.own.run import run_own

        print(f"the report is {run_own(config, remark)}")
    elif isinstance(config, DemoConfig):
        from reachlab.studies.demo import run_demo

        run_demo(config)
    elif isinstance(config, VisualConfig):
        from reachlab.studies.visual import run_visual

        run_visual(config)
    elif isinstance(config, AlgorithmsConfig):
        from reachlab.studies.algorithms import run_algorithms

        print(f"the report is {run_algorithms(config, remark)}")
    elif isinstance(config, RolloutsConfig):
        from reachlab.studies.rollouts import run_rollouts

        print(f"the report is {run_rollouts(config, remark)}")
    elif isinstance(config, KLConfig):
        from reachlab.studies.kl import run_kl

        print(f"the report is {run_kl(config, remark)}")
    elif isinstance(config, CheckpointsConfig):
        from reachlab.studies.checkpoints import run_checkpoints

        print(f"the report is {run_checkpoints(config, remark)}")
    elif isinstance(config, TemperatureConfig):
        from reachlab.studies.temperature import run_temperature

        print(f"the report is {run_temperature(config, remark)}")
    else:
        from reachlab.studies.regime import run_regime

        print(f"the map is {run_regime(config)}")
