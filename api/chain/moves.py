"""The nonces of accounts that came from another bank.

A move uses the account's nonce, and no event says which; its call does. An institution sends it with its own
key, so it is the transaction itself: nothing but the block that holds it is needed, however old it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.chain.errors import ChainMoved, RpcRefused
from contracts.abi import SELECTORS, AccountMoved, Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.chain.rpc import RpcClient

_MOVE: Final = SELECTORS["moveAccount((address,uint8,uint24,uint32,uint64),bytes)"]
_OWNER_AT: Final = 4
_NONCE_AT: Final = 4 + 3 * 32


async def read_moved_nonces(rpc: RpcClient, contract: bytes, events: Iterable[Event]) -> dict[bytes, int]:
    """The next nonce of each account whose owner moved it, by account.

    Without those that a contract moved on a bank's behalf: Florin's banks have keys.
    Raises `ChainMoved`, `RpcRefused`.
    """
    moves = [event for event in events if isinstance(event, AccountMoved)]
    if not moves:
        return {}
    found = await rpc.batch(
        "eth_getTransactionByHash", [["0x" + each.transaction_hash.hex()] for each in moves]
    )
    nonces: dict[bytes, int] = {}
    for event, mined in zip(moves, found, strict=True):
        if isinstance(mined, RpcRefused):
            raise mined
        if mined is None:
            raise ChainMoved(f"the move of 0x{event.account.hex()} is not there")
        data = bytes.fromhex(mined["input"][2:])
        is_direct = mined["to"] is not None and bytes.fromhex(mined["to"][2:]) == contract
        if is_direct and data[:4] == _MOVE and data[_OWNER_AT + 12 : _OWNER_AT + 32] == event.account:
            nonces[event.account] = int.from_bytes(data[_NONCE_AT : _NONCE_AT + 32], "big") + 1
    return nonces
