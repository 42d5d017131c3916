"""From intents to the chain: derive, register, settle, submit, send again."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from api.chain.alarms import frozen_flows
from api.chain.batching import MAX_RECORDS
from api.chain.credential_changing import CredentialChanging
from api.chain.errors import NonceGap
from api.chain.mandating import Mandating
from api.chain.registering import Registering
from api.chain.settling import Settling
from api.chain.submitting import Submitting

if TYPE_CHECKING:
    from api.chain.deployment import Deployment
    from api.chain.rpc import Header, RpcClient
    from api.chain.signer_client import SignerClient
    from api.database import Pool

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT: Final = 8
HEAD_STALE_S: Final = 0.5
GATHER_S: Final = 0.2


class Relay:
    """Drains the outbox. One runs for an institution: `api.workers` holds the lease.

    `sends_access_lists`: whether new settlements name the storage that they touch (docs/decisions/014).
    """

    def __init__(
        self,
        pool: Pool,
        rpc: RpcClient,
        signer: SignerClient,
        deployment: Deployment,
        *,
        sends_access_lists: bool = True,
    ) -> None:
        self._pool = pool
        self._rpc = rpc
        self.head_stale_s = HEAD_STALE_S
        self.gather_s = GATHER_S
        self.registering = Registering(pool, signer)
        self.mandating = Mandating(pool, signer)
        self.credential_changing = CredentialChanging(pool, signer)
        self.settling = Settling(pool, signer, deployment, sends_access_lists=sends_access_lists)
        self.submitting = Submitting(pool, rpc, signer, deployment)
        self._head: Header | None = None
        self._head_at = 0.0

    async def run_once(self) -> bool:
        """Do what can be done now; whether something was done (then there may be more)."""
        frozen = await frozen_flows(self._pool)
        if "indexer" in frozen:
            return False  # the chain contradicts the books: nothing new until a person has looked
        head = await self._fresh_head()
        try:
            did = await self.submitting.rebroadcast(head) > 0
        except NonceGap:
            await self._go_on(head)  # another key's transactions do not wait for this one's
            raise
        return await self._go_on(head) or did

    async def _go_on(self, head: Header) -> bool:
        did = await self.submitting.submit_prepared(head) > 0
        did = await self.mandating.revoke() > 0 or did  # before anything more is signed under them
        did = await self.mandating.register() > 0 or did
        did = await self.credential_changing.ask() > 0 or did
        if await self._in_flight() >= MAX_IN_FLIGHT:
            return did
        derived = await self.registering.derive() > 0
        registered = await self.registering.prepare(head) is not None
        settled = await self._may_settle() and await self.settling.prepare(head) is not None
        if registered or settled:
            await self.submitting.submit_prepared(head)
        return did or derived or registered or settled

    async def _may_settle(self) -> bool:
        """Not while paused (every settlement would revert), nor behind one that waits for lower fees.

        Small batches gather while others are under way.
        """
        if await self._pool.fetchval("SELECT is_paused FROM chain_currency"):
            return False
        if await self.submitting.is_waiting_for_fees():
            return False
        queued = await self.settling.count_queued()
        if 0 < queued < MAX_RECORDS and await self._in_flight() > 0:
            await asyncio.sleep(self.gather_s)
        return queued > 0

    async def _in_flight(self) -> int:
        """Transactions that are in no known block yet."""
        count: int = await self._pool.fetchval(
            "SELECT count(*) FROM chain_transactions WHERE state IN ('prepared', 'signed')"
            " AND max_fee_per_gas IS NOT NULL AND included_block IS NULL"
        )
        return count

    async def _fresh_head(self) -> Header:
        if self._head is None or time.monotonic() - self._head_at > self.head_stale_s:
            self._head = await self._rpc.latest()
            self._head_at = time.monotonic()
        return self._head
