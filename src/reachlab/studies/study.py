"""What a study is: a name, what it takes, and what runs it. No torch: the command line reads this."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reachlab.choices import imported
from reachlab.errors import ReachlabError
from reachlab.extras import need

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A claim, from its full configuration to a verdict; imported when it is asked for."""

    name: str
    place: str | Callable[[Any, Tell], Path]
    """``module:function``, or the function itself; called with the configuration and a function that hears remarks; it
    returns what was written."""
    takes: str | type[Any]
    """``module:class`` of its configuration, or the class itself, whose docstring is the claim that `--help` shows. Its
    module imports nothing heavy."""
    needs: tuple[str, ...] = ("torch", "transformers")
    """Packages that its stages cannot do without: asked for before the first of them begins."""
    says: str = "the report is {}"
    """What the command prints in the end; nothing where the study prints it itself."""

    @property
    def config(self) -> type[Any]:
        """What it takes."""
        found: type[Any] = imported(self.takes) if isinstance(self.takes, str) else self.takes
        return found

    def run(self, config: Any, tell: Tell = lambda _: None) -> Path:
        """Run what is not finished of it.

        Raises:
            ReachlabError: a study says itself for what.
        """
        name = f"`reachlab study {self.name}`"
        need(*self.needs, what=name)
        run = imported(self.place, name) if isinstance(self.place, str) else self.place
        found: Path = run(config, tell)
        return found


def adopted(name: str, found: Any) -> Study:
    """A study as others give it, under the name that they give it.

    Raises:
        ReachlabError: it is none.
    """
    if not isinstance(found, Study):
        raise ReachlabError(f"study {name!r} is a {type(found).__name__}; a reachlab.studies.study.Study is wanted")
    return replace(found, name=name)
