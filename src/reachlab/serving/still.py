"""A run that is being drawn, held still: whoever reads its samples twice sees the same parts both times.

What is compared and what is listed beside it would otherwise be of different samples.
"""

from reachlab.runs import RunFolder


class StillFolder(RunFolder):
    """A run's folder that shows of its samples the parts that were there at the first look."""

    def __init__(self, path: str):
        super().__init__(path)
        self._found: dict[str, list[str]] = {}

    def glob(self, pattern: str) -> list[str]:
        """Paths of the run's files that match, in name order."""
        if not pattern.startswith("samples/"):
            return super().glob(pattern)
        if pattern not in self._found:
            self._found[pattern] = super().glob(pattern)
        return self._found[pattern]
