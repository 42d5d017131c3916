"""The JSON-RPC methods: parameters in, results out."""

from collections.abc import Awaitable, Callable
from typing import Any

import rlp
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_utils.crypto import keccak

from scripts.chain import encoding
from scripts.chain.calls import Call, call_target, estimate_gas, execute
from scripts.chain.encoding import BadParameter, Json, parse_data, parse_quantity
from scripts.chain.engine import CHAIN_ID, ChainView
from scripts.chain.mempool import Refused
from scripts.chain.node import ChainNode, decode_stored
from scripts.chain.store import StoredBlock

Method = Callable[..., Awaitable[Json]]
SAFE_DEPTH = 32
FINALIZED_DEPTH = 64
FEE_HISTORY_BLOCKS = 1024
PRIORITY_FEE_WEI = 1_000_000


class NotFound(Exception):
    """A block that is not on the canonical chain."""


class ChainMethods:
    """Every method, by its JSON-RPC name, over one node."""

    def __init__(self, node: ChainNode) -> None:
        self._node = node
        self.by_name: dict[str, Method] = {
            "web3_clientVersion": self._constant("florin-chain/py-evm"),
            "web3_sha3": self.web3_sha3,
            "net_version": self._constant(str(CHAIN_ID)),
            "net_listening": self._constant(True),
            "eth_chainId": self._constant(hex(CHAIN_ID)),
            "eth_syncing": self._constant(False),
            "eth_accounts": self._constant([]),
            "eth_maxPriorityFeePerGas": self._constant(hex(PRIORITY_FEE_WEI)),
            "eth_blockNumber": self.block_number,
            "eth_getBlockByNumber": self.get_block_by_number,
            "eth_getBlockByHash": self.get_block_by_hash,
            "eth_getBlockReceipts": self.get_block_receipts,
            "eth_getTransactionByHash": self.get_transaction_by_hash,
            "eth_getTransactionReceipt": self.get_transaction_receipt,
            "eth_getLogs": self.get_logs,
            "eth_call": self.call,
            "eth_estimateGas": self.estimate_gas,
            "eth_gasPrice": self.gas_price,
            "eth_feeHistory": self.fee_history,
            "eth_getBalance": self.get_balance,
            "eth_getCode": self.get_code,
            "eth_getStorageAt": self.get_storage_at,
            "eth_getTransactionCount": self.get_transaction_count,
            "eth_sendRawTransaction": self.send_raw_transaction,
            "evm_mine": self.mine,
            "anvil_mine": self.mine_many,
            "evm_snapshot": self.snapshot,
            "evm_revert": self.revert,
            "anvil_reorg": self.reorganise,
            "evm_increaseTime": self.increase_time,
            "evm_setNextBlockTimestamp": self.set_next_timestamp,
            "evm_setIntervalMining": self.set_interval,
            "anvil_setBalance": self.set_balance,
        }

    @staticmethod
    def _constant(value: Json) -> Method:
        async def answer() -> Json:
            return value

        return answer

    # blocks

    def _header(self, view: ChainView, tag: Json) -> PragueBlockHeader:
        """The header that a block parameter names: a tag, a number or an object with blockHash."""
        head = self._node.head
        if isinstance(tag, dict):
            if "blockHash" not in tag:
                return self._header(view, tag.get("blockNumber"))
            block = view.store.block_by_hash(parse_data(tag["blockHash"], 32))
            if block is None:
                raise NotFound("unknown block")
            return rlp.decode(block.header, PragueBlockHeader)
        number = self._number(tag)
        if number == head.block_number:
            return head
        header = view.header(number)
        if header is None:
            raise NotFound(f"block {number} is not known; the head is {head.block_number}")
        return header

    def _number(self, tag: Json) -> int:
        head = self._node.head.block_number
        tags = {
            "latest": head,
            "pending": head,
            "earliest": 0,
            "safe": max(head - SAFE_DEPTH, 0),
            "finalized": max(head - FINALIZED_DEPTH, 0),
        }
        return tags[tag] if isinstance(tag, str) and tag in tags else parse_quantity(tag)

    async def block_number(self) -> Json:
        return hex(self._node.head.block_number)

    async def get_block_by_number(self, tag: Json, with_transactions: Json = False) -> Json:
        number = self._number(tag)

        def work(view: ChainView) -> Json:
            return self._block(view, view.store.block_by_number(number), bool(with_transactions))

        return await self._node.read(work)

    async def get_block_by_hash(self, block_hash: Json, with_transactions: Json = False) -> Json:
        wanted = parse_data(block_hash, 32)

        def work(view: ChainView) -> Json:
            return self._block(view, view.store.block_by_hash(wanted), bool(with_transactions))

        return await self._node.read(work)

    @staticmethod
    def _block(view: ChainView, block: StoredBlock | None, with_transactions: bool) -> Json:
        if block is None:
            return None
        transactions: list[Json]
        if with_transactions:
            transactions = [
                encoding.encode_transaction(decode_stored(mined.raw), block.hash, mined)
                for mined in view.store.transactions(block.number)
            ]
        else:
            transactions = [encoding.data(each) for each in view.store.transaction_hashes(block.number)]
        return encoding.encode_block(rlp.decode(block.header, PragueBlockHeader), block, transactions)

    async def get_block_receipts(self, tag: Json) -> Json:
        def work(view: ChainView) -> Json:
            header = self._header(view, tag)
            return [
                encoding.encode_receipt(
                    decode_stored(mined.raw),
                    mined,
                    header.hash,
                    view.store.logs_of_transaction(mined.block_number, mined.position),
                )
                for mined in view.store.transactions(header.block_number)
            ]

        return await self._node.read(work)

    # transactions

    async def get_transaction_by_hash(self, transaction_hash: Json) -> Json:
        wanted = parse_data(transaction_hash, 32)
        waiting = self._node.mempool.get(wanted)

        def work(view: ChainView) -> Json:
            mined = view.store.transaction(wanted)
            block = None if mined is None else view.store.block_by_number(mined.block_number)
            if mined is not None and block is not None:
                return encoding.encode_transaction(decode_stored(mined.raw), block.hash, mined)
            return None if waiting is None else encoding.encode_transaction(waiting, None, None)

        return await self._node.read(work)

    async def get_transaction_receipt(self, transaction_hash: Json) -> Json:
        wanted = parse_data(transaction_hash, 32)

        def work(view: ChainView) -> Json:
            mined = view.store.transaction(wanted)
            block = None if mined is None else view.store.block_by_number(mined.block_number)
            if mined is None or block is None:
                return None
            logs = view.store.logs_of_transaction(mined.block_number, mined.position)
            return encoding.encode_receipt(decode_stored(mined.raw), mined, block.hash, logs)

        return await self._node.read(work)

    async def send_raw_transaction(self, raw: Json) -> Json:
        return encoding.data(self._node.submit(parse_data(raw)))

    # logs

    async def get_logs(self, wanted: Json) -> Json:
        if not isinstance(wanted, dict):
            raise BadParameter("a filter object is needed")
        addresses = _one_or_many(wanted.get("address"), 20)
        topics = [_one_or_many(place, 32) for place in wanted.get("topics") or []]

        def work(view: ChainView) -> Json:
            first, last = self._log_range(view, wanted)
            found = view.store.logs(first, last, addresses, topics)
            return [encoding.encode_log(log, block_hash, tx_hash) for log, block_hash, tx_hash in found]

        return await self._node.read(work)

    def _log_range(self, view: ChainView, wanted: dict[str, Json]) -> tuple[int, int]:
        if "blockHash" in wanted:
            if "fromBlock" in wanted or "toBlock" in wanted:
                raise BadParameter("blockHash goes with neither fromBlock nor toBlock")
            number = self._header(view, {"blockHash": wanted["blockHash"]}).block_number
            return number, number
        first = self._number(wanted.get("fromBlock", "latest"))
        return first, min(self._number(wanted.get("toBlock", "latest")), self._node.head.block_number)

    # execution and state

    async def call(self, call: Json, tag: Json = "latest") -> Json:
        wanted = _parse_call(call)

        def work(view: ChainView) -> Json:
            return encoding.data(execute(view, self._header(view, tag), wanted))

        return await self._node.read(work)

    async def estimate_gas(self, call: Json, tag: Json = "latest") -> Json:
        wanted = _parse_call(call)

        def work(view: ChainView) -> Json:
            return hex(estimate_gas(view, self._header(view, tag), wanted))

        return await self._node.read(work)

    async def get_balance(self, address: Json, tag: Json = "latest") -> Json:
        return await self._from_state(tag, lambda state: hex(state.get_balance(parse_data(address, 20))))

    async def get_code(self, address: Json, tag: Json = "latest") -> Json:
        return await self._from_state(
            tag, lambda state: encoding.data(state.get_code(parse_data(address, 20)))
        )

    async def get_storage_at(self, address: Json, slot: Json, tag: Json = "latest") -> Json:
        place = (parse_data(address, 20), parse_quantity(slot))
        return await self._from_state(
            tag, lambda state: encoding.data(state.get_storage(*place).to_bytes(32, "big"))
        )

    async def get_transaction_count(self, address: Json, tag: Json = "latest") -> Json:
        account = parse_data(address, 20)
        if tag == "pending":
            nonce = self._node.accounts().get_nonce(account)
            return hex(self._node.mempool.next_nonce(account, nonce))
        return await self._from_state(tag, lambda state: hex(state.get_nonce(account)))

    async def _from_state(self, tag: Json, read: Callable[[Any], Json]) -> Json:
        return await self._node.read(lambda view: read(view.state(self._header(view, tag))))

    # fees

    async def gas_price(self) -> Json:
        return hex(self._node.head.base_fee_per_gas + PRIORITY_FEE_WEI)

    async def fee_history(self, count: Json, newest: Json, percentiles: Json = None) -> Json:
        blocks = min(max(parse_quantity(count), 1), FEE_HISTORY_BLOCKS)
        last = self._number(newest)

        def work(view: ChainView) -> Json:
            first = max(last - blocks + 1, 0)
            headers = [self._header(view, number) for number in range(first, last + 1)]
            history: dict[str, Json] = {
                "oldestBlock": hex(first),
                "baseFeePerGas": [hex(header.base_fee_per_gas) for header in headers],
                "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            }
            history["baseFeePerGas"].append(hex(headers[-1].base_fee_per_gas))
            if percentiles:
                history["reward"] = [[hex(PRIORITY_FEE_WEI)] * len(percentiles) for _ in headers]
            return history

        return await self._node.read(work)

    async def web3_sha3(self, value: Json) -> Json:
        return encoding.data(keccak(parse_data(value)))

    # a sandbox's own

    async def mine(self, timestamp: Json = None) -> Json:
        if isinstance(timestamp, dict):
            await self._node.mine_now(parse_quantity(timestamp.get("blocks", 1)))
        else:
            await self._node.mine_now(1, None if timestamp is None else parse_quantity(timestamp))
        return "0x0"

    async def mine_many(self, count: Json = 1, interval: Json = None) -> Json:
        if interval is not None and parse_quantity(interval) > 1:
            raise BadParameter("an interval between blocks is not supported")
        await self._node.mine_now(parse_quantity(count))
        return None

    async def snapshot(self) -> Json:
        return hex(self._node.snapshot())

    async def revert(self, snapshot_id: Json) -> Json:
        return await self._node.revert(parse_quantity(snapshot_id))

    async def reorganise(self, depth: Json, pairs: Json = None) -> Json:
        transactions = [(parse_data(raw), parse_quantity(index)) for raw, index in pairs or []]
        await self._node.reorganise(parse_quantity(depth), transactions)
        return None

    async def increase_time(self, seconds: Json) -> Json:
        return self._node.increase_time(parse_quantity(seconds))

    async def set_next_timestamp(self, timestamp: Json) -> Json:
        self._node.set_next_timestamp(parse_quantity(timestamp))
        return None

    async def set_interval(self, seconds: Json) -> Json:
        self._node.set_interval(parse_quantity(seconds))
        return None

    async def set_balance(self, address: Json, balance: Json) -> Json:
        await self._node.set_balance(parse_data(address, 20), parse_quantity(balance))
        return None


def _one_or_many(value: Json, length: int) -> list[bytes]:
    if value is None:
        return []
    return [parse_data(each, length) for each in (value if isinstance(value, list) else [value])]


def _parse_call(call: Json) -> Call:
    if not isinstance(call, dict):
        raise BadParameter("a call object is needed")
    payload = call.get("input", call.get("data", "0x"))
    if "input" in call and "data" in call and call["input"] != call["data"]:
        raise BadParameter("both data and input are set, and differ")
    target = call.get("to")
    return Call(
        sender=parse_data(call.get("from") or "0x" + "00" * 20, 20),
        to=call_target(None if target is None else parse_data(target, 20)),
        data=parse_data(payload),
        value=parse_quantity(call.get("value", 0)),
        gas=None if call.get("gas") is None else parse_quantity(call["gas"]),
    )


__all__ = ["ChainMethods", "NotFound", "Refused"]
