"""PostgreSQL as the rooms use it: pools, transactions, notifications and migrations.

Everything runs at READ COMMITTED, where each statement sees what committed before it began: rooms lock
rows first and decide on what they then read. The application's role owns no table; `migrate` runs as the
owner.
"""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import asyncpg

from api.errors import DatabaseUnavailable, FlorinError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Any
    Pool = asyncpg.Pool

Result = TypeVar("Result")

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_MIGRATION_LOCK: Final = 0x464C4F52494E  # "FLORIN": one migration of a database at a time
_SESSION: Final = {"timezone": "UTC", "jit": "off", "application_name": "florin"}

UNREACHABLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What asyncpg raises when the server is away, going or not yet back."""


class TransactionConflict(FlorinError):
    """Two transactions met in a way that one of them must run again; nothing of this one is left."""

    def __init__(self) -> None:
        super().__init__("TransactionConflict", 503, "The books changed meanwhile: send the request again.")


class UnknownSchema(FlorinError):
    """A database whose schema this version of the code does not know (made by a newer one)."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            "UnknownSchema",
            500,
            f"The database is at revision {revision!r}, which is unknown here: run the newer version.",
            revision=revision,
        )


async def connect_pool(database_url: str, *, min_size: int = 1, max_size: int = 8) -> Pool:
    """A pool of connections of the application's role. Raises `DatabaseUnavailable`."""
    try:
        return await asyncpg.create_pool(
            database_url, min_size=min_size, max_size=max_size, server_settings=_SESSION
        )
    except (OSError, *UNREACHABLE) as failure:
        raise DatabaseUnavailable from failure


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One connection in one transaction: commits at the end of the block, rolls back when the block raises.

    Raises `DatabaseUnavailable` when the server is away. The block runs once; for work that may be run
    again after a deadlock use `run_in_transaction`.
    """
    try:
        connection = await pool.acquire()
    except (OSError, *UNREACHABLE) as failure:
        raise DatabaseUnavailable from failure
    try:
        async with connection.transaction():
            yield connection
    except UNREACHABLE as failure:
        raise DatabaseUnavailable from failure
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError) as failure:
        if _is_lost(connection, failure):
            raise DatabaseUnavailable from failure
        raise
    finally:
        await pool.release(connection)


def _is_lost(connection: Connection, failure: Exception) -> bool:
    """Whether the driver's error means that the server is gone, rather than that we misused the driver."""
    try:
        if isinstance(failure, asyncpg.InternalClientError):
            # the session ended while nobody was reading, and the driver has lost count
            connection.terminate()
            return True
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True  # the pool has already taken the dead connection back


async def run_in_transaction(
    pool: Pool, work: Callable[[Connection], Awaitable[Result]], *, attempts: int = 5
) -> Result:
    """Run `work` in a transaction of its own, and again after a deadlock or `TransactionConflict`.

    Only for work whose effects all lie in the database: such a failure has rolled them back whole, so that
    another run is safe. Nothing else is retried: after a lost connection the commit may have happened.
    """
    for attempt in range(1, attempts + 1):
        try:
            async with transaction(pool) as connection:
                return await work(connection)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, TransactionConflict):
            if attempt == attempts:
                raise
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads retries, no secret
    raise AssertionError("unreachable: the last attempt returns or raises")


class Notifications:
    """What arrived on the channels of one `listen` block."""

    def __init__(self) -> None:
        self._arrived: list[tuple[str, str]] = []
        self._wake = asyncio.Event()
        self._is_lost = False

    async def wait(self, timeout_s: float) -> list[tuple[str, str]]:
        """Everything that arrived since the last call, as (channel, payload); empty after `timeout_s`.

        Notifications are hints: a loop that calls this must also look at the tables when nothing came.
        Raises `DatabaseUnavailable` when the connection is gone.
        """
        if not self._wake.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                return []
        if self._is_lost:
            raise DatabaseUnavailable
        self._wake.clear()
        arrived, self._arrived = self._arrived, []
        return arrived

    def _receive(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._arrived.append((channel, str(payload)))
        self._wake.set()

    def _lose(self, _connection: object) -> None:
        self._is_lost = True
        self._wake.set()


@asynccontextmanager
async def listen(database_url: str, *channels: str) -> AsyncIterator[Notifications]:
    """Listen on `channels` over a connection of its own. Raises `DatabaseUnavailable`.

    The LISTEN is in force when the block begins: what commits afterwards is heard.
    """
    notifications = Notifications()
    try:
        connection = await asyncpg.connect(database_url, server_settings=_SESSION)
        for channel in channels:
            await connection.add_listener(channel, notifications._receive)  # noqa: SLF001 - the two halves of one thing
    except (OSError, *UNREACHABLE) as failure:
        raise DatabaseUnavailable from failure
    connection.add_termination_listener(notifications._lose)  # noqa: SLF001
    try:
        yield notifications
    finally:
        connection.remove_termination_listener(notifications._lose)  # noqa: SLF001
        await connection.close(timeout=5)


async def migrate(owner_url: str, app_role: str) -> None:
    """Bring the schema to this version's and give the application's role exactly its grants.

    Runs as the owner of the database; safe to run again and from several processes at once. Alembic is
    imported only when there is something to do, because that costs more than everything else here. Raises
    `UnknownSchema`.
    """
    connection = await asyncpg.connect(owner_url, server_settings=_SESSION)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        at = await _revision(connection)
        if at is not None and at > head_revision():
            raise UnknownSchema(at)
        if at != head_revision():
            await _upgrade(owner_url)
        async with connection.transaction():
            grants = (_MIGRATIONS / "grants.sql").read_text(encoding="utf-8")
            await connection.execute(grants.replace(":app_role", _quoted(app_role)))
    finally:
        await connection.close()


def head_revision() -> str:
    """The newest revision of this version of the code: the number at the front of its file's name."""
    names = (path.name for path in (_MIGRATIONS / "versions").glob("*.py"))
    return max(name.split("_")[0] for name in names if re.match(r"[0-9]{4}_", name))


async def is_migrated(connection: Connection) -> bool:
    """Whether the schema is exactly this version's; the application's role may ask."""
    return await _revision(connection) == head_revision()


async def _revision(connection: Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM public.alembic_version")
    return revision


async def _upgrade(owner_url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(owner_url, server_settings=_SESSION)

    def upgrade(connection: Any) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
