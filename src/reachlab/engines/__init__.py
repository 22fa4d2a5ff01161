"""Engines that answer: an engine a file, an entry here; its module is imported when asked for. No torch: the command
line reads this."""

from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of
from reachlab.engines.config import EngineChoice
from reachlab.engines.engine import Engine
from reachlab.engines.kind import EngineKind

KINDS = (
    EngineKind(
        name="transformers",
        place="reachlab.engines.local:open_engine",
        packages=("torch", "transformers"),
        embedded=True,
    ),
    EngineKind(
        name="vllm",
        place="reachlab.engines.vllm:open_engine",
        packages=("vllm",),
        held="reachlab.engines.context_length:vllm_positions",
        vllm_args=True,
        requests=True,
        remark="every request has a seed and log-probabilities, which costs vLLM speed; --no-request-seeds and "
        "--no-logprobs do without (docs/engines.md)",
    ),
    EngineKind(
        name="openai",
        place="reachlab.engines.openai:open_engine",
        packages=("openai",),
        held="reachlab.engines.context_length:servers_positions",
        served=True,
        requests=True,
    ),
)
ENGINES: Choices[EngineKind] = Choices(
    "engine", {kind.name: kind for kind in KINDS}, adopt="reachlab.engines.kind:adopted"
)

if TYPE_CHECKING:
    EngineName = str
    UnservedName = str
else:
    EngineName = one_of(ENGINES)
    UnservedName = one_of(ENGINES, where=lambda kind: not kind.served)


def engine_kind(config: EngineChoice) -> EngineKind:
    """The engine that `config` names, with nothing against its options.

    Raises:
        ReachlabError: an unknown engine; options that are for another one.
    """
    kind = ENGINES[config.engine]
    kind.check(config, (kind for _, kind in ENGINES.working()))
    return kind


def open_engine(config: EngineChoice) -> Engine:
    """Start the engine that `config` names, with its model.

    Raises:
        ReachlabError: a model it cannot use, a package that is not installed, a server that does not answer.
    """
    return engine_kind(config).open(config)
