"""Engines that answer. One more is one file here and one line in `ENGINES`; its module is imported when asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from reachlab.engines.config import EngineChoice
from reachlab.engines.engine import Engine

ENGINES = {
    "transformers": "reachlab.engines.local:open_engine",
    "vllm": "reachlab.engines.vllm:open_engine",
    "openai": "reachlab.engines.openai:open_engine",
}


def open_engine(config: EngineChoice) -> Engine:
    """Start the engine that `config` names, with its model.

    Raises:
        ReachlabError: a model it cannot use, a package that is not installed, a server that does not answer.
    """
    module, _, name = ENGINES[config.engine].partition(":")
    return cast(Callable[[EngineChoice], Engine], getattr(import_module(module), name))(config)
