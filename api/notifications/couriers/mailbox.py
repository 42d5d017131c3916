"""The sandbox's mailbox: what would have left the house stays in it, for whoever tries Florin out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.database import transaction
from api.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from api.database import Connection, Pool
    from api.institution import Institution
    from api.notifications.couriers.courier import Message

KEPT: Final = 1_000
"""So many messages are kept."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message in the mailbox."""

    seq: int
    channel: str
    address: str
    subject: str
    text: str
    sent_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The message as it would have been read."""
        return {
            "seq": self.seq,
            "channel": self.channel,
            "address": self.address,
            "subject": self.subject,
            "text": self.text,
            "sent_at": self.sent_at.isoformat(),
        }


class MailboxCourier:
    """Puts messages into the mailbox."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def send(self, message: Message) -> None:
        """Add it, once; the oldest beyond what is kept goes."""
        async with transaction(self._pool) as conn:
            seq = await conn.fetchval(
                """INSERT INTO sandbox_mailbox (id, channel, address, subject, text)
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING RETURNING seq""",
                message.message_id,
                message.channel,
                message.address,
                message.subject,
                message.text,
            )
            if seq is not None:
                await conn.execute("DELETE FROM sandbox_mailbox WHERE seq <= $1", seq - KEPT)

    async def close(self) -> None:
        """There is nothing to let go of."""


async def mailbox(
    conn: Connection, institution: Institution, contact: str | None = None, *, limit: int = 50
) -> list[Mail]:
    """The newest messages, to one contact or to all. Raises `NotFound` anywhere but in a sandbox."""
    if not institution.settings.is_sandbox:
        raise NotFound("mailbox")
    rows = await conn.fetch(
        """SELECT seq, channel, address, subject, text, sent_at FROM sandbox_mailbox
            WHERE $1::text IS NULL OR address = $1 ORDER BY seq DESC LIMIT $2""",
        contact,
        limit,
    )
    return [Mail(**dict(row)) for row in rows]
