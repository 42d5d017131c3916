"""What becomes of payments is announced completely and once.

A payment
├── that is accepted, refused, failed or final is told to its payer, once, in that order
├── received by a wallet of this bank is told to its owner, with the payer's name
├── from another bank, received by a wallet of this bank: too, without a name
├── that is in a block which is not final: is told as accepted and no further
├── of a customer's own money (funding, redemption): is told when it is done, refused or failed
├── of somebody who never signed in, and that no webhook wants: is read over
└── is an event for every webhook that wants it, with ids, state and amounts, and nothing about a person
Nothing is lost or told twice
├── by an announcer that dies before its commit, at whatever step
├── by two announcers at once
├── when transactions commit in another order than they began
├── when there is more than fits in one stretch, or in one transaction
└── of what was decided before this was installed: nothing is told
The end is never told before the beginning
A limit that is near is told once on each of the chain's days
Five hundred payments at once cost as many statements as one; nothing new costs four, and writes nothing
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from api.database import transaction
from api.ledger.journal import Entry, Leg, Posting
from api.notifications.people import enrol
from api.payments import announcing
from api.payments.announcing import Announcing
from tests.api.offices import BankOffice, payment
from tests.fakes.final_chain import CURRENCY, TODAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVENTS = ["payment.accepted", "payment.refused", "payment.failed", "payment.final", "payment.received"]
FUNDS_MINOR = 600_000


@pytest.fixture
async def told(bank: BankOffice) -> BankOffice:
    """A bank with Ann (`w-1`) and Bob (`w-2`), who are enrolled, and money in Ann's wallet."""
    await bank.add_customer(2)
    await bank.chain.fund(bank.chart, "w-1", 400_000)
    async with transaction(bank.institution.pool) as conn:
        for reference in ("c-1", "c-2"):
            await enrol(conn, await conn.fetchval("SELECT id FROM customers WHERE reference = $1", reference))
    await announce(bank)
    return bank


def announcer(bank: BankOffice) -> Announcing:
    return Announcing(bank.institution.pool, CURRENCY)


async def announce(bank: BankOffice) -> None:
    """All that there is."""
    await until_nothing_older_runs(bank)
    async with asyncio.timeout(60):
        while await announcer(bank).run_once():
            pass


async def until_nothing_older_runs(bank: BankOffice) -> None:
    """Other tests' transactions on the same server count, too."""
    pool = bank.institution.pool
    now = await pool.fetchval("SELECT pg_current_xact_id()::text::bigint")
    oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    async with asyncio.timeout(60):
        while await pool.fetchval(oldest) <= now:
            pass


async def announce_now(bank: BankOffice) -> None:
    """What can be announced while other transactions run."""
    for _ in range(3):
        await announcer(bank).run_once()


async def feed(bank: BankOffice) -> list[tuple[str, str]]:
    """(whose, kind), in the order of the feed."""
    rows = await bank.institution.pool.fetch(
        """SELECT c.reference, f.kind FROM notification_feed f JOIN customers c ON c.id = f.customer_id
            WHERE f.kind NOT LIKE '%limit_near' ORDER BY f.seq"""
    )
    return [tuple(row) for row in rows]


async def values(bank: BankOffice, kind: str) -> list[dict[str, Any]]:
    rows = await bank.institution.pool.fetch(
        "SELECT args FROM notification_feed WHERE kind = $1 ORDER BY seq", kind
    )
    return [json.loads(row["args"]) for row in rows]


async def events(bank: BankOffice) -> list[dict[str, Any]]:
    rows = await bank.institution.pool.fetch("SELECT body FROM webhook_events ORDER BY name, id")
    return [json.loads(row["body"]) for row in rows]


async def pay(bank: BankOffice, amount_minor: int = 1_000, **changes: Any) -> uuid.UUID:
    answer = await bank.post("/v1/payments", payment(amount_minor, **changes))
    return uuid.UUID(answer.json()["payment_id"])


async def wallet(bank: BankOffice, reference: str) -> int:
    found: int = await bank.institution.pool.fetchval(
        "SELECT ledger_account_id FROM wallets WHERE reference = $1", reference
    )
    return found


