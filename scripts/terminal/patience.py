"""How long a command waits for something that moves, or comes back, by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

ASK_AGAIN_S = 0.2

Answer = TypeVar("Answer")


class StandsStill(Exception):
    """Something that the run waits for has not moved for longer than any part of it takes."""

    code = "StandsStill"

    def __init__(self, what: str, waiting: int, waited_s: float) -> None:
        super().__init__(
            f"{waiting} {what} still wait and none has moved for {waited_s:.0f} s: see the logs in the data "
            "directory, then run the same command again; it continues where this one stopped"
        )


class Unanswered(Exception):
    """Something that the run reads has not answered for longer than its restart takes."""

    code = "Unanswered"

    def __init__(self, what: str, waited_s: float, last: Exception) -> None:
        super().__init__(
            f"{what} gave no answer for {waited_s:.0f} s (last: {type(last).__name__}: {last}): see the logs "
            "in the data directory, then run the same command again; it continues where this one stopped"
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

    def missed(self, failure: Exception) -> None:
        """Notes that there was no answer. Raises Unanswered."""
        waited_s = time.monotonic() - self._moved_at
        if waited_s > self.LONGEST_S:
            raise Unanswered(self._what, waited_s, failure) from failure


async def patiently(
    what: str, passing: tuple[type[Exception], ...], ask: Callable[[], Awaitable[Answer]]
) -> Answer:
    """The answer of `ask`, which is asked again while it fails in a passing way.

    For reads alone: the supervisor revives whoever has died, meanwhile. Raises Unanswered.
    """
    patience = Patience(what)
    while True:
        try:
            return await ask()
        except passing as failure:
            patience.missed(failure)
            await asyncio.sleep(ASK_AGAIN_S)
