"""What a bank's worker does to tell people and machines: announce, deliver, send; each a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from api.chain.failures import FINAL_CHANNEL
from api.chain.outbox import CHANNEL as OUTBOX_CHANNEL
from api.notifications.couriers.chosen import couriers_of
from api.notifications.delivering import Delivering
from api.notifications.telling import DELIVERIES_CHANNEL
from api.payments.announcing import Announcing
from api.webhooks.events import WEBHOOKS_CHANNEL
from api.webhooks.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from api.chain.alarms import Component
    from api.database import Pool
    from api.settings import Settings

LOOK_ANYWAY_S: Final = 2.0
GATHER_S: Final = 0.25
"""After news it is waited so long, so that many payments are announced together."""

CLEAR_EVERY_S: Final = 3_600.0


class Outreach:
    """The tasks of one bank. `hear` wakes them; each looks by itself as well."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._announcing = Announcing(pool, settings.currency)
        self._delivering = Delivering(pool, couriers_of(settings, pool))
        self._sending = Sending(pool, is_sandbox=settings.is_sandbox)
        self._news = {
            channel: asyncio.Event()
            for channel in (OUTBOX_CHANNEL, FINAL_CHANNEL, DELIVERIES_CHANNEL, WEBHOOKS_CHANNEL)
        }
        self._cleared_at = 0.0

    @property
    def channels(self) -> tuple[str, ...]:
        """What to listen to."""
        return tuple(self._news)

    def hear(self, channels: Iterable[str]) -> None:
        """Something was notified on these channels."""
        for channel in channels:
            if channel in self._news:
                self._news[channel].set()
        if self._news[FINAL_CHANNEL].is_set():
            self._news[OUTBOX_CHANNEL].set()

    def steps(self) -> dict[Component, Callable[[], Awaitable[str]]]:
        """Each task's step, to be repeated for ever."""
        return {"announcing": self._announce, "messages": self._deliver, "webhooks": self._send}

    async def close(self) -> None:
        """Let connections go; what is under way is tried again by whoever comes next."""
        await self._sending.close()
        await self._delivering.close()

    async def _announce(self) -> str:
        await asyncio.sleep(GATHER_S)
        self._news[OUTBOX_CHANNEL].clear()
        self._news[FINAL_CHANNEL].clear()
        if not await self._announcing.run_once():
            await self._wait(OUTBOX_CHANNEL)
        return ""

    async def _deliver(self) -> str:
        self._news[DELIVERIES_CHANNEL].clear()
        if time.monotonic() - self._cleared_at > CLEAR_EVERY_S:
            await self._delivering.clear()
            await self._sending.clear()
            self._cleared_at = time.monotonic()
        if not await self._delivering.run_once():
            await self._wait(DELIVERIES_CHANNEL)
        return ""

    async def _send(self) -> str:
        self._news[WEBHOOKS_CHANNEL].clear()
        await self._sending.run_once()
        await self._wait(WEBHOOKS_CHANNEL)
        return ""

    async def _wait(self, channel: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_ANYWAY_S):
                await self._news[channel].wait()