async def book(
    bank: BankOffice,
    kind: str,
    debit: int,
    credit: int,
    amount_minor: int,
    payment_id: uuid.UUID | None = None,
) -> None:
    """A final range of blocks: its entry, its payment, its cursor."""
    async with transaction(bank.institution.pool) as conn:
        await conn.execute("SELECT 1 FROM chain_cursor FOR UPDATE")
        posting = await Posting.open(conn, [debit, credit], [payment_id] if payment_id else [])
        legs = (Leg(debit, CURRENCY, amount_minor), Leg(credit, CURRENCY, -amount_minor))
        source = f"event:{uuid.uuid4()}"
        posting.post(Entry(kind, source, payment_id, legs), payment_id)
        await posting.write()
        await conn.execute("UPDATE outbox_payments SET state = 'final' WHERE payment_id = $1", payment_id)


async def finalise(
    bank: BankOffice, payment_id: uuid.UUID, payee: str | None = None, amount: int = 1_000
) -> None:
    credit = await wallet(bank, payee) if payee else bank.chart.custody
    await book(bank, "payment", await wallet(bank, "w-1"), credit, amount, payment_id)


async def fail(bank: BankOffice, payment_id: uuid.UUID, code: str = "PayeeFrozen") -> None:
    """As api.chain.failures does."""
    from api.chain.failures import fail_queued

    async with transaction(bank.institution.pool) as conn:
        await fail_queued(conn, {payment_id: code})


async def webhook(bank: BankOffice, *names: str) -> None:
    body = {"url": "http://127.0.0.1:1/", "events": list(names or EVENTS)}
    assert (await bank.post("/v1/webhooks", body)).status_code == 201


async def test_a_payment_is_told_to_payer_and_payee_in_order(told: BankOffice) -> None:
    await announce(told)
    assert await feed(told) == []
    to_bob = await pay(told, payee={"wallet_reference": "w-2"})
    await announce(told)
    assert await feed(told) == [("c-1", "payment_accepted")]
    await finalise(told, to_bob, "w-2")
    for _ in range(2):
        await announce(told)
        assert await feed(told) == [
            ("c-1", "payment_accepted"),
            ("c-1", "payment_final"),
            ("c-2", "payment_received"),
        ]
    assert await values(told, "payment_final") == [
        {"payment_id": str(to_bob), "amount_minor": 1_000, "currency": "CZK", "payee_name": "Customer 2"}
    ]
    (received,) = await values(told, "payment_received")
    assert (received["payment_id"], received["payer_name"]) == (str(to_bob), "Customer 1")


async def test_a_payment_that_is_refused_or_failed_is_told_with_its_reason(told: BankOffice) -> None:
    await told.post("/v1/payments", payment(payee={"biller_reference": "nobody"}))
    lost = await pay(told)
    await fail(told, lost, "PayeeFrozen")
    await announce(told)
    assert await feed(told) == [
        ("c-1", "payment_refused"),
        ("c-1", "payment_accepted"),
        ("c-1", "payment_failed"),
    ]
    assert [each["reason"] for each in await values(told, "payment_refused")] == ["UnknownPayee"]
    assert await values(told, "payment_failed") == [
        {
            "payment_id": str(lost),
            "amount_minor": 1_000,
            "currency": "CZK",
            "payee_name": "Gas & Water",
            "reason": "PayeeFrozen",
        }
    ]


async def test_money_from_elsewhere_is_received(told: BankOffice) -> None:
    await book(told, "receipt", told.chart.custody, await wallet(told, "w-2"), 7_000)
    await book(told, "receipt", await wallet(told, "w-1"), told.chart.custody, 3_000)  # Ann's single path
    await announce(told)
    assert await feed(told) == [("c-2", "payment_received")]
    assert await values(told, "payment_received") == [
        {"payment_id": "", "amount_minor": 7_000, "currency": "CZK", "payer_name": ""}
    ]


