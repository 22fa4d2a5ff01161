"""A small hub on loopback: what `huggingface_hub` asks for, as the real one answers it.

Repositories are dictionaries, a commit to its files; `break_after` cuts connections after so many bytes of a file, once
each.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LFS = 1 << 12
"""Files from this size on are kept apart, behind a redirect."""


def commit(number: int) -> str:
    """A name as git gives them."""
    return hashlib.sha1(str(number).encode()).hexdigest()


OLD, NEW = commit(1), commit(2)


@dataclass
class Repo:
    """What one repository holds. `refs` are its branches and tags."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    gated: bool = False

    def resolve(self, revision: str) -> str | None:
        """The commit of a revision."""
        return self.refs.get(revision) or (revision if revision in self.commits else None)


@dataclass
class SmallHub:
    """Models and data sets by name, and what was asked."""

    models: dict[str, Repo] = field(default_factory=dict)
    datasets: dict[str, Repo] = field(default_factory=dict)
    url: str = ""
    other: str = ""
    """Where large files lie: another host, as far as a client can tell."""
    token: str = "hf_right"
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    break_after: int = 0

    def files(self, folder: Path) -> dict[str, bytes]:
        """What lies in a folder, as files of a repository."""
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def fetched(self) -> list[str]:
        """Names of the files whose contents were sent, or begun."""
        return [line.split("/")[-1] for line in self.asked if line.startswith("GET") and "api/" not in line]


@contextmanager
def small_hub() -> Iterator[SmallHub]:
    """The hub while it is open."""
    hub = SmallHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub, "broken": set()}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.other = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: SmallHub
    broken: set[str]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self._answer()

    def do_GET(self) -> None:
        """API, files, and where large files lie."""
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        words = path.split("/")
        if words[0] == "lfs":
            _, kind, org, name, revision, *rest = words
            repo = getattr(self.hub, kind)[f"{org}/{name}"]
            return self._send_file(repo.commits[revision]["/".join(rest)], "/".join(rest))
        if words[0] == "api":
            if len(words) < 4:
                return self._refuse(404, "NotFound", "no such route")
            _, kind, org, name, what, *rest = [*words, "", ""]
            return self._api(kind, f"{org}/{name}", what, [word for word in rest if word])
        kind = "datasets" if words[0] == "datasets" else "models"
        org, name, what, revision, *rest = words[1:] if kind == "datasets" else words
        return self._resolve(kind, f"{org}/{name}", revision, "/".join(rest))

    def _api(self, kind: str, name: str, what: str, rest: list[str]) -> None:
        repo = getattr(self.hub, kind).get(name)
        if repo is None:
            return self._refuse(404 if self._allowed() else 401, "RepoNotFound", "Repository not found")
        revision = rest[0] if rest else "main"
        sha = repo.resolve(revision)
        if sha is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = repo.commits[sha]
        if what == "tree":
            rows = [
                {"type": "file", "oid": _oid(data), "size": len(data), "path": file} | _lfs(data)
                for file, data in files.items()
            ]
            return self._send_json(rows)
        siblings = [{"rfilename": file, "size": len(data), "blobId": _oid(data)} for file, data in files.items()]
        document = {"_id": "1", "id": name, "modelId": name, "sha": sha, "private": False, "gated": repo.gated}
        return self._send_json({**document, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    def _resolve(self, kind: str, name: str, revision: str, file: str) -> None:
        repo = getattr(self.hub, kind).get(name)
        if repo is None:
            return self._refuse(404, "RepoNotFound", "Repository not found")
        if repo.gated and not self._allowed():
            return self._refuse(401, "GatedRepo", f"Access to model {name} is restricted.")
        sha = repo.resolve(revision)
        if sha is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        data = repo.commits[sha].get(file)
        if data is None:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": sha, "ETag": f'"{_oid(data)}"'}
        if len(data) < LFS:
            return self._send_file(data, file, headers)
        digest = hashlib.sha256(data).hexdigest()
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "Content-Length": "0"}
        return self._send(302, b"", {**headers, "Location": f"{self.hub.other}/lfs/{kind}/{name}/{sha}/{file}"})

    def _send_file(self, data: bytes, file: str, headers: dict[str, str] | None = None) -> None:
        wanted = self.headers.get("Range")
        if wanted:
            self.hub.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            return self._send(206, data[start:], {**(headers or {}), **span})
        cut = self.hub.break_after
        if cut and len(data) > cut and file not in self.broken and self.command == "GET":
            self.broken.add(file)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:cut])
            self.close_connection = True
            return None
        return self._send(200, data, headers or {})

    def _allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _send_json(self, document: Any) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _lfs(data: bytes) -> dict[str, Any]:
    if len(data) < LFS:
        return {}
    return {"lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}
