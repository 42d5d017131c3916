"""Sending events: a task for each webhook that has something due, so that a slow one holds up no other.

At least once, under one id, later and later. A delivery is claimed, sent and recorded as messages to people
are (api.notifications.delivering). A webhook that fails for days is disabled.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from api.database import transaction
from api.webhooks.destinations import require_destination
from api.webhooks.errors import WebhookUrlRefused
from api.webhooks.resolving import PublicResolver, look_up
from api.webhooks.signing import headers_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    import asyncpg

    from api.database import Pool

AT_ONCE: Final = 10
"""So many requests are under way to one webhook."""

TIMEOUT_S: Final = 10.0
CLAIM: Final = timedelta(minutes=1)
GONE: Final = 410
DELAYS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""What is waited after each try that failed (as the specification proposes); after one more, it is dead."""

MAX_ATTEMPTS: Final = len(DELAYS) + 1
DISABLED_AFTER: Final = timedelta(days=5)
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one try: no status where nobody answered."""

    delivery_id: UUID
    attempt: int
    status: int | None
    why: str = ""

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def state(self) -> str:
        """The delivery's state from now on."""
        if self.is_delivered:
            return "delivered"
        return "dead" if self.attempt >= MAX_ATTEMPTS else "queued"

    @property
    def wait(self) -> timedelta:
        """How long until the next try, up to a fifth longer than planned."""
        jitter = random.random() / 5  # noqa: S311 - spreads tries, no secret
        return DELAYS[min(self.attempt, len(DELAYS)) - 1] * (1 + jitter)


class Sending:
    """The task that sends an institution's events; any number may run beside each other."""

    def __init__(
        self,
        pool: Pool,
        *,
        is_sandbox: bool,
        lookup: Callable[[str, int], Awaitable[list[str]]] = look_up,
    ) -> None:
        self._pool = pool
        self._is_sandbox = is_sandbox
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None
        self._running: dict[UUID, asyncio.Task[None]] = {}

    async def run_once(self) -> int:
        """Begin with every webhook that has something due and is not being sent to; how many are now.

        Raises what failed in a task since the last call.
        """
        for webhook_id, task in list(self._running.items()):
            if task.done():
                del self._running[webhook_id]
                task.result()
        rows = await self._pool.fetch(
            """SELECT e.id FROM webhook_endpoints e
                WHERE e.disabled_at IS NULL AND EXISTS (
                      SELECT FROM webhook_deliveries d
                       WHERE d.endpoint_id = e.id AND d.state = 'queued' AND d.next_try_at <= now())"""
        )
        for row in rows:
            if row["id"] not in self._running:
                self._running[row["id"]] = asyncio.create_task(self._send_to(row["id"]))
        return len(self._running)

    async def finish(self) -> None:
        """Wait until all that was begun is sent. Raises what failed."""
        while self._running:
            await self._running.popitem()[1]

    async def close(self) -> None:
        """Stop, and let connections go; what was claimed is sent again by whoever comes next."""
        running = list(self._running.values())
        self._running.clear()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def clear(self) -> None:
        """Delete events that are long over, with their log."""
        await self._pool.execute(
            """DELETE FROM webhook_events e
                WHERE e.noted_at < now() - $1::interval AND NOT EXISTS (
                      SELECT FROM webhook_deliveries d WHERE d.event_id = e.id AND d.state = 'queued')""",
            KEPT,
        )

    async def _send_to(self, webhook_id: UUID) -> None:
        """Send what is due to one webhook until nothing is."""
        while claimed := await self._claim(webhook_id):
            async with asyncio.TaskGroup() as tasks:
                tries = [tasks.create_task(self._try(row)) for row in claimed]
            await self._record(webhook_id, [each.result() for each in tries])

    async def _claim(self, webhook_id: UUID) -> list[asyncpg.Record]:
        async with transaction(self._pool) as conn:
            return await conn.fetch(
                """
                UPDATE webhook_deliveries d SET attempts = d.attempts + 1, next_try_at = now() + $2
                  FROM (SELECT id FROM webhook_deliveries
                         WHERE endpoint_id = $1 AND state = 'queued' AND next_try_at <= now()
                         ORDER BY next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS due,
                       webhook_endpoints e, webhook_events v
                 WHERE d.id = due.id AND e.id = $1 AND e.disabled_at IS NULL AND v.id = d.event_id
                RETURNING d.id, d.event_id, d.attempts, v.body, e.url, e.secret,
                          CASE WHEN e.former_until > now() THEN e.former_secret END AS former_secret
                """,
                webhook_id,
                CLAIM,
                AT_ONCE,
            )

    async def _try(self, row: asyncpg.Record) -> Sent:
        """Post one event; only the status of the answer counts, and its body is not read."""
        body = row["body"].encode()
        valid = [secret for secret in (row["secret"], row["former_secret"]) if secret is not None]
        headers = headers_of(str(row["event_id"]), int(time.time()), body, valid)
        headers |= {"Content-Type": "application/json", "User-Agent": "Florin-Webhooks/1"}
        try:
            url = require_destination(row["url"], is_sandbox=self._is_sandbox)
            async with self._client().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return Sent(row["id"], row["attempts"], answer.status, "" if answer.ok else "refused")
        except WebhookUrlRefused as refusal:
            return Sent(row["id"], row["attempts"], None, refusal.code)
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            return Sent(row["id"], row["attempts"], None, type(failure).__name__)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            options: dict[str, Any] = {} if self._is_sandbox else {"resolver": PublicResolver(self._lookup)}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(use_dns_cache=False, **options),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def _record(self, webhook_id: UUID, tries: Sequence[Sent]) -> None:
        """Note what became of tries; disable a webhook that is gone, or that failed for days."""
        async with transaction(self._pool) as conn:
            await conn.execute(
                """UPDATE webhook_deliveries d
                      SET state = t.state, last_status = t.status, last_error = t.why,
                          next_try_at = now() + t.wait,
                          ended_at = CASE WHEN t.state = 'queued' THEN NULL ELSE now() END
                     FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::interval[])
                          AS t (id, state, status, why, wait)
                    WHERE d.id = t.id AND d.state = 'queued'""",
                [each.delivery_id for each in tries],
                [each.state for each in tries],
                [each.status for each in tries],
                [each.why for each in tries],
                [each.wait for each in tries],
            )
            is_gone = any(each.status == GONE for each in tries)
            disabled = await conn.fetchval(
                """UPDATE webhook_endpoints
                      SET failing_since = CASE WHEN $2 THEN NULL ELSE coalesce(failing_since, now()) END,
                          disabled_at = CASE WHEN $3 OR (NOT $2 AND failing_since < now() - $4::interval)
                                             THEN now() END,
                          disabled_why = CASE WHEN $3 THEN 'it answered 410 Gone'
                                              WHEN NOT $2 AND failing_since < now() - $4::interval
                                              THEN 'it failed for days' ELSE '' END
                    WHERE id = $1 AND disabled_at IS NULL RETURNING disabled_at IS NOT NULL""",
                webhook_id,
                any(each.is_delivered for each in tries),
                is_gone,
                DISABLED_AFTER,
            )
            if disabled:
                await conn.execute(
                    """UPDATE webhook_deliveries
                          SET state = 'dead', ended_at = now(), last_error = 'the webhook was disabled'
                        WHERE endpoint_id = $1 AND state = 'queued'""",
                    webhook_id,
                )
