"""What the application's role may do is written down once, and is no more than that.

The application's role
├── cannot change or delete what is append-only, and neither can the owner by a slip
├── cannot turn triggers off, name the writing transaction, date an entry or make balance rows
├── owns nothing and creates nothing
├── deletes only from the projection of the chain, its health, old comparisons, and what is over
└── keeps its grants exactly when the schema is migrated again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.database import Pool, migrate, transaction
from api.ledger.journal import Hold, Posting
from tests.api.conftest import APP_ROLE
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    from api.ledger.chart import BankChart
    from tests.api.conftest import Database

APPEND_ONLY = (
    "ledger_accounts",
    "ledger_entries",
    "ledger_legs",
    "ledger_holds",
    "ledger_hold_resolutions",
    "payments",
    "chain_anchors",
    "security_events",
    "notification_feed",
    "refunds",
    "chain_receipts",
)
MAY_DELETE_FROM = {
    "chain_cursor",
    "chain_blocks",
    "chain_accounts",
    "chain_tiers",
    "chain_participants",
    "chain_currency",
    "chain_supply_history",
    "chain_order_holds",
    "chain_health",
    "chain_freezes",
    "chain_reconciliations",
    "sessions",
    "contacts",
    "registrations",
    "one_time_codes",
    "throttles",
    "tickets",
    "authenticator_apps",
    "recovery_codes",
    "passkeys",
    "devices",
    "recoveries",
    "notification_deliveries",
    "sandbox_mailbox",
    "webhook_endpoints",
    "webhook_events",
    "directory_aliases",
    "directory_lookups",
    "alias_lookups",
    "customer_aliases",
    "wallet_openings",
    "approvals",
}


@pytest.fixture
async def books(pool: Pool, chart: BankChart) -> None:
    """One entry and one resolved hold."""
    from uuid import uuid4

    business = uuid4()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [chart.reserves, chart.equity])
        posting.post(transfer(chart.reserves, chart.equity, 100))
        posting.reserve(Hold(chart.reserves, 100, business))
        posting.void(business)
        await posting.write()


@pytest.mark.usefixtures("books")
async def test_what_is_append_only_stays(pool: Pool, owner: asyncpg.Connection[asyncpg.Record]) -> None:
    for table in APPEND_ONLY:
        column = await owner.fetchval(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 2", table
        )
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
        ):
            for connection in (pool, owner):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


FORBIDDEN = (
    "ALTER TABLE ledger_legs DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "DROP TRIGGER ledger_legs_balance ON ledger_legs",
    "CREATE OR REPLACE FUNCTION ledger_refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "INSERT INTO ledger_entries (id, kind, source, written_by) VALUES (1, 'k', 's', '5')",
    "INSERT INTO ledger_entries (id, kind, source, booked_at) VALUES (1, 'k', 's', '2000-01-01')",
    "INSERT INTO ledger_balances (account_id) VALUES (1)",
    "UPDATE ledger_balances SET may_be_negative = true",
    "UPDATE outbox_payments SET amount_minor = 1",
    "UPDATE chain_transactions SET data = ''",
    "UPDATE api_keys SET scopes = '{everything}'",
    "SELECT setval('ledger_entry_ids', 1)",
    "CREATE TABLE mine (id integer)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "UPDATE alembic_version SET version_num = '0000'",
)


async def test_the_application_may_not_go_around_the_rules(pool: Pool) -> None:
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_the_application_owns_nothing(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    owned = await owner.fetch(
        """SELECT relname FROM pg_class WHERE relowner = $1::text::regrole
           UNION ALL SELECT proname FROM pg_proc WHERE proowner = $1::text::regrole""",
        APP_ROLE,
    )
    assert owned == []


async def test_the_application_deletes_only_what_can_be_rebuilt_or_is_over(
    owner: asyncpg.Connection[asyncpg.Record],
) -> None:
    rows = await owner.fetch(
        """SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
              AND has_table_privilege($1, oid, 'DELETE')""",
        APP_ROLE,
    )
    assert {row["relname"] for row in rows} == MAY_DELETE_FROM


async def test_migrating_again_takes_back_what_was_granted_by_hand(
    database: Database, owner: asyncpg.Connection[asyncpg.Record], pool: Pool
) -> None:
    await owner.execute(f"GRANT DELETE ON customers TO {APP_ROLE}")
    await pool.execute("DELETE FROM customers")
    await migrate(database.owner_url, APP_ROLE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("DELETE FROM customers")
    assert await pool.fetchval("SELECT count(*) FROM customers") == 0
