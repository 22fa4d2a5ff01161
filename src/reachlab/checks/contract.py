"""How a checker speaks."""

from reachlab.errors import ReachlabError


class BrokenError(ReachlabError, AssertionError):
    """A promise that does not hold: who broke it, how, and what was promised."""


class Contract:
    """The promises of one choice, `who`."""

    def __init__(self, who: str):
        self.who = who

    def holds(self, condition: object, broken: str, promised: str) -> None:
        """See that a promise is kept.

        Raises:
            BrokenError: it is not.
        """
        if not condition:
            raise BrokenError(f"{self.who} {broken}; {promised}")
