"""How long drawing will yet take, from the tokens drawn: answers that finish first are the short ones.

    mean length = tokens drawn / answers finished, at most `max_tokens`

With F answers finished of A tokens and others under way of B tokens so far, (A + B) / F is the maximum-likelihood mean
of exponential lengths that are censored where they are now: unfinished answers count as what they have, and no short
answer speaks for all. What is left is (answers left) · mean − B, at the rate so far. Until an answer has finished its
length is unknown, and only the most that it can take is said.
"""

import time
from collections.abc import Callable

from reachlab.progress import duration


class Pace:
    """The pace of a stretch of drawing.

    Args:
        left: samples that are to be drawn. max_tokens: the longest answer.
        clock: seconds.
    """

    def __init__(self, left: int, max_tokens: int, clock: Callable[[], float] = time.monotonic):
        self.left, self.max_tokens, self.clock = left, max_tokens, clock
        self.began, self.samples, self.tokens = clock(), 0, 0

    def add(self, samples: int, tokens: int) -> None:
        """So many more samples have finished, so many more tokens were drawn."""
        self.samples += samples
        self.tokens += tokens
        self.left -= samples

    def rate(self) -> float:
        """Tokens a second, so far."""
        seconds = self.clock() - self.began
        return self.tokens / seconds if seconds > 0 else 0.0

    def seconds(self) -> float:
        """Seconds left; infinite where nothing was drawn yet."""
        if not self.left:
            return 0.0
        mean = min(self.tokens / self.samples, self.max_tokens) if self.samples else self.max_tokens
        under_way = self.tokens - mean * self.samples  # what is beyond the finished ones' share
        rate = self.rate()
        return max(self.left * mean - under_way, 0.0) / rate if rate else float("inf")

    def words(self) -> tuple[str, str]:
        """When it will be done, and how fast it goes: ("14m", "812 tok/s")."""
        if not (rate := self.rate()):
            return "unknown", ""
        eta = duration(self.seconds())
        return eta if self.samples or not self.left else f"at most {eta}", f"{rate:,.0f} tok/s"
