"""What docs/engines.md has to paste: the options of servers, read by the parsers that would read them. Our own commands
are parsed with those of all documents (`tests/docs/test_parsed.py`)."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import tyro
from tests.engines.test_vllm import BIN, HERE
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.sampling.config import SampleConfig

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line and not line.startswith("#")]
SGLANG = {"--model-path", "--port", "--dp-size", "--context-length"}
"""As https://docs.sglang.io/docs/advanced_features/server_arguments has them; there is no build of it to ask here."""


def words_after(start: str) -> list[list[str]]:
    """The words behind `start` of each command that has it."""
    return [shlex.split(line.partition(start)[2]) for line in LINES if start in line]


def drawn() -> list[SampleConfig]:
    return [tyro.cli(Flat[SampleConfig], args=words) for words in words_after("reachlab sample ")]


def test_the_commands_are_ours() -> None:
    configs = drawn()
    assert {config.engine for config in configs} == {"transformers", "vllm", "openai"}
    assert {config.cluster.ray for config in configs} == {"", "auto", "local"}
    assert any(not config.request_seeds and not config.logprobs for config in configs)
    for config in configs:
        assert isinstance(json.loads(config.vllm_args or "{}"), dict)


def test_the_options_of_servers() -> None:
    for words in words_after("sglang.launch_server "):
        assert {word for word in words if word.startswith("--")} <= SGLANG


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not (BIN / "vllm").exists(), reason="no .venv-vllm: make vllm")
def test_vllm_has_these_options() -> None:
    given = [json.loads(config.vllm_args) for config in drawn() if config.vllm_args]
    served = words_after("vllm serve ")
    assert given
    assert served
    program = """
import json, sys
from vllm import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
given, served = json.load(sys.stdin)
for arguments in given:
    AsyncEngineArgs(model="/", **arguments)
for words in served:
    make_arg_parser(FlexibleArgumentParser()).parse_args(words)
print("all there")
"""
    found = subprocess.run(
        [BIN / "python", "-c", program], input=json.dumps([given, served]), env=HERE, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert found.stdout.endswith("all there\n"), found.stderr[-2000:]
