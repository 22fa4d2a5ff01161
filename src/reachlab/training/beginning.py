"""Before a training run: what it is, the folder that is to hold it, and the model that it begins with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn

from reachlab.errors import ReachlabError
from reachlab.moe import densified
from reachlab.moe.estimators import ESTIMATORS
from reachlab.moe.methods import METHODS
from reachlab.origins import Maker
from reachlab.plugins import identity_of
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.rules import RULES
from reachlab.runs import RunFolder
from reachlab.tasks.identity import as_begun
from reachlab.tasks.registry import maker_of
from reachlab.tasks.rewards import maker_of_reward
from reachlab.training.config import DistillConfig, LoopConfig, OptimizerConfig, PretrainConfig
from reachlab.training.corpus.sources import is_text
from reachlab.training.rl_config import RLConfig
from reachlab.training.saved import not_finite
from reachlab.training.trackers import check_trackers

Model = TypeVar("Model", bound=nn.Module)


def makers_of(config: PretrainConfig | DistillConfig | RLConfig) -> dict[str, Maker]:
    """Who made what a run chose that is not ours: its task, its reward, its rule ..."""
    routing, data = config.routing, config.data if isinstance(config, PretrainConfig) else config.task
    found = {
        "task": None if is_text(data) else maker_of(data),
        "method": METHODS.origin(routing.routing),
        "estimator": ESTIMATORS.origin(routing.estimator),
    }
    if isinstance(config, RLConfig):
        found["rule"] = RULES.origin(config.selection.rule)
        found["algorithm"] = ALGORITHMS.origin(config.objective.algorithm)
        found["budget"] = BUDGETS.origin(config.budget.budget)
        found["reward"] = maker_of_reward(config.reward)
    return {role: origin for role, origin in found.items() if origin is not None}


def config_identity(config: PretrainConfig | DistillConfig | RLConfig) -> dict[str, Any]:
    """What the weights depend on: everything but where they go, how often they are saved and kept, and who is told. Of
    choices that are not ours also their code."""
    settings = asdict(config)
    del settings["out"], settings["loop"]["save_every"], settings["loop"]["keep_every"], settings["loop"]["track"]
    settings.pop("rehash", None)
    if isinstance(config, RLConfig):
        # Where the server is changes nothing; that there is one does.
        del settings["servers"], settings["push"]
        if config.servers.base_url:
            settings["rollouts_from"] = "server"
        # As in the run.json of runs that were begun before the field had this name.
        settings["selection"]["lot"] = settings["selection"].pop("random_keep")
    settings["loop"]["threads"] = config.loop.threads or torch.get_num_threads()
    return settings | identity_of(makers_of(config))


def run_folder(out: str) -> RunFolder:
    """The folder that a training run is to live in, before anything is loaded for it.

    Raises:
        ReachlabError: it is not on a local disk, or holds what is no run.
    """
    folder = RunFolder(out)
    if not folder.is_local:
        raise ReachlabError(f"{folder.url}: training runs live on a local disk; copy them away when they are done")
    folder.check_free()
    return folder


@dataclass(frozen=True)
class Claim:
    """The run that a folder is to hold, or holds already (`RunFolder.claim`)."""

    folder: RunFolder
    kind: str
    config: Mapping[str, Any]
    """Everything that the weights depend on."""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> None:
        """Make the folder this run's, or refuse."""
        self.folder.claim(self.kind, as_begun(self.folder, self.config), self.facts)


@dataclass(frozen=True)
class Trained:
    """A module and how it is moved."""

    module: nn.Module
    optimizer: OptimizerConfig


def settle(loop: LoopConfig) -> None:
    """Threads and seed, before the model is made or loaded: adapters begin at random.

    Raises:
        ReachlabError: a tracker that is not there.
    """
    check_trackers(loop.track)
    if loop.threads:
        torch.set_num_threads(loop.threads)
    torch.manual_seed(loop.seed)


def placed(model: Model, device: torch.device) -> Model:
    """The model that a run begins with, on its device; its routers learn inside of `gradient.learning` alone.

    Raises:
        ReachlabError: a weight is not finite.
    """
    if (bad := not_finite(dict(model.named_parameters()))) is not None:
        raise ReachlabError(f"the model that this run begins with has weights that are not finite: {bad}")
    if (routers := densified(model)) is not None:
        routers.pulse.learns = False
    model.to(device)
    return model
