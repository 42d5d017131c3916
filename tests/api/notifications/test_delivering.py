"""What is due is delivered: at least once, later and later, and not for ever.

A message that is due
├── is delivered, and not again
├── that could not be delivered waits, longer each time, and then is tried again under the same id
│   ├── and after the last try is dead, with the reason
│   └── refused for good is dead at once
├── for a channel that nobody carries waits, too
├── without words (of another version) is dead, and holds up no other
├── of a worker that died
│   ├── after claiming it: is sent once the claim is over
│   ├── after sending it: is sent again under the same id, and the mailbox has it once
│   └── at its last try: is dead once the claim is over
├── that another worker has delivered meanwhile stays delivered
└── is sent by one of two workers, whoever has it
A worker that is slow gives back what it has not begun, as if it had not tried
A code
├── is wiped when it was delivered, when it is dead and when it expires
├── that expired is not sent
└── is in no log, nor in the database once it was delivered, but for the sandbox's mailbox
The mailbox shows what was sent to one contact or to all, in a sandbox only, and keeps a thousand
What ended a month ago is deleted; what is open is kept
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from api.database import transaction
from api.errors import NotFound
from api.notifications import delivering
from api.notifications.couriers.courier import DeliveryFailed, Message
from api.notifications.couriers.mailbox import MailboxCourier, mailbox
from api.notifications.delivering import DELAYS, MAX_ATTEMPTS, Delivering, delay_after
from api.notifications.telling import notify, send_code
from tests.api.notifications.people import PAID, reachable
from tests.api.offices import open_office

if TYPE_CHECKING:
    from tests.api.conftest import Database
    from tests.api.offices import BankOffice

CODE = "483920"


class Notebook:
    """A courier that notes what it is given, and fails as it is told."""

    def __init__(self, *failures: BaseException) -> None:
        self.sent: list[Message] = []
        self.failures = list(failures)

    async def send(self, message: Message) -> None:
        """Fail, or note it."""
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Nothing is open."""


class Crash(BaseException):
    """The process is gone."""


def delivering_by(bank: BankOffice, courier: Any) -> Delivering:
    return Delivering(bank.institution.pool, {"email": courier, "sms": courier})


async def tell(bank: BankOffice, many: int = 1) -> None:
    person = await reachable(bank)
    async with transaction(bank.institution.pool) as conn:
        for n in range(many):
            await notify(conn, person, "payment_received", PAID, once=f"o-{n}")


async def send(bank: BankOffice, minutes: float = 10) -> None:
    async with transaction(bank.institution.pool) as conn:
        valid_for = timedelta(minutes=minutes)
        await send_code(conn, "ann@example.org", "sign_in_code", CODE, "en", valid_for=valid_for, once="c-1")


async def later(bank: BankOffice, by: timedelta) -> None:
    """Let time pass, as the owner can."""
    connection = await asyncpg.connect(bank.database.owner_url)
    try:
        await connection.execute(
            """UPDATE notification_deliveries SET next_try_at = next_try_at - $1::interval,
                      expires_at = expires_at - $1::interval, ended_at = ended_at - $1::interval""",
            by,
        )
    finally:
        await connection.close()


async def states(bank: BankOffice) -> list[tuple[Any, ...]]:
    rows = await bank.institution.pool.fetch(
        "SELECT state, attempts, last_error FROM notification_deliveries ORDER BY created_at, id"
    )
    return [tuple(row) for row in rows]


async def args_of(bank: BankOffice) -> list[str | None]:
    return [row[0] for row in await bank.institution.pool.fetch("SELECT args FROM notification_deliveries")]


async def test_what_is_due_is_delivered_once(bank: BankOffice) -> None:
    await tell(bank)
    courier = Notebook()
    work = delivering_by(bank, courier)
    assert [await work.run_once(), await work.run_once()] == [1, 0]
    await later(bank, timedelta(days=1))
    assert await work.run_once() == 0
    (message,) = courier.sent
    assert (message.address, message.subject) == ("ann@example.org", "Received: CZK\xa01,234.56")
    assert await states(bank) == [("delivered", 1, "")]


async def test_what_fails_is_tried_again_later_and_later_and_then_dead(bank: BankOffice) -> None:
    await tell(bank)
    courier = Notebook(*[DeliveryFailed(f"HTTP {500 + n}") for n in range(MAX_ATTEMPTS)])
    work = delivering_by(bank, courier)
    for attempt, delay in enumerate(DELAYS, 1):
        assert await work.run_once() == 1
        assert await states(bank) == [("queued", attempt, f"HTTP {499 + attempt}")]
        await later(bank, delay - timedelta(seconds=5))
        assert await work.run_once() == 0, "not yet"
        await later(bank, delay / 5 + timedelta(seconds=5))
    assert await work.run_once() == 1
    assert await states(bank) == [("dead", MAX_ATTEMPTS, f"HTTP {499 + MAX_ATTEMPTS}")]
    await later(bank, timedelta(days=1))
    assert await work.run_once() == 0


