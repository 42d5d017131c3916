"""What carries messages, against servers on loopback.

E-mail
├── arrives as plain text from the bank, in any script, under the message's own id
├── in turn by one connection, and by another one where that was lost
├── by STARTTLS with a password, or by TLS from the start
│   └── not at all to a server whose certificate is not good for its name
├── refused for its recipient or its content (5xx): will not go better
├── put off (4xx), not let in (535), or without a server: may go better
└── to an address that is no header's: will not go better, and no header is added
Short messages
├── are posted under the provider's key, with the message's id as Idempotency-Key
├── refused (4xx): will not go better
└── refused for our key, the moment or by a redirect, or not answered: may go better
No failure repeats an address, a subject or a text
The settings choose; the mailbox takes the rest in a sandbox, and nobody does elsewhere
"""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.notifications.couriers.chosen import couriers_of
from api.notifications.couriers.courier import DeliveryFailed, Message
from api.notifications.couriers.mail import MailCourier, MailServer
from api.notifications.couriers.mailbox import MailboxCourier
from api.notifications.couriers.short_messages import Provider, ShortMessageCourier
from tests.api.offices import settings_for
from tests.fakes.mail_server import certificate_of, mail_server
from tests.fakes.short_message_provider import short_message_provider

if TYPE_CHECKING:
    from pathlib import Path

    from api.database import Pool

SECRETS = ("ann@example.org", "+420777123456", "483920", "Your code")


def mail(text: str = "Your code: 483920. 您好", **changes: Any) -> Message:
    values: dict[str, Any] = {
        "message_id": uuid.uuid4(),
        "channel": "email",
        "address": "ann@example.org",
        "subject": "Your code 验证码",
        "text": text,
    }
    return Message(**(values | changes))


def server_at(port: int, **changes: Any) -> MailServer:
    values: dict[str, Any] = {
        "host": "localhost",
        "port": port,
        "tls": "none",
        "sender": "bank@bank-a.example",
        "sender_name": "Banka Ž, 银行",
    }
    return MailServer(**(values | changes))


async def failure_of(courier: MailCourier | ShortMessageCourier, message: Message) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        await courier.send(message)
    said = f"{failed.value!r} {failed.value} {message!r}"
    assert not [secret for secret in SECRETS if secret in said]
    assert failed.value.__cause__ is None
    return failed.value


