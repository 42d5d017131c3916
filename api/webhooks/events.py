"""Events for machines: thin, without anything about a person. Who wants to know more asks with its key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from api.database import Connection

WEBHOOKS_CHANNEL: Final = "florin_webhooks"
"""Notified when there may be something to send."""

EVENTS: Final = (
    "payment.accepted",
    "payment.refused",
    "payment.failed",
    "payment.final",
    "payment.received",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, once: its id follows from what it is."""

    event_id: uuid.UUID
    name: str
    occurred_at: datetime
    data: Mapping[str, Any]

    def body(self) -> str:
        """The body that is signed and sent, byte for byte at every try."""
        content = {"type": self.name, "timestamp": self.occurred_at.isoformat(), "data": dict(self.data)}
        return json.dumps(content, separators=(",", ":"))


async def wanted_events(conn: Connection) -> frozenset[str]:
    """The events that some webhook is there for: the others need not be made."""
    rows = await conn.fetch(
        "SELECT DISTINCT unnest(events) AS name FROM webhook_endpoints WHERE disabled_at IS NULL"
    )
    return frozenset(row["name"] for row in rows)


async def publish(conn: Connection, events: Sequence[Event]) -> None:
    """Queue events for every webhook that wants them, in the caller's transaction; each once."""
    if not events:
        return
    await conn.execute(
        """
        WITH told AS (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
                          AS t (id, name, body, occurred_at)),
        wanted AS (
            SELECT t.*, e.id AS endpoint_id
              FROM told t JOIN webhook_endpoints e ON t.name = ANY(e.events) AND e.disabled_at IS NULL),
        noted AS (
            INSERT INTO webhook_events (id, name, body, occurred_at)
            SELECT DISTINCT ON (id) id, name, body, occurred_at FROM wanted
                ON CONFLICT (id) DO NOTHING)
        INSERT INTO webhook_deliveries (id, endpoint_id, event_id)
        SELECT md5(endpoint_id::text || id::text)::uuid, endpoint_id, id FROM wanted
            ON CONFLICT (id) DO NOTHING
        """,
        [event.event_id for event in events],
        [event.name for event in events],
        [event.body() for event in events],
        [event.occurred_at for event in events],
    )
    await conn.execute("SELECT pg_notify($1, '')", WEBHOOKS_CHANNEL)
