"""What is told is told if and only if its transaction commits, and once.

Telling a customer
├── adds to their feed, and a delivery by each way that the kind takes and that reaches them
│   └── of a customer without addresses: to the feed only
├── under an occasion that was told: changes nothing, also from two transactions at once
├── in a transaction that does not commit: nothing was told
├── whatever they wish where it is about their access, by every way that reaches them
└── as they wish otherwise: a way that they switched off is not taken, one that they switched on is
A code
├── goes to the contact, by e-mail or as a short message, in its language, and into nobody's feed
├── of a challenge that was answered before: is not sent again
└── is no notice, nor a notice a code
Sets: five hundred notices are two statements
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from api.database import transaction
from api.notifications.errors import SecurityAlertsStay, UnknownPreference
from api.notifications.people import choose, preferences_of
from api.notifications.telling import Notice, notify, notify_all, send_code
from tests.api.notifications.people import PAID, customer_id, reachable

if TYPE_CHECKING:
    import uuid

    from tests.api.offices import BankOffice


async def feed(bank: BankOffice) -> list[tuple[Any, ...]]:
    rows = await bank.institution.pool.fetch(
        "SELECT kind, once, is_shown FROM notification_feed ORDER BY seq"
    )
    return [tuple(row) for row in rows]


async def deliveries(bank: BankOffice) -> list[tuple[Any, ...]]:
    rows = await bank.institution.pool.fetch(
        "SELECT kind, channel, address, language FROM notification_deliveries ORDER BY kind, channel"
    )
    return [tuple(row) for row in rows]


async def tell(
    bank: BankOffice, person: uuid.UUID, once: str = "o-1", kind: str = "payment_received"
) -> None:
    values = PAID if kind == "payment_received" else {"device_name": "Phone"}
    async with transaction(bank.institution.pool) as conn:
        await notify(conn, person, kind, values, once=once)


async def test_a_notice_goes_to_the_feed_and_by_the_ways_of_its_kind(bank: BankOffice) -> None:
    person = await reachable(bank, email="ann@example.org", phone="+420777123456", language="zh")
    await tell(bank, person)
    assert await feed(bank) == [("payment_received", "o-1", True)]
    assert await deliveries(bank) == [("payment_received", "email", "ann@example.org", "zh")]


async def test_a_customer_without_addresses_has_a_feed(bank: BankOffice) -> None:
    await tell(bank, await customer_id(bank, "c-9"))
    assert len(await feed(bank)) == 1
    assert await deliveries(bank) == []


async def test_an_occasion_is_told_once(bank: BankOffice) -> None:
    person = await reachable(bank)
    await tell(bank, person)
    before = await bank.state()
    await tell(bank, person)
    assert await bank.state() == before
    async with transaction(bank.institution.pool) as conn:
        notices = [Notice(person, "payment_received", PAID, f"o-{each}") for each in (1, 2, 2, 3)]
        assert await notify_all(conn, notices) == 2
    assert [once for _, once, _ in await feed(bank)] == ["o-1", "o-2", "o-3"]
    assert len(await deliveries(bank)) == 3


async def test_an_occasion_is_told_once_by_two_transactions_at_once(bank: BankOffice) -> None:
    person = await reachable(bank)
    async with transaction(bank.institution.pool) as first:
        await notify(first, person, "payment_received", PAID, once="o-1")
        second = asyncio.create_task(tell(bank, person))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
        while not await bank.institution.pool.fetchval(waiting, bank.database.name):
            assert not second.done()
    await second
    assert len(await feed(bank)) == len(await deliveries(bank)) == 1


async def test_what_does_not_commit_was_not_told(bank: BankOffice) -> None:
    person = await reachable(bank)
    before = await bank.state()
    async with bank.institution.pool.acquire() as conn:
        tried = conn.transaction()
        await tried.start()
        await notify(conn, person, "payment_received", PAID, once="o-1")
        await send_code(
            conn, "a@b.cz", "sign_in_code", "123456", "en", valid_for=timedelta(minutes=5), once="c-1"
        )
        await tried.rollback()
    assert await bank.state() == before


async def test_alerts_go_every_way_whatever_was_wished(bank: BankOffice) -> None:
    person = await reachable(bank, phone="+420777123456")
    async with transaction(bank.institution.pool) as conn:
        with pytest.raises(SecurityAlertsStay):
            await choose(conn, person, [("payment_final", "sms", True), ("new_device", "in_app", False)])
        await conn.execute(  # even if one had come in another way
            "INSERT INTO notification_preferences SELECT $1, 'new_device', unnest($2::text[]), false",
            person,
            ["in_app", "email", "sms"],
        )
    await tell(bank, person, kind="new_device")
    assert await feed(bank) == [("new_device", "o-1", True)]
    assert [channel for _, channel, _, _ in await deliveries(bank)] == ["email", "sms"]


async def test_other_ways_are_as_they_wish(bank: BankOffice) -> None:
    person = await reachable(bank, phone="+420777123456")
    async with transaction(bank.institution.pool) as conn:
        wishes = [("payment_received", way, way == "sms") for way in ("in_app", "email", "sms")]
        await choose(conn, person, [("payment_received", "sms", False), *wishes])
        chosen = {
            each.channel: each.is_on
            for each in await preferences_of(conn, person)
            if each.kind == "payment_received"
        }
    assert chosen == {"in_app": False, "email": False, "sms": True}
    await tell(bank, person)
    assert await feed(bank) == [("payment_received", "o-1", False)]
    assert [channel for _, channel, _, _ in await deliveries(bank)] == ["sms"]


@pytest.mark.parametrize(
    "wish", [("greeting", "email"), ("payment_final", "pigeon"), ("sign_in_code", "email")]
)
async def test_what_nobody_can_choose_is_refused(bank: BankOffice, wish: tuple[str, str]) -> None:
    person = await customer_id(bank)
    before = await bank.state()
    async with transaction(bank.institution.pool) as conn:
        with pytest.raises(UnknownPreference):
            await choose(conn, person, [("payment_final", "email", True), (*wish, True)])
    assert await bank.state() == before


async def test_a_code_goes_to_its_contact_once(bank: BankOffice) -> None:
    async with transaction(bank.institution.pool) as conn:
        for contact, once in (
            ("ann@example.org", "c-1"),
            ("ann@example.org", "c-1"),
            ("+420777123456", "c-2"),
        ):
            await send_code(
                conn, contact, "sign_in_code", "483920", "zh", valid_for=timedelta(minutes=10), once=once
            )
    assert await deliveries(bank) == [
        ("sign_in_code", "email", "ann@example.org", "zh"),
        ("sign_in_code", "sms", "+420777123456", "zh"),
    ]
    args = await bank.institution.pool.fetchval("SELECT args FROM notification_deliveries LIMIT 1")
    assert json.loads(args) == {"code": "483920", "minutes": 10}
    assert await feed(bank) == []


async def test_a_code_is_no_notice_nor_a_notice_a_code(bank: BankOffice) -> None:
    person = await customer_id(bank)
    async with transaction(bank.institution.pool) as conn:
        with pytest.raises(ValueError, match="send_code"):
            await notify(conn, person, "sign_in_code", {"code": "1", "minutes": 1}, once="o-1")
        with pytest.raises(ValueError, match="payment_received"):
            await send_code(
                conn, "a@b.cz", "payment_received", "1", "en", valid_for=timedelta(minutes=1), once="o"
            )
        with pytest.raises(ValueError, match="new_device"):
            await send_code(conn, "a@b.cz", "new_device", "1", "en", valid_for=timedelta(minutes=1), once="o")


async def test_many_notices_are_two_statements(bank: BankOffice) -> None:
    person = await reachable(bank)
    async with bank.institution.pool.acquire() as conn:
        await notify(conn, person, "payment_received", PAID, once="o-0")  # the driver learns the types
        statements: list[asyncpg.LoggedQuery] = []
        notices = [Notice(person, "payment_received", PAID, f"o-{n}") for n in range(1, 501)]
        with conn.query_logger(statements.append):
            assert await notify_all(conn, notices) == 500
            assert await conn.fetchval("SELECT 'the end'") == "the end"
    assert len(statements) <= 3
    assert len(await deliveries(bank)) == 501


async def test_what_was_told_stays_told(bank: BankOffice) -> None:
    await tell(bank, await customer_id(bank))
    connection = await asyncpg.connect(bank.database.owner_url)
    try:
        for statement in ("DELETE FROM notification_feed", "UPDATE notification_feed SET args = '{}'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
