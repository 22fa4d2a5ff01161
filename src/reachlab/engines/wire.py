"""What goes to a server and what comes back: JSON over HTTP, bounded in time and in bytes.

The client's own limit is on the time between two bytes, so a server that drips is never late, and it reads as long as
anything comes. Here an answer has to be whole in time, and it has to end. Redirects are not followed: prompts and keys
go where the user said. A server may repeat the key it was sent; it is taken out of whatever is told of the server.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Coroutine, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from reachlab.engines.config import Servers
from reachlab.errors import ReachlabError
from reachlab.extras import need
from reachlab.storable import storable

LEAST_BYTES, TOKEN_BYTES = 4 << 20, 1 << 10
"""How long an answer may be: this, and so much for each token that was asked for. A token with its log-probability is
some 120 bytes of JSON."""
ERROR_BYTES = 64 << 10
"""Of an error no more is read."""
RETRIED = (408, 409, 425, 429)
NEVER = (501, 505)
"""What waiting mends among refusals, and what it does not among a server's own failures."""
SECRET, WORD = 4, 8
"""Characters of a key that is hidden, and of one that no answer holds by chance; shorter ones are no secrets."""


class FailedError(Exception):
    """A request that brought no answer.

    Args:
        message: why, in a line.
        status: HTTP's, where the server said anything at all.
        code: the protocol's own word for it.
        wait_s: seconds for which the server asked to be left alone.
    """

    def __init__(self, message: str, status: int | None = None, code: str = "", wait_s: float = 0.0):
        super().__init__(message)
        self.message, self.status, self.code, self.wait_s = message, status, code, wait_s

    @property
    def final(self) -> bool:
        """Whether waiting would not mend it."""
        status = self.status or 0
        return self.code == "insufficient_quota" or status in NEVER or (300 <= status < 500 and status not in RETRIED)


class UnusableError(Exception):
    """An answer that is none: not whole, or not what an answer can be."""


