import socket

import pytest

from reachlab.errors import ReachlabError
from reachlab.serving.hosts import is_loopback, listen, url


def test_what_is_the_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1", "localhost.evil.example", "")))


def test_a_free_port_is_found_and_a_taken_one_is_an_error() -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
        assert port > 0
        with pytest.raises(ReachlabError, match=rf"--host 127.0.0.1 --port {port}: .*in use; --port 0 takes one"):
            listen("127.0.0.1", port)
    with pytest.raises(ReachlabError, match=r"--host no\.such.host.invalid"):
        listen("no.such.host.invalid", 0)


def test_addresses() -> None:
    assert url("127.0.0.1", 80) == "http://127.0.0.1:80/"
    assert url("::1", 80) == "http://[::1]:80/"
    assert url("0.0.0.0", 80) == f"http://{socket.gethostname()}:80/"
