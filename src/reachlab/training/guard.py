"""A guard against the update that destroys a model: how far it went is measured after it, and a leap ends the run.

RL, after each step's updates, on one rollout of each problem:

    D = mean over tokens of KL(π before the step ‖ π after it),   tokens drawn from π before

A leap in the KL to the start is a leap from where the policy was; slow growth, which RL needs, never shows in D, far as
it leads. Trust regions keep D near 0.01 nats (TRPO, arXiv 1502.05477); what breaks a model is a hundred times that.
Distilling: by how much the loss of sequences of the first step lies above what they had at the start; learning lowers
it. Pretraining from nothing has no start worth guarding; a loss or a weight that is not finite stops every run.

What a leap leaves is never saved: the state on disk stays the one before it.
"""

from typing import NoReturn

from reachlab.errors import ReachlabError
from reachlab.training.config import OptimizerConfig

SEQUENCES = 8
"""Of the first step, that distilling looks at after each update."""


class LeapError(ReachlabError):
    """An update went too far; the weights of the moment are not worth keeping."""


def check(what: str, moved: float, limit: float, optimizer: OptimizerConfig, step: int) -> None:
    """Stop a run whose step moved the model by more than `limit` (0 watches nothing); NaN is too far.

    Raises:
        LeapError: with what to change.
    """
    if not limit or moved <= limit:
        return
    too_far(f"{what} by {moved:.2f} nats a token, more than --guard {limit:g} allows", optimizer, step)


def too_far(what: str, optimizer: OptimizerConfig, step: int) -> NoReturn:
    """Stop a run whose step did that to the model.

    Raises:
        LeapError: with what to change.
    """
    rates = {"--lr": optimizer.lr}
    if optimizer.method == "muon":
        rates["--muon-lr"] = optimizer.muon_lr
    lower = " and ".join(f"{name} {rate:g} to {rate / 10:g}" for name, rate in rates.items())
    warm = "" if optimizer.warmup >= step + 10 else f", or add a warm-up (--warmup {max(20, 2 * optimizer.warmup)})"
    raise LeapError(f"step {step} {what}: the update was too large for this model. Lower {lower}{warm}")
