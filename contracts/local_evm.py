"""An Ethereum virtual machine in this process (py-evm, Prague): for the gas snapshot and for tests.

It has no blocks and no mempool: a transaction runs on the current state at the current time. Senders need no
key and no ether. What it charges is what a chain's receipt says.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import rlp
from eth import constants
from eth.chains.base import MiningChain
from eth.consensus.noproof import NoProofConsensus
from eth.db.atomic import AtomicDB
from eth.vm.code_stream import CodeStream
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.spoof import SpoofTransaction
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from contracts.transactions import AccessList

CHAIN_ID = 1337
GENESIS_TIME_S = 1_760_000_000
GAS_LIMIT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction did. ``logs`` are as eth_getLogs gives them; ``created`` is a new contract."""

    is_success: bool
    gas_used: int
    returned: bytes
    logs: list[dict[str, Any]]
    created: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state to come back to."""

    state_root: bytes
    time_s: int


@lru_cache(maxsize=256)
def _positions(code: bytes) -> tuple[set[int], set[int]]:
    """Return where a code has no operation and where it has one, as far as somebody asked: to be filled."""
    return set(), set()


class _Computation(PragueComputation):  # type: ignore[misc]
    """Remembers from call to call which places of a code can be jumped to: that is a property of the code."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.code: CodeStream
        self.code.invalid_positions, self.code.valid_positions = _positions(self.msg.code)


class _WatchedState(PragueState):  # type: ignore[misc]
    """A state that remembers what a transaction made warm: EIP-2929's two sets, as one."""

    computation_class = _Computation
    touched: dict[bytes, set[int]]

    def mark_address_warm(self, address: Any) -> None:
        """Remember an address."""
        self.touched.setdefault(bytes(address), set())
        super().mark_address_warm(address)

    def mark_storage_warm(self, address: Any, slot: int) -> None:
        """Remember a slot."""
        self.touched.setdefault(bytes(address), set()).add(slot)
        super().mark_storage_warm(address, slot)


