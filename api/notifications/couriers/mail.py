"""E-mail by SMTP: one connection that is kept while there is something to send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate
from typing import TYPE_CHECKING, Final, Literal

import aiosmtplib

from api.notifications.couriers.courier import DeliveryFailed

if TYPE_CHECKING:
    from ssl import SSLContext

    from api.notifications.couriers.courier import Message

Tls = Literal["starttls", "tls", "none"]
TIMEOUT_S: Final = 20.0
_REFUSED: Final = range(500, 600)
_NOT_THE_MESSAGE: Final = {530, 534, 535, 538}
"""5xx answers about how we signed in: another time it may go better (RFC 4954, 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The server that takes our mail. `sender` is the address that it is from; `sender_name` is shown."""

    host: str
    port: int
    tls: Tls
    sender: str
    sender_name: str
    username: str = ""
    password: str = field(default="", repr=False)
    trusted: SSLContext | None = None


class MailCourier:
    """Sends plain text. With `starttls` or `tls` nothing is sent unless the server's certificate is good."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            username=server.username or None,
            password=server.password or None,
            timeout=TIMEOUT_S,
            validate_certs=True,
            tls_context=server.trusted,
        )
        self._turn = asyncio.Lock()  # a connection carries one message at a time

    async def send(self, message: Message) -> None:
        """Raises `DeliveryFailed`."""
        mail = self.compose(message)
        async with self._turn:
            try:
                if not self._client.is_connected:
                    await self._client.connect()
                await self._client.send_message(
                    mail, sender=self._server.sender, recipients=[message.address]
                )
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as failure:
                self._client.close()  # what it is in the middle of is not known
                raise _failure_of(failure) from None  # its text may repeat the address

    def compose(self, message: Message) -> EmailMessage:
        """The mail, with the message's own id. Raises `DeliveryFailed` for an address that is none."""
        mail = EmailMessage(policy=SMTP)
        domain = self._server.sender.rpartition("@")[2]
        try:
            mail["From"] = formataddr((self._server.sender_name, self._server.sender))
            mail["To"] = message.address
            mail["Subject"] = message.subject
        except ValueError:
            raise DeliveryFailed("the address cannot be written in a header", is_final=True) from None
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.message_id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
        mail.set_content(message.text, cte="base64")
        return mail

    async def close(self) -> None:
        """Drop the connection."""
        self._client.close()


def _failure_of(failure: Exception) -> DeliveryFailed:
    if isinstance(failure, aiosmtplib.SMTPRecipientsRefused):
        codes = [each.code for each in failure.recipients]
        return DeliveryFailed(f"SMTP {codes[0]}", is_final=all(code in _REFUSED for code in codes))
    if isinstance(failure, aiosmtplib.SMTPResponseException):
        is_final = failure.code in _REFUSED and failure.code not in _NOT_THE_MESSAGE
        return DeliveryFailed(f"SMTP {failure.code}", is_final=is_final)
    return DeliveryFailed(type(failure).__name__)
