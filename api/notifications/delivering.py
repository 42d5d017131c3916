"""Delivering what is due: at least once, each time under the same id, later and later, and not for ever.

A message is claimed in a transaction of its own, sent, and recorded in another. A claim is a try that has
begun and a time at which others may try again: of a worker that dies in between, the message is sent again.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from api.database import transaction
from api.notifications.couriers.courier import DeliveryFailed, Message
from api.notifications.kinds import KINDS
from api.notifications.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from api.database import Pool
    from api.notifications.couriers.courier import Courier
    from api.notifications.kinds import Channel

BATCH: Final = 50
CLAIM: Final = timedelta(minutes=2)
"""So long a claimed message is left to whoever claimed it; what is not begun in half of it is given back."""

DELAYS: Final = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
)
"""What is waited after each try that failed; after one more, the message is dead."""

MAX_ATTEMPTS: Final = len(DELAYS) + 1
KEPT: Final = timedelta(days=30)
_SECRET_KINDS: Final = [name for name, kind in KINDS.items() if kind.is_secret]


def delay_after(attempt: int, jitter: float) -> timedelta:
    """How long to wait after try number `attempt` (from 1); `jitter` (0 to 1) adds up to a fifth."""
    return DELAYS[min(attempt, len(DELAYS)) - 1] * (1 + jitter / 5)


class Delivering:
    """The task that delivers an institution's messages; any number may run beside each other."""

    def __init__(self, pool: Pool, couriers: Mapping[Channel, Courier]) -> None:
        self._pool = pool
        self._couriers = couriers

    async def run_once(self) -> int:
        """Deliver one batch of what is due; returns how many messages were tried."""
        await self._end_hopeless()
        claimed = await self._claim()
        if claimed:
            async with asyncio.TaskGroup() as tasks:
                for channel in {row["channel"] for row in claimed}:
                    tasks.create_task(
                        self._send_all(channel, [row for row in claimed if row["channel"] == channel])
                    )
        return len(claimed)

    async def close(self) -> None:
        """Let the couriers go."""
        for courier in {id(each): each for each in self._couriers.values()}.values():
            await courier.close()

    async def clear(self) -> None:
        """Delete what ended long ago."""
        await self._pool.execute(
            """DELETE FROM notification_deliveries
                WHERE state <> 'queued' AND ended_at < now() - $1::interval""",
            KEPT,
        )

    async def _claim(self) -> list[asyncpg.Record]:
        """Messages that are due and nobody else's now, one try of each begun."""
        async with transaction(self._pool) as conn:
            return await conn.fetch(
                """
                UPDATE notification_deliveries d SET attempts = d.attempts + 1, next_try_at = now() + $1
                  FROM (SELECT id FROM notification_deliveries
                         WHERE state = 'queued' AND next_try_at <= now() AND attempts < $2
                           AND (expires_at IS NULL OR expires_at > now())
                         ORDER BY next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS due
                 WHERE d.id = due.id
                RETURNING d.id, d.channel, d.address, d.language, d.kind, d.args, d.attempts
                """,
                CLAIM,
                MAX_ATTEMPTS,
                BATCH,
            )

    async def _end_hopeless(self) -> None:
        """End codes that expired, and messages whose last try was never recorded. Codes are wiped."""
        await self._pool.execute(
            """UPDATE notification_deliveries
                  SET state = CASE WHEN expires_at <= now() THEN 'expired' ELSE 'dead' END, ended_at = now(),
                      args = CASE WHEN kind = ANY($2::text[]) THEN NULL ELSE args END
                WHERE state = 'queued'
                  AND (expires_at <= now() OR (attempts >= $1 AND next_try_at <= now()))""",
            MAX_ATTEMPTS,
            _SECRET_KINDS,
        )

    async def _send_all(self, channel: Channel, rows: Sequence[asyncpg.Record]) -> None:
        """Send one channel's messages in turn; each outcome is recorded at once: little is sent twice."""
        until = time.monotonic() + CLAIM.total_seconds() / 2
        for place, row in enumerate(rows):
            if time.monotonic() > until:
                await self._give_back([each["id"] for each in rows[place:]])
                return
            try:
                await self._send(channel, row)
            except DeliveryFailed as failure:
                await self._put_off(row, failure)
            else:
                await self._end(row["id"], "delivered", "")

    async def _send(self, channel: Channel, row: asyncpg.Record) -> None:
        courier = self._couriers.get(channel)
        if courier is None:
            raise DeliveryFailed(f"no courier for {channel}: see the settings")
        try:
            words = render(row["kind"], row["language"], json.loads(row["args"]))
        except (ValueError, LookupError) as failure:  # of an earlier version, perhaps
            raise DeliveryFailed(f"has no words: {type(failure).__name__}", is_final=True) from failure
        await courier.send(Message(row["id"], channel, row["address"], words.subject, words.text))

    async def _give_back(self, message_ids: Sequence[UUID]) -> None:
        """End claims that came to nothing; the tries did not happen."""
        await self._pool.execute(
            """UPDATE notification_deliveries SET attempts = attempts - 1, next_try_at = now()
                WHERE id = ANY($1::uuid[]) AND state = 'queued'""",
            message_ids,
        )

    async def _put_off(self, row: asyncpg.Record, failure: DeliveryFailed) -> None:
        """Note why a try failed, and when the next one is; after the last one there is none."""
        if failure.is_final or row["attempts"] >= MAX_ATTEMPTS:
            await self._end(row["id"], "dead", failure.why)
            return
        wait = delay_after(row["attempts"], random.random())  # noqa: S311 - spreads tries, no secret
        await self._pool.execute(
            """UPDATE notification_deliveries SET next_try_at = now() + $2, last_error = $3
                WHERE id = $1 AND state = 'queued'""",
            row["id"],
            wait,
            failure.why[:200],
        )

    async def _end(self, message_id: UUID, state: str, why: str) -> None:
        await self._pool.execute(
            """UPDATE notification_deliveries SET state = $2, last_error = $3, ended_at = now(),
                      args = CASE WHEN kind = ANY($4::text[]) THEN NULL ELSE args END
                WHERE id = $1 AND state = 'queued'""",
            message_id,
            state,
            why[:200],
            _SECRET_KINDS,
        )