async def test_nothing_is_said_of_a_block_that_may_be_replaced(told: BankOffice) -> None:
    payment_id, transaction_id = await pay(told), uuid.uuid4()
    await told.institution.pool.execute(
        """INSERT INTO chain_transactions (id, key_name, kind, data, gas, state, included_block)
           VALUES ($1, 'institution', 'settle', '', 0, 'signed', 101)""",
        transaction_id,
    )
    await told.institution.pool.execute(
        "UPDATE outbox_payments SET state = 'batched', transaction_id = $1", transaction_id
    )
    await announce(told)
    await told.institution.pool.execute("UPDATE chain_transactions SET included_block = NULL")
    await announce(told)
    assert await feed(told) == [("c-1", "payment_accepted")]
    await finalise(told, payment_id)
    await announce(told)
    assert (await feed(told))[1:] == [("c-1", "payment_final")]


async def test_a_persons_own_transfers_are_told_when_they_are_done(told: BankOffice) -> None:
    ids = {}
    for kind in ("fundings", "redemptions"):
        body = {"wallet_reference": "w-1", "amount_minor": 2_000}
        ids[kind] = uuid.UUID((await told.post(f"/v1/{kind}", body)).json()["payment_id"])
        refused = body | {"amount_minor": 2**40 - 1}
        assert (await told.post(f"/v1/{kind}", refused)).status_code == 422
    await fail(told, ids["fundings"], "Expired")
    await book(told, "redemption", await wallet(told, "w-1"), told.chart.custody, 2_000, ids["redemptions"])
    await announce(told)
    assert sorted(kind for _, kind in await feed(told)) == [
        "funding_failed",
        "funding_refused",
        "redemption_final",
        "redemption_refused",
    ]


async def test_a_shortfalls_funding_is_no_announcement_of_its_own(told: BankOffice) -> None:
    payment_id = await pay(told, 450_000)
    (funding_id,) = [
        row["payment_id"]
        for row in await told.institution.pool.fetch(
            "SELECT payment_id FROM outbox_payments WHERE serves_payment_id = $1", payment_id
        )
    ]
    await fail(told, funding_id, "Expired")
    await announce(told)
    assert await feed(told) == [("c-1", "payment_accepted"), ("c-1", "payment_failed")]


async def test_who_never_signed_in_is_not_told(told: BankOffice) -> None:
    await told.add_customer(3)
    payment_id = await pay(told, payer_wallet_reference="w-3")
    await book(told, "receipt", told.chart.custody, await wallet(told, "w-3"), 7_000)
    await announce(told)
    assert payment_id
    assert await feed(told) == []
    assert await events(told) == []


async def test_events_carry_ids_and_amounts_and_nobody(told: BankOffice) -> None:
    await webhook(told)
    paid, lost = await pay(told, payee={"wallet_reference": "w-2"}, note="for the cat"), await pay(told)
    await told.post("/v1/payments", payment(payee={"biller_reference": "nobody"}))
    await fail(told, lost)
    await finalise(told, paid, "w-2")
    await book(told, "receipt", told.chart.custody, await wallet(told, "w-2"), 7_000)
    for _ in range(2):
        await announce(told)
    found = await events(told)
    assert sorted(each["type"] for each in found) == sorted([*EVENTS, "payment.accepted", "payment.received"])
    keys = {"payment_id", "kind", "state", "wallet_id", "amount_minor", "currency"}
    assert {frozenset(each["data"]) for each in found} == {frozenset(keys), frozenset(keys | {"code"})}
    codes = {each["type"]: each["data"]["code"] for each in found if "code" in each["data"]}
    assert codes == {"payment.refused": "UnknownPayee", "payment.failed": "PayeeFrozen"}
    for person in ("Customer", "c-1", "w-1", "a-1", "cat", "Gas"):
        assert person not in json.dumps(found)


async def test_only_what_is_wanted_is_made(told: BankOffice) -> None:
    await webhook(told, "payment.refused")
    await pay(told)
    await announce(told)
    assert await events(told) == []


