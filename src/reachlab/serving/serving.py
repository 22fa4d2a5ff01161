"""From runs to an address: the server that shows them, until it is interrupted or told to stop."""

import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from typing import Any

from reachlab.extras import need
from reachlab.serving.hosts import is_loopback, listen, url
from reachlab.serving.states import Compare

GRACE_S = 1
"""Seconds that answers which are being given have, once the server is interrupted."""
POLL_S = 0.02
"""Seconds between two looks at whether a server that begins has begun."""


class Serving:
    """A server that listens. `run` answers until the process is interrupted, `start` in a thread until `stop`."""

    def __init__(self, texts: Sequence[str], compare: Compare, *, title: str, host: str, port: int):
        """It listens, and nobody answers yet.

        Raises:
            ReachlabError: the server's packages are not installed, or there is no such host, or its port is taken.
        """
        need("starlette", "uvicorn", what="`reachlab serve`")
        import uvicorn

        from reachlab.serving.app import make_app
        from reachlab.serving.following import Follower
        from reachlab.serving.guard import Rules

        token = "" if is_loopback(host) else secrets.token_urlsafe(16)
        self._listening = listen(host, port)
        self._follower = Follower(texts, compare, title)
        bound = self._listening.getsockname()[1]
        app = make_app(self._follower, Rules(host, token, bound))
        # Its own log would say at every start what is printed here, and at every request what was asked.
        quiet: dict[str, Any] = {"log_level": "error", "access_log": False, "lifespan": "off", "server_header": False}
        self._server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=GRACE_S, **quiet))
        self._thread: threading.Thread | None = None
        self._failed: Exception | None = None
        self.ended = False
        """Whether it has stopped, and nothing goes on that cannot be interrupted."""
        self.address = f"{url(host, bound)}{f'?token={token}' if token else ''}"

    def run(self) -> None:
        """Answer until the process is interrupted."""
        self._follower.start()
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self.ended = self._follower.stop()

    def start(self) -> None:
        """Answer in a thread, from now on.

        Raises:
            Exception: what kept it from answering.
        """
        self._thread = threading.Thread(target=self._run_aside, name="reachlab serve", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(POLL_S)
        if self._failed is not None:
            self.stop()

    def stop(self) -> None:
        """End what `start` began; `ended` says whether a comparison goes on, which cannot be interrupted.

        Raises:
            Exception: what ended it before, in its thread.
        """
        self._server.should_exit = True
        self._follower.stop(0.0)  # it ends while the server does
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._listening.close()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _run_aside(self) -> None:
        """Run, and keep what goes wrong for who started it."""
        try:
            self.run()
        except SystemExit as error:  # uvicorn ends a process that it cannot start in; not a notebook's
            self._failed = RuntimeError(f"the server could not start (code {error.code})")
        except Exception as error:
            self._failed = error


def serve(
    texts: Sequence[str],
    compare: Compare,
    *,
    title: str,
    host: str,
    port: int,
    opens: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Show the models that `texts` name until the process is interrupted.

    Raises:
        ReachlabError: as of `Serving`.
        KeyboardInterrupt: it was interrupted.
    """
    serving = Serving(texts, compare, title=title, host=host, port=port)
    say(serving.address)
    if opens:
        webbrowser.open(serving.address)
    try:
        serving.run()
    finally:
        if not serving.ended:
            # A comparison is being made, and cannot be interrupted. An interpreter that ends under it may abort.
            print("stopped", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)
    raise KeyboardInterrupt
