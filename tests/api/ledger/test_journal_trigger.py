"""The database refuses unbalanced books by itself, whatever the application sends.

Legs are inserted
├── when debits and credits differ: refused
├── when they balance only across two currencies: refused
├── when they balance only across own and memo accounts: refused
├── when an account does not exist: refused
├── when an account is not carried in the leg's currency: refused
├── when the entry does not exist: refused
├── when the entry was written by another transaction: refused
├── when the two halves of an entry come in two statements: refused
├── when temporary tables stand in front of the real ones: refused all the same
└── when each entry balances in one statement: taken
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.database import Connection, Pool, transaction
from api.ledger.chart import open_chart

if TYPE_CHECKING:
    from api.ledger.chart import BankChart
    from tests.api.conftest import Database

Legs = list[tuple[int, int, str, int]]

BALANCE = "ledger_legs_balance"
ACCOUNT_EXISTS = "ledger_legs_account_exists"
ENTRY_IS_OF_THIS_TRANSACTION = "ledger_legs_entry_is_of_this_transaction"


async def insert_entry(conn: Connection, entry_id: int) -> None:
    await conn.execute(
        "INSERT INTO ledger_entries (id, kind, source) VALUES ($1, 'test', $2)", entry_id, f"test:{entry_id}"
    )


async def insert_legs(conn: Connection, legs: Legs) -> None:
    """All legs in one statement."""
    await conn.execute(
        """INSERT INTO ledger_legs (entry_id, account_id, currency, amount_minor)
           SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])""",
        *(list(column) for column in zip(*legs, strict=True)),
    )


async def write(pool: Pool, entry_ids: list[int], legs: Legs) -> None:
    """Entries and all legs in one transaction."""
    async with transaction(pool) as conn:
        for entry_id in entry_ids:
            await insert_entry(conn, entry_id)
        await insert_legs(conn, legs)


@pytest.mark.parametrize(
    ("case", "constraint"),
    [
        ("they differ", BALANCE),
        ("they balance only across currencies", BALANCE),
        ("they balance only across own and memo", BALANCE),
        ("they balance only across entries", BALANCE),
        ("an account does not exist", ACCOUNT_EXISTS),
        ("they balance on accounts that do not exist", ACCOUNT_EXISTS),
        ("an account is carried in another currency", ACCOUNT_EXISTS),
        ("the entry does not exist", ENTRY_IS_OF_THIS_TRANSACTION),
    ],
)
async def test_legs_are_refused_when(pool: Pool, chart: BankChart, case: str, constraint: str) -> None:
    async with transaction(pool) as conn:
        euro = await open_chart(conn, "bank", "EUR")
    legs: Legs = {
        "they differ": [(1, chart.reserves, "CZK", 10), (1, chart.fees, "CZK", -9)],
        "they balance only across currencies": [
            (1, chart.reserves, "CZK", 10),
            (1, euro.fees, "EUR", -10),
        ],
        "they balance only across own and memo": [
            (1, chart.reserves, "CZK", 10),
            (1, chart.custody, "CZK", -10),
        ],
        "they balance only across entries": [
            (1, chart.reserves, "CZK", 10),
            (2, chart.fees, "CZK", -10),
        ],
        "an account does not exist": [(1, chart.reserves, "CZK", 10), (1, 987654321, "CZK", -10)],
        "they balance on accounts that do not exist": [(1, 987654321, "CZK", 10), (1, 987654322, "CZK", -10)],
        "an account is carried in another currency": [
            (1, chart.reserves, "CZK", 10),
            (1, euro.fees, "CZK", -10),
        ],
        "the entry does not exist": [(3, chart.reserves, "CZK", 10), (3, chart.fees, "CZK", -10)],
    }[case]
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await write(pool, [1, 2], legs)
    assert refusal.value.constraint_name == constraint
    assert await pool.fetchval("SELECT count(*) FROM ledger_legs") == 0


async def test_legs_are_refused_for_an_entry_of_another_transaction(pool: Pool, chart: BankChart) -> None:
    legs: Legs = [(1, chart.reserves, "CZK", 10), (1, chart.fees, "CZK", -10)]
    await write(pool, [1], legs)
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await write(pool, [], legs)
    assert refusal.value.constraint_name == ENTRY_IS_OF_THIS_TRANSACTION


async def test_the_halves_of_an_entry_are_refused_in_two_statements(pool: Pool, chart: BankChart) -> None:
    for half in ((1, chart.reserves, "CZK", 10), (1, chart.fees, "CZK", -10)):
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await write(pool, [1], [half])
        assert refusal.value.constraint_name == BALANCE


async def test_temporary_tables_do_not_stand_in_for_the_real_ones(
    pool: Pool, chart: BankChart, database: Database, superuser: asyncpg.Connection[asyncpg.Record]
) -> None:
    await superuser.execute(f"GRANT TEMPORARY ON DATABASE {database.name} TO PUBLIC")
    async with pool.acquire() as conn:
        await conn.execute(
            """CREATE TEMPORARY TABLE ledger_accounts AS
               SELECT id, currency, 'own'::text AS class FROM public.ledger_accounts"""
        )
        attempt = conn.transaction()
        await attempt.start()
        await insert_entry(conn, 1)
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await insert_legs(conn, [(1, chart.reserves, "CZK", 10), (1, chart.custody, "CZK", -10)])
        assert refusal.value.constraint_name == BALANCE
        await attempt.rollback()


async def test_entries_that_each_balance_are_taken_in_one_statement(pool: Pool, chart: BankChart) -> None:
    legs: Legs = [
        (1, chart.reserves, "CZK", 10),
        (2, chart.reserves, "CZK", 7),
        (1, chart.fees, "CZK", -4),
        (1, chart.fees, "CZK", -6),
        (2, chart.fees, "CZK", -7),
    ]
    await write(pool, [1, 2], legs)
    assert await pool.fetchval("SELECT count(*) FROM ledger_legs") == 5


@pytest.mark.parametrize(
    ("kind", "account_class", "normal_side"),
    [("wallet", "own", -1), ("inventory", "own", -1), ("suspense", "own", 1)],
)
async def test_an_account_outside_the_chart_is_refused(
    pool: Pool, kind: str, account_class: str, normal_side: int
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(
            """INSERT INTO ledger_accounts (code, kind, class, currency, normal_side)
               VALUES ('x', $1, $2, 'CZK', $3)""",
            kind, account_class, normal_side,
        )  # fmt: skip
