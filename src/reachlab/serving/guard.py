"""Who may ask: a browser on this machine that shows this page, or one that knows the token.

A server on the loopback is reached by every page that a browser has open. Three things keep theirs out:

- the Host header has to be an address or a name of this machine, so a foreign name that was made to resolve to
  127.0.0.1 (DNS rebinding) gets nothing;
- what another origin's script, image or frame asks for is refused by what browsers say of a request (Origin,
  Sec-Fetch-Site), and no answer carries a CORS header;
- only GET is answered, and nothing that is asked changes anything.

Off the loopback there is a token too, once in the address and from then on in a cookie that other sites' requests do
not carry, but for a link that is followed here. Ports of a host share their cookies, so the name has the port in it.
"""

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reachlab.serving.hosts import is_loopback

ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""


@dataclass(frozen=True)
class Rules:
    """Of a server on `host` that listens on `port`; `token` is empty where none is asked for."""

    host: str
    token: str = ""
    port: int = 0

    @property
    def cookie(self) -> str:
        """The name of the cookie that has the token."""
        return f"reachlab-token-{self.port}"

    def refuse(self, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and words for a request that gets no answer; the token is another matter."""
        host = headers.get("host", "")
        if not self._is_here(host):
            return 421, "This server goes by an address or a name of its own machine, not by this one."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "Asked by a page of another origin."
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and (
            headers.get("sec-fetch-mode") != "navigate" or headers.get("sec-fetch-dest") != "document"
        ):
            return 403, "Asked by a page of another site."
        return None if method in ("GET", "HEAD") else (405, "Only GET is answered.")

    def _is_here(self, header: str) -> bool:
        """Whether a Host header names this machine, whatever the port: it may be a tunnel's."""
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if is_loopback(name) or name == self.host.strip("[]").lower():
            return True
        if is_loopback(self.host):
            return False
        try:
            ipaddress.ip_address(name)  # an address cannot be made to resolve to another
        except ValueError:
            return name in (socket.gethostname().lower(), socket.getfqdn().lower())
        return True

    def knows_token(self, cookies: str) -> bool:
        """Whether a Cookie header has the token, or none is asked for.

        Other servers of this host set cookies too, which need not be well-formed and are passed over.
        """
        if not self.token:
            return True
        pairs = (one.partition("=") for one in cookies.split(";"))
        return any(name.strip() == self.cookie and self._is_token(value.strip()) for name, _, value in pairs)

    def brings_token(self, query: str) -> bool:
        """Whether an address has the token."""
        return bool(self.token) and self._is_token(parse_qs(query).get("token", [""])[0])

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.token.encode())


def guarded(app: ASGIApp, rules: Rules) -> ASGIApp:
    """The application behind these rules."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a socket is closed
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(ALWAYS)
            await send(message)

        answer = _first_answer(rules, scope, headers)
        await (app if answer is None else answer)(scope, receive, send_with)

    return guard


def _first_answer(rules: Rules, scope: Scope, headers: Mapping[str, str]) -> Response | None:
    """What is answered in the application's place."""
    refused = rules.refuse(scope["method"], headers)
    if refused is not None:
        return PlainTextResponse(refused[1], refused[0], {"Allow": "GET"} if refused[0] == 405 else None)
    if rules.brings_token(scope["query_string"].decode("latin-1")):
        taken = RedirectResponse("/", 303)  # so that the token does not stay in the address
        # Not strict: a redirect that follows a link of another site, such as a terminal in the browser, lacks those.
        taken.set_cookie(rules.cookie, rules.token, httponly=True, samesite="lax")
        return taken
    if not rules.knows_token(headers.get("cookie", "")):
        return PlainTextResponse("Open the address that `reachlab serve` printed: it has a token in it.", 403)
    return None
