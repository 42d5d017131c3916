"""Ports for a country: the preferred ones, or others where they are taken or claimed by another country."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from scripts.supervision.readiness import free_port


class PortClaims:
    """The ports that this process has chosen and its children may not have bound yet.

    A claim is a lock on a file that all countries of this user know: two that start at once choose apart.
    """

    def __init__(self) -> None:
        self._locks: list[int] = []
        self._directory = Path(tempfile.gettempdir()) / f"florin-ports-{os.getuid()}"
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def claim(self, preferred: int) -> int:
        """A port that is free and that nobody else has claimed. Raises NoFreePort."""
        port = free_port(preferred)
        while not self._lock(port):
            port = free_port()
        return port

    def release(self) -> None:
        """Lets go of all of them."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _lock(self, port: int) -> bool:
        lock = os.open(self._directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks.append(lock)
        return True
