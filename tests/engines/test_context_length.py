import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.engines.served import Reply, Scripted
from tests.tiny import TASK

from reachlab.engines import ENGINES
from reachlab.engines.config import DecodingChoice, Servers
from reachlab.engines.context_length import served_positions, served_prompts
from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.tasks.asking import AskConfig
from reachlab.types import Chat, Illustrated


def config(tmp_path: Path, engine: str, *servers: Scripted, model: str = "m", **changes: Any) -> SampleConfig:
    given: dict[str, Any] = {"task": TASK, "ask": AskConfig(template="plain"), "problems": 2, "samples": 1}
    given |= {"out": str(tmp_path / "run"), **changes}
    asked = Servers(base_url=tuple(s.url for s in servers), patience=1.0) if servers else Servers()
    return SampleConfig(model=model, engine=engine, servers=asked, **given)


def counts(n: int, body: dict[str, Any]) -> Reply | str:
    """Answers /tokenize: a token a character."""
    if "seed" in body:
        return ""
    text = body.get("prompt") or body["messages"][-1]["content"]
    return 200, {"count": len(text)}


def held(asked: SampleConfig) -> int | None:
    return ENGINES[asked.engine].holds(asked)


def counts_nothing(n: int, body: dict[str, Any]) -> Reply | str:
    return "" if "seed" in body else (404, {})


@pytest.mark.parametrize(
    ("arguments", "found"),
    [("", None), ('{"max_model_len": 64}', 64), ('{"max_model_len": -1}', None), ('{"max_model_len": "auto"}', None)],
)
def test_vllm_in_this_process(arguments: str, found: int | None, tmp_path: Path) -> None:
    assert held(config(tmp_path, "vllm", vllm_args=arguments)) == found


def test_vllms_limit_counts_where_it_is_less(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))  # it is there, and not asked
    asked = config(
        tmp_path, "vllm", model=str(checkpoint), vllm_args='{"max_model_len": 20}',
        decoding=DecodingChoice(max_tokens=16),
    )  # fmt: skip
    with pytest.raises(ReachlabError, match=r"has 20 positions, .*: --max-tokens 16 does not fit"):
        sample(asked)


def test_the_least_of_the_servers_that_tell(tmp_path: Path) -> None:
    with Scripted(max_model_len=90) as one, Scripted(max_model_len=80) as two, Scripted() as silent:
        asked = config(tmp_path, "openai", one, two, silent)
        assert held(asked) == 80
        assert held(config(tmp_path, "openai", silent)) is None
        # The only model that there is, under another name.
        assert served_positions(asked.servers, "other") == 80
    began = time.monotonic()
    assert held(asked) is None  # all gone
    assert time.monotonic() - began < 20
    assert served_positions(Servers(base_url=("no-address",), patience=60), "m") is None


def test_a_servers_count_of_prompts() -> None:
    with Scripted(counts) as server:
        servers = Servers(base_url=(server.url,))
        chat = Chat(({"role": "user", "content": "1234567"},))
        assert served_prompts(servers, "m", ["123", chat, "12"]) == 7
        assert [body["path"] for body in server.asked] == ["/tokenize"] * 3
        assert served_prompts(servers, "m", [Illustrated("1", ("x.png",))]) is None
    with Scripted(counts_nothing) as server:
        assert served_prompts(Servers(base_url=(server.url,)), "m", ["123"]) is None


def test_a_served_models_default_is_cut_and_kept(tmp_path: Path) -> None:
    said: list[str] = []
    with Scripted(counts, max_model_len=40) as server:
        asked = config(tmp_path, "openai", server)
        assert sample(asked, said.append).stored == 2
        kept = RunFolder(asked.out).read_json("run.json")["config"]["decoding"]["max_tokens"]
        assert 20 < kept < 40
        assert said[1].startswith(f"answers may take {kept} tokens and not 256: m has 40 positions")
        assert {body["max_tokens"] for body in server.asked if "seed" in body} == {kept}
        with pytest.raises(ReachlabError, match=f"--max-tokens {kept + 1} does not fit, {kept} is the most"):
            sample(config(tmp_path, "openai", server, decoding=DecodingChoice(max_tokens=kept + 1)))
    # Started anew with another limit, and without: the run keeps to its number.
    for limit in ({"max_model_len": 60}, {}):
        with Scripted(counts, **limit) as server:
            assert sample(config(tmp_path, "openai", server, samples=1)).drawn == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["decoding"]["max_tokens"] == kept


def test_a_server_that_cannot_count_wants_a_number(tmp_path: Path) -> None:
    with Scripted(counts_nothing, max_model_len=40) as server:
        with pytest.raises(ReachlabError, match=r"m: the servers hold 40 tokens, .* give a --max-tokens"):
            sample(config(tmp_path, "openai", server))
        assert not (tmp_path / "run").exists()
        assert sample(config(tmp_path, "openai", server, decoding=DecodingChoice(max_tokens=30))).stored == 2
