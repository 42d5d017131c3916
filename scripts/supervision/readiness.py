"""Whether a process serves yet, on which port it may, and what it said last."""

import contextlib
import http
import http.client
import socket
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOG_TAIL_LINES = 25


class NoFreePort(Exception):
    """The machine has no port left."""


def http_ready(url: str) -> Callable[[], bool]:
    """Ready when a GET answers 200."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # our own loopback address
                return bool(response.status == http.HTTPStatus.OK)
        except (urllib.error.URLError, OSError, http.client.HTTPException):
            return False

    return ready


def socket_ready(path: Path, target: str = "/readyz") -> Callable[[], bool]:
    """Ready when a GET over a Unix socket answers 200."""

    def ready() -> bool:
        connection = http.client.HTTPConnection("localhost", timeout=2)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
                unix.settimeout(2)
                unix.connect(str(path))
                connection.sock = unix
                connection.request("GET", target)
                return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    return ready


def free_port(preferred: int = 0, host: str = LOOPBACK) -> int:
    """The preferred port, or another when it is taken."""
    for candidate in (preferred, 0):
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, candidate))
            return int(probe.getsockname()[1])
    raise NoFreePort(f"no free port on {host}")


def log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The end of a log, under its name."""
    if not path.exists():
        return f"({path} was not written)"
    with path.open(errors="replace") as log_file:
        tail = "".join(deque(log_file, maxlen=lines))
    return f"--- end of {path} ---\n{tail}"
