"""Payments that fail: who says no, and what becomes of the holds.

a payment
├── refused by a rule on chain
│   ├── fails with the rule's word, and its holds end at that block
│   └── leaves the other records of its batch alone
├── refused by the signer
│   ├── fails with the signer's word
│   └── when it is a funding, fails the payment that it was to serve, which is never asked for
├── larger than a record can hold fails before it is signed
├── whose batch expired
│   └── keeps its holds until a final block has passed its time, then fails as Expired
└── whose batch reverted because the currency was paused
    ├── keeps its holds, because its signature could still execute
    ├── fails with CurrencyPaused when its time has passed
    └── is not followed by others while the pause is known
a transaction
├── refused by the signer ends its holds and opens a case
└── that reverts ends its holds and opens a case
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from api.chain.outbox import PaymentIntent, TransactionIntent, enqueue_payments, enqueue_transaction
from api.database import transaction
from api.ledger.journal import Hold, Posting
from contracts.abi import encode_mint, encode_pause, encode_transfer, encode_unpause
from tests.api.chain.bank import CONFIRMATIONS, Bank
from tests.api.chain.operator import mine, succeed
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from tests.api.chain.conftest import Chain


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
