"""The way of one payment, whole: deposit account, chain, other wallets, other banks, and back.

wallet payments
├── a funding moves deposit to wallet, and inventory to custody
├── a payment between own customers moves only their wallets
├── a shortfall is funded and paid in one settlement
│   └── and while only the funding is final, its money is held for the payment
├── a payment to another bank's customer leaves custody
├── a receipt from another bank's customer enters custody
├── what the payee may not hold
│   ├── flows on to its deposit account
│   └── becomes the whole amount when it is full already
├── a redemption moves wallet to deposit
├── issuance and return move reserves and inventory
├── a receipt that nothing explains waits in transit, with a case
│   └── and further ones of the same payer are added to it while it is open
└── 600 payments of many payers are settled in two transactions, in their order
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.database import transaction
from api.ledger.journal import Entry, Leg, Posting
from contracts.abi import AccountFlag, encode_mint, encode_register, encode_transfer
from tests.api.chain.bank import Bank, Wallet
from tests.api.chain.operator import Operator, succeed

if TYPE_CHECKING:
    from tests.api.chain.conftest import Chain


async def funded(bank: Bank, count: int, minor: int, **options: int) -> list[Wallet]:
    """Wallets that hold `minor` each, and a bank that has as much again."""
    wallets = await bank.open_wallets(count, deposit_minor=2_000_000, **options)
    await bank.mint(max(2 * minor * count, 1_000_000))
    await bank.finish()
    for wallet in wallets:
        await bank.fund(wallet, minor)
    await bank.finish()
    return wallets


async def test_a_funding_moves_deposit_to_wallet_and_inventory_to_custody(bank: Bank) -> None:
    (wallet,) = await bank.open_wallets(1, deposit_minor=500_000)
    await bank.mint(400_000)
    await bank.finish()

    funding = await bank.fund(wallet, 300_000)
    await bank.finish()

    assert await bank.state(funding) == ("final", None)
    assert await bank.on_chain(wallet.address) == 300_000
    assert await bank.posted(wallet.account_id) == 300_000
    assert await bank.posted(wallet.deposit_id) == 200_000
    assert await bank.posted(bank.chart.inventory) == 100_000
    assert await bank.posted(bank.chart.custody) == 300_000
    assert await bank.held(wallet.deposit_id) == 0
    assert await bank.held(bank.chart.inventory) == 0
    await bank.assert_reconciled()


async def test_a_payment_between_own_customers_moves_only_their_wallets(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)

    payment = await bank.pay(payer, payee.address, 20_000)
    await bank.step()
    included = await bank.pool.fetchval(
        "SELECT included_block FROM chain_transactions WHERE kind = 'settle' AND state = 'signed'"
    )
    assert included is not None
    assert await bank.posted(payee.account_id) == 50_000, "nothing is booked before it is final"
    await bank.finish()

    assert await bank.state(payment) == ("final", None)
    assert await bank.posted(payer.account_id) == 30_000
    assert await bank.posted(payee.account_id) == 70_000
    assert await bank.posted(bank.chart.custody) == 100_000
    assert await bank.held(payer.account_id) == 0
    await bank.assert_reconciled()


async def test_a_shortfall_is_funded_and_paid_in_one_settlement(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)

    payment = await bank.pay(payer, payee.address, 120_000, from_deposit_minor=70_000)
    await bank.finish()

    assert await bank.state(payment) == ("final", None)
    assert await bank.posted(payer.account_id) == 0
    assert await bank.posted(payee.account_id) == 170_000
    assert await bank.posted(payer.deposit_id) == 2_000_000 - 50_000 - 70_000
    held = await bank.pool.fetchval("SELECT sum(held_minor) FROM ledger_balances")
    assert held == 0
    last = await bank.pool.fetch(
        "SELECT count(*) FROM outbox_payments GROUP BY transaction_id ORDER BY max(seq) DESC LIMIT 1"
    )
    assert last[0][0] == 2, "funding and payment travel together"
    await bank.assert_reconciled()


async def test_while_only_the_funding_is_final_its_money_is_held_for_the_payment(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    payment = await bank.pay(payer, payee.address, 120_000, from_deposit_minor=70_000)
    head = await bank.rpc.latest()
    # as if the payment had been asked for in a round of its own before a crash
    later = (head.time_s // 60 + 12) * 60
    await bank.pool.execute(
        "UPDATE outbox_payments SET valid_before_s = $2 WHERE payment_id = $1", payment, later
    )

    await bank.relay.run_once()
    await bank.rpc.call("anvil_mine", hex(6))
    await bank.indexer.run_once()

    assert await bank.state(payment) == ("queued", None)
    assert await bank.posted(payer.account_id) == 120_000
    assert await bank.held(payer.account_id) == 120_000
    await bank.finish()
    assert await bank.state(payment) == ("final", None)
    assert await bank.held(payer.account_id) == 0
    await bank.assert_reconciled()


async def other_banks_customer(bank: Bank, chain: Chain, minor: int) -> Operator:
    """A customer of the other bank who holds `minor`."""
    other, customer = chain.operators["other-bank"], chain.operators["customer"]
    contract = bank.deployment.contract
    await other.send(bank.rpc, contract, encode_register([customer.address], 1, int(AccountFlag.LINKED)))
    await succeed(bank.rpc, await other.send(bank.rpc, contract, encode_mint(1_000_000)))
    if minor:
        await succeed(
            bank.rpc, await other.send(bank.rpc, contract, encode_transfer(customer.address, minor))
        )
    return customer


async def test_a_payment_to_another_banks_customer_leaves_custody(bank: Bank, chain: Chain) -> None:
    (payer,) = await funded(bank, 1, 50_000)
    customer = await other_banks_customer(bank, chain, 0)

    payment = await bank.pay(payer, customer.address, 20_000)
    await bank.finish()

    assert await bank.state(payment) == ("final", None)
    assert await bank.posted(payer.account_id) == 30_000
    assert await bank.posted(bank.chart.custody) == 30_000
    assert await bank.on_chain(customer.address) == 20_000
    await bank.assert_reconciled()


async def test_a_receipt_from_another_banks_customer_enters_custody(bank: Bank, chain: Chain) -> None:
    (payee,) = await funded(bank, 1, 50_000)
    customer = await other_banks_customer(bank, chain, 30_000)

    call = encode_transfer(payee.address, 25_000)
    await succeed(bank.rpc, await customer.send(bank.rpc, bank.deployment.contract, call))
    await bank.finish()

    assert await bank.posted(payee.account_id) == 75_000
    assert await bank.posted(bank.chart.custody) == 75_000
    assert await bank.pool.fetchval("SELECT count(*) FROM chain_cases") == 0
    await bank.assert_reconciled()


async def test_what_the_payee_may_not_hold_flows_on_to_its_deposit_account(bank: Bank) -> None:
    (payer,) = await funded(bank, 1, 500_000)
    (payee,) = await bank.open_wallets(1, tier=2)

    payment = await bank.pay(payer, payee.address, 250_000)
    await bank.finish()

    assert await bank.state(payment) == ("final", None)
    assert await bank.posted(payee.account_id) == 100_000
    assert await bank.posted(payee.deposit_id) == 150_000
    assert await bank.posted(bank.chart.custody) == 350_000
    assert await bank.posted(bank.chart.inventory) == 1_000_000 - 500_000 + 150_000
    await bank.assert_reconciled()


async def test_a_payment_to_a_full_wallet_flows_on_whole(bank: Bank) -> None:
    (payer,) = await funded(bank, 1, 500_000)
    (payee,) = await bank.open_wallets(1, tier=2)

    first, second = (
        await bank.pay(payer, payee.address, 100_000),
        await bank.pay(payer, payee.address, 70_000),
    )
    await bank.finish()

    assert [await bank.state(each) for each in (first, second)] == [("final", None)] * 2
    assert await bank.posted(payee.account_id) == 100_000
    assert await bank.posted(payee.deposit_id) == 70_000
    await bank.assert_reconciled()


async def test_a_redemption_moves_wallet_to_deposit(bank: Bank) -> None:
    (wallet,) = await funded(bank, 1, 50_000)

    redemption = await bank.redeem(wallet, 50_000)
    await bank.finish()

    assert await bank.state(redemption) == ("final", None)
    assert await bank.posted(wallet.account_id) == 0
    assert await bank.posted(wallet.deposit_id) == 2_000_000
    assert await bank.posted(bank.chart.inventory) == 1_000_000
    assert await bank.posted(bank.chart.custody) == 0
    await bank.assert_reconciled()


async def test_issuance_and_return_move_reserves_and_inventory(bank: Bank) -> None:
    await bank.open_wallets(1, deposit_minor=500_000)

    await bank.mint(400_000)
    assert await bank.held(bank.chart.reserves) == 400_000
    await bank.finish()
    assert await bank.posted(bank.chart.inventory) == 400_000
    assert await bank.posted(bank.chart.reserves) == 100_000
    assert await bank.held(bank.chart.reserves) == 0

    await bank.burn(150_000)
    await bank.finish()
    assert await bank.posted(bank.chart.inventory) == 250_000
    assert await bank.posted(bank.chart.reserves) == 250_000
    assert await bank.held(bank.chart.inventory) == 0
    await bank.assert_reconciled()


async def test_a_receipt_that_nothing_explains_waits_in_transit_with_a_case(bank: Bank, chain: Chain) -> None:
    customer = await other_banks_customer(bank, chain, 30_000)

    call = encode_transfer(bank.institution, 30_000)
    await succeed(bank.rpc, await customer.send(bank.rpc, bank.deployment.contract, call))
    await bank.finish()

    assert await bank.posted(bank.chart.inventory) == 30_000
    assert await bank.posted(bank.chart.in_transit_unidentified) == 30_000
    assert [row["kind"] for row in await bank.pool.fetch("SELECT kind FROM chain_cases")] == [
        "UnidentifiedTransfer"
    ]
    await bank.assert_reconciled()


async def test_further_receipts_of_a_payer_are_added_to_the_open_case(bank: Bank, chain: Chain) -> None:
    customer = await other_banks_customer(bank, chain, 30_000)
    other, contract = chain.operators["other-bank"], bank.deployment.contract
    await succeed(bank.rpc, await other.send(bank.rpc, contract, encode_mint(500)))
    for payer, amounts in ((customer, (1, 2)), (other, (500,)), (customer, (4,))):
        for amount_minor in amounts:
            call = encode_transfer(bank.institution, amount_minor)
            await succeed(bank.rpc, await payer.send(bank.rpc, contract, call))
        await bank.finish()

    assert await bank.posted(bank.chart.in_transit_unidentified) == 507
    assert await open_cases_in_transit(bank) == [("0x" + customer.address.hex(), 7),
                                                 ("0x" + other.address.hex(), 500)]  # fmt: skip
    entries = await bank.pool.fetchval("SELECT count(*) FROM ledger_entries WHERE kind = 'receipt'")
    assert entries == 4, "each is booked"
    await bank.assert_reconciled()

    # a person returns what the customer paid, and closes the case; what comes later is another one
    async with transaction(bank.pool) as connection:
        posting = await Posting.open(connection, [bank.chart.in_transit_unidentified, bank.chart.fees])
        legs = (
            Leg(bank.chart.in_transit_unidentified, "CZK", 7),
            Leg(bank.chart.fees, "CZK", -7),
        )
        posting.post(Entry("explained", "explained:1", None, legs))
        await posting.write()
        await connection.execute(
            "UPDATE chain_cases SET closed_at = now() WHERE detail ->> 'in_transit_minor' = '7'"
        )
    call = encode_transfer(bank.institution, 8)
    await succeed(bank.rpc, await customer.send(bank.rpc, contract, call))
    await bank.finish()
    assert await open_cases_in_transit(bank) == [("0x" + other.address.hex(), 500),
                                                 ("0x" + customer.address.hex(), 8)]  # fmt: skip
    await bank.assert_reconciled()


async def open_cases_in_transit(bank: Bank) -> list[tuple[str, int]]:
    """(payer, what waits) of the open cases of money that nothing explains."""
    rows = await bank.pool.fetch(
        """SELECT detail ->> 'payer' AS payer, (detail ->> 'in_transit_minor')::bigint AS minor
             FROM chain_cases WHERE kind = 'UnidentifiedTransfer' AND closed_at IS NULL ORDER BY id"""
    )
    return [(row["payer"], row["minor"]) for row in rows]


async def test_600_payments_are_settled_in_two_transactions_in_their_order(bank: Bank) -> None:
    payers = await bank.open_wallets(300, deposit_minor=10_000)
    await bank.mint(3_000_000)
    (payee,) = await bank.open_wallets(1)

    payments = [await bank.pay(payer, payee.address, 7_000, from_deposit_minor=7_000) for payer in payers]
    await bank.finish()

    assert {await bank.state(each) for each in payments} == {("final", None)}
    lots = await bank.pool.fetch(
        """SELECT min(seq) AS first, max(seq) AS last, count(*) AS records FROM outbox_payments
            GROUP BY transaction_id ORDER BY min(seq)"""
    )
    assert [row["records"] for row in lots] == [500, 100]
    assert lots[0]["last"] < lots[1]["first"]
    assert await bank.posted(payee.account_id) == 2_100_000
    await bank.assert_reconciled()
