"""eth-tester's chain behind the verbs of ``LocalEvm``: signed transactions, each in a block of its own."""

from collections.abc import Iterable
from typing import Any

import rlp
from eth_hash.auto import keccak
from eth_tester import EthereumTester, PyEVMBackend
from trie import HexaryTrie

from contracts.local_evm import Outcome
from tests.contracts.world import Person

CHAIN_ID = 131277322940537  # eth-tester's constant
GAS_LIMIT, GAS = 60_000_000, 15_000_000
GAS_PRICE_WEI = 10**10
WEALTH_WEI = 10**24

# The code of an account without a key, as a role's may be: it calls the address in its call data's first word
# with the rest, and gives back what that returned or reverted with.
RELAY = bytes.fromhex("6020360360205f375f5f602036035f5f5f355af13d5f5f3e601e573d5ffd5b3d5ff3")
DEPLOYER = Person.named("whoever deploys on eth-tester")


class EthTesterChain:
    """An ``EthereumTester`` that knows some people's keys, and addresses that relay what they are told."""

    def __init__(self, people: Iterable[Person], relays: Iterable[bytes]) -> None:
        """Start with a genesis in which those with a key have ether and the others have code."""
        self._keyed = {each.address for each in (*people, DEPLOYER)}
        genesis: dict[bytes, dict[str, Any]] = {
            address: {"balance": WEALTH_WEI, "nonce": 0, "code": b"", "storage": {}}
            for address in self._keyed
        }
        for address in relays:
            genesis[address] = {"balance": 0, "nonce": 1, "code": RELAY, "storage": {}}
        parameters = PyEVMBackend.generate_genesis_params(overrides={"gas_limit": GAS_LIMIT})
        self.backend = PyEVMBackend(genesis_parameters=parameters, genesis_state=genesis)
        self.tester = EthereumTester(self.backend)
        for each in (*people, DEPLOYER):
            self.tester.add_account("0x" + each.key.hex())

    @property
    def time_s(self) -> int:
        """The time of the next transaction, at the least."""
        timestamp: int = self.backend.chain.header.timestamp
        return timestamp

    def set_time(self, time_s: int) -> None:
        """Move the clock of the next transactions, forward."""
        self.tester.time_travel(time_s)

    def snapshot(self) -> str:
        """Remember the chain, behind a block that nothing happened in."""
        self.tester.mine_block()
        snapshot: str = self.tester.take_snapshot()
        return snapshot

    def revert(self, snapshot: str) -> None:
        """Return to a remembered chain."""
        self.tester.revert_to_snapshot(snapshot)

    def send(self, sender: bytes, to: bytes, data: bytes = b"") -> Outcome:
        """Send a transaction and mine it; empty ``to`` creates a contract. What a revert said is not told."""
        if not to:
            receipt = self._mine({"from": _hex(DEPLOYER.address), "data": _hex(data)})
        elif sender in self._keyed:
            receipt = self._mine({"from": _hex(sender), "to": _hex(to), "data": _hex(data)})
        else:
            told = bytes(12) + to + data
            receipt = self._mine({"from": _hex(DEPLOYER.address), "to": _hex(sender), "data": _hex(told)})
        return Outcome(
            is_success=receipt["status"] == 1,
            gas_used=receipt["gas_used"],
            returned=b"",
            logs=[_json_log(each) for each in receipt["logs"]],
            created=b"" if to else bytes.fromhex(receipt["contract_address"][2:]),
        )

    def _mine(self, transaction: dict[str, Any]) -> dict[str, Any]:
        identifier = self.tester.send_transaction({**transaction, "gas": GAS, "gas_price": GAS_PRICE_WEI})
        receipt: dict[str, Any] = self.tester.get_transaction_receipt(identifier)
        return receipt

    def call(self, to: bytes, data: bytes) -> Outcome:
        """Ask; raises TransactionFailed if it reverts."""
        answer = self.tester.call(
            {"from": _hex(DEPLOYER.address), "to": _hex(to), "data": _hex(data), "gas": GAS}
        )
        return Outcome(is_success=True, gas_used=0, returned=bytes.fromhex(answer[2:]), logs=[], created=b"")

    def read_storage(self, account: bytes, slot: int) -> int:
        """Read one slot."""
        value: int = self.backend.get_storage(account, slot)
        return value

    @property
    def database(self) -> Any:
        """Where the nodes of the state are."""
        return self.backend.chain.chaindb.db

    def storage_root(self, account: bytes) -> bytes:
        """Return the hash of all that a contract stores."""
        encoded = HexaryTrie(self.database, self.backend.chain.get_vm().state.state_root)[keccak(account)]
        root: bytes = rlp.decode(encoded)[2]
        return root


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _json_log(log: dict[str, Any]) -> dict[str, Any]:
    """As eth_getLogs gives it."""
    return {
        "address": log["address"].lower(),
        "topics": list(log["topics"]),
        "data": log["data"],
        "blockNumber": hex(log["block_number"]),
        "blockHash": log["block_hash"],
        "transactionHash": log["transaction_hash"],
        "logIndex": hex(log["log_index"]),
    }
