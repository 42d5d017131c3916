"""Settlements by payee: in the call the records are in another order than in the queue.

a settlement whose payees repeat
├── is sent grouped, fundings first, and each row keeps its record's place in the call
├── tells what it skipped by that place: the right payment fails
├── is the same call after a crash at any step
└── of a payer who pays on what it receives keeps the order
a settlement whose payees are all different is sent flat, in the order of the queue
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.abi import SELECTORS
from contracts.batch import Record, unpack, unpack_grouped
from tests.api.chain.bank import Bank
from tests.api.chain.operator import mine
from tests.api.chain.test_crashes import kill_at
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from uuid import UUID

    from tests.api.chain.bank import Wallet

NOBODY = bytes.fromhex("00" * 19 + "99")


async def call_of(bank: Bank, payment_id: UUID) -> bytes:
    """The data of the transaction that a payment travels in."""
    return await bank.pool.fetchval(
        """SELECT t.data FROM chain_transactions t JOIN outbox_payments o ON o.transaction_id = t.id
            WHERE o.payment_id = $1""",
        payment_id,
    )  # type: ignore[no-any-return]


def is_grouped(call: bytes) -> bool:
    return call[:4] == SELECTORS["settleGrouped(bytes,uint64)"]


def records_of(call: bytes) -> list[Record]:
    """The records in the order of the call."""
    packed = call[100 : 100 + int.from_bytes(call[68:100], "big")]
    if not is_grouped(call):
        return unpack(packed)
    groups, flat = unpack_grouped(packed)
    return [record for group in groups for record in group] + flat


async def rows_of(bank: Bank, payment_id: UUID) -> list[tuple[bytes, int, int]]:
    """What the outbox knows of the records of a payment's settlement, by their stored places."""
    rows = await bank.pool.fetch(
        """SELECT payee, amount_minor, nonce, record_index FROM outbox_payments
            WHERE transaction_id = (SELECT transaction_id FROM outbox_payments WHERE payment_id = $1)
            ORDER BY record_index""",
        payment_id,
    )
    assert [row["record_index"] for row in rows] == list(range(len(rows)))
    return [(row["payee"], row["amount_minor"], row["nonce"]) for row in rows]


async def pay_all(bank: Bank, payers: list[Wallet], shop: bytes) -> list[UUID]:
    """Each pays more than it has, so that each is funded first."""
    return [
        await bank.pay(payer, shop, 51_000 + index, from_deposit_minor=1_000 + index)
        for index, payer in enumerate(payers)
    ]


async def test_payments_to_one_payee_are_grouped_and_each_row_keeps_its_place(bank: Bank) -> None:
    *payers, shop = await funded(bank, 13, 50_000)
    payments = await pay_all(bank, payers, shop.address)
    await bank.finish()

    call = await call_of(bank, payments[0])
    assert is_grouped(call)
    records = records_of(call)
    assert [record.payee for record in records] == [each.address for each in payers] + [shop.address] * 12
    assert await rows_of(bank, payments[0]) == [record[:3] for record in records]
    assert {await bank.state(each) for each in payments} == {("final", None)}
    assert await bank.posted(shop.account_id) == 50_000 + 12 * 51_000 + 66
    assert await bank.pool.fetchval("SELECT sum(held_minor) FROM ledger_balances") == 0
    await bank.assert_reconciled()


async def test_what_a_grouped_settlement_skips_fails_the_right_payment(bank: Bank) -> None:
    *payers, shop = await funded(bank, 13, 50_000)
    good = await pay_all(bank, payers[:6], shop.address)
    bad = [await bank.pay(payer, NOBODY, 700 + at) for at, payer in enumerate(payers[6:8])]
    good += await pay_all(bank, payers[8:], shop.address)
    await bank.finish()

    call = await call_of(bank, good[0])
    assert is_grouped(call)
    places = [at for at, record in enumerate(records_of(call)) if record.payee == NOBODY]
    stored = await bank.pool.fetch(
        "SELECT record_index FROM outbox_payments WHERE payment_id = ANY($1::uuid[])", bad
    )
    assert sorted(row["record_index"] for row in stored) == places
    assert await rows_of(bank, good[0]) == [record[:3] for record in records_of(call)]
    assert {await bank.state(each) for each in good} == {("final", None)}
    assert {await bank.state(each) for each in bad} == {("failed", "PayeeNotRegistered")}
    assert await bank.posted(payers[6].account_id) == 50_000, "nothing of it moved"
    assert await bank.pool.fetchval("SELECT sum(held_minor) FROM ledger_balances") == 0
    await bank.assert_reconciled()


async def test_a_shop_that_pays_on_what_it_received_keeps_the_order(bank: Bank) -> None:
    *payers, supplier, shop = await funded(bank, 14, 50_000)
    payments = [await bank.pay(payer, shop.address, 30_000) for payer in payers[:6]]
    await bank.finish()
    payments = [await bank.pay(payer, shop.address, 5_000) for payer in payers[:6]]
    payments.append(await bank.pay(shop, supplier.address, 230_000))
    payments += [await bank.pay(payer, shop.address, 7_000) for payer in payers[6:]]
    await bank.finish()

    call = await call_of(bank, payments[0])
    assert is_grouped(call)
    order = [record.amount_minor for record in records_of(call)]
    assert order == [5_000] * 6 + [230_000] + [7_000] * 6
    assert {await bank.state(each) for each in payments} == {("final", None)}
    assert await bank.posted(shop.account_id) == 50_000 + 6 * 35_000 - 230_000 + 6 * 7_000
    await bank.assert_reconciled()


async def test_payments_to_different_payees_are_sent_flat_in_their_order(bank: Bank) -> None:
    wallets = await funded(bank, 12, 50_000)
    payments = [
        await bank.pay(payer, payee.address, 100 + at)
        for at, (payer, payee) in enumerate(zip(wallets[:6], wallets[6:], strict=True))
    ]
    await bank.finish()

    call = await call_of(bank, payments[0])
    assert not is_grouped(call)
    assert [record.amount_minor for record in records_of(call)] == [100 + at for at in range(6)]
    assert {await bank.state(each) for each in payments} == {("final", None)}


async def test_a_grouped_settlement_that_a_crash_interrupts_anywhere_pays_everybody_once(bank: Bank) -> None:
    *payers, shop = await funded(bank, 7, 500_000)
    payments: list[UUID] = []
    amount, has_ended = 0, False
    for suspensions in range(1, 400, 2):
        payments += [await bank.pay(payer, shop.address, 1_000) for payer in payers]
        amount += 6_000
        has_ended = await kill_at(bank.relay.run_once(), suspensions)
        bank.restart()
        if has_ended:
            break
        if suspensions % 7 == 0:
            await mine(bank.rpc)
            await bank.indexer.run_once()
    assert has_ended, "every step of a round was reached"

    await bank.finish()

    calls = await bank.pool.fetch("SELECT data FROM chain_transactions WHERE kind = 'settle'")
    assert any(is_grouped(row["data"]) for row in calls)
    assert {await bank.state(each) for each in payments} == {("final", None)}
    assert await bank.posted(shop.account_id) == 500_000 + amount
    assert await bank.pool.fetchval("SELECT sum(held_minor) FROM ledger_balances") == 0
    assert await bank.pool.fetchval("SELECT count(*) FROM chain_cases") == 0
    await bank.assert_reconciled()
