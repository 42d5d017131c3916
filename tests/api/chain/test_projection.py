"""The projection, and what is compared with it.

the projection
├── rebuilt from block 0 is the same, row by row
├── makes a block final once, whoever comes twice
└── knows what each participant held at a block
a reconciliation
├── finds a ledger that differs by one minor unit, and freezes settlement
├── finds a projected balance that differs from the chain's
└── finds an account whose flags differ from the chain's
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.chain.errors import ChainMoved
from api.chain.finality import make_final
from api.chain.following import Follower
from api.chain.reading import read_range
from api.chain.rebuilding import PROJECTION_TABLES, rebuild
from api.database import transaction
from tests.api.chain.bank import CONFIRMATIONS, OTHER_BANK, OWN_BANK, Bank
from tests.api.chain.operator import mine
from tests.api.chain.test_wallet_payments import funded, other_banks_customer

if TYPE_CHECKING:
    from tests.api.chain.conftest import Chain


async def test_the_projection_rebuilt_from_block_0_is_the_same(bank: Bank, chain: Chain) -> None:
    (payer,) = await funded(bank, 1, 500_000)
    (payee,) = await bank.open_wallets(1, tier=2)
    await other_banks_customer(bank, chain, 10_000)
    await bank.pay(payer, payee.address, 250_000)
    await bank.pay(payer, b"\x07" * 20, 1_000)
    await bank.finish()
    before = await bank.everything()

    async with transaction(bank.pool) as connection:
        last = await rebuild(connection, bank.rpc)

    after = await bank.everything()
    assert last == await bank.pool.fetchval("SELECT final_number FROM chain_cursor")
    assert {table: after[table] for table in PROJECTION_TABLES} == {
        table: before[table] for table in PROJECTION_TABLES
    }
    assert after == before
    await bank.assert_reconciled()


async def test_a_block_is_made_final_once_whoever_comes_twice(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    await bank.pay(payer, payee.address, 20_000)
    await bank.relay_all()
    await mine(bank.rpc, CONFIRMATIONS)
    follower = Follower(bank.pool, bank.rpc)
    await follower.load()
    await follower.advance()
    blocks = follower.between(follower.final.number + 1, follower.top.number - CONFIRMATIONS + 1)
    read = await read_range(bank.pool, bank.rpc, bank.deployment, blocks)

    results = await asyncio.gather(
        *(make_final(bank.pool, bank.books, read) for _ in range(3)), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["ChainMoved", "ChainMoved", "Projection"]
    assert await bank.posted(payee.account_id) == 70_000
    with pytest.raises(ChainMoved):
        await make_final(bank.pool, bank.books, read)
    await bank.assert_reconciled()


async def test_the_projection_knows_what_each_participant_held_at_a_block(bank: Bank, chain: Chain) -> None:
    await funded(bank, 1, 300_000)
    await other_banks_customer(bank, chain, 10_000)
    await bank.finish()

    rows = await bank.pool.fetch(
        """SELECT DISTINCT ON (participant) participant, balance_minor, institution_minor
             FROM chain_supply_history ORDER BY participant, block_number DESC"""
    )

    assert [tuple(row) for row in rows] == [
        (0, 2_000_000, 700_000 + 990_000),
        (OWN_BANK, 1_000_000, 700_000),
        (OTHER_BANK, 1_000_000, 990_000),
    ]


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("UPDATE ledger_balances SET posted_minor = posted_minor + 1 WHERE account_id = $1", "wallets"),
        ("UPDATE chain_accounts SET balance_minor = balance_minor - 1 WHERE balance_minor = 50000", "supply"),
        ("UPDATE chain_accounts SET flags = flags | 2 WHERE balance_minor = 50000", None),
    ],
    ids=["a ledger balance", "a projected balance", "a projected flag"],
)
async def test_a_reconciliation_finds_what_differs(
    bank: Bank, superuser: asyncpg.Connection[asyncpg.Record], broken: str, what: str | None
) -> None:
    (wallet,) = await funded(bank, 1, 50_000)
    await bank.assert_reconciled()

    await superuser.execute(broken, *([wallet.account_id] if "$1" in broken else []))
    bank.reconciliation.touch({wallet.address})
    reconciled = await bank.reconciliation.run_once()

    assert not reconciled.is_reconciled
    assert reconciled.mismatched == (() if what == "wallets" else ("0x" + wallet.address.hex(),))
    assert {check.name for check in reconciled.checks if check.difference_minor} >= (
        {what} if what else set()
    )
    assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "ReconciliationBreak"
    await bank.pay(wallet, b"\x07" * 20, 1_000)
    await bank.relay_all()
    assert await bank.pool.fetchval("SELECT count(*) FROM outbox_payments WHERE state = 'queued'") == 1
