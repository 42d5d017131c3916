"""Which couriers an institution's settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.notifications.couriers.mail import MailCourier, MailServer
from api.notifications.couriers.mailbox import MailboxCourier
from api.notifications.couriers.short_messages import Provider, ShortMessageCourier

if TYPE_CHECKING:
    from api.database import Pool
    from api.notifications.couriers.courier import Courier
    from api.notifications.kinds import Channel
    from api.settings import Settings


def couriers_of(settings: Settings, pool: Pool) -> dict[Channel, Courier]:
    """A courier for each channel that the settings name; in a sandbox the mailbox takes the others."""
    chosen: dict[Channel, Courier] = {}
    if settings.smtp_host:
        chosen["email"] = MailCourier(
            MailServer(
                host=settings.smtp_host,
                port=settings.smtp_port,
                tls=settings.smtp_tls,
                username=settings.smtp_username,
                password=settings.smtp_password,
                sender=settings.mail_sender,
                sender_name=settings.institution_name,
            )
        )
    if settings.sms_url:
        chosen["sms"] = ShortMessageCourier(
            Provider(url=settings.sms_url, key=settings.sms_key, sender=settings.sms_sender)
        )
    if settings.is_sandbox:
        box = MailboxCourier(pool)
        chosen = {"email": box, "sms": box, **chosen}
    return chosen
