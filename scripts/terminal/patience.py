"""How long a command waits for something that moves by itself."""

from __future__ import annotations

import time


class StandsStill(Exception):
    """Something that the run waits for has not moved for longer than any part of it takes."""

    code = "StandsStill"

    def __init__(self, what: str, waiting: int, waited_s: float) -> None:
        super().__init__(
            f"{waiting} {what} still wait and none has moved for {waited_s:.0f} s: see the logs in the data "
            "directory, then run the same command again; it continues where this one stopped"
        )


class Patience:
    """Waiting that ends when nothing has moved for too long."""

    LONGEST_S = 180.0

    def __init__(self, what: str) -> None:
        self._what = what
        self._last: object = None
        self._moved_at = time.monotonic()

    def saw(self, progress: object, waiting: int) -> None:
        """Notes how far things are. Raises StandsStill."""
        now = time.monotonic()
        if progress != self._last:
            self._last, self._moved_at = progress, now
        if now - self._moved_at > self.LONGEST_S:
            raise StandsStill(self._what, waiting, now - self._moved_at)
