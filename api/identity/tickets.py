"""Tickets: what ties the second half of a step to its first, for five minutes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from api.identity.people_key import new_token, token_hash

if TYPE_CHECKING:
    from api.database import Connection

TicketPurpose = Literal["second factor", "passkey sign-in", "passkey registration", "passkey confirmation"]

TICKET_PREFIX: Final = "ft_"
LIFETIME: Final = timedelta(minutes=5)
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose it is (None: that is to be seen) and what was to be signed, if anything was."""

    customer_id: uuid.UUID | None
    challenge: bytes


async def issue_ticket(
    conn: Connection,
    purpose: TicketPurpose,
    customer_id: uuid.UUID | None = None,
    challenge: bytes = b"",
) -> str:
    """Make a ticket; old ones are cleared away."""
    ticket = new_token(TICKET_PREFIX)
    await conn.execute(
        """DELETE FROM tickets WHERE token_hash IN
           (SELECT token_hash FROM tickets WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)"""
    )
    await conn.execute(
        """INSERT INTO tickets (token_hash, purpose, customer_id, challenge, tries_left, expires_at)
           VALUES ($1, $2, $3, $4, $5, now() + $6::interval)""",
        token_hash(ticket),
        purpose,
        customer_id,
        challenge,
        TRIES,
        LIFETIME,
    )
    return ticket


async def use_ticket(conn: Connection, purpose: TicketPurpose, ticket: str) -> Ticket | None:
    """What a good ticket stands for; it is used up, whatever comes of it, once this is committed."""
    row = await conn.fetchrow(
        """DELETE FROM tickets WHERE token_hash = $1 AND purpose = $2 AND expires_at > now()
           RETURNING customer_id, challenge""",
        token_hash(ticket),
        purpose,
    )
    return None if row is None else Ticket(row["customer_id"], row["challenge"])


async def try_ticket(conn: Connection, purpose: TicketPurpose, ticket: str) -> uuid.UUID | None:
    """Whose ticket this is, one of its tries counted. The caller must commit, and end it after success."""
    found: uuid.UUID | None = await conn.fetchval(
        """UPDATE tickets SET tries_left = tries_left - 1
            WHERE token_hash = $1 AND purpose = $2 AND expires_at > now() AND tries_left > 0
           RETURNING customer_id""",
        token_hash(ticket),
        purpose,
    )
    return found


async def end_tickets(conn: Connection, customer_id: uuid.UUID) -> None:
    """End all tickets of a person."""
    await conn.execute("DELETE FROM tickets WHERE customer_id = $1", customer_id)
