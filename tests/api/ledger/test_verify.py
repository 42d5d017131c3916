"""Verification finds every kind of damage that the schema would have refused.

Each case is done by the owner with the triggers off, as an attacker or a broken restore would.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from api.database import Pool, transaction
from api.ledger import verify
from api.ledger.journal import Hold, Posting
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    import asyncpg

    from api.ledger.chart import BankChart
    from tests.api.ledger.conftest import Deposits

DAMAGE = {
    "posted balance": "UPDATE ledger_balances SET posted_minor = posted_minor + 1 WHERE account_id = {payer}",
    "held balance": "UPDATE ledger_balances SET held_minor = held_minor + 1 WHERE account_id = {payer}",
    "balance below zero": "INSERT INTO ledger_legs VALUES (1, {payer}, 'CZK', 999), (1, {fees}, 'CZK', -999)",
    "trial balance": "INSERT INTO ledger_legs VALUES (1, {payer}, 'CZK', 5)",
    "entry balances": "INSERT INTO ledger_legs VALUES (1, {payer}, 'CZK', 5), (2, {payer}, 'CZK', -5)",
    "leg has its account": "INSERT INTO ledger_legs VALUES (1, {payer}, 'EUR', 5)",
    "leg has its entry": "INSERT INTO ledger_legs VALUES (99, {payer}, 'CZK', 5), (99, {fees}, 'CZK', -5)",
    "entry has legs": "INSERT INTO ledger_entries (id, kind, source) VALUES (99, 'k', 's')",
    "source is unique": "INSERT INTO ledger_entries (id, kind, source) VALUES (99, 'k', 'paid')",
    "hold has its account": "INSERT INTO ledger_holds VALUES (99, 987654321, 5, '{business}')",
    "resolution has its hold": "INSERT INTO ledger_hold_resolutions VALUES (99, 'voided')",
    "posted hold has its entry": "UPDATE ledger_hold_resolutions SET entry_id = 99",
}


async def pay(pool: Pool, payer: int, payee: int) -> uuid.UUID:
    """One posted hold and one that is still open; returns the open one's business."""
    paid, still_open = uuid.uuid4(), uuid.uuid4()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        posting.reserve(Hold(payer, 30, paid))
        posting.reserve(Hold(payer, 20, still_open))
        posting.post(transfer(payer, payee, 30, "paid"), resolves=paid)
        await posting.write()
    return still_open


def test_every_check_has_its_damage() -> None:
    assert set(DAMAGE) == set(verify._CHECKS)


@pytest.mark.parametrize("check", DAMAGE)
async def test_damage_is_found(
    pool: Pool,
    owner: asyncpg.Connection[asyncpg.Record],
    chart: BankChart,
    deposits: Deposits,
    check: str,
) -> None:
    payer, payee = await deposits(100, 0)
    business = await pay(pool, payer, payee)
    assert await verify.verify_ledger(owner) == []
    for table in ("entries", "legs", "holds", "hold_resolutions"):
        await owner.execute(f"ALTER TABLE ledger_{table} DISABLE TRIGGER USER")
    await owner.execute("ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_source_key")
    await owner.execute(DAMAGE[check].format(payer=payer, fees=chart.fees, business=business))
    found = await verify.verify_ledger(owner)
    assert check in {difference.check for difference in found}


async def test_a_difference_names_the_account_and_both_values(
    pool: Pool, owner: asyncpg.Connection[asyncpg.Record], deposits: Deposits
) -> None:
    payer, payee = await deposits(100, 0)
    await pay(pool, payer, payee)
    await owner.execute("UPDATE ledger_balances SET posted_minor = 71 WHERE account_id = $1", payer)
    assert await verify.verify_ledger(owner) == [
        verify.Difference("posted balance", "deposit:customer-0 CZK", "70", "71")
    ]