def test_delays_grow_and_are_spread() -> None:
    waits = [delay_after(attempt, 0.0) for attempt in range(1, MAX_ATTEMPTS)]
    assert waits == sorted(set(waits)) == list(DELAYS)
    assert delay_after(1, 1.0) == DELAYS[0] * 1.2


async def test_the_id_is_the_same_at_every_try(bank: BankOffice) -> None:
    await tell(bank)
    ids = []

    class Broken(Notebook):
        async def send(self, message: Message) -> None:
            ids.append(message.message_id)
            raise DeliveryFailed("HTTP 500")

    work = delivering_by(bank, Broken())
    for _ in range(3):
        await work.run_once()
        await later(bank, timedelta(days=1))
    assert len(ids) == 3
    assert len(set(ids)) == 1


async def test_what_is_refused_for_good_is_dead_at_once(bank: BankOffice) -> None:
    await tell(bank)
    await delivering_by(bank, Notebook(DeliveryFailed("SMTP 550", is_final=True))).run_once()
    assert await states(bank) == [("dead", 1, "SMTP 550")]


async def test_what_nobody_carries_waits(bank: BankOffice) -> None:
    await tell(bank)
    await Delivering(bank.institution.pool, {}).run_once()
    ((state, attempts, why),) = await states(bank)
    assert (state, attempts) == ("queued", 1)
    assert "no courier for email" in why


async def test_what_has_no_words_holds_up_nothing(bank: BankOffice) -> None:
    await tell(bank, 2)
    await bank.institution.pool.execute(
        """UPDATE notification_deliveries SET args = '{"amount": 1}'
            WHERE id = (SELECT min(id::text)::uuid FROM notification_deliveries)"""
    )
    courier = Notebook()
    await delivering_by(bank, courier).run_once()
    assert len(courier.sent) == 1
    assert sorted(state for state, _, _ in await states(bank)) == ["dead", "delivered"]


async def test_a_worker_that_dies_after_claiming_loses_nothing(bank: BankOffice) -> None:
    await tell(bank)
    with pytest.raises(BaseExceptionGroup):
        await delivering_by(bank, Notebook(Crash())).run_once()
    courier = Notebook()
    work = delivering_by(bank, courier)
    assert await work.run_once() == 0
    await later(bank, delivering.CLAIM)
    assert await work.run_once() == 1
    assert len(courier.sent) == 1


async def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(bank: BankOffice) -> None:
    await tell(bank)
    sent = []

    class Dying(MailboxCourier):
        async def send(self, message: Message) -> None:
            await super().send(message)
            sent.append(message.message_id)
            if len(sent) == 1:
                raise Crash

    work = delivering_by(bank, Dying(bank.institution.pool))
    with pytest.raises(BaseExceptionGroup):
        await work.run_once()
    await later(bank, delivering.CLAIM)
    await work.run_once()
    assert len(sent) == 2
    assert sent[0] == sent[1]
    async with bank.institution.pool.acquire() as conn:
        assert len(await mailbox(conn, bank.institution)) == 1
    assert await states(bank) == [("delivered", 2, "")]


async def test_a_worker_that_dies_at_the_last_try_leaves_a_dead_message(bank: BankOffice) -> None:
    await tell(bank)
    await bank.institution.pool.execute("UPDATE notification_deliveries SET attempts = $1", MAX_ATTEMPTS - 1)
    with pytest.raises(BaseExceptionGroup):
        await delivering_by(bank, Notebook(Crash())).run_once()
    work = delivering_by(bank, Notebook())
    assert await work.run_once() == 0
    assert (await states(bank))[0][0] == "queued"
    await later(bank, delivering.CLAIM)
    assert await work.run_once() == 0
    assert (await states(bank))[0][0] == "dead"


async def test_a_worker_that_was_too_slow_takes_nothing_back(bank: BankOffice) -> None:
    await tell(bank)

    class Overtaken(Notebook):
        async def send(self, message: Message) -> None:
            await later(bank, delivering.CLAIM)
            await delivering_by(bank, Notebook()).run_once()
            raise DeliveryFailed("SMTP 550", is_final=True)

    await delivering_by(bank, Overtaken()).run_once()
    assert await states(bank) == [("delivered", 2, "")]