class LocalEvm:
    """A state, a clock, and transactions that change them."""

    def __init__(self) -> None:
        """Start with an empty state."""
        configured = PragueVM.configure(consensus_class=NoProofConsensus, _state_class=_WatchedState)
        chain_class = MiningChain.configure(
            "LocalEvm",
            vm_configuration=((constants.GENESIS_BLOCK_NUMBER, configured),),
            chain_id=CHAIN_ID,
        )
        parameters = {
            "difficulty": 0,
            "mix_hash": bytes(32),
            "nonce": bytes(8),
            "gas_limit": GAS_LIMIT,
            "timestamp": GENESIS_TIME_S,
            "base_fee_per_gas": 7,
        }
        self.database = AtomicDB()
        self._chain = chain_class.from_genesis(self.database, parameters, {})
        self._header = self._chain.get_vm().get_header().copy(base_fee_per_gas=0)
        self.time_s = GENESIS_TIME_S
        self._vm: Any = None
        self._open(self._header.state_root)

    def _open(self, state_root: bytes) -> None:
        self._header = self._header.copy(state_root=state_root, timestamp=self.time_s)
        self._vm = self._chain.get_vm(self._header)

    def snapshot(self) -> Snapshot:
        """Remember state and time."""
        self._vm.state.lock_changes()
        self._vm.state.persist()
        return Snapshot(self._vm.state.state_root, self.time_s)

    def revert(self, snapshot: Snapshot) -> None:
        """Return to a remembered state and time."""
        self.time_s = snapshot.time_s
        self._open(snapshot.state_root)

    def set_time(self, time_s: int) -> None:
        """Move the clock of the next transactions."""
        self.revert(Snapshot(self.snapshot().state_root, time_s))

    def send(
        self,
        sender: bytes,
        to: bytes,
        data: bytes = b"",
        value: int = 0,
        gas: int = 30_000_000,
        *,
        access_list: AccessList = (),
    ) -> Outcome:
        """Run a transaction; empty ``to`` creates a contract. A revert is an outcome, not an exception."""
        if value:
            self._vm.state.set_balance(sender, self._vm.state.get_balance(sender) + value)
        self._vm.state.lock_changes()
        return self._apply(sender, to, data, value, gas, access_list=access_list)

    def call(self, to: bytes, data: bytes, sender: bytes = bytes(20)) -> Outcome:
        """Run a transaction and forget what it did."""
        state = self._vm.state
        state.lock_changes()
        checkpoint = state.snapshot()
        try:
            return self._apply(sender, to, data, 0, 30_000_000)
        finally:
            state.revert(checkpoint)

    def find_touched(self, sender: bytes, to: bytes, data: bytes, gas: int = 30_000_000) -> AccessList:
        """Return the contracts that a transaction would touch, and their slots; nothing is changed.

        In ascending order. Without what is warm from the beginning (EIP-2929): the sender, the precompiles,
        and the contract that is called, unless for its slots.
        """
        state = self._vm.state
        state.lock_changes()
        checkpoint = state.snapshot()
        try:
            self._apply(sender, to, data, 0, gas)
        finally:
            state.revert(checkpoint)
        return tuple(
            (address, tuple(slot.to_bytes(32, "big") for slot in sorted(slots)))
            for address, slots in sorted(state.touched.items())
            if slots or (state.get_code(address) and address != to)
        )

    def _apply(
        self, sender: bytes, to: bytes, data: bytes, value: int, gas: int, *, access_list: AccessList = ()
    ) -> Outcome:
        unsigned = self._vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=CHAIN_ID,
            nonce=self._vm.state.get_nonce(sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=to,
            value=value,
            data=data,
            access_list=[
                (address, [int.from_bytes(slot, "big") for slot in slots]) for address, slots in access_list
            ],
        )
        transaction = SpoofTransaction(unsigned, from_=sender)
        self._vm.state.touched = {}
        computation = self._vm.state.apply_transaction(transaction)
        return Outcome(
            is_success=computation.is_success,
            gas_used=self._vm.finalize_gas_used(transaction, computation),
            returned=bytes(computation.output),
            logs=[_json_log(index, log) for index, log in enumerate(computation.get_log_entries())],
            created=computation.msg.storage_address if not to else b"",
        )

    def read_storage(self, account: bytes, slot: int) -> int:
        """Read one slot."""
        value: int = self._vm.state.get_storage(account, slot)
        return value

    def write_storage(self, account: bytes, slot: int, value: int) -> None:
        """Write one slot past every rule (a test's way to states that later releases will reach)."""
        self._vm.state.set_storage(account, slot, value)
        self._vm.state.lock_changes()

    def storage_root(self, account: bytes) -> bytes:
        """Return the hash of all that a contract stores: equal just when nothing changed."""
        encoded = HexaryTrie(self.database, self.snapshot().state_root)[keccak(account)]
        root: bytes = rlp.decode(encoded)[2]
        return root

    def write_code(self, account: bytes, code: bytes) -> None:
        """Give an account code past every transaction: a key's EIP-7702 delegation, say."""
        self._vm.state.set_code(account, code)
        self._vm.state.lock_changes()

    def read_code(self, account: bytes) -> bytes:
        """Read a contract's code."""
        code: bytes = self._vm.state.get_code(account)
        return code


def _json_log(index: int, log: tuple[bytes, tuple[int, ...], bytes]) -> dict[str, Any]:
    address, topics, data = log
    return {
        "address": "0x" + address.hex(),
        "topics": [f"0x{topic:064x}" for topic in topics],
        "data": "0x" + data.hex(),
        "blockNumber": "0x1",
        "blockHash": "0x" + "00" * 32,
        "transactionHash": "0x" + "00" * 32,
        "logIndex": hex(index),
    }