def nobodys_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_mail_arrives_in_any_script_under_its_own_id() -> None:
    with mail_server() as server:
        courier, first = MailCourier(server_at(server.port)), mail()
        await courier.send(first)
        await courier.send(first)
        await courier.send(mail("x" * 3_000 + "\n.\nend"))
        assert server.connections == 1
        await courier.close()
        await courier.send(mail())
        assert server.connections == 2
        await courier.close()
    taken = server.taken[0]
    assert taken.get_content().strip() == first.text
    assert (taken["Subject"], taken["To"]) == (first.subject, "ann@example.org")
    assert taken["From"] == '"Banka Ž, 银行" <bank@bank-a.example>'
    assert taken["Auto-Submitted"] == "auto-generated"
    assert taken["Message-ID"] == server.taken[1]["Message-ID"] == f"<{first.message_id}@bank-a.example>"
    assert server.taken[2].get_content().split() == ["x" * 3_000, ".", "end"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_travels_encrypted_to_whom_it_is_meant_for(tls: str, tmp_path: Path) -> None:
    shown, trusted = certificate_of("localhost", tmp_path)
    account = {"username": "bank", "password": "mail-password"} if tls == "starttls" else {}
    with mail_server(tls, shown) as server:
        courier = MailCourier(server_at(server.port, tls=tls, trusted=trusted, **account))
        await courier.send(mail())
        await courier.close()
        assert len(server.taken) == 1
        if account:
            wrong = MailCourier(
                server_at(server.port, tls=tls, trusted=trusted, username="bank", password="other")
            )
            failure = await failure_of(wrong, mail())
            assert (failure.why, failure.is_final) == ("SMTP 535", False)
        for changes in ({"trusted": None}, {"trusted": trusted, "host": "127.0.0.1"}):
            stranger = MailCourier(server_at(server.port, tls=tls, **account, **changes))
            assert not (await failure_of(stranger, mail())).is_final
    assert len(server.taken) == 1


async def test_mail_is_not_sent_open_where_tls_was_asked_for() -> None:
    with mail_server() as server:
        courier = MailCourier(server_at(server.port, tls="starttls"))
        assert not (await failure_of(courier, mail())).is_final
        assert server.taken == []


async def test_mail_that_is_refused_or_put_off() -> None:
    with mail_server() as server:
        courier = MailCourier(server_at(server.port))
        server.answers = ["554 not that: ann@example.org 483920", "450 later, ann@example.org"]
        refused, put_off = await failure_of(courier, mail()), await failure_of(courier, mail())
        assert (refused.why, refused.is_final) == ("SMTP 554", True)
        assert (put_off.why, put_off.is_final) == ("SMTP 450", False)
        server.refuses_recipients = True
        nobody = await failure_of(courier, mail())
        assert (nobody.why, nobody.is_final) == ("SMTP 550", True)
        server.refuses_recipients = False
        await courier.send(mail())
        assert len(server.taken) == 1
        await courier.close()
    assert not (await failure_of(courier, mail())).is_final


@pytest.mark.parametrize("address", ["a@b.cz\r\nBcc: all@example.org", "a@b.cz\nX: y"])
async def test_no_address_adds_a_header(address: str) -> None:
    with mail_server() as server:
        courier = MailCourier(server_at(server.port))
        assert (await failure_of(courier, mail(address=address))).is_final
        assert server.recipients == []


async def test_short_messages_are_posted_under_key_and_id() -> None:
    message = mail(channel="sms", address="+420777123456")
    async with short_message_provider() as provider:
        courier = ShortMessageCourier(Provider(url=provider.url, key=provider.key, sender="BankA"))
        await courier.send(message)
        await courier.send(message)
        assert provider.asked == 2
        expected = {"from": "BankA", "to": "+420777123456", "text": message.text}
        assert provider.taken == {str(message.message_id): expected}
        await courier.close()


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        (400, True),
        (404, True),
        (422, True),
        (402, False),
        (429, False),
        (500, False),
        (503, False),
        (302, False),
    ],
)
async def test_short_messages_that_are_refused(status: int, is_final: bool) -> None:
    async with short_message_provider() as provider:
        courier = ShortMessageCourier(Provider(url=provider.url, key=provider.key, sender="BankA"))
        provider.answers = [status]
        failure = await failure_of(courier, mail(channel="sms"))
        assert (failure.why, failure.is_final) == (f"HTTP {status}", is_final)
        assert provider.asked == 1
        await courier.close()


async def test_short_messages_that_nobody_answers_or_whose_key_is_wrong() -> None:
    async with short_message_provider() as provider:
        wrong = ShortMessageCourier(Provider(url=provider.url, key="other", sender="BankA"))
        assert not (await failure_of(wrong, mail(channel="sms"))).is_final
        await wrong.close()
    gone = ShortMessageCourier(Provider(url=f"http://127.0.0.1:{nobodys_port()}/", key="k", sender="BankA"))
    assert not (await failure_of(gone, mail(channel="sms"))).is_final
    await gone.close()


async def test_settings_choose_the_couriers(pool: Pool) -> None:
    names = {"smtp_host": "mail.example", "mail_sender": "bank@a.example"}
    provider = {"sms_url": "https://sms.example/", "sms_key": "k"}

    def chosen(**changes: Any) -> dict[str, type]:
        settings = settings_for("postgresql://x", **changes)
        return {channel: type(courier) for channel, courier in couriers_of(settings, pool).items()}

    assert chosen() == {"email": MailboxCourier, "sms": MailboxCourier}
    assert chosen(**names) == {"email": MailCourier, "sms": MailboxCourier}
    assert chosen(is_sandbox=False) == {}
    assert chosen(is_sandbox=False, **names, **provider) == {
        "email": MailCourier,
        "sms": ShortMessageCourier,
    }
