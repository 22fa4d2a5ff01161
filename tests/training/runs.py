"""A training run of a test's own steps."""

from pathlib import Path

from reachlab.models.checkpoint import load_model
from reachlab.models.devices import choose_device
from reachlab.training.beginning import Claim, Trained, placed, settle
from reachlab.training.config import LoopConfig, OptimizerConfig
from reachlab.training.loop import TrainingRun
from reachlab.training.processes import Processes


def run_of(checkpoint: Path, claim: Claim, loop: LoopConfig, optimizer: OptimizerConfig) -> TrainingRun:
    """A run that begins with a checkpoint, in one process."""
    processes = Processes.alone(choose_device(loop.device))
    settle(loop)
    model, tokenizer = load_model(checkpoint)
    return TrainingRun(
        claim, loop, {"policy": Trained(placed(model, processes.device), optimizer)}, tokenizer, processes
    )
