"""Access lists: a settlement names the storage that it touches, and its bytes stay what they were.

a settlement of many accounts
├── is signed with the list of its payers' and payees' storage, which the node tells
│   └── and costs 100 less for each slot, but for 2,400, than the same without one
├── keeps its list when it is sent again, signed again for its fee, or interrupted anywhere
└── that was stored by a release without lists is sent without one
a settlement of few accounts, or where lists are switched off, has none
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import rlp

from api.chain.relay import Relay
from contracts.access_lists import access_list
from tests.api.chain.test_crashes import kill_at
from tests.api.chain.test_submitting import LAST
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from contracts.transactions import AccessList
    from tests.api.chain.bank import Bank, Wallet


def list_of(raw: bytes) -> AccessList:
    """The access list in a transaction's bytes (EIP-1559)."""
    return tuple((address, tuple(slots)) for address, slots in rlp.decode(raw[1:])[8])


async def pay_in_pairs(bank: Bank, wallets: list[Wallet], amount: int) -> list[UUID]:
    """The first half pays the second."""
    half = len(wallets) // 2
    return [
        await bank.pay(payer, payee.address, amount)
        for payer, payee in zip(wallets[:half], wallets[half:], strict=True)
    ]


def expected_list(bank: Bank, wallets: list[Wallet]) -> AccessList:
    accounts = sorted(wallet.address for wallet in wallets)
    return access_list(bank.deployment.contract, bank.institution, accounts)


async def gas_used(bank: Bank, row: asyncpg.Record) -> int:
    """What a transaction used, but for its call data: a zero byte of a signature costs less than another."""
    receipt = await bank.rpc.call("eth_getTransactionReceipt", "0x" + row["hash"].hex())
    assert receipt["status"] == "0x1"
    return int(receipt["gasUsed"], 16) - sum(16 if byte else 4 for byte in row["data"])


async def test_a_settlement_of_many_accounts_names_them_and_costs_less(bank: Bank) -> None:
    wallets = await funded(bank, 28, 50_000)
    payments = await pay_in_pairs(bank, wallets, 700)  # the first of the day costs a little more or less
    await bank.finish()
    payments += await pay_in_pairs(bank, wallets, 700)
    await bank.relay_all()

    row = await bank.pool.fetchrow(LAST)
    assert list_of(row["raw"]) == expected_list(bank, wallets)
    told = await bank.rpc.call("eth_getTransactionByHash", "0x" + row["hash"].hex())
    ((contract, slots),) = list_of(row["raw"])
    assert told["accessList"] == [
        {"address": "0x" + contract.hex(), "storageKeys": ["0x" + slot.hex() for slot in slots]}
    ]
    await bank.finish()

    listed = await gas_used(bank, row)
    bank.relay = Relay(bank.pool, bank.rpc, bank.signer, bank.deployment, sends_access_lists=False)
    payments += await pay_in_pairs(bank, wallets, 700)
    await bank.finish()
    row = await bank.pool.fetchrow(LAST)
    assert list_of(row["raw"]) == ()
    assert await gas_used(bank, row) - listed == 100 * (28 + 2) - 2_400
    assert {await bank.state(each) for each in payments} == {("final", None)}
    await bank.assert_reconciled()


async def test_a_settlement_keeps_its_list_when_it_is_sent_and_signed_again(bank: Bank) -> None:
    wallets = await funded(bank, 26, 50_000)
    snapshot = await bank.rpc.call("evm_snapshot")
    await pay_in_pairs(bank, wallets, 700)
    await bank.relay_all()
    first = await bank.pool.fetchrow(LAST)
    await bank.rpc.call("evm_revert", snapshot)  # the node forgets what it was sent

    bank.restart()
    await bank.relay.run_once()
    again = await bank.pool.fetchrow(LAST)
    assert (again["raw"], again["hash"]) == (first["raw"], first["hash"])

    dear = dataclasses.replace(await bank.rpc.latest(), base_fee=first["max_fee_per_gas"] * 3)
    bank.relay.submitting.forget_broadcasts()
    await bank.relay.submitting.rebroadcast(dear)
    raised = await bank.pool.fetchrow(LAST)
    assert raised["hash"] != first["hash"]
    assert list_of(raised["raw"]) == list_of(first["raw"]) == expected_list(bank, wallets)
    await bank.finish()
    await bank.assert_reconciled()


async def test_a_listed_settlement_that_a_crash_interrupts_anywhere_pays_everybody_once(bank: Bank) -> None:
    wallets = await funded(bank, 26, 50_000)
    payments: list[UUID] = []
    has_ended = False
    for suspensions in range(1, 400, 5):
        payments += await pay_in_pairs(bank, wallets, 10)
        has_ended = await kill_at(bank.relay.run_once(), suspensions)
        bank.restart()
        if has_ended:
            break
    assert has_ended, "every step of a round was reached"
    await bank.finish()

    rows = await bank.pool.fetch("SELECT raw FROM chain_transactions WHERE kind = 'settle'")
    assert any(list_of(row["raw"]) == expected_list(bank, wallets) for row in rows)
    assert {await bank.state(each) for each in payments} == {("final", None)}
    assert await bank.posted(wallets[-1].account_id) == 50_000 + 10 * len(payments) // 13
    await bank.assert_reconciled()


async def test_what_a_release_without_lists_had_asked_for_is_signed_without_one(bank: Bank) -> None:
    """It may have died between the signature and storing it: the signer knows this id without a list."""
    wallets = await funded(bank, 26, 50_000)
    before = Relay(bank.pool, bank.rpc, bank.signer, bank.deployment, sends_access_lists=False)
    payments = await pay_in_pairs(bank, wallets, 700)
    head = await bank.rpc.latest()
    await before.settling.prepare(head)
    await before.submitting.submit_prepared(head)
    signed = await bank.pool.fetchrow(LAST)
    assert list_of(signed["raw"]) == ()
    await bank.pool.execute(
        """UPDATE chain_transactions SET state = 'prepared', nonce = NULL, hash = NULL, raw = NULL
            WHERE id = $1""",
        signed["id"],
    )

    bank.restart()
    await bank.relay.run_once()
    assert (await bank.pool.fetchrow(LAST))["raw"] == signed["raw"]
    await bank.finish()
    assert {await bank.state(each) for each in payments} == {("final", None)}


async def test_a_settlement_of_few_accounts_has_no_list(bank: Bank) -> None:
    wallets = await funded(bank, 22, 50_000)
    await pay_in_pairs(bank, wallets, 700)
    await bank.relay_all()
    assert list_of((await bank.pool.fetchrow(LAST))["raw"]) == ()
