"""Payments that fail: who says no, and what becomes of the holds.

a payment
├── refused by a rule on chain
│   ├── fails with the rule's word, and its holds end at that block
│   └── leaves the other records of its batch alone
├── refused by the signer
│   ├── fails with the signer's word
│   ├── when it is a funding, fails the payment that it was to serve, which is never asked for
│   └── when it was asked for before, keeps its holds until no earlier signature can execute
├── larger than a record can hold fails before it is signed
├── whose batch expired
│   └── keeps its holds until a final block has passed its time, then fails as Expired
└── whose batch reverted because the currency was paused
    ├── keeps its holds, because its signature could still execute
    ├── fails with CurrencyPaused when its time has passed
    └── is not followed by others while the pause is known
a transaction
├── refused by the signer ends its holds and opens a case
├── whose fee the signer's policy forbids waits for lower fees, and payments wait with it
├── that reverts ends its holds and opens a case
└── that was to register wallets leaves them to the next one, which waits for a person
A final event that the books cannot hold
├── takes what an own account lacks from unidentified, and stops settlement
└── stops the indexer where customers' money is short
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

import pytest

from api.chain.errors import BooksContradictChain
from api.chain.outbox import PaymentIntent, TransactionIntent, enqueue_payments, enqueue_transaction
from api.database import transaction
from api.ledger.journal import Hold, Posting
from contracts.abi import encode_mint, encode_pause, encode_set_participant, encode_transfer, encode_unpause
from tests.api.chain.bank import CONFIRMATIONS, OWN_BANK, Bank
from tests.api.chain.conftest import running_signer
from tests.api.chain.operator import mine, succeed
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from pathlib import Path

    from api.chain.rpc import RpcClient
    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database


async def test_a_rule_on_chain_fails_one_payment_and_leaves_the_others_alone(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    nobody = bytes.fromhex("00" * 19 + "99")

    good = await bank.pay(payer, payee.address, 10_000)
    bad = await bank.pay(payer, nobody, 15_000)
    after = await bank.pay(payer, payee.address, 25_000)
    await bank.finish()

    assert await bank.state(good) == ("final", None)
    assert await bank.state(bad) == ("failed", "PayeeNotRegistered")
    assert await bank.state(after) == ("final", None)
    assert await bank.held(payer.account_id) == 0
    assert await bank.posted(payer.account_id) == 15_000
    await bank.assert_reconciled()


async def test_a_funding_that_the_signer_refuses_fails_the_payment_that_it_serves(
    bank: Bank, chain: Chain
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    stranger = chain.operators["customer"].address
    funding, payment = uuid.uuid4(), uuid.uuid4()
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [payer.account_id, payer.deposit_id, bank.chart.inventory])
        posting.reserve(Hold(payer.account_id, 50_000, payment))
        posting.reserve(Hold(payer.deposit_id, 1_000, funding))
        posting.reserve(Hold(bank.chart.inventory, 1_000, funding))
        await posting.write()
        await enqueue_payments(
            connection,
            [
                # the bank's own key may pay its customers only
                PaymentIntent(funding, "funding", payment, bank.institution, stranger, 1_000),
                PaymentIntent(payment, "payment", None, payer.address, payee.address, 51_000),
            ],
        )

    await bank.relay_all()

    assert await bank.state(funding) == ("failed", "PayeeNotOwnCustomer")
    assert await bank.state(payment) == ("failed", "PayeeNotOwnCustomer")
    for account_id in (payer.account_id, payer.deposit_id, bank.chart.inventory):
        assert await bank.held(account_id) == 0
    asked = await bank.pool.fetchval(
        "SELECT valid_before_s FROM outbox_payments WHERE payment_id = $1", payment
    )
    assert asked is None, "a signature of it was never asked for"


async def test_an_amount_that_no_record_can_hold_fails_unsigned(bank: Bank) -> None:
    (wallet,) = await bank.open_wallets(1)
    payment_id = uuid.uuid4()
    async with transaction(bank.pool) as connection:
        intent = PaymentIntent(payment_id, "payment", None, wallet.address, bank.institution, 2**40)
        await enqueue_payments(connection, [intent])

    await bank.relay_all()

    assert await bank.state(payment_id) == ("failed", "AmountTooLarge")


async def test_an_expired_batch_keeps_its_holds_until_a_final_block_has_passed_its_time(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 20_000)
    await bank.relay_all()
    ends_s = await bank.pool.fetchval(
        "SELECT valid_before_s FROM outbox_payments WHERE payment_id = $1", payment
    )

    await bank.rpc.call("evm_setNextBlockTimestamp", hex(ends_s))
    await mine(bank.rpc, CONFIRMATIONS - 1)
    await bank.indexer.run_once()
    assert await bank.state(payment) == ("batched", None)
    assert await bank.held(payer.account_id) == 20_000

    await mine(bank.rpc)
    await bank.indexer.run_once()
    assert await bank.state(payment) == ("failed", "Expired")
    assert await bank.held(payer.account_id) == 0
    assert await bank.posted(payer.account_id) == 50_000
    row = await bank.pool.fetchrow(
        "SELECT state, outcome_code FROM chain_transactions ORDER BY seq DESC LIMIT 1"
    )
    assert tuple(row) == ("reverted", "BatchExpired")
    await bank.assert_reconciled()


async def test_a_pause_in_flight_keeps_the_holds_until_the_signature_is_worthless(
    bank: Bank, chain: Chain
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    pauser = chain.operators["pauser"]
    payment = await bank.pay(payer, payee.address, 20_000)
    paused = await pauser.send(bank.rpc, bank.deployment.contract, encode_pause())
    await bank.relay_all()
    await succeed(bank.rpc, paused)
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    row = await bank.pool.fetchrow(
        "SELECT state, outcome_code FROM chain_transactions ORDER BY seq DESC LIMIT 1"
    )
    assert tuple(row) == ("reverted", "CurrencyPaused")
    assert await bank.state(payment) == ("batched", None)
    assert await bank.held(payer.account_id) == 20_000

    waiting = await bank.pay(payer, payee.address, 5_000)
    await bank.relay_all()
    assert await bank.state(waiting) == ("queued", None), "while paused, nothing is signed in vain"

    ends_s = await bank.pool.fetchval(
        "SELECT valid_before_s FROM outbox_payments WHERE payment_id = $1", payment
    )
    await succeed(bank.rpc, await pauser.send(bank.rpc, bank.deployment.contract, encode_unpause()))
    await bank.rpc.call("evm_setNextBlockTimestamp", hex(ends_s))
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    assert await bank.state(payment) == ("failed", "CurrencyPaused")
    await bank.finish()
    assert await bank.state(waiting) == ("final", None)
    assert await bank.held(payer.account_id) == 0
    assert await bank.posted(payer.account_id) == 45_000
    await bank.assert_reconciled()


async def test_a_transaction_that_the_signer_refuses_ends_its_holds(bank: Bank) -> None:
    await bank.open_wallets(1, deposit_minor=500_000)
    transaction_id = uuid.uuid4()
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [bank.chart.reserves])
        posting.reserve(Hold(bank.chart.reserves, 1_000, transaction_id))
        await posting.write()
        call = encode_transfer(b"\x09" * 20, 1_000)
        await enqueue_transaction(connection, TransactionIntent(transaction_id, "institution", "mint", call))

    await bank.relay_all()

    row = await bank.pool.fetchrow(
        "SELECT state, outcome_code FROM chain_transactions WHERE id = $1", transaction_id
    )
    assert row["state"] == "refused"
    assert row["outcome_code"]
    assert await bank.held(bank.chart.reserves) == 0
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "TransactionRefused"
    await bank.mint(2_000)
    await bank.finish()
    assert await bank.posted(bank.chart.inventory) == 2_000, "what follows is not held up"


async def test_a_transaction_that_reverts_ends_its_holds(bank: Bank) -> None:
    await bank.open_wallets(1, deposit_minor=500_000)
    transaction_id = uuid.uuid4()
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [bank.chart.reserves])
        posting.reserve(Hold(bank.chart.reserves, 1_000, transaction_id))
        await posting.write()
        call = encode_mint(10**13)
        await enqueue_transaction(connection, TransactionIntent(transaction_id, "institution", "mint", call))

    await bank.finish()

    row = await bank.pool.fetchrow(
        "SELECT state, outcome_code FROM chain_transactions WHERE id = $1", transaction_id
    )
    assert tuple(row) == ("reverted", "MintAllowanceExceeded")
    assert await bank.held(bank.chart.reserves) == 0
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "TransactionReverted"
    await bank.assert_reconciled()


async def test_a_payment_that_was_asked_for_before_keeps_its_holds_until_its_time_has_passed(
    bank: Bank, chain: Chain
) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    funding, served = uuid.uuid4(), uuid.uuid4()
    asked_s = (await bank.rpc.latest()).time_s + 600
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [payer.deposit_id, bank.chart.inventory])
        posting.reserve(Hold(bank.chart.inventory, 1_000, funding))
        await posting.write()
        stranger = chain.operators["customer"].address
        intent = PaymentIntent(funding, "funding", served, bank.institution, stranger, 1_000)
        paying = PaymentIntent(served, "payment", None, payer.address, payee.address, 1_000)
        await enqueue_payments(connection, [intent, paying])
        # as a relay leaves it that died between asking and storing
        await connection.execute(
            "UPDATE outbox_payments SET valid_before_s = $2 WHERE payment_id = $1", funding, asked_s
        )

    await bank.relay_all()
    for payment in (funding, served):
        assert await bank.state(payment) == ("batched", "PayeeNotOwnCustomer")
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    assert await bank.held(bank.chart.inventory) == 1_000

    await bank.rpc.call("evm_increaseTime", 700)
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    for payment in (funding, served):
        assert await bank.state(payment) == ("failed", "PayeeNotOwnCustomer")
    assert await bank.held(bank.chart.inventory) == 0
    assert await bank.posted(payer.account_id) == 50_000
    await bank.assert_reconciled()


async def test_a_registration_that_reverts_leaves_its_wallets_to_the_next_one(
    bank: Bank, chain: Chain
) -> None:
    async with transaction(bank.pool) as connection:
        await bank.add_wallets(connection, 3, 0, tier=5)
    await bank.step()
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    reverted = await bank.pool.fetchrow("SELECT state, outcome_code FROM chain_transactions")
    assert tuple(reverted) == ("reverted", "TierNotGranted")
    assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "registration"
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "TransactionReverted"
    assert not await bank.relay.run_once(), "nothing is sent after it until a person has looked"

    contract = bank.deployment.contract
    grant = encode_set_participant(OWN_BANK, bank.institution, 9, 0b100110)
    await succeed(bank.rpc, await chain.operators["governor"].send(bank.rpc, contract, grant))
    await bank.pool.execute("DELETE FROM chain_freezes")
    await bank.finish()
    registered = await bank.pool.fetchval(
        "SELECT count(*) FROM outbox_registrations WHERE registered_block IS NOT NULL"
    )
    assert registered == 3
    await bank.assert_reconciled()


async def test_a_registration_that_the_signer_refuses_leaves_its_wallets_to_the_next_one(
    chain: Chain, rpc: RpcClient, database: Database, signer_home: SignerHome, tmp_path: Path
) -> None:
    async with (
        running_signer(tmp_path, chain.deployment, signer_home, "no-quorum") as socket,
        Bank.opened(database.app_url, chain.url, rpc, chain.deployment, socket) as bank,
    ):
        async with transaction(bank.pool) as connection:
            await bank.add_wallets(connection, 2, 0, tier=1)
        await bank.pool.execute(
            "UPDATE outbox_registrations SET address = decode(lpad(seq::text, 40, '1'), 'hex')"
        )
        await bank.relay_all()
        assert await bank.pool.fetchval("SELECT state FROM chain_transactions") == "refused"
        assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "registration"
        waiting = await bank.pool.fetchval(
            "SELECT count(*) FROM outbox_registrations WHERE transaction_id IS NULL"
        )
        assert waiting == 2


async def test_a_transaction_whose_fee_the_policy_forbids_waits_for_lower_fees(bank: Bank) -> None:
    await bank.open_wallets(1, deposit_minor=500_000)
    minting = await bank.mint(3_000)
    head = await bank.rpc.latest()
    assert await bank.relay.submitting.submit_prepared(dataclasses.replace(head, base_fee=10**15)) == 0
    row = await bank.pool.fetchrow(
        "SELECT state, max_fee_per_gas FROM chain_transactions WHERE id = $1", minting
    )
    assert tuple(row) == ("prepared", None)
    assert await bank.held(bank.chart.reserves) == 3_000
    await bank.finish()
    assert await bank.posted(bank.chart.inventory) == 3_000
    await bank.assert_reconciled()


async def test_what_an_own_account_lacks_is_taken_from_unidentified_and_stops_settlement(bank: Bank) -> None:
    (wallet,) = await funded(bank, 1, 50_000)
    funding = await bank.fund(wallet, 1_000)
    await lose(bank, bank.chart.inventory)
    await bank.finish()
    assert await bank.state(funding) == ("final", None)
    assert await bank.posted(bank.chart.in_transit_unidentified) == 1_000
    assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"
    cases = await bank.pool.fetch("SELECT kind, detail ->> 'in_transit_minor' AS minor FROM chain_cases")
    assert [tuple(case) for case in cases] == [("BooksBelowChain", "1000")]


async def test_customers_money_that_the_books_lack_stops_the_indexer(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 1_000)
    await lose(bank, payer.account_id)
    await bank.relay_all()
    await mine(bank.rpc, CONFIRMATIONS + 1)
    before = await bank.everything()
    with pytest.raises(BooksContradictChain):
        await bank.indexer.run_once()
    assert await bank.everything() == before
    frozen = await bank.pool.fetch("SELECT flow FROM chain_freezes ORDER BY flow")
    assert [row["flow"] for row in frozen] == ["indexer", "settle"]
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "BooksContradictChain"
    assert await bank.state(payment) == ("batched", None)
    assert await bank.indexer.run_once() is None


async def lose(bank: Bank, account_id: int) -> None:
    """The books forget what an account holds, as no code of ours would."""
    await bank.pool.execute("UPDATE ledger_balances SET posted_minor = 0 WHERE account_id = $1", account_id)


async def test_payments_do_not_follow_a_settlement_that_waits_for_lower_fees(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    first = await bank.pay(payer, payee.address, 1_000)
    settlement = await bank.relay.settling.prepare(await bank.rpc.latest())
    head = dataclasses.replace(await bank.rpc.latest(), base_fee=10**15)
    assert await bank.relay.submitting.submit_prepared(head) == 0
    assert await bank.relay.submitting.is_waiting_for_fees()
    row = await bank.pool.fetchrow("SELECT state, kind FROM chain_transactions WHERE id = $1", settlement)
    assert tuple(row) == ("prepared", "settle")
    second = await bank.pay(payer, payee.address, 2_000)
    assert not await bank.relay._may_settle()
    await bank.finish()
    assert [await bank.state(each) for each in (first, second)] == [("final", None)] * 2
    await bank.assert_reconciled()
