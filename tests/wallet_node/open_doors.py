"""Listeners in the test's own event loop: real sockets and certificates, clocks that move when told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from uvicorn.server import ServerState

from scripts.country.certificates import make_certificates
from wallet_node.transport.endpoints import (
    AUTHORITY,
    IDENTITY,
    Endpoint,
    ServerCertificates,
    TlsEndpoint,
    listen,
)
from wallet_node.transport.limits import ConnectionLimits
from wallet_node.transport.listeners import Listener
from wallet_node.transport.routes import Application
from wallet_node.transport.serving import configuration

NOW = datetime.now(UTC)


class Clocks:
    """Seconds that pass when told, on the monotonic and on the wall clock."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return 5_000.0 + self.passed_s

    def wall(self) -> float:
        return NOW.timestamp() + self.passed_s


@asynccontextmanager
async def opened(
    application: Application,
    endpoint: Endpoint,
    certificates: Path | None = None,
    limits: ConnectionLimits | None = None,
    clocks: Clocks | None = None,
) -> AsyncIterator[Listener]:
    """One endpoint that serves until the block ends; of a TLS endpoint, `listener.endpoint` has the port."""
    clocks = clocks or Clocks()
    listening = listen(endpoint)
    if isinstance(endpoint, TlsEndpoint):
        endpoint = TlsEndpoint(endpoint.caller, endpoint.host, listening.getsockname()[1])
    listener = Listener(
        endpoint,
        listening,
        application,
        certificates=ServerCertificates(certificates) if certificates else None,
        limits=limits,
        clock=clocks.monotonic,
        wall_clock=clocks.wall,
    )
    state = ServerState()
    listener.start(configuration(application), state)
    try:
        yield listener
    finally:
        listener.close()
        for connection in list(state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        await until(lambda: not state.connections and not state.tasks)


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; fail after ten seconds of the real clock."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def swept(listener: Listener, reader: asyncio.StreamReader, clocks: Clocks) -> bytes:
    """What comes until the end of the connection, while seconds pass and the listener sweeps."""
    reading = asyncio.ensure_future(reader.read())

    def is_over() -> bool:
        clocks.passed_s += 1
        listener.sweep()
        return reading.done()

    with suppress(ConnectionResetError):
        await until(is_over)
        return await reading
    return b""


def certificates(
    directory: Path, *callers: str, now: datetime = NOW, days: int = 7, is_renewal: bool = False
) -> Path:
    """The sandbox's certificates, as the command makes them."""
    make_certificates(
        directory,
        callers,
        ["localhost", "127.0.0.1"],
        lifetime=timedelta(days=days),
        now=now,
        is_renewal=is_renewal,
    )
    return directory


def client_context(trusts: Path, identity: Path | None) -> ssl.SSLContext:
    """A client that trusts the authority of one directory, with the identity of another or without one."""
    context = ssl.create_default_context(cafile=trusts / AUTHORITY)
    if identity is not None:
        context.load_cert_chain(identity / IDENTITY)
    return context
