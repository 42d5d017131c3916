"""What happened to a person's login, for them to read: append-only, in the transaction of what happened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import uuid

    from api.database import Connection

SecurityKind = Literal[
    "registered",
    "signed_in",
    "new_device",
    "contact_added",
    "contact_removed",
    "password_changed",
    "authenticator_added",
    "authenticator_removed",
    "recovery_code_used",
    "passkey_added",
    "passkey_removed",
    "recovery_began",
    "recovery_cancelled",
    "recovery_completed",
]

PAGE: Final = 50
LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Whence:
    """Where a request comes from: its address, what its device says of itself, and the device's token."""

    from_address: str
    device_name: str = ""
    device_token: str = ""

    @property
    def shown_name(self) -> str:
        """The device's name as it can be shown."""
        return "".join(letter for letter in self.device_name if letter.isprintable())[:LONGEST_NAME]


async def record(
    conn: Connection, customer_id: uuid.UUID, kind: SecurityKind, whence: Whence, **detail: str | int
) -> None:
    """Write down what happened. No secret and no whole contact belongs in `detail`."""
    await conn.execute(
        """INSERT INTO security_events (customer_id, kind, detail, from_address, device_name)
           VALUES ($1, $2, $3, $4, $5)""",
        customer_id,
        kind,
        json.dumps(detail),
        whence.from_address[:64],
        whence.shown_name,
    )


async def security_log(
    conn: Connection, customer_id: uuid.UUID, before: int | None = None
) -> list[dict[str, Any]]:
    """The last events of a person, the newest first, or those before the event `before`."""
    rows = await conn.fetch(
        """SELECT id, kind, detail, from_address, device_name, at FROM security_events
            WHERE customer_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3""",
        customer_id,
        before,
        PAGE,
    )
    return [
        {
            "event_id": row["id"],
            "kind": row["kind"],
            "detail": json.loads(row["detail"]),
            "from_address": row["from_address"],
            "device_name": row["device_name"],
            "at": row["at"].isoformat(),
        }
        for row in rows
    ]
