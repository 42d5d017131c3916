"""The webhooks of an institution: made, shown, given another secret, activated and deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api.errors import NotFound
from api.idempotency import IdempotencyKeyReused
from api.webhooks.destinations import require_destination
from api.webhooks.errors import TooManyWebhooks, UnknownEvent, WebhookDisabled
from api.webhooks.events import EVENTS, WEBHOOKS_CHANNEL
from api.webhooks.signing import new_secret, secret_text

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    import asyncpg

    from api.database import Connection
    from api.institution import Institution

MAX_WEBHOOKS: Final = 20
BOTH_SECRETS: Final = timedelta(hours=24)
"""So long the former secret still signs beside the new one."""

_LOCK: Final = 0x464C484F4F4B  # "FLHOOK": one webhook is added at a time
_COLUMNS: Final = """id, url, events, description, secret, former_until, created_by, created_at, disabled_at,
                     disabled_why, failing_since"""


async def create(
    conn: Connection,
    institution: Institution,
    webhook_id: uuid.UUID,
    *,
    url: str,
    events: Sequence[str],
    description: str,
    caller: str,
) -> dict[str, Any]:
    """Make a webhook, and show its secret; asked again with the same id, the same one.

    Raises `WebhookUrlRefused`, `UnknownEvent`, `TooManyWebhooks`, and `IdempotencyKeyReused` for an id that
    stands for another one.
    """
    require_destination(url, is_sandbox=institution.settings.is_sandbox)
    for event in events:
        if event not in EVENTS:
            raise UnknownEvent(event, list(EVENTS))
    wanted = sorted(set(events))
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    row = await _row(conn, webhook_id)
    if row is None:
        if await conn.fetchval("SELECT count(*) FROM webhook_endpoints") >= MAX_WEBHOOKS:
            raise TooManyWebhooks(MAX_WEBHOOKS)
        row = await conn.fetchrow(
            f"""INSERT INTO webhook_endpoints (id, url, events, description, secret, secret_id, created_by)
                VALUES ($1, $2, $3, $4, $5, $1, $6) RETURNING {_COLUMNS}""",  # noqa: S608 - constants
            webhook_id,
            url,
            wanted,
            description,
            new_secret(),
            caller,
        )
        assert row is not None
    elif (row["url"], row["events"], row["description"]) != (url, wanted, description):
        raise IdempotencyKeyReused(str(webhook_id))
    return _shown(row) | {"secret": secret_text(row["secret"])}


async def all_webhooks(conn: Connection) -> list[dict[str, Any]]:
    """Every webhook, the oldest first, without its secret."""
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM webhook_endpoints ORDER BY created_at, id"  # noqa: S608 - constants
    )
    return [_shown(row) for row in rows]


async def webhook(conn: Connection, webhook_id: uuid.UUID) -> dict[str, Any]:
    """One webhook, without its secret. Raises `NotFound`."""
    row = await _row(conn, webhook_id)
    if row is None:
        raise NotFound("webhook")
    return _shown(row)


async def delete(conn: Connection, webhook_id: uuid.UUID) -> None:
    """Delete a webhook with what was to be sent to it. Raises `NotFound`."""
    if await conn.execute("DELETE FROM webhook_endpoints WHERE id = $1", webhook_id) == "DELETE 0":
        raise NotFound("webhook")


async def replace_secret(conn: Connection, webhook_id: uuid.UUID, secret_id: uuid.UUID) -> dict[str, Any]:
    """Give a webhook another secret; the former one signs as well for a day. The same id: the same secret.

    Raises `NotFound`.
    """
    await conn.execute(
        """UPDATE webhook_endpoints SET former_secret = secret, former_until = now() + $4, secret = $3,
                  secret_id = $2
            WHERE id = $1 AND secret_id <> $2""",
        webhook_id,
        secret_id,
        new_secret(),
        BOTH_SECRETS,
    )
    row = await _row(conn, webhook_id)
    if row is None:
        raise NotFound("webhook")
    return _shown(row) | {"secret": secret_text(row["secret"])}


async def activate(conn: Connection, webhook_id: uuid.UUID) -> dict[str, Any]:
    """Send to a webhook again that was disabled: what happens from now on. Raises `NotFound`."""
    await conn.execute(
        """UPDATE webhook_endpoints SET disabled_at = NULL, disabled_why = '', failing_since = NULL
            WHERE id = $1""",
        webhook_id,
    )
    return await webhook(conn, webhook_id)


async def deliveries_of(
    conn: Connection, webhook_id: uuid.UUID, *, before_seq: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """What was to be sent to a webhook and what became of it, the newest first. Raises `NotFound`."""
    await webhook(conn, webhook_id)
    rows = await conn.fetch(
        """SELECT d.seq, d.id, d.event_id, e.name, d.state, d.attempts, d.last_status, d.last_error,
                  d.next_try_at, d.created_at, d.ended_at
             FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
            WHERE d.endpoint_id = $1 AND ($2::bigint IS NULL OR d.seq < $2) ORDER BY d.seq DESC LIMIT $3""",
        webhook_id,
        before_seq,
        limit,
    )
    return [
        {
            "seq": row["seq"],
            "delivery_id": str(row["id"]),
            "event_id": str(row["event_id"]),
            "event": row["name"],
            "state": row["state"],
            "attempts": row["attempts"],
            "last_status": row["last_status"],
            "last_error": row["last_error"],
            "next_try_at": row["next_try_at"].isoformat() if row["state"] == "queued" else None,
            "created_at": row["created_at"].isoformat(),
            "ended_at": row["ended_at"].isoformat() if row["ended_at"] else None,
        }
        for row in rows
    ]


async def redeliver(conn: Connection, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> None:
    """Send again what was sent or given up, under its id. Raises `NotFound` and `WebhookDisabled`."""
    if (await webhook(conn, webhook_id))["disabled_at"] is not None:
        raise WebhookDisabled
    done = await conn.execute(
        """UPDATE webhook_deliveries SET state = 'queued', attempts = 0, next_try_at = now(), ended_at = NULL
            WHERE id = $1 AND endpoint_id = $2""",
        delivery_id,
        webhook_id,
    )
    if done == "UPDATE 0":
        raise NotFound("delivery")
    await conn.execute("SELECT pg_notify($1, '')", WEBHOOKS_CHANNEL)


async def _row(conn: Connection, webhook_id: uuid.UUID) -> asyncpg.Record | None:
    return await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = $1",  # noqa: S608 - constants
        webhook_id,
    )


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "webhook_id": str(row["id"]),
        "url": row["url"],
        "events": row["events"],
        "description": row["description"],
        "created_by": row["created_by"],
        "created_at": row["created_at"].isoformat(),
        "former_secret_until": row["former_until"].isoformat() if row["former_until"] else None,
        "failing_since": row["failing_since"].isoformat() if row["failing_since"] else None,
        "disabled_at": row["disabled_at"].isoformat() if row["disabled_at"] else None,
        "disabled_why": row["disabled_why"],
    }
