"""What a person was told, newest first, and how far they have read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.notifications.rendering import render

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from api.database import Connection
    from api.notifications.kinds import Language

LONGEST_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One thing that a person was told."""

    seq: int
    kind: str
    values: dict[str, Any]
    noted_at: datetime
    is_read: bool

    def as_json(self, language: Language) -> dict[str, Any]:
        """The item in words."""
        words = render(self.kind, language, self.values)
        return {
            "seq": self.seq,
            "kind": self.kind,
            "subject": words.subject,
            "text": words.text,
            "values": self.values,
            "noted_at": self.noted_at.isoformat(),
            "is_read": self.is_read,
        }


async def feed_of(
    conn: Connection, customer_id: uuid.UUID, *, before_seq: int | None = None, limit: int = 20
) -> list[FeedItem]:
    """A page of a person's feed, the newest first: at most `limit` items older than `before_seq`."""
    rows = await conn.fetch(
        """SELECT f.seq, f.kind, f.args, f.noted_at, f.seq <= coalesce(r.read_seq, 0) AS is_read
             FROM notification_feed f LEFT JOIN notification_people r ON r.customer_id = f.customer_id
            WHERE f.customer_id = $1 AND f.is_shown AND ($2::bigint IS NULL OR f.seq < $2)
            ORDER BY f.seq DESC LIMIT $3""",
        customer_id,
        before_seq,
        min(limit, LONGEST_PAGE),
    )
    return [
        FeedItem(row["seq"], row["kind"], json.loads(row["args"]), row["noted_at"], row["is_read"])
        for row in rows
    ]


async def unread_of(conn: Connection, customer_id: uuid.UUID) -> int:
    """How much of a person's feed they have not read."""
    unread: int = await conn.fetchval(
        """SELECT count(*) FROM notification_feed
            WHERE customer_id = $1 AND is_shown
              AND seq > coalesce((SELECT read_seq FROM notification_people WHERE customer_id = $1), 0)""",
        customer_id,
    )
    return unread


async def mark_read(conn: Connection, customer_id: uuid.UUID, up_to_seq: int) -> None:
    """They have read all up to this item. What was read stays read; what is not there yet does not count."""
    await conn.execute(
        """INSERT INTO notification_people (customer_id, read_seq)
           SELECT $1, coalesce(max(seq), 0) FROM notification_feed WHERE customer_id = $1 AND seq <= $2
           ON CONFLICT (customer_id) DO UPDATE
              SET read_seq = greatest(notification_people.read_seq, excluded.read_seq)""",
        customer_id,
        up_to_seq,
    )
