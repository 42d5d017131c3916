"""People's sessions: a random token in a cookie or a bearer header, only its SHA-256 in the database.

A session ends when nothing was asked with it for half an hour, when its twelve hours are over, or when its
person says so, from this device or another.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from api.errors import NotFound
from api.notifications.people import enrol

if TYPE_CHECKING:
    from api.database import Connection

TOKEN_PREFIX: Final = "fs_"  # noqa: S105 - what tells a session's token from an API key
IDLE: Final = timedelta(minutes=30)
LIFETIME: Final = timedelta(hours=12)
_NOTICED: Final = timedelta(minutes=1)  # so much later a session's last use is written again
_LONGEST_NAME: Final = 200
_IS_OPEN: Final = (
    f"s.last_used_at > now() - interval '{IDLE.total_seconds():.0f} s'"
    f" AND s.opened_at > now() - interval '{LIFETIME.total_seconds():.0f} s'"
)

Assurance = Literal["sandbox", "password", "totp", "passkey"]
"""How the person showed who they are; `sandbox`: they did not, and need not."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person of a session."""

    customer_id: uuid.UUID
    reference: str
    name: str
    session_id: uuid.UUID
    assurance: Assurance


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One of a person's sessions, as they see it."""

    session_id: uuid.UUID
    device_name: str
    assurance: Assurance
    opened_at: datetime
    last_used_at: datetime
    is_this: bool

    def as_json(self) -> dict[str, Any]:
        """The session as its person sees it."""
        return {
            "session_id": str(self.session_id),
            "device_name": self.device_name,
            "assurance": self.assurance,
            "opened_at": self.opened_at.isoformat(),
            "last_used_at": self.last_used_at.isoformat(),
            "is_this": self.is_this,
        }


async def open_session(
    conn: Connection, customer_id: uuid.UUID, assurance: Assurance, device_name: str = ""
) -> str:
    """Open a session and return its token, which is nowhere else. Sessions that are over are cleared away,
    and whoever signs in is told from now on what happens.

    `device_name` is what the device says of itself: shown to its person, believed by nobody.
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await enrol(conn, customer_id)
    await conn.execute(f"DELETE FROM sessions s WHERE NOT ({_IS_OPEN})")  # noqa: S608 - constants
    await conn.execute(
        """INSERT INTO sessions (id, token_hash, customer_id, assurance, confirmed_by, device_name)
           VALUES ($1, $2, $3, $4, $4, $5)""",
        uuid.uuid4(),
        _hash_of(token),
        customer_id,
        assurance,
        _shown(device_name),
    )
    return token


async def session_of(conn: Connection, token: str | None) -> SignedIn | None:
    """The person whose session this token is, or None. Being asked counts as a use."""
    if not token or len(token) > _LONGEST_NAME or not token.startswith(TOKEN_PREFIX):
        return None
    row = await conn.fetchrow(
        f"""SELECT s.id, s.assurance, c.id AS customer_id, c.reference, c.name,
                   s.last_used_at < now() - $2::interval AS is_to_note
              FROM sessions s JOIN customers c ON c.id = s.customer_id
             WHERE s.token_hash = $1 AND {_IS_OPEN}""",  # noqa: S608 - constants
        _hash_of(token),
        _NOTICED,
    )
    if row is None:
        return None
    if row["is_to_note"]:
        await conn.execute("UPDATE sessions SET last_used_at = now() WHERE id = $1", row["id"])
    return SignedIn(row["customer_id"], row["reference"], row["name"], row["id"], row["assurance"])


async def sessions_of(conn: Connection, person: SignedIn) -> list[OpenSession]:
    """A person's open sessions, the one used last first."""
    rows = await conn.fetch(
        f"""SELECT s.id, s.device_name, s.assurance, s.opened_at, s.last_used_at FROM sessions s
             WHERE s.customer_id = $1 AND {_IS_OPEN}
             ORDER BY s.last_used_at DESC, s.id""",  # noqa: S608 - constants
        person.customer_id,
    )
    return [
        OpenSession(
            row["id"],
            row["device_name"],
            row["assurance"],
            row["opened_at"],
            row["last_used_at"],
            row["id"] == person.session_id,
        )
        for row in rows
    ]


async def close_session(conn: Connection, person: SignedIn, session_id: uuid.UUID) -> None:
    """End one of a person's sessions. Raises `NotFound` where they have no such."""
    done = await conn.execute(
        "DELETE FROM sessions WHERE id = $1 AND customer_id = $2", session_id, person.customer_id
    )
    if done == "DELETE 0":
        raise NotFound("session")


async def close_sessions(conn: Connection, customer_id: uuid.UUID, keeping: uuid.UUID | None = None) -> int:
    """End all of a person's sessions but the one to keep; returns how many there were."""
    done = await conn.execute(
        "DELETE FROM sessions WHERE customer_id = $1 AND id IS DISTINCT FROM $2", customer_id, keeping
    )
    return int(done.split()[-1])


def _shown(device_name: str) -> str:
    return "".join(letter for letter in device_name if letter.isprintable())[:_LONGEST_NAME]


def _hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
