"""Where gas is measured: an in-process EVM, or a development chain behind JSON-RPC.

A trial is undone afterwards, so that each figure starts from the same state.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from contracts import abi
from contracts.transactions import AccessList, Transaction, address_of

TRANSACTION_GAS = 200_000_000
RECEIPT_TIMEOUT_S = 120


class Receipt(NamedTuple):
    """What a transaction used, and the contract that it created, if any."""

    gas_used: int
    created: bytes


class GasChain(Protocol):
    """A chain that charges as Ethereum does and can forget."""

    name: str
    chain_id: int

    def send(self, key: bytes, to: bytes, data: bytes, access_list: AccessList = ()) -> Receipt:
        """Include a transaction of the account with this private key. Raises RuntimeError if it reverts."""

    def find_touched(self, key: bytes, to: bytes, data: bytes) -> AccessList:
        """Return the access list that names all that a transaction would touch."""

    def trial(self, run: Callable[[], int]) -> int:
        """Return what ``run`` returns, and undo what it did."""


class LocalGasChain:
    """py-evm in this process: no Node, no keys, no ether."""

    name = "py-evm"

    def __init__(self) -> None:
        """Start with an empty state."""
        from contracts.local_evm import CHAIN_ID, LocalEvm

        self.chain_id = CHAIN_ID
        self._evm = LocalEvm()

    def send(self, key: bytes, to: bytes, data: bytes, access_list: AccessList = ()) -> Receipt:
        """Include a transaction. Raises RuntimeError if it reverts."""
        outcome = self._evm.send(address_of(key), to, data, gas=TRANSACTION_GAS, access_list=access_list)
        if not outcome.is_success:
            raise RuntimeError(f"reverted: {abi.decode_revert(outcome.returned)}")
        return Receipt(outcome.gas_used, outcome.created)

    def find_touched(self, key: bytes, to: bytes, data: bytes) -> AccessList:
        """Return the access list that names all that a transaction would touch."""
        return self._evm.find_touched(address_of(key), to, data, TRANSACTION_GAS)

    def trial(self, run: Callable[[], int]) -> int:
        """Return what ``run`` returns, and undo what it did."""
        before = self._evm.snapshot()
        try:
            return run()
        finally:
            self._evm.revert(before)


class RpcGasChain:
    """A development chain that gives ether, blocks and its past on demand, as anvil does.

    Raises RpcRefused, or OSError when the node cannot be reached.
    """

    def __init__(self, url: str, name: str = "anvil") -> None:
        """Connect; nothing is changed yet."""
        from contracts.rpc import Rpc

        self.name = name
        self._rpc = Rpc(url)
        self.chain_id = self._rpc.quantity("eth_chainId")

    def send(self, key: bytes, to: bytes, data: bytes, access_list: AccessList = ()) -> Receipt:
        """Include a transaction in a block of its own. Raises RuntimeError if it is not, or reverts."""
        call = self._rpc.call
        sender = _hex(address_of(key))
        call("anvil_setBalance", sender, hex(10**21))
        head = call("eth_getBlockByNumber", "latest", False)
        transaction = Transaction(
            chain_id=self.chain_id,
            nonce=self._rpc.quantity("eth_getTransactionCount", sender, "latest"),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=2 * int(head.get("baseFeePerGas") or "0x0", 16),
            gas=min(TRANSACTION_GAS, int(head["gasLimit"], 16)),
            to=to,
            value=0,
            data=data,
            access_list=access_list,
        )
        transaction_hash = call("eth_sendRawTransaction", _hex(transaction.sign(key)))
        call("evm_mine")
        receipt = self._wait_for_receipt(transaction_hash)
        if int(receipt["status"], 16) != 1:
            raise RuntimeError(f"transaction {transaction_hash} reverted")
        return Receipt(int(receipt["gasUsed"], 16), bytes.fromhex((receipt["contractAddress"] or "0x")[2:]))

    def find_touched(self, key: bytes, to: bytes, data: bytes) -> AccessList:
        """Return the access list that names all that a transaction would touch."""
        call = {
            "from": _hex(address_of(key)),
            "to": _hex(to),
            "data": _hex(data),
            "gas": hex(TRANSACTION_GAS),
        }
        found = self._rpc.call("eth_createAccessList", call, "latest")
        if found.get("error"):
            raise RuntimeError(f"the access list of a transaction that fails: {found['error']}")
        return tuple(
            (
                bytes.fromhex(entry["address"][2:]),
                tuple(bytes.fromhex(key[2:]) for key in entry["storageKeys"]),
            )
            for entry in found["accessList"]
        )

    def _wait_for_receipt(self, transaction_hash: str) -> dict[str, Any]:
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while True:
            receipt: dict[str, Any] | None = self._rpc.call("eth_getTransactionReceipt", transaction_hash)
            if receipt is not None:
                return receipt
            if time.monotonic() > deadline:
                raise RuntimeError(f"transaction {transaction_hash} was not included")
            time.sleep(0.05)

    def trial(self, run: Callable[[], int]) -> int:
        """Return what ``run`` returns, and undo what it did."""
        before = self._rpc.call("evm_snapshot")
        try:
            return run()
        finally:
            self._rpc.call("evm_revert", before)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
