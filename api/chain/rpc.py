"""A thin JSON-RPC client: batches, typed errors, bytes and integers instead of hex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import aiohttp
import msgspec

from api.chain.errors import RpcRefused, RpcUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BATCH: Final = 100

BlockTag = int | Literal["latest", "pending"]


@dataclass(frozen=True, slots=True)
class Header:
    """What the follower needs of a block. Fees are wei for each unit of gas; gas amounts are units of gas."""

    number: int
    hash: bytes
    parent_hash: bytes
    time_s: int
    base_fee: int
    limit_gas: int
    used_gas: int
    transaction_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a mined transaction ended."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    is_success: bool
    used_gas: int


class RpcClient:
    """One connection pool to one node. Use as an async context manager."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=5)
        self._session: aiohttp.ClientSession | None = None
        self._next_id = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises `RpcUnavailable`, `RpcRefused`."""
        self._next_id += 1
        answer = await self._post({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        if not isinstance(answer, dict):
            raise RpcUnavailable(f"{method} was not answered with an object")
        result = _result_of(answer)
        if isinstance(result, RpcRefused):
            raise result
        return result

    async def batch(self, method: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of the same method with many parameter lists, in order; a refused call's place holds
        its `RpcRefused`. Raises `RpcUnavailable`."""
        results: list[Any] = []
        for start in range(0, len(calls), MAX_BATCH):
            results += await self._batch(method, calls[start : start + MAX_BATCH])
        return results

    async def _batch(self, method: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        first = self._next_id + 1
        self._next_id += len(calls)
        answer = await self._post(
            [
                {"jsonrpc": "2.0", "id": first + place, "method": method, "params": params}
                for place, params in enumerate(calls)
            ]
        )
        if not isinstance(answer, list) or len(answer) != len(calls):
            raise RpcUnavailable(f"a batch of {len(calls)} {method} was not answered with as many results")
        by_id = {entry.get("id"): entry for entry in answer if isinstance(entry, dict)}
        try:
            return [_result_of(by_id[first + place]) for place in range(len(calls))]
        except KeyError as missing:
            raise RpcUnavailable(f"the answer to call {missing} of a batch is missing") from None

    async def _post(self, body: Any) -> Any:
        if self._session is None:
            raise RpcUnavailable("the client is closed")
        try:
            async with self._session.post(
                self._url, data=msgspec.json.encode(body), headers={"content-type": "application/json"}
            ) as response:
                content = await response.read()
                if response.status >= 500 or not content:
                    raise RpcUnavailable(f"HTTP status {response.status}")
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            raise RpcUnavailable(
                type(failure).__name__ + (f": {failure}" if str(failure) else "")
            ) from failure
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as failure:
            raise RpcUnavailable("the answer is not JSON") from failure

    # ------------------------------------------------------------------------------------------ blocks

    async def latest(self) -> Header:
        """The header of the chain's head."""
        header = _header(await self.call("eth_getBlockByNumber", "latest", False))
        if header is None:
            raise RpcUnavailable("the node knows no latest block")
        return header

    async def headers(self, first: int, last: int) -> list[Header]:
        """The headers from `first` to `last` inclusive, up to the first that the node does not have."""
        calls = [(hex(number), False) for number in range(first, last + 1)]
        headers: list[Header] = []
        for result in await self.batch("eth_getBlockByNumber", calls):
            header = None if isinstance(result, RpcRefused) else _header(result)
            if header is None:
                break
            headers.append(header)
        return headers

    async def logs(self, contract: bytes, first: int, last: int) -> list[dict[str, Any]]:
        """The raw logs of one contract, in order, from block `first` to `last` inclusive."""
        found = await self.call(
            "eth_getLogs", {"address": _hex(contract), "fromBlock": hex(first), "toBlock": hex(last)}
        )
        if not isinstance(found, list):
            raise RpcUnavailable("eth_getLogs was not answered with a list")
        return found

    # ------------------------------------------------------------------------------------------ transactions

    async def receipts(self, hashes: Sequence[bytes]) -> list[Receipt | None]:
        """The receipt of each transaction, or None where it is not mined."""
        results = await self.batch("eth_getTransactionReceipt", [(_hex(each),) for each in hashes])
        return [None if isinstance(result, RpcRefused) else _receipt(result) for result in results]

    async def send_raw(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        """Broadcast signed transactions in order; a refused one's place holds why."""
        results = await self.batch("eth_sendRawTransaction", [(_hex(raw),) for raw in raws])
        return [result if isinstance(result, RpcRefused) else None for result in results]

    async def transaction_count(self, address: bytes, block: BlockTag = "latest") -> int:
        """The next transaction nonce of `address` at `block`."""
        return int(await self.call("eth_getTransactionCount", _hex(address), _tag(block)), 16)

    # ------------------------------------------------------------------------------------------ state

    async def call_contract(
        self, contract: bytes, data: bytes, block: BlockTag = "latest", sender: bytes | None = None
    ) -> bytes:
        """The output of a read-only call at `block`. Raises `RpcRefused` with the revert data."""
        request = {"to": _hex(contract), "data": _hex(data)}
        if sender is not None:
            request["from"] = _hex(sender)
        return _bytes(await self.call("eth_call", request, _tag(block)))

    async def code(self, address: bytes) -> bytes:
        """The code of a contract at the head; empty where there is none."""
        return _bytes(await self.call("eth_getCode", _hex(address), "latest"))

    async def chain_id(self) -> int:
        """The chain's EIP-155 id."""
        return int(await self.call("eth_chainId"), 16)


def _result_of(answer: dict[str, Any]) -> Any:
    """A call's result, or the error that it was answered with."""
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    if not isinstance(error, dict):
        return RpcRefused(0, str(error))
    return RpcRefused(
        int(error.get("code", 0)), str(error.get("message", "")), _revert_data(error.get("data"))
    )


def _revert_data(data: Any) -> bytes | None:
    """Nodes put revert data in `data`, or one level deeper."""
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return None
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return None


def _header(block: Any) -> Header | None:
    if not isinstance(block, dict) or not block.get("hash"):
        return None
    return Header(
        number=int(block["number"], 16),
        hash=_bytes(block["hash"]),
        parent_hash=_bytes(block["parentHash"]),
        time_s=int(block["timestamp"], 16),
        base_fee=int(block.get("baseFeePerGas") or "0x0", 16),
        limit_gas=int(block["gasLimit"], 16),
        used_gas=int(block["gasUsed"], 16),
        transaction_hashes=tuple(_bytes(each) for each in block["transactions"]),
    )


def _receipt(receipt: Any) -> Receipt | None:
    if not isinstance(receipt, dict) or not receipt.get("blockHash"):
        return None
    return Receipt(
        transaction_hash=_bytes(receipt["transactionHash"]),
        block_number=int(receipt["blockNumber"], 16),
        block_hash=_bytes(receipt["blockHash"]),
        is_success=int(receipt["status"], 16) == 1,
        used_gas=int(receipt["gasUsed"], 16),
    )


def _tag(block: BlockTag) -> str:
    return hex(block) if isinstance(block, int) else block


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
