"""JSON-RPC's forms: quantities without leading zeros, data in whole bytes; and the objects made of them."""

import re
from typing import Any

from eth.abc import SignedTransactionAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.vm.forks.prague.blocks import PragueBlockHeader

from scripts.chain.store import StoredBlock, StoredLog, StoredTransaction

Json = Any
QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


class BadParameter(Exception):
    """A parameter that is not of the form that the method takes."""


def data(value: bytes) -> str:
    """Bytes as JSON-RPC DATA."""
    return "0x" + value.hex()


def parse_data(value: Json, length: int | None = None) -> bytes:
    """JSON-RPC DATA, of `length` bytes if that is given."""
    try:
        if not isinstance(value, str) or value[:2] not in ("0x", "0X"):
            raise BadParameter(f"{value!r} is not hex data with a 0x prefix")
        parsed = bytes.fromhex(value[2:])
    except ValueError:
        raise BadParameter(f"{value!r} is not hex data in whole bytes") from None
    if length is not None and len(parsed) != length:
        raise BadParameter(f"{value!r} is {len(parsed)} bytes long, not {length}")
    return parsed


def parse_quantity(value: Json) -> int:
    """A JSON-RPC QUANTITY; a plain JSON integer is taken too."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and QUANTITY.fullmatch(value):
        return int(value, 16)
    raise BadParameter(f"{value!r} is not a quantity")


def address_or_none(value: bytes) -> str | None:
    """An address; None for the place of a contract's creation."""
    return None if value == CREATE_CONTRACT_ADDRESS else data(value)


def encode_block(header: PragueBlockHeader, block: StoredBlock, transactions: list[Json]) -> Json:
    """A block object, with hashes or whole transactions."""
    return {
        "number": hex(header.block_number),
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "miner": data(header.coinbase),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "logsBloom": data(header.bloom.to_bytes(256, "big")),
        "difficulty": hex(header.difficulty),
        "totalDifficulty": "0x0",
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "withdrawalsRoot": data(header.withdrawals_root),
        "withdrawals": [],
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root),
        "requestsHash": data(header.requests_hash),
        "size": hex(block.size),
        "uncles": [],
        "transactions": transactions,
    }


def encode_transaction(
    transaction: SignedTransactionAPI,
    block_hash: bytes | None,
    mined: StoredTransaction | None,
) -> Json:
    """A transaction object; without a block while it waits."""
    type_id = transaction.type_id or 0
    encoded: dict[str, Json] = {
        "hash": data(transaction.hash),
        "type": hex(type_id),
        "from": data(transaction.sender),
        "to": address_or_none(transaction.to),
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas),
        "value": hex(transaction.value),
        "input": data(transaction.data),
        "chainId": None if transaction.chain_id is None else hex(transaction.chain_id),
        "v": hex(transaction.y_parity if type_id else transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
        "blockHash": None if block_hash is None else data(block_hash),
        "blockNumber": None if mined is None else hex(mined.block_number),
        "transactionIndex": None if mined is None else hex(mined.position),
    }
    if type_id in {0, 1}:
        encoded["gasPrice"] = hex(transaction.gas_price)
    else:
        price = transaction.max_fee_per_gas if mined is None else mined.effective_gas_price
        encoded |= {
            "gasPrice": hex(price),
            "maxFeePerGas": hex(transaction.max_fee_per_gas),
            "maxPriorityFeePerGas": hex(transaction.max_priority_fee_per_gas),
        }
    if type_id:
        encoded["yParity"] = encoded["v"]
        encoded["accessList"] = [
            {"address": data(address), "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots]}
            for address, slots in transaction.access_list
        ]
    return encoded


def encode_receipt(
    transaction: SignedTransactionAPI, mined: StoredTransaction, block_hash: bytes, logs: list[StoredLog]
) -> Json:
    """A receipt object."""
    return {
        "transactionHash": data(mined.hash),
        "transactionIndex": hex(mined.position),
        "blockHash": data(block_hash),
        "blockNumber": hex(mined.block_number),
        "from": data(mined.sender),
        "to": address_or_none(transaction.to),
        "type": hex(transaction.type_id or 0),
        "status": hex(mined.status),
        "gasUsed": hex(mined.gas_used),
        "cumulativeGasUsed": hex(mined.cumulative_gas),
        "effectiveGasPrice": hex(mined.effective_gas_price),
        "contractAddress": None if mined.contract is None else data(mined.contract),
        "logsBloom": data(mined.bloom),
        "logs": [encode_log(log, block_hash, mined.hash) for log in logs],
    }


def encode_log(log: StoredLog, block_hash: bytes, transaction_hash: bytes) -> Json:
    """A log object."""
    topics = log.topics.hex()
    return {
        "address": "0x" + log.address.hex(),
        "topics": ["0x" + topics[start : start + 64] for start in range(0, len(topics), 64)],
        "data": "0x" + log.data.hex(),
        "blockNumber": hex(log.block_number),
        "blockHash": "0x" + block_hash.hex(),
        "transactionHash": "0x" + transaction_hash.hex(),
        "transactionIndex": hex(log.position),
        "logIndex": hex(log.log_index),
        "removed": False,
    }
