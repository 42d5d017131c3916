"""What a bank's worker does to tell people and machines, all of it together.

A payment
└── reaches its payer's feed, the mailbox of a sandbox and a webhook, woken by the notifications alone
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from api import outreach
from api.database import listen, transaction
from api.notifications.couriers.mailbox import Mail, mailbox
from api.notifications.people import choose, set_address
from api.outreach import Outreach
from tests.api.offices import BankOffice, bank, furnished_template, payment
from tests.fakes.webhook_receiver import webhook_receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["bank", "furnished_template"]


@contextlib.asynccontextmanager
async def working(office: BankOffice) -> AsyncIterator[None]:
    """The tasks, woken as the worker wakes them."""
    work = Outreach(office.institution.settings, office.institution.pool)

    async def repeat(step: Callable[[], Awaitable[str]]) -> None:
        while True:
            await step()

    async def hear() -> None:
        async with listen(office.database.app_url, *work.channels) as news:
            ready.set()
            while True:
                work.hear({channel for channel, _ in await news.wait(60)})

    ready = asyncio.Event()
    tasks = [asyncio.create_task(hear())]
    await ready.wait()
    tasks += [asyncio.create_task(repeat(step)) for step in work.steps().values()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await work.close()
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


async def test_a_payment_is_told_everywhere(bank: BankOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outreach, "LOOK_ANYWAY_S", 3_600)
    pool = bank.institution.pool
    person = await pool.fetchval("SELECT id FROM customers WHERE reference = 'c-1'")
    async with transaction(pool) as conn:
        await set_address(conn, person, "email", "ann@example.org")
        await choose(conn, person, [("payment_accepted", "email", True)])
    async with webhook_receiver() as receiver, working(bank):
        body = {"url": receiver.url, "events": ["payment.accepted"]}
        secret = (await bank.post("/v1/webhooks", body)).json()["secret"]
        answer = await bank.post("/v1/payments", payment(1_000))
        async with asyncio.timeout(60):
            await receiver.arrived.wait()
            while not (mails := await _mails(bank)):
                pass
    (event,) = receiver.verified(secret)
    assert event["data"]["payment_id"] == answer.json()["payment_id"]
    assert [mail.subject for mail in mails] == ["Payment accepted: CZK\xa010.00"]


async def _mails(bank: BankOffice) -> list[Mail]:
    async with bank.institution.pool.acquire() as conn:
        return list(await mailbox(conn, bank.institution, "ann@example.org"))
