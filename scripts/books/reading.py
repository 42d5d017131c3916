"""Databases and a chain, read while they may die and be revived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from api.chain.errors import RpcUnavailable
from api.chain.rpc import RpcClient
from api.database import UNREACHABLE
from api.errors import DatabaseUnavailable
from api.settings import Settings
from scripts.terminal.patience import patiently

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

CLOSE_TIMEOUT_S = 5.0

Answer = TypeVar("Answer")


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[Connection]:
    """A connection of its own. Raises DatabaseUnavailable where the server is away, or goes meanwhile."""
    connection: Connection | None = None
    try:
        connection = await asyncpg.connect(database_url)
        yield connection
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except (OSError, asyncpg.InternalClientError, *UNREACHABLE) as failure:
        raise DatabaseUnavailable from failure
    except asyncpg.InterfaceError as failure:
        if connection is None or connection.is_closed():
            raise DatabaseUnavailable from failure
        raise
    finally:
        if connection is not None and not connection.is_closed():
            connection.terminate()


async def read_patiently(settings: Settings, read: Callable[[Connection], Awaitable[Answer]]) -> Answer:
    """What `read` finds in an institution's database; read anew from the start where the server goes away.

    Raises Unanswered.
    """

    async def once() -> Answer:
        async with connected(settings.database_url) as connection:
            return await read(connection)

    return await patiently(f"the database of {settings.institution}", (DatabaseUnavailable,), once)


class PatientRpc(RpcClient):
    """A client that asks again while the node is away. For reads alone. Its calls raise Unanswered."""

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises `RpcRefused`."""
        once = super().call
        return await patiently("the chain", (RpcUnavailable,), lambda: once(method, *params))

    async def batch(self, method: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of the same method with many parameter lists, in order."""
        once = super().batch
        return await patiently("the chain", (RpcUnavailable,), lambda: once(method, calls))
