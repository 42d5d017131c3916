"""Telling somebody something: rows in the caller's transaction, so that it is told just if it happened.

What is told twice under one `once` is told once. Delivering comes later, by `api.notifications.delivering`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.notifications.kinds import CHANNELS, Language, require_values

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from api.database import Connection

FEED_CHANNEL: Final = "florin_feed"
"""Notified when a feed has something new."""

DELIVERIES_CHANNEL: Final = "florin_deliveries"
"""Notified when there may be something to deliver."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a customer is to hear; `once` names the occasion, for ever."""

    customer_id: uuid.UUID
    kind: str
    values: Mapping[str, str | int]
    once: str


async def notify(
    conn: Connection, customer_id: uuid.UUID, kind: str, values: Mapping[str, str | int], *, once: str
) -> None:
    """Tell one customer. Raises `ValueError` as `require_values` does."""
    await notify_all(conn, [Notice(customer_id, kind, values, once)])


async def notify_all(conn: Connection, notices: Sequence[Notice]) -> int:
    """Tell many, in their order, by one statement; returns how many were new. Codes do not go this way.

    Raises `ValueError` as `require_values` does.
    """
    rows: list[tuple[Any, ...]] = []
    for notice in notices:
        kind = require_values(notice.kind, notice.values)
        if kind.is_secret:
            raise ValueError(f"{notice.kind} goes to a contact, by send_code")
        rows.append(
            (
                notice.customer_id,
                notice.kind,
                json.dumps(dict(notice.values)),
                notice.once,
                kind.is_security,
                *(channel in kind.channels for channel in CHANNELS),
            )
        )
    if not rows:
        return 0
    new: int = await conn.fetchval(_TELL, *[list(column) for column in zip(*rows, strict=True)])
    if new:
        await conn.execute("SELECT pg_notify($1, ''), pg_notify($2, '')", FEED_CHANNEL, DELIVERIES_CHANNEL)
    return new


async def send_code(
    conn: Connection,
    contact: str,
    kind: str,
    code: str,
    language: Language,
    *,
    valid_for: timedelta,
    once: str,
) -> None:
    """Send a one-time code to a contact: an address with an @ by e-mail, any other as a short message.

    It is not tried any more once it is not valid; `once` names the challenge that it answers.
    """
    values = {"code": code, "minutes": max(1, int(valid_for.total_seconds()) // 60)}
    if not require_values(kind, values).is_secret:
        raise ValueError(f"{kind} is no kind of code")
    await conn.execute(
        """INSERT INTO notification_deliveries (id, channel, address, language, kind, args, expires_at)
           VALUES (md5($1)::uuid, $2, $3, $4, $5, $6, now() + $7) ON CONFLICT (id) DO NOTHING""",
        f"code:{once}",
        "email" if "@" in contact else "sms",
        contact,
        language,
        kind,
        json.dumps(values),
        valid_for,
    )
    await conn.execute("SELECT pg_notify($1, '')", DELIVERIES_CHANNEL)


# a message's id follows from what it is about, so that it is the same whoever writes it
_TELL: Final = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[], $5::bool[], $6::bool[], $7::bool[])
           WITH ORDINALITY AS t (customer_id, kind, args, once, is_security, by_email, by_sms, place)),
noted AS (
    INSERT INTO notification_feed (customer_id, kind, args, once, is_shown)
    SELECT t.customer_id, t.kind, t.args, t.once, t.is_security OR coalesce(w.is_on, true)
      FROM told t LEFT JOIN notification_preferences w
           ON w.customer_id = t.customer_id AND w.kind = t.kind AND w.channel = 'in_app'
     ORDER BY t.place
        ON CONFLICT (once) DO NOTHING
    RETURNING customer_id, kind, args, once),
ways AS (
    SELECT n.*, p.language, way.channel, way.address, t.is_security, way.is_usual
      FROM noted n JOIN told t USING (once) JOIN notification_people p ON p.customer_id = n.customer_id
           CROSS JOIN LATERAL (VALUES ('email', p.email, t.by_email), ('sms', p.phone, t.by_sms))
                      AS way (channel, address, is_usual)
     WHERE way.address IS NOT NULL),
sent AS (
    INSERT INTO notification_deliveries (id, customer_id, channel, address, language, kind, args)
    SELECT md5(v.once || ':' || v.channel)::uuid, v.customer_id, v.channel, v.address, v.language, v.kind,
           v.args
      FROM ways v LEFT JOIN notification_preferences w
           ON w.customer_id = v.customer_id AND w.kind = v.kind AND w.channel = v.channel
     WHERE v.is_security OR coalesce(w.is_on, v.is_usual)
        ON CONFLICT (id) DO NOTHING)
SELECT count(*) FROM noted
"""
