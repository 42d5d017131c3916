"""A range of final blocks as it is read from the chain, before anything is written.

Events and own transactions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.chain.errors import ChainMoved, RpcRefused
from api.chain.moves import read_moved_nonces
from contracts.abi import Event, decode_logs, decode_revert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from api.chain.deployment import Deployment
    from api.chain.following import Known
    from api.chain.rpc import Receipt, RpcClient
    from api.database import Pool


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """One of this institution's transactions in the range, and how it ended.

    `code` is None when it succeeded.
    """

    id: UUID
    kind: str
    hash: bytes
    block_number: int
    events: tuple[Event, ...]
    code: str | None


@dataclass(frozen=True, slots=True)
class FinalRange:
    """Consecutive blocks that are about to become final.

    `moved_nonces`: of the accounts that moved in them, what no event says.
    """

    blocks: Sequence[Known]
    events: list[Event]
    own: list[OwnTransaction] = field(default_factory=list)
    moved_nonces: dict[bytes, int] = field(default_factory=dict)

    @property
    def last(self) -> Known:
        """The highest of them."""
        return self.blocks[-1]


@dataclass(frozen=True, slots=True)
class _Included:
    id: UUID
    kind: str
    hash: bytes
    replaced_hashes: list[bytes]
    data: bytes
    valid_before_s: int | None
    included_block: int


async def read_range(
    pool: Pool, rpc: RpcClient, deployment: Deployment, blocks: Sequence[Known]
) -> FinalRange:
    """Read the currency's events of `blocks` and the outcome of own transactions in them.

    Raises `ChainMoved` when the node's answers do not belong to these very blocks; `UnknownEvent`.
    """
    first, last = blocks[0].number, blocks[-1].number
    hashes = {each.number: each.hash for each in blocks}
    raw = await rpc.logs(deployment.contract, first, last)
    events = decode_logs([log for log in raw if not log.get("removed")])
    for event in events:
        if hashes.get(event.block_number) != event.block_hash:
            raise ChainMoved(f"a log of block {event.block_number} belongs to another branch")
    events.sort(key=lambda event: (event.block_number, event.log_index))
    rows = await pool.fetch(
        """SELECT id, kind, hash, replaced_hashes, data, valid_before_s, included_block FROM
        chain_transactions WHERE state = 'signed' AND included_block BETWEEN $1 AND $2 ORDER BY
        included_block, seq""",
        first,
        last,
    )
    own = await _outcomes(rpc, deployment, blocks, events, [_Included(*row) for row in rows])
    return FinalRange(blocks, events, own, await read_moved_nonces(rpc, deployment.contract, events))


async def _outcomes(
    rpc: RpcClient,
    deployment: Deployment,
    blocks: Sequence[Known],
    events: Sequence[Event],
    included: Sequence[_Included],
) -> list[OwnTransaction]:
    """A transaction that left events of the currency succeeded (each of ours that calls it leaves some).

    Of the others, and of those that call another contract, the receipt is asked.
    """
    by_hash: dict[bytes, list[Event]] = {}
    for event in events:
        by_hash.setdefault(event.transaction_hash, []).append(event)
    outcomes: list[OwnTransaction] = []
    for each in included:
        mined = next((known for known in (each.hash, *each.replaced_hashes) if known in by_hash), None)
        if mined is not None:
            own = tuple(by_hash[mined])
            outcomes.append(OwnTransaction(each.id, each.kind, mined, own[0].block_number, own, None))
            continue
        receipt = await _receipt(rpc, blocks, each)
        contract = deployment.target_of(each.kind)
        if not receipt.is_success:
            code = await _revert_code(rpc, contract, blocks, each, receipt)
        elif contract == deployment.contract:
            raise ChainMoved(f"transaction {each.id} succeeded, but its events are missing")
        else:
            code = None
        outcomes.append(
            OwnTransaction(each.id, each.kind, receipt.transaction_hash, receipt.block_number, (), code)
        )
    return outcomes


async def _receipt(rpc: RpcClient, blocks: Sequence[Known], each: _Included) -> Receipt:
    receipts = [
        found for found in await rpc.receipts([each.hash, *each.replaced_hashes]) if found is not None
    ]
    if not receipts:
        raise ChainMoved(f"the receipt of transaction {each.id} is not there")
    receipt = receipts[0]
    if all(block.hash != receipt.block_hash for block in blocks):
        raise ChainMoved(f"transaction {each.id} is in another block than it was seen in")
    return receipt


async def _revert_code(
    rpc: RpcClient, contract: bytes, blocks: Sequence[Known], each: _Included, receipt: Receipt
) -> str:
    """The custom error's word.

    Receipts do not hold it: the call is made again on the state before the block.
    """
    time_s = next(block.time_s for block in blocks if block.number == receipt.block_number)
    if each.valid_before_s is not None and time_s >= each.valid_before_s:
        return "BatchExpired"
    mined = await rpc.call("eth_getTransactionByHash", "0x" + receipt.transaction_hash.hex())
    sender = bytes.fromhex(mined["from"][2:])
    for number in (receipt.block_number - 1, receipt.block_number):
        try:
            await rpc.call_contract(contract, each.data, number, sender)
        except RpcRefused as refusal:
            if refusal.data:
                return decode_revert(refusal.data)[0]
    return "Reverted"
