"""The indexer: follows the chain and makes its blocks final, and is the only one who says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from api.chain.alarms import freeze, frozen_flows, open_case
from api.chain.deployment import require_transfers
from api.chain.errors import BooksContradictChain, EventMismatch, ForkBelowFinal, TransfersNotEmitted
from api.chain.finality import make_final
from api.chain.following import Follower, Known
from api.chain.reading import read_range
from api.database import transaction
from contracts.abi import AdministrativeEvent, UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.chain.booking import Books
    from api.chain.deployment import Deployment
    from api.chain.following import Tip
    from api.chain.rpc import RpcClient
    from api.database import Pool

logger = logging.getLogger(__name__)

MAX_RANGE_BLOCKS: Final = 200
MAX_RANGE_GAS: Final = 40_000_000
UNKNOWN_BLOCK_GAS: Final = 10_000_000

_CONTRADICTIONS: Final = (
    ForkBelowFinal,
    EventMismatch,
    UnknownEvent,
    BooksContradictChain,
    TransfersNotEmitted,
)


class Indexer:
    """Applies final blocks in ranges. `on_final` hears the accounts that each range touched."""

    def __init__(
        self,
        pool: Pool,
        rpc: RpcClient,
        deployment: Deployment,
        books: Books,
        *,
        confirmations: int,
        on_final: Callable[[set[bytes]], None] = lambda _touched: None,
    ) -> None:
        self._pool = pool
        self._rpc = rpc
        self._deployment = deployment
        self._books = books
        self._confirmations = confirmations
        self._on_final = on_final
        self._follower: Follower | None = None

    async def run_once(self) -> Tip | None:
        """Follow the chain to its head and make final what is; None while frozen.

        What contradicts the books freezes the indexer and settlement and is raised (`ForkBelowFinal`,
        `EventMismatch`, `UnknownEvent`, `BooksContradictChain`, `TransfersNotEmitted`); everything else that
        is raised may be tried again.
        """
        if "indexer" in await frozen_flows(self._pool):
            self._follower = None
            return None
        try:
            return await self._follow()
        except _CONTRADICTIONS as contradiction:
            await self._freeze(contradiction)
            raise
        except BaseException:
            self._follower = None  # what it remembers may be ahead of what was committed: read again
            raise

    async def _follow(self) -> Tip:
        if self._follower is None:
            follower = Follower(self._pool, self._rpc)
            await follower.load()
            self._follower = follower
        follower = self._follower
        while True:
            tip = await follower.advance()
            # counted from blocks that were read and linked: what the head was before may be gone by now
            target = min(follower.top.number, tip.head_number) - self._confirmations + 1
            while follower.final.number < target:
                await self._make_final(follower, target)
            if follower.top.number >= tip.head_number:
                return tip

    async def _make_final(self, follower: Follower, target: int) -> None:
        blocks = _first_range(follower.between(follower.final.number + 1, target), follower.used_gas)
        final = await read_range(self._pool, self._rpc, self._deployment, blocks)
        if any(isinstance(event, AdministrativeEvent) and event.name == "Upgraded" for event in final.events):
            await require_transfers(self._rpc, self._deployment.contract)
        projection = await make_final(self._pool, self._books, final)
        follower.finalise(blocks[-1].number)
        self._on_final(set(projection.accounts))

    async def _freeze(self, contradiction: Exception) -> None:
        self._follower = None
        async with transaction(self._pool) as connection:
            await freeze(connection, "indexer", str(contradiction))
            await freeze(connection, "settle", str(contradiction))
            await open_case(connection, type(contradiction).__name__, reason=str(contradiction))


def _first_range(blocks: Sequence[Known], used_gas: dict[int, int]) -> list[Known]:
    """The leading blocks that are applied together: bounded by the work in them, at least one."""
    chosen: list[Known] = []
    gas = 0
    for block in blocks[:MAX_RANGE_BLOCKS]:
        gas += used_gas.get(block.number, UNKNOWN_BLOCK_GAS)
        if chosen and gas > MAX_RANGE_GAS:
            break
        chosen.append(block)
    return chosen
