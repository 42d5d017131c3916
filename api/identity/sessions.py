"""Customers' sessions on the pages: a random token in a cookie, only its SHA-256 in the database."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import uuid

    from api.database import Connection

LIFETIME: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The customer of a session."""

    customer_id: uuid.UUID
    reference: str
    name: str


async def open_session(conn: Connection, customer_id: uuid.UUID) -> str:
    """Open a session and return its token. Sessions whose time is over are cleared away."""
    token = secrets.token_urlsafe(32)
    await conn.execute("DELETE FROM customer_sessions WHERE expires_at < now()")
    await conn.execute(
        "INSERT INTO customer_sessions (token_hash, customer_id, expires_at) VALUES ($1, $2, now() + $3)",
        _hash_of(token),
        customer_id,
        LIFETIME,
    )
    return token


async def session_of(conn: Connection, token: str | None) -> SignedIn | None:
    """The customer whose session this token is, or None."""
    if not token or len(token) > 200:
        return None
    row = await conn.fetchrow(
        """SELECT c.id, c.reference, c.name FROM customer_sessions s JOIN customers c ON c.id = s.customer_id
            WHERE s.token_hash = $1 AND s.expires_at > now()""",
        _hash_of(token),
    )
    return SignedIn(row["id"], row["reference"], row["name"]) if row else None


async def close_session(conn: Connection, token: str | None) -> None:
    """End the session of this token, if there is one."""
    await conn.execute("DELETE FROM customer_sessions WHERE token_hash = $1", _hash_of(token or ""))


def _hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