class Wire:
    """The way to one server.

    Args:
        url: its address.
        servers: how servers are asked.

    Raises:
        ReachlabError: an address or a key that cannot be used, or a package that is not there.
    """

    def __init__(self, url: str, servers: Servers):
        need("openai", what="--engine openai")
        import openai

        check_address(url, servers.api_key_env)
        self._openai, self._key = openai, os.environ.get(servers.api_key_env) or ""
        if not (self._key.isascii() and self._key.isprintable()):
            raise ReachlabError(f"the environment variable {servers.api_key_env} holds what cannot be sent as a key")
        self.shown = url.partition("?")[0]
        """The address as it may be printed: a query may hold a key."""
        self.root = self.shown.rstrip("/").removesuffix("/v1")
        self.timeout_s = servers.request_timeout
        try:
            # As many connections as there are slots: whoever waited for one would use up the time of its answer.
            limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_keepalive_connections=servers.concurrency)
            self._http = _bounded(openai)(timeout=servers.request_timeout, follow_redirects=False, limits=limits)
            self._client = openai.AsyncOpenAI(
                base_url=url,
                api_key=self._key or "none",
                max_retries=0,
                timeout=servers.request_timeout,
                http_client=self._http,
            )
        except Exception as error:  # whatever the client cannot make of an address, or of a proxy's
            raise ReachlabError(f"--base-url {self.shown}: cannot be asked: {self.line(error)}") from error

    async def get(self, url: str, timeout_s: float, *, key: bool = True) -> Any:
        """The JSON at an address, or at a path of this server's.

        Args:
            url: the whole of it, or a path below the server's.
            timeout_s: seconds.
            key: whether the key is sent.

        Raises:
            FailedError, UnusableError: there is none.
        """
        headers = {"Accept-Encoding": "identity", **({} if key else {"Authorization": self._openai.Omit()})}
        request = self._client.get(url, cast_to=str, options={"headers": headers})
        return await self._whole(request, min(timeout_s, self.timeout_s))

    async def post(self, path: str, body: Mapping[str, Any], *, tokens: int = 0, timeout_s: float | None = None) -> Any:
        """What a server answers to this JSON, of an answer of so many tokens.

        Args:
            path: below the server's address.
            body: what is sent as JSON.
            tokens: the most that the answer may have, for the time that is waited and the bytes that are read.
            timeout_s: seconds, instead of that.

        Raises:
            FailedError, UnusableError: nothing, or no JSON.
        """
        self._http.most = max(self._http.most, LEAST_BYTES + TOKEN_BYTES * tokens)
        options = {"headers": {"Accept-Encoding": "identity"}}
        request = self._client.post(path, cast_to=str, body=storable(body), options=options)
        return await self._whole(request, min(timeout_s or self.timeout_s, self.timeout_s))

    async def _whole(self, request: Coroutine[Any, Any, str], timeout_s: float) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                text = await request
        except TimeoutError as error:
            raise FailedError(f"no whole answer within {timeout_s:g} s") from error
        except FailedError as error:
            raise self._in_words(error) from error
        except self._openai.OpenAIError as error:
            cause = error.__cause__
            if isinstance(cause, FailedError):
                raise self._in_words(cause) from error  # older clients wrap whatever is raised below them
            if isinstance(cause, UnusableError):
                raise cause from error
            if isinstance(error, self._openai.APITimeoutError):
                raise FailedError(f"no answer within {timeout_s:g} s") from error
            raise FailedError(self.line(cause or error)) from error
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UnusableError(f"an answer that is not JSON ({self.line(text, 60)!r})") from error

    def hide(self, text: str) -> str:
        """The text without the key."""
        return re.sub(re.escape(self._key), "(the key)", text, flags=re.I) if len(self._key) >= SECRET else text

    def holds_key(self, text: str) -> bool:
        """Whether a text repeats the key."""
        return len(self._key) >= WORD and self._key in text

    def line(self, message: object, most: int = 300) -> str:
        """What was said, in a line that may be printed."""
        return self.hide(" ".join(str(storable(str(message))).split()))[:most] or type(message).__name__

    def _in_words(self, error: FailedError) -> FailedError:
        """The same with what its body says, in words that may be printed."""
        code, line = "", f"HTTP {error.status}: {error.message}" if error.message else f"HTTP {error.status}"
        try:
            document = json.loads(error.message)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            inner = document.get("error", document)
            message = inner
            if isinstance(inner, dict):
                code, message = str(inner.get("code") or ""), inner.get("message")
            line = message or document.get("detail") or line
        return FailedError(self.line(line), error.status, code, error.wait_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _bounded(openai: Any) -> Any:
    """A class of clients that read no more than they may."""

    class Bounded(openai.DefaultAsyncHttpxClient):  # type: ignore[misc]
        """Reads `most` bytes at most."""

        most = LEAST_BYTES

        async def send(self, request: Any, *, stream: bool = False, **how: Any) -> Any:
            """See httpx. What is no success is raised as a `FailedError` with its body."""
            response = await super().send(request, stream=True, **how)
            try:
                failed = response.status_code >= 300
                body = await _read(response, ERROR_BYTES if failed else self.most, cut=failed)
            finally:
                await response.aclose()
            if failed:
                raise _failure(response, body)
            try:
                text = body.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UnusableError("an answer that is not UTF-8") from error
            kind = {"content-type": "text/plain; charset=utf-8"}
            return type(response)(response.status_code, headers=kind, content=text.encode(), request=request)

    return Bounded


async def _read(response: Any, most: int, *, cut: bool) -> bytes:
    """A response's body.

    Raises:
        UnusableError: it is longer than `most`, and not to be cut there.
    """
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > most:
            if cut:
                return bytes(body[:most])
            raise UnusableError(f"an answer of more than {most:,} bytes")
    return bytes(body)


def _failure(response: Any, body: bytes) -> FailedError:
    where = response.headers.get("location") if response.status_code < 400 else None
    if where:
        message = (
            f"sends on to {where.partition('?')[0]}, which is not followed: say the address itself with --base-url"
        )
    else:
        message = body.decode("utf-8", "replace").strip()
    return FailedError(message, response.status_code, wait_s=retry_after(response.headers.get("retry-after", "")))


def retry_after(value: str) -> float:
    """Seconds that a Retry-After says, which is a number of them or a date; 0 where it is neither, or over."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def check_address(url: str, api_key_env: str) -> None:
    """Raises:
    ReachlabError: not an address that can be asked.
    """
    shown = url.partition("?")[0]
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        if "@" in url:
            shown = "(...)"
        raise ReachlabError(f"--base-url {shown}: not an address ({error})") from error
    if parts.username is not None or parts.password is not None:
        raise ReachlabError(f"--base-url: no password in an address; put the key into the environment ({api_key_env})")
    if not usable or not url.isprintable() or " " in url or "\\" in url:
        raise ReachlabError(f"--base-url {shown!r}: not an address, as in http://localhost:8000/v1")
