"""Headers: what the chain's branch is, which own transactions are in it, and where it changed its mind.

Blocks above the final one may be replaced; a block at or below it may not (docs/decisions/003).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.chain.errors import ChainBehind, ChainMoved, ForkBelowFinal
from api.database import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.chain.rpc import Header, RpcClient
    from api.database import Pool

logger = logging.getLogger(__name__)

HEADERS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Known:
    """A header of `chain_blocks`."""

    number: int
    hash: bytes
    time_s: int


@dataclass(frozen=True, slots=True)
class Tip:
    """Where following stands: the final block, the highest known block, and the chain's own head."""

    final_number: int
    known_number: int
    head_number: int


class Follower:
    """Keeps `chain_blocks` equal to the chain's branch, and `included_block` of own transactions with it."""

    def __init__(self, pool: Pool, rpc: RpcClient) -> None:
        self._pool = pool
        self._rpc = rpc
        self._final: Known | None = None
        self._above: list[Known] = []
        self.used_gas: dict[int, int] = {}

    async def load(self) -> None:
        """Read from the database where following stands."""
        cursor = await self._pool.fetchrow("SELECT final_number, final_hash, final_time_s FROM chain_cursor")
        assert cursor is not None, "the cursor is written before the worker's tasks start"
        self._final = Known(*cursor)
        rows = await self._pool.fetch(
            "SELECT number, hash, time_s FROM chain_blocks WHERE number > $1 ORDER BY number",
            self._final.number,
        )
        self._above = [Known(*row) for row in rows]

    @property
    def final(self) -> Known:
        """The last final block."""
        assert self._final is not None, "load() comes first"
        return self._final

    @property
    def top(self) -> Known:
        """The highest known block."""
        return self._above[-1] if self._above else self.final

    def between(self, first: int, last: int) -> list[Known]:
        """Known headers that are not final yet."""
        return [each for each in self._above if first <= each.number <= last]

    def finalise(self, last: int) -> None:
        """What the indexer has just made final."""
        done = [each for each in self._above if each.number <= last]
        if done:
            self._final = done[-1]
            self._above = self._above[len(done) :]
        for each in done:
            self.used_gas.pop(each.number, None)

    async def advance(self) -> Tip:
        """Follow the chain by one step: up to 200 headers, or a return to the last common block.

        Raises `ForkBelowFinal`, `ChainBehind`, `ChainMoved`, and the client's own errors.
        """
        head = await self._rpc.latest()
        if head.number == self.top.number and head.hash == self.top.hash:
            return Tip(self.final.number, self.top.number, head.number)
        if head.number < self.final.number:
            raise ChainBehind(head.number, self.final.number)
        base = min(self.top.number, head.number)
        last = min(head.number, base + HEADERS_AT_ONCE)
        found = await self._rpc.headers(base, last)
        known = self._known_at(base)
        if not found or found[0].hash != known.hash:
            await self._return_to_common(base)
            return Tip(self.final.number, self.top.number, head.number)
        if base < self.top.number:
            await self._forget_above(base)  # the chain is shorter than it was: blocks were lost
        elif len(found) == 1 and last > base:
            raise ChainMoved(f"block {base + 1} is below the head, and was not served")
        await self._append(found[1:], head)
        return Tip(self.final.number, self.top.number, head.number)

    def _known_at(self, number: int) -> Known:
        if number == self.final.number:
            return self.final
        return self._above[number - self.final.number - 1]

    async def _return_to_common(self, highest: int) -> None:
        """Forget the headers that the chain replaced."""
        start = max(self.final.number, highest - HEADERS_AT_ONCE)
        found = await self._rpc.headers(start, highest)
        equal = [each.number for each in found if each.hash == self._known_at(each.number).hash]
        if equal:
            await self._forget_above(max(equal))
        elif start > self.final.number:
            await self._forget_above(start)
        elif found:
            raise ForkBelowFinal(self.final.number, self.final.hash, found[0].hash)
        else:
            raise ChainMoved("the final block was not served")

    async def _forget_above(self, number: int) -> None:
        async with transaction(self._pool) as connection:
            await connection.execute("DELETE FROM chain_blocks WHERE number > $1", number)
            await connection.execute(
                """UPDATE chain_transactions SET included_block = NULL
                    WHERE state = 'signed' AND included_block > $1""",
                number,
            )
        logger.warning("the chain replaced blocks %d to %d", number + 1, self.top.number)
        self._above = [each for each in self._above if each.number <= number]
        self.used_gas = {each: gas for each, gas in self.used_gas.items() if each <= number}

    async def _append(self, headers: Sequence[Header], head: Header) -> None:
        """Store headers that connect to the top, and mark own transactions as included."""
        parent = self.top.hash
        for header in headers:
            if header.parent_hash != parent:
                raise ChainMoved(f"block {header.number} does not follow its predecessor")
            parent = header.hash
        if not headers:
            return
        places = {each: header.number for header in headers for each in header.transaction_hashes}
        async with transaction(self._pool) as connection:
            await connection.execute(
                """INSERT INTO chain_blocks (number, hash, parent_hash, time_s)
                   SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[])""",
                [each.number for each in headers],
                [each.hash for each in headers],
                [each.parent_hash for each in headers],
                [each.time_s for each in headers],
            )
            if places:
                # bytes are stored before they are sent, so whatever is in a block is known here by now
                rows = await connection.fetch(
                    """SELECT id, hash, replaced_hashes FROM chain_transactions
                        WHERE state = 'signed' FOR NO KEY UPDATE"""
                )
                seen = {
                    row["id"]: places[each]
                    for row in rows
                    for each in (row["hash"], *row["replaced_hashes"])
                    if each in places
                }
                await connection.execute(
                    """UPDATE chain_transactions t SET included_block = seen.block
                         FROM unnest($1::uuid[], $2::bigint[]) AS seen (id, block) WHERE t.id = seen.id""",
                    list(seen),
                    list(seen.values()),
                )
            await connection.execute(
                "UPDATE chain_cursor SET head_number = $1, head_time_s = $2", head.number, head.time_s
            )
        self._above += [Known(each.number, each.hash, each.time_s) for each in headers]
        self.used_gas |= {each.number: each.used_gas for each in headers}
