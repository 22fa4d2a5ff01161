"""Runs of a served model whose server misbehaves: they end, in one line, and what others brought is stored."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engines.served import completion
from tests.engines.unruly import Call, Unruly, head
from tests.tiny import TASK, rows_of

from reachlab.cli import main
from reachlab.engines import concurrent
from reachlab.engines import openai as module
from reachlab.engines.config import DecodingChoice, Servers
from reachlab.errors import ReachlabError
from reachlab.exports.config import ExportConfig
from reachlab.exports.exporting import export_run
from reachlab.imports.config import ImportConfig
from reachlab.imports.importing import import_samples
from reachlab.runs import RunFolder
from reachlab.sampling.config import SampleConfig, VerifyConfig
from reachlab.sampling.run import sample
from reachlab.sampling.verifying import verify
from reachlab.store.frame import load_run
from reachlab.store.samples import SampleStore
from reachlab.tasks.asking import AskConfig

SLOW_S = 20.0
"""A machine with other work may take longer than patience says; what never ends takes longer than this."""


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(concurrent, "GRACE_S", 2.0)


def config(out: Path, *servers: Unruly, **changes: Any) -> SampleConfig:
    """18 samples, asked for 4 at once at each server."""
    asked = {"concurrency": 4, "request_timeout": 1.0, "patience": 1.0, **changes}
    return SampleConfig(
        model="m", task=TASK, problems=6, samples=3, out=str(out / "run"), engine="openai",
        ask=AskConfig(template="plain"), decoding=DecodingChoice(max_tokens=8),
        servers=Servers(base_url=tuple(server.url for server in servers), **asked),
    )  # fmt: skip


class OnlyOne:
    """Has one sample, the fifth that is asked for, always answered in another way."""

    def __init__(self, other: Callable[[Call], bool]):
        self.other, self.lock = other, threading.Lock()
        self.chosen: int | None = None
        self.seen: Counter[int] = Counter()

    def __call__(self, call: Call) -> bool:
        if call.seed is None:
            return False
        with self.lock:
            self.seen[call.seed] += 1
            if len(self.seen) == 5 and self.chosen is None:
                self.chosen = call.seed
        return self.other(call) if call.seed == self.chosen else False


def scored(value: Any) -> dict[str, Any]:
    return completion("x", logprobs={"token_logprobs": [value, -1.0, -1.0]})


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda call: call.say(b"<html>"), "no use, asked 8 times: an answer that is not JSON"),
        (lambda call: call.say([1]), "an answer without choices"),
        (lambda call: call.say(completion("x", text=None)), "text is no text"),
        (
            lambda call: call.say(completion("x") | {"usage": {"completion_tokens": 10**18}}),
            "answer of 1000000000000000000 tokens",
        ),
        (lambda call: call.say(scored(float("nan"))), "log-probability nan"),
        (lambda call: call.say(completion("x", finish_reason="tool_calls")), "tool_calls"),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again_and_the_others_are_stored(
    other: Callable[[Call], bool], says: str, tmp_path: Path
) -> None:
    one = OnlyOne(other)
    with Unruly(one) as server, pytest.raises(ReachlabError, match=says) as error:
        sample(config(tmp_path, server, patience=20.0))
    assert "\n" not in str(error.value)
    assert one.chosen is not None
    assert one.seen.pop(one.chosen) == module.TRIES
    rows = rows_of(tmp_path / "run")
    assert len(rows) == 17
    assert sorted(row["seed"] for row in rows) == sorted(one.seen)
    assert all((row["text"], row["tokens"], row["logprob"]) == (str(row["seed"]), 3, -3.0) for row in rows)


def test_a_request_that_is_refused_leaves_the_others_time(tmp_path: Path) -> None:
    """Those under way are paid for; no more are asked."""
    one = OnlyOne(lambda call: call.say({"error": {"message": "too long"}}, 400))

    def behave(call: Call) -> bool:
        refused = one(call)
        if not refused and call.seed is not None:
            time.sleep(0.3)
        return refused

    with Unruly(behave) as server, pytest.raises(ReachlabError, match="refuses a request: too long"):
        sample(config(tmp_path, server, request_timeout=5.0))
    others = set(one.seen) - {one.chosen}
    assert {row["seed"] for row in rows_of(tmp_path / "run")} == others
    assert 4 <= len(others) < 17


@pytest.mark.parametrize("said", ["3600", "inf", "-1", "soon", "Fri, 31 Dec 2199 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_wants_to_be_left_alone(said: str, status: int, tmp_path: Path) -> None:
    """From the fifth sample on; a run waits for `patience` and not for longer."""

    def behave(call: Call) -> bool:
        if call.seed is None or len(set(server.seeds)) < 5:
            return False
        return call.say({"error": {"message": "come back"}}, status, Retry_After=said)

    began = time.monotonic()
    with Unruly(behave) as server:
        with pytest.raises(ReachlabError, match=r"no server has answered for 0\.5 s .*: come back\).*again to go on"):
            sample(config(tmp_path, server, patience=0.5))
        asked = len(server.seeds)
    assert time.monotonic() - began < SLOW_S
    assert len(rows_of(tmp_path / "run")) == 4
    if said in ("3600", "Fri, 31 Dec 2199 23:59:59 GMT"):
        assert asked <= 4 + 4  # every slot heard it once


@pytest.mark.parametrize(
    "slow",
    [
        lambda call: call.hang(),
        lambda call: call.drip(head(None)),
        lambda call: call.connection.sendall(head(None)) or call.drip(b'{"choices":'),
    ],
    ids=["silent", "head", "body"],
)
def test_a_server_that_drips_ends(slow: Callable[[Call], bool], tmp_path: Path) -> None:
    """Its slots fail one after the other, so that there is always one that has just begun."""

    def behave(call: Call) -> bool:
        if call.seed is None or len(set(server.seeds)) < 5:
            return False
        time.sleep(0.05 * (call.number % 7))
        return slow(call)

    began = time.monotonic()
    silent = r"no server has answered for 0\.5 s .*within 0\.4 s"
    with Unruly(behave) as server, pytest.raises(ReachlabError, match=silent):
        sample(config(tmp_path, server, patience=0.5, request_timeout=0.4))
    assert time.monotonic() - began < SLOW_S
    assert len(rows_of(tmp_path / "run")) >= 4


@pytest.mark.parametrize("where", ["/v1/models", "/openapi.json", ""])
@pytest.mark.parametrize(
    "slow", [lambda call: call.hang(), lambda call: call.drip(head(None))], ids=["silent", "drips"]
)
def test_a_server_that_never_says_what_it_is(slow: Callable[[Call], bool], where: str, tmp_path: Path) -> None:
    began = time.monotonic()

    def behave(call: Call) -> bool:
        return slow(call) if call.path.startswith(where) else False

    with Unruly(behave) as server, pytest.raises(ReachlabError, match=r"no server has answered for 0\.5 s"):
        sample(config(tmp_path, server, patience=0.5, request_timeout=0.3))
    assert time.monotonic() - began < SLOW_S
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (b"<html>", "no use, asked 8 times: an answer that is not JSON"),
        ([], "a list of models that is none"),
        ({"data": "m"}, "a list of models that is none"),
        (
            {"data": [{"id": "other\ud83d"}, {"id": None}, {"id": ["m"]}, 5, None]},
            r"no model 'm'; it serves other\\ud83d",
        ),
    ],
)
def test_a_list_of_models_that_is_none(models: Any, says: str, tmp_path: Path) -> None:
    def behave(call: Call) -> bool:
        return call.say(models) if call.path.endswith("/models") else False

    with Unruly(behave) as server, pytest.raises(ReachlabError, match=says):
        sample(config(tmp_path, server, patience=20.0))


@pytest.mark.parametrize(
    "model",
    [{"owned_by": 5, "root": "\0", "max_model_len": True}, {"owned_by": "a\nb \ud83d" + "c" * 500, "root": 7}]
    + [{"owned_by": None, "max_model_len": 10**18}, {"max_model_len": -5}, {"max_model_len": 1e300, "root": ["x"]}],
)
def test_a_model_of_which_nonsense_is_said(model: dict[str, Any], tmp_path: Path) -> None:
    def behave(call: Call) -> bool:
        if call.path.endswith("/tokenize"):
            return call.say({"count": -7})
        return call.say({"data": [{"id": "m", **model}]}) if call.path.endswith("/models") else False

    with Unruly(behave) as server:
        assert sample(config(tmp_path, server)).stored == 18
    (engine,) = {row["engine"] for row in rows_of(tmp_path / "run")}
    assert engine.startswith("openai:")
    assert len(engine) <= len("openai:") + module.LONGEST_NAME
    assert "\n" not in engine


@pytest.mark.parametrize(
    "breaks",
    [
        lambda call: call.reset(),
        lambda call: call.connection.sendall(head(1000) + b'{"choices"') or call.reset(),
        lambda call: call.say(completion("half"), Content_Length="30"),
        lambda call: call.say(b'{"choices": [{"text": "ha'),
        lambda call: call.say(completion("half") | {"choices": []}),
        lambda call: call.say({}, 500),
        lambda call: call.hang(),
    ],
)
def test_what_breaks_now_and_then_loses_and_repeats_nothing(breaks: Callable[[Call], bool], tmp_path: Path) -> None:
    """Every third sample fails when it is first asked for, at one of two servers."""
    seen: Counter[int] = Counter()
    lock = threading.Lock()

    def behave(call: Call) -> bool:
        if call.seed is None or call.seed % 3:
            return False
        with lock:
            seen[call.seed] += 1
            again = seen[call.seed] > 1
        return False if again else breaks(call)

    with Unruly(behave) as server, Unruly() as other:
        assert sample(config(tmp_path, server, other, request_timeout=0.5, patience=20.0)).stored == 18
        asked = server.seeds + other.seeds
    rows = rows_of(tmp_path / "run")
    assert all(row["text"] == str(row["seed"]) for row in rows)
    assert len({row["seed"] for row in rows}) == 18
    assert len(asked) == 18 + len(seen)


@pytest.mark.parametrize(
    "bad",
    [
        lambda call: call.say({"error": {"message": "busy"}}, 429, Retry_After="3600"),
        lambda call: call.say({}, 503, Retry_After="inf"),
        lambda call: call.reset(),
        lambda call: call.say(b"<html>"),
        lambda call: call.hang(),
    ],
    ids=["busy", "broken", "resets", "no JSON", "silent"],
)
def test_one_of_two_servers_does_the_work(bad: Callable[[Call], bool], tmp_path: Path) -> None:
    with Unruly(lambda call: call.seed is not None and bad(call)) as one, Unruly() as two:
        assert sample(config(tmp_path, one, two, request_timeout=0.5, patience=20.0)).stored == 18
        assert len(two.seeds) == 18
    assert all(row["text"] == str(row["seed"]) for row in rows_of(tmp_path / "run"))


def test_a_server_that_dies_and_comes_back(tmp_path: Path) -> None:
    """Its address is the same; the command goes on by itself."""
    died, back = threading.Event(), threading.Event()

    def behave(call: Call) -> bool:
        if call.seed is not None and len(set(server.seeds)) > 5:
            died.set()
        return call.reset() if died.is_set() and not back.is_set() else False

    with Unruly(behave) as server:
        threading.Timer(1.0, back.set).start()
        assert sample(config(tmp_path, server, patience=20.0)).stored == 18
    assert died.is_set()
    assert all(row["text"] == str(row["seed"]) for row in rows_of(tmp_path / "run"))


def test_failures_of_one_outage_count_once() -> None:
    """Else 64 requests that were under way together would keep their slots away for a minute."""
    server = module._Server(wire=None)  # type: ignore[arg-type]
    began = time.monotonic()
    waits = [server.wait_after(began) for _ in range(64)]
    assert server.failures == 1
    assert max(waits) <= module.FIRST_WAIT_S
    server.wait_after(time.monotonic())
    assert server.failures == 2


def test_a_filtered_answer_is_an_unscored_sample(tmp_path: Path) -> None:
    """Whatever the filter left of it, if it looked at the answer; nothing if it looked at the prompt. No verifier is
    asked, now or later, and nothing is drawn again."""
    filtered = completion("half", finish_reason="content_filter", logprobs=None)

    def behave(call: Call) -> bool:
        if call.seed is None or call.seed % 3 == 0:
            return False
        if call.seed % 3 == 1:
            return call.say(filtered)
        return call.say({"error": {"message": "filtered", "code": "content_filter"}}, 400)

    with Unruly(behave) as server:
        asked = config(tmp_path, server)
        result = sample(asked)
        assert (result.drawn, result.stored) == (18, 18)
        assert sample(asked).drawn == 0
    rows = rows_of(tmp_path / "run")
    for _ in range(2):
        for row in rows:
            left = {0: (str(row["seed"]), 3, "stop", -3.0), 1: ("half", 3, "content_filter", None)}
            kept = (row["text"], row["tokens"], row["finish"], row["logprob"])
            assert kept == left.get(row["seed"] % 3, ("", 0, "content_filter", None))
            assert (row["verdict"] == "unscored") == bool(row["seed"] % 3)
            assert ("content filter" in row["reason"]) == bool(row["seed"] % 3)
        verify(VerifyConfig(run=str(tmp_path / "run")))
        rows = rows_of(tmp_path / "run")
    assert {row["seed"] % 3 for row in rows} == {0, 1, 2}
    outcomes = SampleStore(RunFolder(tmp_path / "run")).outcomes()
    assert outcomes.unscored_P.sum() == sum(row["seed"] % 3 != 0 for row in rows)
    for name in ("there.jsonl", "there.parquet"):
        export_run(ExportConfig(run=str(tmp_path / "run"), out=str(tmp_path / name)))
        import_samples(ImportConfig(file=(str(tmp_path / name),), out=str(tmp_path / f"of-{name}"), workers=1))
        assert rows_of(tmp_path / f"of-{name}") == rows
    assert load_run(tmp_path / "run")["finish"].cat.categories.tolist() == ["stop", "length", "content_filter"]


def test_half_of_a_surrogate_pair_is_stored_as_json_spells_it(tmp_path: Path) -> None:
    def behave(call: Call) -> bool:
        return call.seed is not None and call.say(completion("a\ud83d", logprobs=None))

    with Unruly(behave) as server:
        assert sample(config(tmp_path, server)).stored == 18
    assert {row["text"] for row in rows_of(tmp_path / "run")} == {"a\\ud83d"}


@pytest.mark.parametrize("where", ["error", "text", "name", "models"])
def test_a_key_that_is_echoed_is_neither_printed_nor_stored(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "secret-4711"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def behave(call: Call) -> bool:
        if call.path.endswith("/models") and where == "name":
            return call.say({"data": [{"id": "m", "owned_by": f"you, {key}"}]})
        if call.path.endswith("/models") and where == "models":
            return call.say({"data": [{"id": key}]})
        if call.seed is None or where not in ("error", "text"):
            return False
        if where == "error":
            return call.say({"error": {"message": f"not with {key}"}}, 400)
        return call.say(completion(f"you are {key}", logprobs=None))

    with Unruly(behave) as server:
        if where == "name":
            sample(config(tmp_path, server))
            assert {row["engine"] for row in rows_of(tmp_path / "run")} == {"openai:you, (the key)"}
        else:
            with pytest.raises(ReachlabError, match="the key") as error:
                sample(config(tmp_path, server, patience=20.0))
            assert key not in str(error.value)
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes()


def test_the_command_says_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-4711")
    one = OnlyOne(lambda call: call.say({"error": {"message": "no,\n" + call.headers["authorization"]}}, 400))
    words = ["reachlab", "sample", "--model", "m", "--task", TASK, "--engine", "openai", "--template", "plain"]
    words += ["--problems", "6", "--samples", "3", "--max-tokens", "8", "--out", str(tmp_path / "run"), "--base-url"]
    with Unruly(one) as server:
        said = [f"error: {server.url}: refuses a request: no, Bearer (the key)"]
        said += ["error: --base-url http://[::1/v1: not an address (Invalid IPv6 URL)"]
        for url, line in zip((server.url, "http://[::1/v1"), said, strict=True):
            monkeypatch.setattr(sys, "argv", [*words, url])
            with pytest.raises(SystemExit, match="2"):
                main()
            told = capsys.readouterr()
            assert told.err.splitlines()[-1] == line
            assert "Traceback" not in told.err
            assert "secret" not in told.out + told.err
