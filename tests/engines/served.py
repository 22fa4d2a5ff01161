"""Servers to ask: a scripted one that misbehaves as told, and real ones as processes of their own."""

import json
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

Reply = tuple[int, dict[str, Any]] | None
"""Status and body; None hangs up without a word."""


class Scripted:
    """A server that answers a request with its seed; `misbehave(n, body)` may answer the n-th request otherwise."""

    def __init__(self, misbehave: Callable[[int, dict[str, Any]], Reply | str] = lambda n, body: "", **model: Any):
        self.misbehave, self.model = misbehave, {"id": "m", "object": "model", "owned_by": "test", **model}
        self.asked: list[dict[str, Any]] = []
        self.answered: Counter[int] = Counter()
        self.keys: set[str] = set()
        self.headers: dict[str, str] = {}
        self.most_at_once = self.at_once = 0
        self.lock = threading.Lock()
        self.delay_s = 0.0
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                scripted.keys.add(self.headers.get("Authorization", ""))
                if self.path.endswith("/models"):
                    self.say(200, {"object": "list", "data": [scripted.model]})
                else:
                    self.say(404, {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with scripted.lock:
                    number = len(scripted.asked)
                    scripted.asked.append({"path": self.path, **body})
                    scripted.at_once += 1
                    scripted.most_at_once = max(scripted.most_at_once, scripted.at_once)
                time.sleep(scripted.delay_s)
                reply = scripted.misbehave(number, body)
                with scripted.lock:
                    scripted.at_once -= 1
                if reply is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                elif isinstance(reply, tuple):
                    self.say(*reply)
                else:
                    scripted.answered[body["seed"]] += 1
                    self.say(200, completion(f"{body['seed']}", chat="messages" in body))

            def say(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in scripted.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self) -> "Scripted":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self.server.shutdown()
        self.server.server_close()


def completion(text: str, /, *, chat: bool = False, **changes: Any) -> dict[str, Any]:
    """A response in OpenAI's shape: three tokens of log-probability -1 each."""
    logprobs: dict[str, Any] = {"token_logprobs": [-1.0] * 3, "tokens": ["a"] * 3, "text_offset": [0] * 3}
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "text": text, "logprobs": logprobs}
    if chat:
        content = [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}] * 3
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": text},
            "logprobs": {"content": content},
        }
    return {
        "id": "x",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": "m",
        "choices": [{**choice, **changes}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }


@contextmanager
def serving(command: Sequence[str | Path], ready: str, log: Path, **environment: str) -> Iterator[str]:
    """A real server as a process; `{port}` in the command is a free port. Its base URL, once `ready` answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(word).replace("{port}", str(port)) for word in command]
    with log.open("w") as out:
        process = subprocess.Popen(
            words,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment},
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 240
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}{ready}", timeout=2):
                    break
            except (URLError, OSError):
                if process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}") from None
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            os.killpg(process.pid, 9)
        process.wait()
