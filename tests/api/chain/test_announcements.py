"""What is announced of payments on a chain that changes its mind.

A payment that was included, taken back by a reorganisation and included again
├── is told as final once, and only when it is
└── also by an announcer and an indexer that start again in between
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.database import transaction
from api.notifications.people import enrol
from api.payments.announcing import Announcing
from tests.api.chain.bank import CONFIRMATIONS, CURRENCY, Bank
from tests.api.chain.operator import mine
from tests.api.chain.test_reorganisations import reorganise
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    import uuid

    from tests.api.chain.bank import Wallet


async def enrolled(bank: Bank, name: str, wallet: Wallet, index: int) -> None:
    """A customer with this wallet, who signed in once."""
    async with transaction(bank.pool) as conn:
        await conn.execute(
            "INSERT INTO customers (id, reference, name) VALUES ($1, $2, $2)", wallet.wallet_id, name
        )
        await conn.execute(
            """INSERT INTO wallets (id, reference, customer_id, currency, tier, key_index, ledger_account_id)
               VALUES ($1, $2, $1, $3, 1, $4, $5)""",
            wallet.wallet_id,
            name,
            CURRENCY,
            index,
            wallet.account_id,
        )
        await enrol(conn, wallet.wallet_id)


async def accept(bank: Bank, payer: Wallet, payee: Wallet, amount_minor: int) -> uuid.UUID:
    """A payment as the payments room writes it."""
    payment_id = await bank.pay(payer, payee.address, amount_minor)
    await bank.pool.execute(
        """INSERT INTO payments (id, kind, payer_wallet_id, payee_wallet_id, amount_minor, currency,
                                 request_hash, caller)
           VALUES ($1, 'payment', $2, $3, $4, $5, '', 'test')""",
        payment_id,
        payer.wallet_id,
        payee.wallet_id,
        amount_minor,
        CURRENCY,
    )
    return payment_id


async def told(bank: Bank) -> list[tuple[str, str]]:
    """Everything that was told, after another look by an announcer that has just started."""
    oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    now = await bank.pool.fetchval("SELECT pg_current_xact_id()::text::bigint")
    while await bank.pool.fetchval(oldest) <= now:
        pass
    while await Announcing(bank.pool, CURRENCY).run_once():
        pass
    rows = await bank.pool.fetch(
        """SELECT c.reference, f.kind FROM notification_feed f JOIN customers c ON c.id = f.customer_id
            ORDER BY f.seq"""
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("depth", [1, 5])
async def test_a_payment_is_told_as_final_once_and_only_when_it_is(bank: Bank, depth: int) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    for index, (name, wallet) in enumerate((("ann", payer), ("bob", payee)), 1_000):
        await enrolled(bank, name, wallet, index)
    assert await told(bank) == [], "what was final before they signed in is history"

    payment_id = await accept(bank, payer, payee, 30_000)
    accepted = [("ann", "payment_accepted")]
    assert await told(bank) == accepted
    await bank.relay_all()
    await mine(bank.rpc, depth)
    await bank.indexer.run_once()
    assert await told(bank) == accepted, "included is not final"
    await reorganise(bank, depth)
    await bank.indexer.run_once()
    bank.restart()
    assert await told(bank) == accepted
    await bank.relay_all()
    await mine(bank.rpc, CONFIRMATIONS - 1)
    await bank.indexer.run_once()
    assert await told(bank) == accepted, "one confirmation is missing"
    await mine(bank.rpc)
    await bank.indexer.run_once()
    assert await bank.state(payment_id) == ("final", None)
    assert await told(bank) == [*accepted, ("ann", "payment_final"), ("bob", "payment_received")]
    bank.restart()
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    assert len(await told(bank)) == 3
