"""The worker of one institution: relay, indexer, reconciliation, anchoring, outreach, standing orders.

    python -m api.workers --settings FILE

Exit status: 0 after SIGTERM or SIGINT, 3 when the chain is not the one that the books were built on or its
manifest is another version's, 2 for settings that cannot be used. Everything else is retried: the tasks
outlive the database, the chain and the signer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import asyncpg

from api.chain.alarms import Component, report_health
from api.chain.anchoring import Anchoring
from api.chain.booking import Books
from api.chain.deployment import Deployment, open_cursor, require_own_chain
from api.chain.errors import BooksAndChainDiffer, FlowFrozen, ForeignChain, LeaseLost, UnusableManifest
from api.chain.indexer import Indexer
from api.chain.outbox import CHANNEL as OUTBOX_CHANNEL
from api.chain.reconciliation import Reconciliation
from api.chain.relay import Relay
from api.chain.rpc import RpcClient
from api.chain.signer_client import SignerClient
from api.database import connect_pool, listen, transaction
from api.errors import FlorinError
from api.institution import Institution
from api.ledger.chart import open_chart
from api.outreach import Outreach
from api.payments.aliases import show_payments
from api.payments.directory_client import DirectoryClient
from api.payments.order_runs import run_due
from api.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from api.database import Pool

logger = logging.getLogger("florin.worker")

LEASE_KEY: Final = 0x464C574F524B  # "FLWORK": one worker for each institution's database
HEALTH_EVERY_S: Final = 2.0
IDLE_RELAY_S: Final = 0.5
RECONCILE_EVERY_S: Final = 3.0
RECONCILE_IDLE_S: Final = 15.0
ANCHOR_LOOK_S: Final = 10.0
SHOW_PAYMENTS_EVERY_S: Final = 5.0
ORDERS_LOOK_S: Final = 5.0
ANCHORING_KEYS: Final = {"central_bank": "issuer", "bank": "institution"}
FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a worker works with."""

    settings: Settings
    pool: Pool
    rpc: RpcClient
    signer: SignerClient
    deployment: Deployment
    books: Books