async def some_of_everything(bank: BankOffice) -> int:
    """What becomes of payments; how many notices that is."""
    await webhook(bank)
    paid, lost = await pay(bank, payee={"wallet_reference": "w-2"}), await pay(bank)
    await fail(bank, lost)
    await finalise(bank, paid, "w-2")
    return 5


@pytest.mark.parametrize("step", ["wanted_events", "notify_all", "publish", "the cursor", "commit"])
async def test_an_announcer_that_dies_leaves_everything_to_the_next(
    told: BankOffice, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices = await some_of_everything(told)
    before = await told.state()

    class Crash(BaseException):
        pass

    @contextlib.asynccontextmanager
    async def dying(pool: Any) -> AsyncIterator[Any]:
        async with transaction(pool) as conn:
            if step == "the cursor":
                real = conn.execute

                async def execute(query: str, *args: Any) -> str:
                    if query.startswith("UPDATE payment_announcements"):
                        raise Crash
                    return await real(query, *args)

                monkeypatch.setattr(type(conn), "execute", lambda _self, *args: execute(*args))
            yield conn
            if step == "commit":
                raise Crash

    async def crash(*_: Any) -> None:
        await real_step(*_)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(announcing, "transaction", dying)
        if hasattr(announcing, step):
            real_step = getattr(announcing, step)
            patch.setattr(announcing, step, crash)
        with pytest.raises(Crash):
            await announcer(told).run_once()
        monkeypatch.undo()
    assert await told.state() == before
    await announce(told)
    assert (len(await feed(told)), len(await events(told))) == (notices, notices)


async def test_two_announcers_tell_once(told: BankOffice) -> None:
    notices = await some_of_everything(told)
    await asyncio.gather(*[announcer(told).run_once() for _ in range(6)])
    await announce(told)
    assert (len(await feed(told)), len(await events(told))) == (notices, notices)


async def test_transactions_that_commit_in_another_order_lose_nothing(told: BankOffice) -> None:
    template = await pay(told)
    await announce(told)
    copied = """INSERT INTO payments (id, kind, payer_wallet_id, amount_minor, currency, request_hash, caller)
                SELECT $1, kind, payer_wallet_id, amount_minor, currency, request_hash, caller
                  FROM payments WHERE id = $2"""
    async with told.institution.pool.acquire() as slow:
        begun = slow.transaction()
        await begun.start()
        await slow.execute(copied, uuid.UUID(int=1), template)
        await pay(told)
        await announce_now(told)
        assert len(await feed(told)) == 1, "what began later waits for what began earlier"
        await begun.commit()
    await announce(told)
    assert len(await feed(told)) == 3
    async with told.institution.pool.acquire() as slow:
        begun = slow.transaction()
        await begun.start()
        await slow.execute(copied, uuid.UUID(int=2), template)
        await begun.rollback()
    await pay(told)
    await announce(told)
    assert len(await feed(told)) == 4


async def test_the_end_is_not_told_before_the_beginning(told: BankOffice) -> None:
    async with told.institution.pool.acquire() as other:
        begun = other.transaction()
        await begun.start()
        await other.execute("SELECT pg_current_xact_id()")  # something else that takes long
        paid = await pay(told)
        await finalise(told, paid)
        await announce_now(told)
        assert await announcer(told).run_once(), "there is something to come back for"
        assert await feed(told) == []
        await begun.commit()
    await announce(told)
    assert await feed(told) == [("c-1", "payment_accepted"), ("c-1", "payment_final")]


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_what_does_not_fit_comes_in_the_next_stretch(
    told: BankOffice, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "MOST", most)
    lines = [payment(1_000 + n) | {"reference": f"order-{n}"} for n in range(7)]
    answers = await told.bulk("/v1/payments:bulk", lines)  # one transaction
    single = [await pay(told, 2_000 + n) for n in range(5)]
    for n, payment_id in enumerate(single):
        await finalise(told, payment_id, amount=2_000 + n)
    for answer in answers[:4]:
        await fail(told, uuid.UUID(answer["payment_id"]))
    assert await announcer(told).run_once()
    await announce(told)
    kinds = [kind for _, kind in await feed(told)]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "payment_accepted": 12,
        "payment_failed": 4,
        "payment_final": 5,
    }
    for payment_id in single:
        mine = await told.institution.pool.fetch(
            "SELECT kind FROM notification_feed WHERE args->>'payment_id' = $1 ORDER BY seq", str(payment_id)
        )
        assert [row["kind"] for row in mine] == ["payment_accepted", "payment_final"]


