"""Progress with an ETA: a bar on a terminal or in a notebook, a line now and then in a log, or events for a parent.

A parent that draws several stages at once (the demo) sets `EVENTS` in a child's environment to an inherited file
descriptor, or to the path of a pipe where a launcher stands between them; the child then writes one JSON object a line
there instead of drawing.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

EVENTS = "REACHLAB_PROGRESS_FD"
LOG_EVERY_S = 15.0
NOTEBOOK_EVERY_S = 0.5

Advance = Callable[..., None]
"""advance(n, **info): n more are done; info (numbers or short strings) is shown behind the bar. `eta`, a string, is
said in place of what the units done so far promise, and `note` as it is, behind the rest."""


@contextmanager
def track(label: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show how far a piece of work of `total` units is; `done` of them were done by an earlier run."""
    descriptor = os.environ.get(EVENTS)
    if descriptor is not None:
        yield _events(_audience(descriptor), label, total, done)
    elif (shown := _cell_of_a_notebook()) is not None:
        yield _notebook(shown, label, total, done)
    elif sys.stderr.isatty():
        with bars() as progress:
            task = progress.add_task(label, total=total, completed=done, info="", eta="")

            def advance(n: int = 1, eta: str = "", **info: Any) -> None:
                progress.advance(task, n)
                if info or eta:
                    progress.update(task, info=describe(info), eta=eta)

            yield advance
    else:
        yield _log(label, total, done)


@contextmanager
def unseen() -> Iterator[Advance]:
    """As `track`, of work that nobody is to see."""
    yield lambda *_, **__: None


@contextmanager
def track_count(label: str) -> Iterator[Callable[[int, int], None]]:
    """Like `track`, for work that tells how much is done and how much there is as it goes: tell(done, total)."""
    with ExitStack() as stack:
        advance: Advance | None = None
        counted = 0

        def progress(done: int, total: int) -> None:
            nonlocal advance, counted
            if advance is None:
                advance = stack.enter_context(track(label, total))
            advance(done - counted)
            counted = done

        yield progress


def bars() -> Progress:
    """The bars a terminal shows; each task needs an `info` field, and may have an `eta`."""
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        _Eta(),
        TextColumn("[dim]{task.fields[info]}"),
        console=Console(stderr=True),
        refresh_per_second=4,
    )


class _Eta(TimeRemainingColumn):
    """What the work itself says of its end, or else what rich makes of its speed."""

    def render(self, task: Task) -> Text:
        eta = task.fields.get("eta")
        return Text(eta, style="progress.remaining") if eta else super().render(task)


def describe(info: dict[str, Any]) -> str:
    """Numbers in a few digits, for a line of progress; a `note` as it is."""
    words = (
        str(v) if k == "note" else f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
        for k, v in info.items()
        if (k, v) != ("note", "")
    )
    return "  ".join(words)


def duration(seconds: float) -> str:
    """Seconds as one reads them: 8s, 2m10s, 3h05m, 4d02h."""
    whole = round(seconds)
    for unit, name, part, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= unit:
            return f"{whole // unit}{name}{whole % unit // part:02}{smaller}"
    return f"{whole}s"


def _audience(fields: str) -> int:
    """The descriptor to write events to; −1, which none has, where nobody reads any more."""
    if fields.isdecimal():
        return int(fields)
    try:
        return os.open(fields, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return -1


def _events(descriptor: int, label: str, total: int, done: int) -> Advance:
    last = 0.0

    def advance(n: int = 1, eta: str = "", **info: Any) -> None:
        nonlocal last, done
        done += n
        now = time.monotonic()
        if now - last >= 0.2 or done >= total:
            last = now
            event = {"label": label, "done": done, "total": total, "info": describe(info), "eta": eta}
            # The parent may be gone; the work goes on without an audience.
            try:
                os.write(descriptor, (json.dumps(event) + "\n").encode())
            except OSError:
                last = float("inf")

    advance(0)
    return advance


def log_line(label: str, done: int, total: int, seconds: float, since: int, info: str, eta: str = "") -> str:
    """Progress as a line: `since` units took `seconds`. No ETA before the first is done, but where it is told."""
    eta = eta or (duration(seconds / since * (total - done)) if since else "")
    return f"{label}: {done}/{total}  {duration(seconds)}{f'  eta {eta}' if eta else ''}  {info}".rstrip()


def _cell_of_a_notebook() -> Callable[[dict[str, str]], None] | None:
    """What shows a text and its HTML in the cell that runs, each time in place of the last; None outside of a kernel.

    A kernel has imported IPython; who has not is not made to wait for it.
    """
    inside = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if type(inside).__name__ != "ZMQInteractiveShell":
        return None
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda said: handle.update(said, raw=True)


def _notebook(show: Callable[[dict[str, str]], None], label: str, total: int, done: int) -> Advance:
    """A bar that moves in one place; nothing of it needs a widget."""
    began, last, first = time.monotonic(), 0.0, done

    def advance(n: int = 1, eta: str = "", **info: Any) -> None:
        nonlocal last, done
        done += n
        now = time.monotonic()
        if now - last >= NOTEBOOK_EVERY_S or done >= total:
            last = now
            line = log_line(label, done, total, now - began, done - first, describe(info), eta)
            bar = f'<progress value="{done}" max="{max(total, 1)}"></progress> <code>{escape(line)}</code>'
            show({"text/plain": line, "text/html": bar})

    advance(0)
    return advance


def _log(label: str, total: int, done: int) -> Advance:
    began = last = time.monotonic()
    first = done

    def advance(n: int = 1, eta: str = "", **info: Any) -> None:
        nonlocal last, done
        done += n
        now = time.monotonic()
        if now - last >= LOG_EVERY_S or (n and done >= total):
            last = now
            line = log_line(label, done, total, now - began, done - first, describe(info), eta)
            print(line, file=sys.stderr, flush=True)

    return advance