class Worker:
    """The tasks of one institution, built once for each lease."""

    def __init__(self, reach: Reach) -> None:
        self._settings, self._pool, self._rpc, self._signer = (
            reach.settings,
            reach.pool,
            reach.rpc,
            reach.signer,
        )
        self._institution = Institution(reach.settings, reach.pool, reach.books.chart)
        self._relay_wake = asyncio.Event()
        self._reconcile_wake = asyncio.Event()
        self._reported: dict[Component, tuple[bool, float]] = {}
        is_bank = reach.settings.kind == "bank"
        self.outreach = Outreach(reach.settings, reach.pool) if is_bank else None
        self.relay = Relay(
            reach.pool,
            reach.rpc,
            reach.signer,
            reach.deployment,
            sends_access_lists=reach.settings.sends_access_lists,
        )
        self.reconciliation = Reconciliation(reach.pool, reach.rpc, reach.deployment, reach.books)
        self.anchoring = Anchoring(
            reach.pool,
            reach.signer,
            ANCHORING_KEYS[reach.settings.kind],
            reach.books.participant,
            reach.settings.anchor_every_s,
        )
        self.indexer = Indexer(
            reach.pool,
            reach.rpc,
            reach.deployment,
            reach.books,
            confirmations=reach.settings.confirmations,
            on_final=self._on_final,
        )

    async def run(self) -> None:
        """Run every task until cancelled."""
        steps: dict[Component, Callable[[], Awaitable[str]]] = {
            "relay": self._relay_step,
            "indexer": self._indexer_step,
            "reconciliation": self._reconciliation_step,
            "anchoring": self._anchoring_step,
            "signer": self._signer_step,
            "chain": self._chain_step,
        }
        if self._institution.settings.kind == "bank":
            steps["orders"] = self._orders_step
        if self.outreach is not None:
            steps |= self.outreach.steps()
        try:
            async with asyncio.TaskGroup() as tasks:
                for component, step in steps.items():
                    tasks.create_task(self._supervise(component, step))
                tasks.create_task(self._hear())
                if self._settings.directory_url:
                    tasks.create_task(self._show_alias_payments())
        finally:
            if self.outreach is not None:
                await self.outreach.close()

    async def _relay_step(self) -> str:
        self._relay_wake.clear()
        if not await self.relay.run_once():
            await _wait(self._relay_wake, IDLE_RELAY_S)
        return ""

    async def _indexer_step(self) -> str:
        tip = await self.indexer.run_once()
        if tip is None:
            raise FlowFrozen("indexer")
        self._relay_wake.set()  # what was included makes room for more
        await asyncio.sleep(self._settings.poll_interval_s)
        return f"final {tip.final_number}, head {tip.head_number}"

    async def _reconciliation_step(self) -> str:
        reconciled = await self.reconciliation.run_once()
        if reconciled is not None and not reconciled.is_reconciled:
            raise BooksAndChainDiffer(reconciled.difference_minor, len(reconciled.mismatched))
        await asyncio.sleep(RECONCILE_EVERY_S)
        if not self.reconciliation.is_waiting:
            self._reconcile_wake.clear()
            await _wait(self._reconcile_wake, RECONCILE_IDLE_S)
        return ""

    async def _anchoring_step(self) -> str:
        await self.anchoring.run_once()
        await asyncio.sleep(min(self._settings.anchor_every_s / 3, ANCHOR_LOOK_S))
        return ""

    async def _orders_step(self) -> str:
        await run_due(self._institution, datetime.now(UTC))
        await asyncio.sleep(ORDERS_LOOK_S)
        return ""

    async def _signer_step(self) -> str:
        keys = await self._signer.keys()
        await asyncio.sleep(HEALTH_EVERY_S)
        return f"policy {keys.policy_name}"

    async def _chain_step(self) -> str:
        head = await self._rpc.latest()
        await asyncio.sleep(HEALTH_EVERY_S)
        return f"head {head.number}"

    def _on_final(self, touched: set[bytes]) -> None:
        if touched:
            self.reconciliation.touch(touched)
            self._reconcile_wake.set()

    async def _hear(self) -> None:
        """Wake the relay when something was enqueued, and outreach; they also look by themselves."""
        channels = self.outreach.channels if self.outreach is not None else (OUTBOX_CHANNEL,)
        while True:
            with contextlib.suppress(FlorinError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with listen(self._settings.database_url, *channels) as notifications:
                    while True:
                        heard = {channel for channel, _ in await notifications.wait(LAST_RETRY_S)}
                        if OUTBOX_CHANNEL in heard:
                            self._relay_wake.set()
                        if self.outreach is not None:
                            self.outreach.hear(heard)
            await asyncio.sleep(FIRST_RETRY_S)

    async def _show_alias_payments(self) -> None:
        """Have the directory give back what look-ups cost that led to payments. Nothing waits for it."""
        async with DirectoryClient.of(self._settings) as directory:
            while True:
                try:
                    await show_payments(self._pool, directory)
                except (FlorinError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
                    logger.warning("alias look-ups: %s", failure)
                await asyncio.sleep(SHOW_PAYMENTS_EVERY_S)

    async def _supervise(self, component: Component, step: Callable[[], Awaitable[str]]) -> None:
        """Repeat a step for ever; what fails is reported and tried again, later and later."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self._report(component, is_ok=True, detail=await step())
                retry_s = FIRST_RETRY_S
            except ForeignChain:
                raise
            except Exception as failure:
                logger.warning("%s: %s", component, failure, exc_info=not _is_weather(failure))
                await self._report(component, is_ok=False, detail=f"{type(failure).__name__}: {failure}")
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _report(self, component: Component, *, is_ok: bool, detail: str) -> None:
        """Write a health row when it changed or is about to look old."""
        was_ok, at = self._reported.get(component, (None, 0.0))
        if was_ok == is_ok and time.monotonic() - at < HEALTH_EVERY_S:
            return
        self._reported[component] = (is_ok, time.monotonic())
        with contextlib.suppress(FlorinError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await report_health(self._pool, component, is_ok, detail)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


@contextlib.asynccontextmanager
async def lease(database_url: str) -> AsyncIterator[asyncio.Event]:
    """Hold the one lease on an institution's database; yields an event that is set when it is lost.

    The lock is the connection's own, so it ends with the process however that ends.
    """
    lost = asyncio.Event()
    connection = await asyncpg.connect(database_url)
    try:
        connection.add_termination_listener(lambda _connection: lost.set())
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEASE_KEY):
            logger.info("another worker holds the lease; waiting")
            await asyncio.sleep(1)
        yield lost
    finally:
        with contextlib.suppress(Exception):
            await connection.close(timeout=2)


async def serve(settings: Settings) -> None:
    """Run the institution's worker until cancelled. Raises `ForeignChain` and `UnusableManifest`."""
    while True:
        try:
            await _serve_with_lease(settings)
        except Exception as failure:
            cause = _first(failure)
            if isinstance(cause, ForeignChain | UnusableManifest):
                raise cause from None
            logger.warning("starting again: %s", cause, exc_info=None if _is_weather(cause) else failure)
        await asyncio.sleep(1)


async def _serve_with_lease(settings: Settings) -> None:
    deployment = Deployment.load(settings.manifest_path)
    async with (
        lease(settings.database_url) as lost,
        RpcClient(settings.rpc_url) as rpc,
        SignerClient(settings.signer_socket) as signer,
    ):
        pool = await connect_pool(settings.database_url)
        try:
            await _require_own_chain(pool, rpc, deployment)
            async with transaction(pool) as connection:
                await open_cursor(connection, rpc, deployment)
                chart = await open_chart(connection, settings.kind, settings.currency)
            books = Books(chart, settings.participant_id)
            worker = Worker(
                Reach(
                    settings=settings, pool=pool, rpc=rpc, signer=signer, deployment=deployment, books=books
                )
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(worker.run())
                await lost.wait()
                raise LeaseLost
        finally:
            pool.terminate()


async def _require_own_chain(pool: Pool, rpc: RpcClient, deployment: Deployment) -> None:
    try:
        await require_own_chain(rpc, deployment)
    except FlorinError as failure:
        await report_health(pool, "chain", False, str(failure))
        raise


def _is_weather(failure: BaseException) -> bool:
    """Whether the world around the worker failed, and not the worker."""
    return isinstance(failure, FlorinError | OSError | asyncpg.PostgresError | asyncpg.InterfaceError)


def _first(failure: BaseException) -> BaseException:
    """The first leaf of an exception group."""
    leaf = failure
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf


async def _run_until_signalled(settings: Settings) -> None:
    serving = asyncio.ensure_future(serve(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        import uvloop
    except ImportError:  # not on every platform
        asyncio.run(work)
    else:
        uvloop.run(work)


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m api.workers", description=__doc__)
    parser.add_argument("--settings", required=True, help="the institution's settings file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.load(arguments.settings)
    except InvalidSettings as invalid:
        print(invalid, file=sys.stderr)
        return 2
    try:
        _run(_run_until_signalled(settings))
    except (ForeignChain, UnusableManifest) as foreign:
        print(foreign, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
