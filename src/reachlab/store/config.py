"""Where samples are spent. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from reachlab.errors import ReachlabError
from reachlab.limits import check_numbers


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Where samples are spent. Estimates stay unbiased, exactly so with enough=1 (docs/sampling.md)."""

    on: Annotated[bool, arg(name="adaptive")] = False
    """Draw all problems on together, and stop those that have enough right answers."""
    target_width: float | None = None
    """Stop the run once the 95 % interval of the share of problems solved in the end is this narrow, e.g. 0.02."""
    enough: int = 1
    """Right answers that stop a problem. More cost more, and make pass@k at small k surer."""
    first_look: int = 0
    """Answers a problem before any is stopped; 0 takes 1/32 of --samples, 8 at least."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.on and (self.target_width is not None or self.enough != 1 or self.first_look):
            raise ReachlabError("target_width, enough and first_look are for adaptive sampling; add --adaptive")
        if self.target_width is not None and not 0 < self.target_width < 1:
            raise ReachlabError(f"target_width={self.target_width} must be between 0 and 1, as a share of the problems")
        if self.enough < 1:
            raise ReachlabError(f"enough={self.enough} must be 1 or more")
        if self.first_look < 0:
            raise ReachlabError(f"first_look={self.first_look} must be 0 (chosen for you) or more")
