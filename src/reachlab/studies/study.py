"""What a study is: a name, what it takes, and what runs it. No torch: the command line reads this."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reachlab.choices import imported

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A claim, from its full configuration to a verdict; imported when it is asked for."""

    name: str
    place: str
    """``module:function``, called with the configuration and a function that hears remarks; it returns what was
    written."""
    takes: str
    """``module:class`` of its configuration, whose docstring is the claim that `--help` shows. Its module imports
    nothing heavy."""
    says: str = "the report is {}"
    """What the command prints in the end; nothing where the study prints it itself."""

    @property
    def config(self) -> type[Any]:
        """What it takes."""
        found: type[Any] = imported(self.takes)
        return found

    def run(self, config: Any, tell: Tell = lambda _: None) -> Path:
        """Run what is not finished of it.

        Raises:
            ReachlabError: a study says itself for what.
        """
        found: Path = imported(self.place)(config, tell)
        return found
