"""Studies: a claim a file, an entry here, in the order of `reachlab study --help`."""

from reachlab.choices import Choices
from reachlab.studies.study import Study

CONFIG = "reachlab.studies.config:"
OWN_STUDIES = (
    Study(name="own", place="reachlab.studies.own.run:run_own", takes="reachlab.studies.own.config:OwnConfig"),
    Study(name="demo", place="reachlab.studies.demo:run_demo", takes=f"{CONFIG}DemoConfig", says=""),
    Study(name="visual", place="reachlab.studies.visual:run_visual", takes=f"{CONFIG}VisualConfig", says=""),
    Study(name="algorithms", place="reachlab.studies.algorithms:run_algorithms", takes=f"{CONFIG}AlgorithmsConfig"),
    Study(name="rollouts", place="reachlab.studies.rollouts:run_rollouts", takes=f"{CONFIG}RolloutsConfig"),
    Study(name="kl", place="reachlab.studies.kl:run_kl", takes=f"{CONFIG}KLConfig"),
    Study(name="checkpoints", place="reachlab.studies.checkpoints:run_checkpoints", takes=f"{CONFIG}CheckpointsConfig"),
    Study(name="temperature", place="reachlab.studies.temperature:run_temperature", takes=f"{CONFIG}TemperatureConfig"),
    Study(
        name="regime",
        place="reachlab.studies.regime:run_regime",
        takes=f"{CONFIG}RegimeConfig",
        says="the map is {}",
    ),
)
STUDIES: Choices[Study] = Choices(
    "study", {study.name: study for study in OWN_STUDIES}, adopt="reachlab.studies.study:adopted"
)
