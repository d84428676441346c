"""No test contacts another host: a process that tries gets an error, and the run fails.

Libraries often ignore such an error, so each attempt is also noted in a file. Only what Python's
``socket`` does is seen, which is how the libraries of the course ask for files. A hook stays until
its process ends.
"""

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

NOTES = "CONTACTED_HOSTS"  # the environment variable with the path of the file
_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}


def is_this_machine(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host or ""
    if name in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    host = arguments[_EVENTS[event]]
    if event in ("socket.connect", "socket.sendto"):
        if not isinstance(host, tuple):  # the path of a Unix socket
            return
        host = host[0]
    if not is_this_machine(host):
        with open(os.environ.get(NOTES, os.devnull), "a", encoding="utf-8") as file:
            file.write(f"{host} ({' '.join(sys.argv)[:200]})\n")
        raise PermissionError(
            f"A test must not contact another host, and this one asked for {host}."
        )


def stay() -> None:
    """Keep this process, and those that it forks, from contacting another host."""
    sys.addaudithook(_check)


def contacted() -> list[str]:
    """The hosts that the processes of this run asked for."""
    path = Path(os.environ[NOTES])
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
