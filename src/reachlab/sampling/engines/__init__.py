"""Engines that answer. One more is one file here and one line in `ENGINES`; its module is imported when asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from reachlab.sampling.config import SampleConfig
from reachlab.sampling.engines.engine import Engine

ENGINES = {
    "transformers": "reachlab.sampling.engines.local:open_engine",
    "vllm": "reachlab.sampling.engines.vllm:open_engine",
    "openai": "reachlab.sampling.engines.openai:open_engine",
}


def open_engine(config: SampleConfig) -> Engine:
    """Start the engine that `config` names, with its model.

    Raises:
        ReachlabError: a model it cannot use, a package that is not installed, a server that does not answer.
    """
    module, _, name = ENGINES[config.engine].partition(":")
    return cast(Callable[[SampleConfig], Engine], getattr(import_module(module), name))(config)
