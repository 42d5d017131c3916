"""The projection from block 0 again, with the same result.

What can be rebuilt needs no backup and no trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.chain.errors import ChainMoved
from api.chain.indexer import MAX_RANGE_BLOCKS
from api.chain.moves import read_moved_nonces
from api.chain.projection import Projection
from contracts.abi import decode_logs
from contracts.batch import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.chain.rpc import RpcClient
    from api.database import Connection

PROJECTION_TABLES: Final = (
    "chain_accounts",
    "chain_tiers",
    "chain_participants",
    "chain_currency",
    "chain_supply_history",
    "chain_order_holds",
)


def _unheard(_done: int, _total: int) -> None:
    """Nobody follows the progress."""


async def rebuild(
    connection: Connection, rpc: RpcClient, progress: Callable[[int, int], None] = _unheard
) -> int:
    """Drop the projection and rebuild it up to the final block, inside the caller's transaction; that block's
    number.

    The journal, the outbox and the cursor stay as they are; the indexer waits meanwhile. Headers are trusted
    as they are stored: every log must belong to one of them, or `ChainMoved` is raised.
    """
    cursor = await connection.fetchrow(
        "SELECT contract, deployed_block, final_number FROM chain_cursor FOR UPDATE"
    )
    if cursor is None:
        return 0
    for table in PROJECTION_TABLES:
        await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from above
    first: int = cursor["deployed_block"]
    last: int = cursor["final_number"]
    for start in range(first, last + 1, MAX_RANGE_BLOCKS):
        end = min(start + MAX_RANGE_BLOCKS - 1, last)
        await _apply(connection, rpc, cursor["contract"], start, end)
        progress(end - first + 1, last - first + 1)
    await _restore_nonces(connection)
    return last


async def _apply(connection: Connection, rpc: RpcClient, contract: bytes, start: int, end: int) -> None:
    rows = await connection.fetch(
        "SELECT number, hash, time_s FROM chain_blocks WHERE number BETWEEN $1 AND $2", start, end
    )
    hashes = {row["number"]: row["hash"] for row in rows}
    events = decode_logs(await rpc.logs(contract, start, end))
    for event in events:
        if hashes.get(event.block_number) != event.block_hash:
            raise ChainMoved(f"a log of block {event.block_number} belongs to another branch")
    events.sort(key=lambda event: (event.block_number, event.log_index))
    projection = await Projection.load(connection, events)
    moved_nonces = await read_moved_nonces(rpc, contract, events)
    projection.apply(events, {row["number"]: row["time_s"] for row in rows}, moved_nonces)
    await projection.save(connection)


async def _restore_nonces(connection: Connection) -> None:
    """From one's own records: executed, or refused by a rule (the signer's refusals have no nonce).

    What an account's moves used up is restored already.
    """
    await connection.execute(
        """
        UPDATE chain_accounts a SET next_nonce = greatest(a.next_nonce, used.next_nonce)
          FROM (SELECT payer, max(nonce) + 1 AS next_nonce FROM outbox_payments
                 WHERE nonce IS NOT NULL
                   AND (state = 'final' OR (state = 'failed' AND outcome_code = ANY($1::text[])))
                 GROUP BY payer) AS used
         WHERE a.address = used.payer
        """,
        [reason.name for reason in SkipReason if reason.consumes_nonce],
    )
