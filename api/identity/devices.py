"""Devices that a person has signed in from: each keeps a token of its own, and is known by its hash.

A device that is not known is told of. Whoever guesses passwords has no token of the person's devices, and
cannot delay them: their attempts count apart.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.errors import NotFound
from api.identity.people_key import new_token, token_hash
from api.identity.security_log import Whence, record
from api.identity.sessions import Assurance, open_session

if TYPE_CHECKING:
    from api.database import Connection
    from api.identity.people_desk import PeopleDesk

DEVICE_PREFIX: Final = "fd_"


@dataclass(frozen=True, slots=True)
class Welcome:
    """A person who is in: the session's token, and the device's where it was new; both are nowhere else."""

    customer_id: uuid.UUID
    session_token: str
    device_token: str | None
    assurance: Assurance

    def as_json(self) -> dict[str, Any]:
        """What the API answers."""
        return {
            "outcome": "signed_in",
            "token": self.session_token,
            "device_token": self.device_token,
            "assurance": self.assurance,
        }


async def known_device(conn: Connection, customer_id: uuid.UUID | None, token: str) -> uuid.UUID | None:
    """The person's device with this token."""
    found: uuid.UUID | None = await conn.fetchval(
        "SELECT id FROM devices WHERE customer_id = $1 AND token_hash = $2", customer_id, token_hash(token)
    )
    return found


async def welcome(
    conn: Connection,
    desk: PeopleDesk,
    customer_id: uuid.UUID,
    assurance: Assurance,
    whence: Whence,
    *,
    failed_before: int = 0,
    is_first: bool = False,
) -> Welcome:
    """Open a session on this device. A device that is not known is told of, unless it is a person's first."""
    device_token = None
    device_id = await known_device(conn, customer_id, whence.device_token)
    if device_id is None:
        device_id, device_token = uuid.uuid4(), new_token(DEVICE_PREFIX)
        await conn.execute(
            "INSERT INTO devices (id, customer_id, token_hash, name) VALUES ($1, $2, $3, $4)",
            device_id,
            customer_id,
            token_hash(device_token),
            whence.shown_name,
        )
        if not is_first:
            await record(conn, customer_id, "new_device", whence)
            await desk.courier.notify(
                conn,
                customer_id,
                "new_device",
                {"device_name": whence.shown_name},
                once=f"new_device:{device_id}",
            )
    else:
        await conn.execute(
            "UPDATE devices SET last_seen_at = now(), name = $2 WHERE id = $1", device_id, whence.shown_name
        )
    await record(
        conn, customer_id, "signed_in", whence, assurance=assurance, failed_before=max(failed_before, 0)
    )
    token = await open_session(conn, customer_id, assurance, whence.shown_name)
    return Welcome(customer_id, token, device_token, assurance)


async def devices_of(conn: Connection, customer_id: uuid.UUID) -> list[dict[str, Any]]:
    """A person's known devices, the one seen last first."""
    rows = await conn.fetch(
        """SELECT id, name, first_seen_at, last_seen_at FROM devices
            WHERE customer_id = $1 ORDER BY last_seen_at DESC, id""",
        customer_id,
    )
    return [
        {
            "device_id": str(row["id"]),
            "device_name": row["name"],
            "first_seen_at": row["first_seen_at"].isoformat(),
            "last_seen_at": row["last_seen_at"].isoformat(),
        }
        for row in rows
    ]


async def forget_device(conn: Connection, customer_id: uuid.UUID, device_id: uuid.UUID) -> None:
    """Not know a device any more: its next sign-in is told of. Raises `NotFound`."""
    done = await conn.execute(
        "DELETE FROM devices WHERE id = $1 AND customer_id = $2", device_id, customer_id
    )
    if done == "DELETE 0":
        raise NotFound("device")
