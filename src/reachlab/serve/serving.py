"""From runs to an address: the server that shows them, until it is interrupted."""

import os
import secrets
import sys
import webbrowser
from collections.abc import Callable, Sequence

from reachlab.errors import ReachlabError
from reachlab.serve.hosts import is_loopback, listen, url
from reachlab.serve.states import Compare

GRACE_S = 1
"""Seconds that answers which are being given have, once the server is interrupted."""


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
        ReachlabError: the server's packages are not installed, or there is no such host, or its port is taken.
        KeyboardInterrupt: it was interrupted.
    """
    try:
        import uvicorn

        from reachlab.serve.app import make_app
        from reachlab.serve.guard import Rules
    except ImportError as error:
        raise ReachlabError("serve needs starlette and uvicorn: pip install 'reachlab[serve]'") from error
    from reachlab.serve.following import Follower

    token = "" if is_loopback(host) else secrets.token_urlsafe(16)
    listening = listen(host, port)
    follower = Follower(texts, compare, title)
    bound = listening.getsockname()[1]
    app = make_app(follower, Rules(host, token, bound))
    # Its own log would say at every start what is printed here, and at every request what was asked.
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=GRACE_S
    )
    address = f"{url(host, bound)}{f'?token={token}' if token else ''}"
    say(address)
    follower.start()
    if opens:
        webbrowser.open(address)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        if not follower.stop():
            # A comparison is being made, and cannot be interrupted. An interpreter that ends under it may abort.
            print("stopped", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)
    raise KeyboardInterrupt
