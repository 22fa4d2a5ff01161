"""A server on a raw socket, which sends whatever bytes it is told to, and when."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.engines.served import completion

MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "test"}]}


@dataclass
class Call:
    """One request, and the connection it came by."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    connection: socket.socket
    stopped: threading.Event

    @property
    def seed(self) -> int | None:
        """That of a sample that is asked for; None for whatever else is asked."""
        return self.body.get("seed")

    def say(self, said: Any = None, status: int = 200, **headers: str) -> bool:
        """Answer with JSON, or with bytes as they are."""
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.connection.sendall(head(len(data), status, **headers) + data)
        return True

    def drip(self, data: bytes, every_s: float = 0.02) -> bool:
        """Send a byte now and then, and never come to the end."""
        at = 0
        while not self.stopped.wait(every_s):
            self.connection.sendall(data[at : at + 1] or b" ")
            at += 1
        return True

    def flood(self, piece: bytes) -> int:
        """Send without an end; how much was taken."""
        sent = 0
        with suppress(OSError):
            while not self.stopped.is_set():
                sent += self.connection.send(piece)
        return sent

    def reset(self) -> bool:
        """Break the connection off."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return True

    def hang(self) -> bool:
        """Say nothing more."""
        self.stopped.wait()
        return True


def head(length: int | None, status: int = 200, **headers: str) -> bytes:
    """The head of a response with a body so long; None: of one that ends with its connection."""
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", "Connection: close"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


class Unruly:
    """Answers as it should where `behave` says so by returning False."""

    def __init__(self, behave: Callable[[Call], bool] = lambda call: False):
        self.behave, self.calls = behave, list[Call]()
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self) -> "Unruly":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def seeds(self) -> list[int]:
        """Of the samples that were asked for, in order."""
        return [call.seed for call in list(self.calls) if call.seed is not None]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as lines:
            asked = lines.readline().decode()
            headers = {}
            while (line := lines.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = json.loads(lines.read(int(headers.get("content-length", 0))) or b"{}")
            with self._lock:
                path = asked.split()[1] if asked else ""
                call = Call(len(self.calls), path, headers, body, connection, self._stopped)
                self.calls.append(call)
            if self.behave(call):
                return
            if call.seed is not None:
                call.say(completion(f"{call.seed}", chat="messages" in body))
            elif call.path.endswith("/models"):
                call.say(MODELS)
            else:
                call.say({}, 404)
