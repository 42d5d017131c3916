"""Transactions, notifications and migrations.

A migration
├── of an empty database brings it to the newest revision
├── again changes nothing and is quick; two at once do not collide
└── of a database made by a newer version is refused
A transaction
├── commits at the end of its block and rolls back when the block raises
├── on a server that is away is DatabaseUnavailable, and the pool recovers
└── run again after a deadlock or conflict, and only then
Notifications
├── sent after the block began are all heard, with their payloads
├── are none after a silence
└── on a lost connection raise
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.database import (
    Connection,
    Pool,
    TransactionConflict,
    UnknownSchema,
    connect_pool,
    head_revision,
    is_migrated,
    listen,
    migrate,
    run_in_transaction,
    transaction,
)
from api.errors import DatabaseUnavailable
from tests.api.conftest import APP_ROLE, Database

if TYPE_CHECKING:
    from tests.api.conftest import MakeDatabase

INSERT = "INSERT INTO chain_cases (kind, detail) VALUES ('test', '{}')"
COUNT = "SELECT count(*) FROM chain_cases"


def test_an_empty_database_is_migrated_by_two_at_once(make_empty_database: MakeDatabase) -> None:
    empty = make_empty_database()

    async def both() -> None:
        await asyncio.gather(migrate(empty.owner_url, APP_ROLE), migrate(empty.owner_url, APP_ROLE))
        pool = await connect_pool(empty.app_url)
        async with pool.acquire() as connection:
            assert await is_migrated(connection)
        await pool.close()

    asyncio.run(both())


async def test_migrating_again_keeps_what_is_there(database: Database, pool: Pool) -> None:
    await pool.execute(INSERT)
    await migrate(database.owner_url, APP_ROLE)
    assert await pool.fetchval(COUNT) == 1


def test_the_newest_revision_is_that_of_alembic() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "api:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [head_revision()]


async def test_a_database_of_a_newer_version_is_refused(
    database: Database, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    assert not await is_migrated(owner)
    with pytest.raises(UnknownSchema, match="9999"):
        await migrate(database.owner_url, APP_ROLE)


async def test_a_block_commits_whole_or_not_at_all(pool: Pool) -> None:
    async def insert(*, fails: bool) -> None:
        async with transaction(pool) as connection:
            await connection.execute(INSERT)
            if fails:
                raise KeyError

    await insert(fails=False)
    with pytest.raises(KeyError):
        await insert(fails=True)
    assert await pool.fetchval(COUNT) == 1


async def test_a_lost_server_is_unavailable_and_the_pool_recovers(
    pool: Pool, superuser: asyncpg.Connection[asyncpg.Record]
) -> None:
    async def insert(*, is_killed: bool) -> None:
        async with transaction(pool) as connection:
            if is_killed:
                await superuser.execute("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())
            await connection.execute(INSERT)

    with pytest.raises(DatabaseUnavailable):
        await insert(is_killed=True)
    await insert(is_killed=False)
    assert await pool.fetchval(COUNT) == 1


async def test_an_absent_server_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await connect_pool("postgresql://nobody@/none?host=/nonexistent")


async def test_a_conflict_runs_the_work_again(pool: Pool) -> None:
    runs = 0

    async def work(connection: Connection) -> int:
        nonlocal runs
        runs += 1
        await connection.execute(INSERT)
        if runs < 3:
            raise TransactionConflict
        return runs

    assert await run_in_transaction(pool, work) == 3
    assert await pool.fetchval(COUNT) == 1


async def test_a_deadlock_runs_its_victim_again(pool: Pool) -> None:
    await pool.execute("INSERT INTO chain_health (component, is_ok) VALUES ('a', true), ('b', true)")
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    async def work(first: str, second: str) -> None:
        is_first_run = True

        async def lock_both(connection: Connection) -> None:
            nonlocal runs, is_first_run
            runs += 1
            await connection.execute("SELECT FROM chain_health WHERE component = $1 FOR UPDATE", first)
            if is_first_run:
                is_first_run = False
                await both_hold_one.wait()
            await connection.execute("SELECT FROM chain_health WHERE component = $1 FOR UPDATE", second)

        await run_in_transaction(pool, lock_both)

    async with asyncio.timeout(30):
        await asyncio.gather(work("a", "b"), work("b", "a"))
    assert runs >= 3


async def test_work_that_fails_otherwise_runs_once(pool: Pool) -> None:
    runs = 0

    async def work(_connection: Connection) -> None:
        nonlocal runs
        runs += 1
        raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await run_in_transaction(pool, work)
    assert runs == 1


async def test_notifications_are_heard_with_their_payloads(pool: Pool, database: Database) -> None:
    async with listen(database.app_url, "florin_final", "florin_outbox") as notifications:
        assert await notifications.wait(0.01) == []
        async with transaction(pool) as connection:
            await connection.execute("SELECT pg_notify('florin_final', '7')")
            await connection.execute("NOTIFY florin_outbox")
        heard: list[tuple[str, str]] = []
        async with asyncio.timeout(10):
            while len(heard) < 2:
                heard += await notifications.wait(10)
        assert heard == [("florin_final", "7"), ("florin_outbox", "")]


async def test_a_lost_listener_is_told(
    database: Database, superuser: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with listen(database.app_url, "florin_final") as notifications:
        waiting = asyncio.create_task(notifications.wait(30))
        await superuser.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        with pytest.raises(DatabaseUnavailable):
            await waiting
