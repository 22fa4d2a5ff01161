import asyncio
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from tests.engines.served import completion
from tests.engines.unruly import Call, Unruly, head

from reachlab.engines import wire as module
from reachlab.engines.config import Servers
from reachlab.engines.wire import FailedError, UnusableError, Wire, check_address, retry_after
from reachlab.errors import ReachlabError

TOKENS = 4
NESTED = b'{"a":' * 5000 + b"1" + b"}" * 5000


def ask(behave: Callable[[Call], bool], *, timeout_s: float = 5.0, path: str = "completions") -> Any:
    """What one request brings."""

    async def work(url: str) -> Any:
        wire = Wire(url, Servers(base_url=(url,), request_timeout=timeout_s))
        try:
            return await wire.post(path, {"seed": 1, "prompt": "p\ud83d"}, tokens=TOKENS)
        finally:
            await wire.close()

    with Unruly(behave) as server:
        return asyncio.run(work(server.url))


def test_an_answer() -> None:
    asked: list[Call] = []

    def behave(call: Call) -> bool:
        asked.append(call)
        return False

    assert ask(behave) == completion("1")
    (call,) = asked
    # Half a surrogate pair has no UTF-8: it is sent as it is stored.
    assert (call.path, call.body) == ("/v1/completions", {"seed": 1, "prompt": "p\\ud83d"})
    assert call.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "slow",
    [
        lambda call: call.hang(),
        lambda call: call.drip(head(None)),
        lambda call: call.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000),
        lambda call: call.connection.sendall(head(None)) or call.drip(b'{"choices": ['),
        lambda call: call.connection.sendall(head(10**6)) or call.drip(b" "),
        lambda call: call.connection.sendall(head(None, 500)) or call.drip(b"sorry"),
    ],
    ids=["silent", "head", "header", "body", "long body", "error"],
)
def test_what_drips_ends_in_time(slow: Callable[[Call], bool]) -> None:
    began = time.monotonic()
    with pytest.raises(FailedError, match=r"within 0\.3 s") as error:
        ask(slow, timeout_s=0.3)
    assert not error.value.final
    assert time.monotonic() - began < 5


