"""What watching a training takes. No torch here."""

from dataclasses import dataclass
from typing import Literal

from reachlab.engines.config import DecodingChoice
from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers
from reachlab.tasks.asking import AskConfig


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """What is asked of a model in training, how often, and where the answers are kept."""

    task: str
    """What to ask, as `reachlab tasks` lists it: countdown, gym:gsm_symbolic, math:FILE ... The training must not have
    seen these problems; that is not checked."""
    out: str
    """Folder on a local or shared disk; in it a run of samples for the base and one a checkpoint."""
    problems: int = 32
    """How many problems."""
    samples: int = 16
    """Answers a problem: the largest k."""
    every: int = 100
    """Optimizer steps from one checkpoint to the next. The first is before the first step, the last behind the last."""
    share: float = 1.0
    """The most of the training's time that watching may take, e.g. 0.1: a checkpoint that would take more is left out,
    with a line. The base and the last one are always drawn; 1 leaves nothing out."""
    name: str = "watch"
    """Of the metrics, `eval_NAME_pass1`; another one for a second task."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which problems; auto is the held-out ones of a generated task and all of a file."""
    ask: AskConfig = AskConfig()
    """How the model is asked; by default an instruct model through its chat template, any other in plain text."""
    decoding: DecodingChoice = DecodingChoice()
    """How tokens are drawn, beside the two below."""
    temperature: float | None = None
    """Divides the logits; default the benchmark's own, else 1."""
    max_tokens: int | None = None
    """Longest answer; default the benchmark's own, else 256."""
    seed: int = 0
    """Decides, with problem and index, every draw: the same at every checkpoint, so that differences are paired."""
    problem_seed: int = 0
    """Decides which problems a generated task lists."""
    verify_timeout: float = 5.0
    """CPU seconds a verifier may take for one answer."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("verify_timeout",))
        for field in ("problems", "samples", "every"):
            if getattr(self, field) < 1:
                raise ReachlabError(f"{field}={getattr(self, field)} must be 1 or more")
        if not 0 < self.share <= 1:
            raise ReachlabError(f"share={self.share} must be above 0 and at most 1: a share of the training's time")
        if not self.name.isidentifier():
            raise ReachlabError(f"name={self.name!r} must be letters, digits and _: it is a part of metrics' names")
        if not self.out or "://" in self.out:
            raise ReachlabError(f"out={self.out!r} must be a folder on a disk, e.g. runs/watch")
