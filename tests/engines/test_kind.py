from typing import Any

import pytest

from reachlab.engines import ENGINES, engine_kind, open_engine
from reachlab.engines.config import Servers
from reachlab.errors import ReachlabError
from reachlab.sampling.config import SampleConfig


def config(**chosen: Any) -> SampleConfig:
    return SampleConfig(**{"model": "m", "task": "countdown", "out": "x", **chosen})


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"servers": Servers(base_url=("http://x/v1",))}, "--base-url is for --engine openai; add it"),
        ({"engine": "vllm", "servers": Servers(base_url=("http://x/v1",))}, "--base-url is for --engine openai"),
        ({"engine": "openai", "vllm_args": "{}"}, "--vllm-args is for --engine vllm; add it"),
        ({"request_seeds": False}, "--no-request-seeds and --no-logprobs are for --engine vllm and openai"),
        ({"logprobs": False}, "--no-request-seeds and --no-logprobs are for --engine vllm and openai"),
        ({"engine": "parrot"}, "there is no engine 'parrot'; choose one of transformers, vllm, openai"),
    ],
)
def test_options_that_are_for_another_engine(chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=f"^{says}"):
        config(**chosen)


def test_what_is_known_before_one_is_opened() -> None:
    assert [kind.name for kind in ENGINES.values()] == [*ENGINES] == ["transformers", "vllm", "openai"]
    assert [name for name, kind in ENGINES.items() if kind.embedded] == ["transformers"]
    assert engine_kind(config()).holds(config()) is None
    asked = config(engine="vllm", vllm_args='{"max_model_len": 64}')
    assert engine_kind(asked).holds(asked) == 64
    with pytest.raises(ReachlabError, match="--engine openai needs a server"):
        open_engine(config(engine="openai"))
