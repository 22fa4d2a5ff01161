"""Why an answer cannot be judged."""


class UndecidedError(ValueError):
    """Nothing here can tell."""


class UnreadableError(ValueError):
    """This has no mathematical reading."""
