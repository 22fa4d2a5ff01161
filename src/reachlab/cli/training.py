"""Commands that train a model."""

from dataclasses import dataclass

from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import print_meaning, remark
from reachlab.errors import ReachlabError
from reachlab.models.config import MergeConfig
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.rl_config import RLConfig


def pretrain(config: Flat[PretrainConfig]) -> None:
    """Train a new model from nothing. On text (files, a folder, a datasets path, Python's own library), or on what a
    task's problems look like when they are attempted.

    Example: reachlab pretrain --data countdown,division=0 --hidden 48 --layers 2 --batch 32 --steps 100 --out
    runs/taster

    Example: reachlab pretrain --data text:examples/data/notes.txt --vocab-size 300 --length 64 --hidden 48 --layers 2
    --batch 32 --steps 60 --out runs/reader
    """
    from reachlab.training.pretrain import pretrain

    if pretrain(config, remark):
        print(f"model in {config.out}/model")


def distill(config: Flat[DistillConfig]) -> None:
    """Train a model on a teacher's right answers.

    Example: reachlab distill --model runs/demo/base --teacher solver --task countdown --steps 50 --out runs/taught
    """
    from reachlab.training.distill import distill

    if distill(config, remark):
        print(f"model in {config.out}/model")


@dataclass(frozen=True, kw_only=True)
class RLCommand:
    """Train a model by RL, or only say which settings fit."""

    rl: Flat[RLConfig]
    advise: bool = False
    """Train nothing: measure this model, task and machine for some steps, and propose n and m."""

    def __post_init__(self) -> None:
        if not self.advise and not self.rl.out:
            raise ReachlabError("--out is needed: the folder of the run, e.g. runs/pods")


def rl(config: Flat[RLCommand]) -> None:
    """Train a model by reinforcement learning on a task's verdicts. Seven algorithms, each with or without
    down-sampling; PODS generates 64 rollouts a problem and learns from the 16 of largest reward variance.

    Example: reachlab rl --model runs/demo/base --task countdown --rollouts 64 --keep 16 --rule max_variance
    --max-tokens 14 --steps 20 --out runs/pods

    Example: reachlab rl --advise --model runs/demo/base --task countdown --rollouts 64 --keep 16 --rule max_variance
    --max-tokens 14
    """
    if config.advise:
        from reachlab.regime.advise import advise_rl, print_advice

        print_advice(advise_rl(config.rl))
        print_meaning("advise")
        return
    from reachlab.training.rl import train_rl

    if train_rl(config.rl, remark):
        print(f"model in {config.rl.out}/model")


def merge(config: Flat[MergeConfig]) -> None:
    """Put a LoRA, or another adapter of PEFT, into its base: a checkpoint that every command and every engine loads.

    Example: reachlab merge adapters/mine --out models/mine
    """
    from reachlab.models.merging import merge_adapter

    print(f"model in {merge_adapter(config.adapter, config.out, config.base)}")
