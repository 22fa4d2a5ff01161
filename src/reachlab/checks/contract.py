"""How a checker speaks."""

from reachlab.errors import ReachlabError


class ContractError(ReachlabError, AssertionError):
    """A promise that does not hold: who broke it, how, and what was promised."""


class Contract:
    """The promises of one choice, `who`."""

    def __init__(self, who: str):
        self.who = who

    def holds(self, condition: object, broken: str, promised: str) -> None:
        """See that a promise is kept.

        Raises:
            ContractError: it is not.
        """
        if not condition:
            raise ContractError(f"{self.who} {broken}; {promised}")