async def test_two_workers_send_each_message_once(bank: BankOffice) -> None:
    await tell(bank, 150)
    couriers = [Notebook(), Notebook()]

    async def work(courier: Notebook) -> None:
        while await delivering_by(bank, courier).run_once():
            pass

    await asyncio.gather(*[work(courier) for courier in couriers])
    ids = [message.message_id for courier in couriers for message in courier.sent]
    assert len(ids) == len(set(ids)) == 150
    assert all(courier.sent for courier in couriers), "both had something to do"
    assert {state for state, _, _ in await states(bank)} == {"delivered"}


async def test_a_slow_worker_gives_back_what_it_has_not_begun(
    bank: BankOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(bank, 3)
    now = [0.0]
    monkeypatch.setattr(delivering.time, "monotonic", lambda: now[0])

    class Slow(Notebook):
        async def send(self, message: Message) -> None:
            await super().send(message)
            now[0] += delivering.CLAIM.total_seconds()

    courier = Slow()
    work = delivering_by(bank, courier)
    for sent in (1, 2, 3):
        await work.run_once()
        assert len(courier.sent) == sent
    assert await states(bank) == [("delivered", 1, "")] * 3


@pytest.mark.parametrize("failure", [None, DeliveryFailed("SMTP 550", is_final=True)])
async def test_a_code_is_wiped_when_it_was_sent_or_cannot_be(
    bank: BankOffice, failure: DeliveryFailed | None
) -> None:
    await send(bank)
    courier = Notebook(*[failure] if failure else [])
    await delivering_by(bank, courier).run_once()
    assert [CODE in message.text for message in courier.sent] == ([] if failure else [True])
    assert await args_of(bank) == [None]
    assert CODE not in repr(await bank.state())


async def test_what_is_no_code_is_not_wiped(bank: BankOffice) -> None:
    await tell(bank)
    await delivering_by(bank, Notebook()).run_once()
    assert await args_of(bank) != [None]


async def test_a_code_that_expired_is_wiped_and_not_sent(bank: BankOffice) -> None:
    await send(bank)
    await later(bank, timedelta(minutes=10))
    courier = Notebook()
    assert await delivering_by(bank, courier).run_once() == 0
    assert courier.sent == []
    assert await args_of(bank) == [None]
    assert (await states(bank))[0][0] == "expired"


async def test_a_code_is_in_no_log(bank: BankOffice, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await send(bank)
    await delivering_by(bank, Notebook(DeliveryFailed("SMTP 450"))).run_once()
    await later(bank, timedelta(minutes=1))
    await delivering_by(bank, MailboxCourier(bank.institution.pool)).run_once()
    assert CODE not in repr(await bank.state(without=["sandbox_mailbox"]))
    assert CODE not in caplog.text
    assert "ann@example.org" not in caplog.text


async def test_the_mailbox_shows_what_was_sent(bank: BankOffice, database: Database) -> None:
    box = MailboxCourier(bank.institution.pool)
    for n in range(3):
        to = f"person-{n % 2}@example.org"
        await box.send(Message(uuid.uuid4(), "email", to, f"Subject {n}", "Text"))
    async with bank.institution.pool.acquire() as conn:
        everything = await mailbox(conn, bank.institution)
        assert [each.subject for each in everything] == ["Subject 2", "Subject 1", "Subject 0"]
        one = await mailbox(conn, bank.institution, "person-0@example.org")
        assert [each.as_json()["subject"] for each in one] == ["Subject 2", "Subject 0"]
        assert await mailbox(conn, bank.institution, "nobody@example.org") == []
    async with open_office(database, is_sandbox=False) as serious:
        conn = await serious.institution.pool.acquire()
        with pytest.raises(NotFound):
            await mailbox(conn, serious.institution)
        await serious.institution.pool.release(conn)


async def test_the_mailbox_keeps_the_newest(bank: BankOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.notifications.couriers.mailbox.KEPT", 2)
    box = MailboxCourier(bank.institution.pool)
    for n in range(5):
        await box.send(Message(uuid.uuid4(), "email", "a@b.cz", f"Subject {n}", "Text"))
    async with bank.institution.pool.acquire() as conn:
        assert [each.subject for each in await mailbox(conn, bank.institution)] == ["Subject 4", "Subject 3"]


async def test_what_ended_long_ago_is_deleted(bank: BankOffice) -> None:
    await tell(bank, 2)
    work = delivering_by(bank, Notebook(DeliveryFailed("HTTP 500")))
    await work.run_once()
    await later(bank, delivering.KEPT - timedelta(minutes=1))
    await work.clear()
    assert len(await states(bank)) == 2
    await later(bank, timedelta(minutes=2))
    await work.clear()
    assert [state for state, _, _ in await states(bank)] == ["queued"]
