"""Addresses that a server listens on, and what it is called there."""

import ipaddress
import socket

from reachlab.errors import ReachlabError


def is_loopback(host: str) -> bool:
    """Whether a server on this host is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on a host and port; port 0 is one that is free.

    Raises:
        ReachlabError: there is no such host here, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(128)
        except OSError:
            found.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ReachlabError(f"--host {host} --port {port}: {why}; --port 0 takes one that is free") from error
    return found


def url(host: str, port: int) -> str:
    """The address of the page; of a server on every interface, under this machine's name."""
    name = host.strip("[]")
    if name in ("0.0.0.0", "::"):
        name = socket.gethostname()
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
