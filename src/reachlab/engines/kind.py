"""What is known of an engine before it is opened. No torch: the command line reads this."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from reachlab.choices import imported
from reachlab.engines.config import EngineChoice
from reachlab.engines.engine import Engine
from reachlab.errors import ReachlabError
from reachlab.extras import need


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """An engine by name: where it is, and which options are for it. `checks.check_engine` asks one that is open."""

    name: str
    place: str | Callable[[EngineChoice], Engine]
    """``module:open_engine``, imported when it is opened; or what opens it."""
    packages: tuple[str, ...] = ()
    """What it is made of, of what a plain install goes without: asked for before a model is looked at."""
    served: bool = False
    """Whether servers answer (`--base-url`), and not this process. What it computes in is then their business, and
    `--model` may be a name."""
    vllm_args: bool = False
    """Whether `--vllm-args` is for it."""
    requests: bool = False
    """Whether every sample is a request, which may go without a seed and without log-probabilities."""
    embedded: bool = False
    """Whether it is a `Decoder` of ours: a part is drawn as one piece, and a model's rotary scaling has to be one that
    our own forward pass keeps to."""
    remark: str = ""
    """What is said where every request has a seed and log-probabilities."""
    held: str = ""
    """``module:function`` of an `EngineChoice`: how many tokens it holds, prompt and answer; None where nobody can
    say. Without it, what the checkpoint holds."""

    def need(self) -> None:
        """See that its packages are here.

        Raises:
            MissingPackageError: one is not.
        """
        need(*self.packages, what=f"--engine {self.name}")

    def open(self, config: EngineChoice) -> Engine:
        """Start it with the model.

        Raises:
            ReachlabError: a model it cannot use, a package that is not installed, a server that does not answer.
        """
        self.need()
        place = self.place
        return cast(Callable[[EngineChoice], Engine], imported(place) if isinstance(place, str) else place)(config)

    def holds(self, config: EngineChoice) -> int | None:
        """Tokens that it holds, or None where it says nothing."""
        return cast(Callable[[EngineChoice], int | None], imported(self.held))(config) if self.held else None

    def check(self, config: EngineChoice, known: "Iterable[EngineKind]") -> None:
        """Refuse options that are for others of the `known` engines.

        Raises:
            ReachlabError: it says for which.
        """

        def those(wanted: Callable[[EngineKind], bool]) -> str:
            return " and ".join(kind.name for kind in known if wanted(kind))

        if config.servers.base_url and not self.served:
            raise ReachlabError(f"--base-url is for --engine {those(lambda kind: kind.served)}; add it")
        if config.vllm_args and not self.vllm_args:
            raise ReachlabError(f"--vllm-args is for --engine {those(lambda kind: kind.vllm_args)}; add it")
        if not (config.request_seeds and config.logprobs) and not self.requests:
            raise ReachlabError(
                f"--no-request-seeds and --no-logprobs are for --engine {those(lambda kind: kind.requests)}"
            )


def adopted(name: str, found: Any) -> EngineKind:
    """An engine as others give it, under the name that they give it: an `EngineKind`, or the function that opens one.

    Raises:
        ReachlabError: it is neither.
    """
    if isinstance(found, EngineKind):
        return replace(found, name=name)
    if not callable(found):
        raise ReachlabError(f"engine {name!r} is a {type(found).__name__}; a function that opens one is wanted")
    return EngineKind(name=name, place=found)
