"""People are told things by the notifications room: what is to be sent goes into the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.identity.people_desk import Courier, NoCourier
from api.notifications import people, telling
from api.notifications.kinds import CHANNELS, Channel, Language

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from api.database import Connection
    from api.identity.contacts import Contact
    from api.settings import Settings


class NotificationsCourier:
    """Rows for the feed and for the couriers of the worker."""

    async def send_code(
        self,
        conn: Connection,
        contact: str,
        kind: str,
        code: str,
        language: str,
        *,
        valid_for: timedelta,
        once: str,
    ) -> None:
        """Have a code sent; the same `once` once."""
        await telling.send_code(
            conn, contact, kind, code, _language(language), valid_for=valid_for, once=once
        )

    async def know(
        self, conn: Connection, customer_id: uuid.UUID, language: str, contacts: Sequence[Contact]
    ) -> None:
        """From now on this customer is reached at the first contact of each kind, and nowhere else."""
        await people.enrol(conn, customer_id, _language(language))
        for channel in CHANNELS:
            addresses = [each.address for each in contacts if _channel(each) == channel]
            await people.set_address(conn, customer_id, channel, addresses[0] if addresses else None)

    async def notify(
        self,
        conn: Connection,
        customer_id: uuid.UUID,
        kind: str,
        values: Mapping[str, str | int],
        *,
        once: str,
    ) -> None:
        """Tell a customer, once."""
        await telling.notify(conn, customer_id, kind, values, once=once)


def courier_of(settings: Settings) -> Courier:
    """The courier of an institution; where nothing can be sent, one that says so."""
    can_send = settings.is_sandbox or settings.smtp_host or settings.sms_url
    return NotificationsCourier() if can_send else NoCourier()


def _language(text: str) -> Language:
    return "zh" if text == "zh" else "en"


def _channel(contact: Contact) -> Channel:
    return "email" if contact.kind == "email" else "sms"