async def test_a_limit_that_is_near_is_told_once_a_day(told: BankOffice) -> None:
    address = await told.address_of("w-2")

    async def receive(balance_minor: int, spent_minor: int) -> list[tuple[str, int]]:
        await told.chain.change(
            address, balance_minor=balance_minor, spent_minor=spent_minor, spent_day=TODAY
        )
        await book(told, "receipt", told.chart.custody, await wallet(told, "w-2"), 1_000)
        await announce(told)
        rows = await told.institution.pool.fetch(
            "SELECT kind, args FROM notification_feed WHERE kind LIKE '%limit_near' ORDER BY seq"
        )
        return [(row["kind"], json.loads(row["args"])["percent"]) for row in rows]

    assert await receive(2_399_999, 1_999_999) == []
    assert await receive(2_400_000, 1_999_999) == [("holding_limit_near", 80)]
    assert await receive(3_000_000, 2_100_000) == [("holding_limit_near", 80), ("daily_limit_near", 84)]
    assert len(await receive(3_000_000, 2_500_000)) == 2
    await told.institution.pool.execute("UPDATE chain_cursor SET final_time_s = final_time_s + 86400")
    assert await receive(3_000_000, 2_500_000) == [
        ("holding_limit_near", 80),
        ("daily_limit_near", 84),
        ("holding_limit_near", 100),
    ], "yesterday's spending is over"


async def statements_of(
    bank: BankOffice, monkeypatch: pytest.MonkeyPatch, *, writes: bool = True
) -> list[str]:
    """What one stretch asks of the database, whether it writes or not."""
    asked: list[asyncpg.LoggedQuery] = []

    @contextlib.asynccontextmanager
    async def logged(pool: Any) -> AsyncIterator[Any]:
        async with transaction(pool) as conn:
            with conn.query_logger(asked.append):
                yield conn
                mine = await conn.fetchval("SELECT pg_current_xact_id_if_assigned()::text /* the end */")
                assert (mine is not None) == writes

    with monkeypatch.context() as patch:
        patch.setattr(announcing, "transaction", logged)
        await announcer(bank).run_once()
    return [query.query for query in asked if "the end" not in query.query]


async def test_many_payments_cost_as_much_as_one(told: BankOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    await webhook(told)
    await pay(told)
    await announce(told)  # the driver learns the types
    counts = {}
    for many in (1, 500):
        lines = [payment(100) | {"reference": f"order-{many}-{n}"} for n in range(many)]
        answers = await told.bulk("/v1/payments:bulk", lines)
        for answer in answers[:20]:
            await finalise(told, uuid.UUID(answer["payment_id"]), amount=100)
        await until_nothing_older_runs(told)
        counts[many] = len(await statements_of(told, monkeypatch))
    assert counts[500] <= counts[1] <= 15
    assert len(await events(told)) == 1 + 2 + 520


async def test_nothing_new_writes_nothing(told: BankOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    await pay(told)
    await announce(told)
    before = await told.state()
    assert len(await statements_of(told, monkeypatch, writes=False)) <= 4
    assert await told.state() == before


async def test_what_was_decided_before_is_not_told(told: BankOffice) -> None:
    payment_id = await pay(told)
    connection = await asyncpg.connect(told.database.owner_url)
    try:
        await connection.execute("ALTER TABLE payments DISABLE TRIGGER append_only")
        await connection.execute("UPDATE payments SET written_by = NULL WHERE id = $1", payment_id)
        await connection.execute("ALTER TABLE payments ENABLE TRIGGER append_only")
    finally:
        await connection.close()
    await announce(told)
    assert await feed(told) == []
