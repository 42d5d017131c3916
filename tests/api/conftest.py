"""A database of its own for every test: a copy of one that was migrated once."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.database import Pool, connect_pool, migrate, transaction
from api.ledger.chart import BankChart, open_chart
from scripts.postgres.server import Server, create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OWNER = "florin_test_owner"
APP_ROLE = "florin_test_app"


@dataclass(frozen=True)
class Database:
    """One database, and the URLs of its three kinds of user."""

    name: str
    superuser_url: str
    owner_url: str
    app_url: str


MakeDatabase = Callable[[], Database]


def _named(server: Server, name: str) -> Database:
    return Database(
        name, server.admin_url_for(name), server.uri_for(name, OWNER), server.uri_for(name, APP_ROLE)
    )


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def make_empty_database(postgres: Server) -> Iterator[MakeDatabase]:
    """Makes databases without a schema; all are dropped at the end of the session."""
    made: list[str] = []

    def make() -> Database:
        name = f"florin_test_{os.getpid()}_{len(made)}"
        drop_database(postgres, name)
        create_database(postgres, name, OWNER, APP_ROLE)
        made.append(name)
        return _named(postgres, name)

    yield make
    for name in made:
        drop_database(postgres, name)


@pytest.fixture(scope="session")
def migrated_template(make_empty_database: MakeDatabase) -> Database:
    """A migrated database that nobody connects to, so that it can be copied."""
    template = make_empty_database()
    asyncio.run(migrate(template.owner_url, APP_ROLE))
    return template


@pytest.fixture
async def database(postgres: Server, migrated_template: Database) -> AsyncIterator[Database]:
    """A migrated database of this test's own."""
    name = f"florin_test_{uuid.uuid4().hex[:12]}"
    await _execute(
        postgres.admin_url, f"CREATE DATABASE {name} TEMPLATE {migrated_template.name} OWNER {OWNER}"
    )
    yield _named(postgres, name)
    await _execute(postgres.admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections of the application's role."""
    pool = await connect_pool(database.app_url)
    yield pool
    await asyncio.wait_for(pool.close(), 10)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of the role that owns the tables."""
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that may do everything, such as ending others."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
async def chart(pool: Pool) -> BankChart:
    """A bank's fixed accounts in CZK."""
    async with transaction(pool) as connection:
        return await open_chart(connection, "bank", "CZK")
