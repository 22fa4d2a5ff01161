"""What the studies take. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from reachlab.errors import ReachlabError


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """The demo: four small models, from nothing to a report."""

    out: str = "runs/demo"
    """Folder of all its runs."""
    seed: int = 0
    """Of the weights, the data and every draw."""
    routing: Literal["dense", "topk"] = "dense"
    """The base: a dense model, or a sparse mixture of experts."""
    problems: int = 200
    """Held-out problems."""
    samples: int = 256
    """Answers a problem and model."""
    scale: float = 1.0
    """Multiplies the training steps; below 1 is quicker and shows less."""

    def __post_init__(self) -> None:
        if self.problems < 1 or self.samples < 1:
            raise ReachlabError(f"problems={self.problems} and samples={self.samples} must be 1 or more")
        if not 0 < self.scale < float("inf"):
            raise ReachlabError(f"scale={self.scale} must be above 0")
