"""What is answered: the page, how the runs stand, blocks, further samples, and searches. All by GET.

Nothing that is asked for names a file: a state of the runs, a block, a model, a problem are looked up among those that
there are. What has to be read or computed happens in threads, so one browser does not wait for another.
"""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import closing

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from reachlab.errors import ReachlabError
from reachlab.serving.following import Follower
from reachlab.serving.guard import Rules, guarded
from reachlab.serving.search import LONGEST, Finds, RowMark, search
from reachlab.serving.states import ServedState

LEVEL = 1
"""Of gzip, for what is made anew each time."""
VERDICTS = ("", "correct", "wrong", "unscored")
OLD = "This state of the runs is not kept any more; the page gets the newest."
UNKNOWN = "There is nothing of this name."


def make_app(follower: Follower, rules: Rules) -> ASGIApp:
    """The application that shows what a follower knows."""
    answers = ServedPages(follower)
    routes = [
        Route("/", answers.page),
        Route("/state", answers.state),
        Route("/block/{version}/{name}", answers.block),
        Route("/samples/{version}/{model:int}/{problem:int}", answers.samples),
        Route("/search/{version}", answers.search),
    ]
    return guarded(Starlette(routes=routes), rules)


class ServedPages:
    """An answer a route."""

    def __init__(self, follower: Follower):
        self.follower = follower

    async def page(self, request: Request) -> Response:
        """The newest page."""
        newest = self.follower.newest
        return await run_in_threadpool(_packed, request, newest.html.encode(errors="replace"), "text/html")

    async def state(self, request: Request) -> Response:
        """How the runs stand; nothing new has no body."""
        body = json.dumps(self.follower.state()).encode()
        tag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
        headers = {"ETag": tag, "Last-Look": f"{self.follower.looked:.3f}"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    async def block(self, request: Request) -> Response:
        """A block of a page, by the name that its scripts have for it."""
        snapshot = self._snapshot(request)
        if snapshot is None:
            return _error(410, OLD)
        try:
            found = await run_in_threadpool(snapshot.block, request.path_params["name"])
        except ReachlabError as error:
            return _error(409, str(error))
        if found is None:
            return _error(404, UNKNOWN)
        if isinstance(found, bytes):  # packed as the page's file has it
            return Response(found, media_type="text/plain; charset=utf-8", headers={"Content-Encoding": "gzip"})
        return await run_in_threadpool(_packed, request, found.encode(errors="replace"), "application/json")

    async def samples(self, request: Request) -> Response:
        """More samples of a model and problem, from a place on."""
        snapshot, asked = self._snapshot(request), request.path_params
        start, only, run = (_number(request.query_params.get(name, "0")) for name in ("start", "only", "run"))
        if snapshot is None:
            return _error(410, OLD)
        if start is None or only is None or run is None:
            return _error(400, "start, only and run are whole numbers")
        one = only if "only" in request.query_params else None
        try:
            found = await run_in_threadpool(snapshot.samples, asked["model"], asked["problem"], start, one, run)
        except ReachlabError as error:
            return _error(409, str(error))
        if found is None:
            return _error(404, UNKNOWN)
        return await run_in_threadpool(_packed, request, json.dumps(found).encode(), "application/json")

    async def search(self, request: Request) -> Response:
        """What is found in all answers, a line of JSON each, as long as somebody waits for it."""
        snapshot, asked = self._snapshot(request), request.query_params
        text, verdict = asked.get("q", "").strip(), asked.get("verdict", "")
        if snapshot is None:
            return _error(410, OLD)
        if not text or len(text) > LONGEST or verdict not in VERDICTS:
            return _error(400, f"q has 1 to {LONGEST} characters, and verdict is one of correct, wrong, unscored")
        found = search(snapshot, text, verdict, RowMark.read(asked.get("from", "")))
        return StreamingResponse(_lines(found), media_type="application/x-ndjson")

    def _snapshot(self, request: Request) -> ServedState | None:
        return self.follower.snapshot(request.path_params["version"])


async def _lines(found: Finds) -> AsyncIterator[bytes]:
    """Lines as they come. Who leaves ends the search: the server closes this, at the next line."""
    with closing(found):
        while True:
            try:
                one = await run_in_threadpool(next, found, None)
            except ReachlabError as error:
                one = {"error": str(error)}  # the last: a generator that has raised gives nothing more
            if one is None:
                return
            yield json.dumps(one).encode() + b"\n"


def _number(text: str) -> int | None:
    """A whole number of at most nine digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _packed(request: Request, body: bytes, kind: str) -> Response:
    """An answer, smaller where the browser takes that."""
    headers = {"Content-Type": f"{kind}; charset=utf-8", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, LEVEL)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers)


def _error(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status)
