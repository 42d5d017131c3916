"""A chain server in a process of its own, and keys that send transactions to it."""

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from eth_hash.auto import keccak

from contracts.rpc import Rpc
from contracts.transactions import Transaction, address_of, contract_address

Found = TypeVar("Found")

ETHER = 10**18
FEE_WEI = 10**10


class ChainProcess:
    """`python -m scripts.chain.server` on a directory; can be killed and started again."""

    def __init__(self, data: Path, *options: str) -> None:
        self._command = [sys.executable, "-m", "scripts.chain.server", "--data", str(data), "--port", "0"]
        self._command += options
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words, "the server ended before it served"
        self.url = words[2].rstrip(",")
        self.call = Rpc(self.url).call

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)

    def post(self, body: bytes) -> Any:
        """What the server answers to raw bytes."""
        with urllib.request.urlopen(urllib.request.Request(self.url, body), timeout=20) as response:
            return json.load(response)

    def number(self, method: str, *parameters: Any) -> int:
        return int(self.call(method, *parameters), 16)

    def refusal(self, method: str, *parameters: Any) -> dict[str, Any]:
        """The error that a call ends with."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        error: dict[str, Any] = self.post(json.dumps(body).encode())["error"]
        return error

    def new_sender(self) -> "Sender":
        """A new key with some ether."""
        sender = Sender(secrets.token_bytes(32), self.number("eth_chainId"))
        self.call("anvil_setBalance", sender.hex, hex(1000 * ETHER))
        return sender

    def receipt(self, transaction_hash: str) -> dict[str, Any]:
        """A receipt, once there is one."""
        receipt: dict[str, Any] = eventually(lambda: self.call("eth_getTransactionReceipt", transaction_hash))
        return receipt

    def mined(self, raw: str) -> dict[str, Any]:
        """The receipt of a transaction that a new block was made for."""
        transaction_hash = self.call("eth_sendRawTransaction", raw)
        self.call("evm_mine")
        receipt: dict[str, Any] = self.call("eth_getTransactionReceipt", transaction_hash)
        return receipt

    def deploy(self, sender: "Sender", runtime: bytes) -> str:
        """The address of a new contract that runs the given code."""
        assert self.mined(sender.create(runtime))["status"] == "0x1"
        return "0x" + contract_address(sender.address, sender.nonce - 1).hex()


@dataclass
class Sender:
    """A key that counts its own nonces."""

    key: bytes
    chain_id: int
    nonce: int = 0
    address: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.address = address_of(self.key)

    @property
    def hex(self) -> str:
        return "0x" + self.address.hex()

    def sign(self, to: str = "0x" + "11" * 20, data: bytes = b"", **fields: Any) -> str:
        """A signed transaction with the next nonce, unless one is given."""
        values = {
            "chain_id": self.chain_id, "max_priority_fee_per_gas": 1, "max_fee_per_gas": FEE_WEI,
            "gas": 1_000_000, "value": 0, **fields,
        }  # fmt: skip
        if "nonce" not in values:
            values["nonce"] = self.nonce
            self.nonce += 1
        return "0x" + Transaction(to=bytes.fromhex(to[2:]), data=data, **values).sign(self.key).hex()

    def create(self, runtime: bytes) -> str:
        """A signed transaction that makes a contract with the given code."""
        assert len(runtime) < 256
        loader = bytes.fromhex(f"60{len(runtime):02x}80600b6000396000f3")
        return self.sign("0x", loader + runtime)


def hash_of(raw: str) -> str:
    """The hash of a signed transaction."""
    return "0x" + keccak(bytes.fromhex(raw[2:])).hex()


def eventually(look: Callable[[], Found], timeout_s: float = 30.0) -> Found:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


COPY_INPUT = "366000600037"
"""CALLDATACOPY everything to memory at 0."""

REVERTS_WITH_ITS_INPUT = bytes.fromhex(COPY_INPUT + "366000fd")

LOGS_ITS_INPUT = bytes.fromhex(COPY_INPUT + "602051600051604036036040a2" + "600054600101600055" + "00")
"""LOG2 with the input's first two words as topics and the rest as data; counts its calls in slot 0."""


def forwards_to(callee: str) -> bytes:
    """A contract that passes its input on, with all the gas that a call may have, and fails if that fails."""
    call = bytes.fromhex(COPY_INPUT + "6000600036600060007" + "3" + callee[2:] + "5af1")
    success = len(call) + 3 + 5
    return call + bytes([0x60, success, 0x57]) + bytes.fromhex("60006000fd" + "5b00")