def test_what_does_not_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in an answer nor in an error."""
    taken: list[int] = []

    def flood(status: int) -> Callable[[Call], bool]:
        def behave(call: Call) -> bool:
            call.connection.sendall(head(None, status))
            taken.append(call.flood(b"x" * 65536))
            return True

        return behave

    monkeypatch.setattr(module, "LEAST_BYTES", 1 << 20)
    with pytest.raises(UnusableError, match="more than 1,052,672 bytes"):
        ask(flood(200))
    with pytest.raises(FailedError, match=r"HTTP 400: x{280}") as error:
        ask(flood(400))
    assert error.value.status == 400
    assert error.value.final
    assert len(error.value.message) == 300
    assert len(taken) <= 2
    assert all(sent < 32 << 20 for sent in taken)  # what the sockets' buffers took besides


@pytest.mark.parametrize(
    "breaks",
    [
        lambda call: call.reset(),
        lambda call: call.connection.sendall(b"HTTP/1.1 200 OK\r\nConte") or call.reset(),
        lambda call: call.connection.sendall(head(100) + b'{"choices"') or call.reset(),
        lambda call: call.connection.sendall(head(100) + b'{"choices"') or True,
        lambda call: call.connection.sendall(b"220 mail.example ESMTP\r\n") or True,
        lambda call: call.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}") or True,
        lambda call: call.connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 300_000) or True,
        lambda call: call.say({}, Transfer_Encoding="chunked"),
        lambda call: call.say(b"no gzip", Content_Encoding="gzip"),
    ],
)
def test_what_breaks_off_may_be_asked_again(breaks: Callable[[Call], bool]) -> None:
    with pytest.raises(FailedError) as error:
        ask(breaks)
    assert not error.value.final
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"<html>loading</html>", "not JSON"),
        (b'{"choices": [', "not JSON"),
        (json.dumps(completion("x")).encode()[:-1], "not JSON"),
        (NESTED, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (json.dumps({"a": "\u00fc"}, ensure_ascii=False).encode("latin-1"), "not UTF-8"),
        (json.dumps({"a": "b"}).encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_no_json_is_no_use(data: bytes, says: str) -> None:
    with pytest.raises(UnusableError, match=says):
        ask(lambda call: call.say(data))


def test_no_redirect_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither prompts nor a key go to another address than the user's."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-4711")
    with Unruly() as other:
        for status in (301, 302, 307, 308):
            for path in ("completions", "models"):
                with pytest.raises(FailedError, match=f"sends on to {other.url}/x, which is not followed") as error:
                    ask(lambda call: call.say({}, status, Location=f"{other.url}/x?key=secret-4711"), path=path)  # noqa: B023
                assert error.value.final
        assert other.calls == []


@pytest.mark.parametrize(
    ("status", "final"),
    [(300, True), (400, True), (401, True), (404, True), (408, False), (409, False), (413, True)]
    + [(422, True), (425, False), (429, False), (500, False), (501, True), (502, False), (503, False), (505, True)]
    + [(529, False), (599, False)],
)
def test_what_waiting_mends(status: int, final: bool) -> None:
    with pytest.raises(FailedError) as error:
        ask(lambda call: call.say({"error": {"message": "no"}}, status))
    assert (error.value.status, error.value.message, error.value.final) == (status, "no", final)


@pytest.mark.parametrize(
    ("body", "said", "code"),
    [
        ({"error": {"message": "so\n it   is", "code": "insufficient_quota"}}, "so it is", "insufficient_quota"),
        ({"error": "so"}, "so", ""),
        ({"message": "so", "code": 40001}, "so", "40001"),
        ({"detail": [{"msg": "so"}]}, "[{'msg': 'so'}]", ""),
        ({"error": {"message": None}}, """HTTP 429: {"error": {"message": null}}""", ""),
        ({"error": {"message": ["so"]}}, "['so']", ""),
        ([1, 2], "HTTP 429: [1, 2]", ""),
        (b"", "HTTP 429", ""),
        (b"<p>busy\xff", "HTTP 429: <p>busy\ufffd", ""),
        (NESTED, f"HTTP 429: {NESTED.decode()}"[:300], ""),
        ({"error": {"message": "half \ud83d"}}, "half \\ud83d", ""),
    ],
)
def test_errors_are_told_in_a_line(body: Any, said: str, code: str) -> None:
    with pytest.raises(FailedError) as error:
        ask(lambda call: call.say(body, 429))
    assert (error.value.message, error.value.code) == (said, code)
    assert error.value.final == (code == "insufficient_quota")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("3600", 3600.0), (" 7 ", 7.0), ("1e300", 1e300)]
    + [(bad, 0.0) for bad in ("inf", "-inf", "nan", "-5", "0", "", "soon", "1 2", "9" * 400, "1970", "99 Foo 1 :")],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert retry_after(value) == (seconds if value != "1970" else 1970.0)


def test_retry_after_a_date() -> None:
    assert 90 < retry_after(formatdate(time.time() + 100, usegmt=True)) <= 100
    assert retry_after(formatdate(time.time() - 100, usegmt=True)) == 0.0
    assert retry_after("Fri, 31 Dec 99999 23:59:59 GMT") == 0.0


@pytest.mark.parametrize("key", ["secret-4711", "sk-a.b+c$d", "SECRET"])
def test_a_key_is_never_told(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not cut in two either, where a line is cut."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for said in (f"wrong key {key}", f"{'x' * 295}{key}", f"Bearer {key.lower()}", {"error": {"message": [key]}}):
        body = said if isinstance(said, dict) else said.encode()
        for status in (400, 500, 200):
            with pytest.raises((FailedError, UnusableError)) as error:
                ask(lambda call: call.say(body, status) if status > 200 else call.say(f"{body!r}".encode()))  # noqa: B023
            assert key.lower() not in str(error.value).lower()
            assert key[:4].lower() not in str(error.value)[290:].lower()


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", "tab\there", "\x00"])
def test_a_key_that_cannot_be_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with pytest.raises(ReachlabError, match="OPENAI_API_KEY holds what cannot be sent as a key") as error:
        Wire("http://127.0.0.1:9/v1", Servers())
    assert key not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "", "ftp://host/v1", "http://", "http:///v1", "http://host:99999/v1", "http://host:0/v1"]
    + [
        "http://host:port/v1",
        "http://[::1/v1",
        "http://[fe80::zz]/v1",
        "http://ho st/v1",
        "http://host/\n",
        "http://h\\v",
    ]
    + ["http://me:pass@host/v1", "http://me@host/v1", "http://me:pass@host:99999/v1", "http://:pass@[::1/v1"],
)
def test_bad_addresses(url: str) -> None:
    with pytest.raises(ReachlabError, match=r"not an address|no password") as error:
        Wire(url, Servers())
    assert "pass@" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://h", "https://h.example:8443/v1/", "http://[::1]:8000/v1", "http://1.2.3.4/v1?a=b"]
)
def test_good_addresses(url: str) -> None:
    check_address(url, "KEY")
    assert Wire(url, Servers()).shown == url.partition("?")[0]


def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://proxy:1")
    with pytest.raises(ReachlabError, match="--base-url http://h/v1: cannot be asked"):
        Wire("http://h/v1", Servers())
