"""The chain itself: genesis, blocks, reorganisations, and calls at any block. Knows no JSON and no clock."""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")  # five times pycryptodome on short inputs

import rlp
from eth.abc import SignedTransactionAPI, StateAPI
from eth.consensus import ConsensusContext
from eth.constants import CREATE_CONTRACT_ADDRESS, POST_MERGE_DIFFICULTY, POST_MERGE_NONCE, ZERO_ADDRESS
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.db.trie import make_trie_root_and_nodes
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_keys.backends import get_backend_class
from eth_keys.backends.coincurve import CoinCurveECCBackend
from eth_utils.exceptions import ValidationError

from scripts.chain.nodes import NodeCache, NodeDatabase
from scripts.chain.store import ChainStore, StoredBlock, StoredLog, StoredTransaction

CHAIN_ID = 131277322940537  # eth-tester's own constant; chains are told apart by their genesis hash
GENESIS_BALANCE_WEI = 10**24
GENESIS_BASE_FEE_WEI = 1_000_000_000
FORMAT_VERSION = 1

if get_backend_class() is not CoinCurveECCBackend:
    raise ImportError("coincurve is not eth-keys' backend: mining would be five times slower")


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """What came of one round of mining. `left` were not tried for want of time or room."""

    header: PragueBlockHeader
    included: tuple[bytes, ...]
    refused: dict[bytes, str]
    left: int


class _Unexecutable(Exception):
    """A transaction broke the virtual machine; the block is built again without it."""

    def __init__(self, transaction_hash: bytes, reason: str) -> None:
        super().__init__(reason)
        self.transaction_hash = transaction_hash


class ChainView:
    """Reads of the stored chain over a connection of its own."""

    def __init__(self, path: Path, cache: NodeCache) -> None:
        self.store = ChainStore(path)
        self.nodes = NodeDatabase(self.store, cache)
        self.database = AtomicDB(self.nodes)
        self.chain_db = ChainDB(self.database)

    def header(self, number: int) -> PragueBlockHeader | None:
        """A canonical header."""
        block = self.store.block_by_number(number)
        return None if block is None else rlp.decode(block.header, PragueBlockHeader)

    def virtual_machine(self, header: PragueBlockHeader) -> PragueVM:
        """A machine that runs in the context of `header`, on the state that `header` names."""
        return PragueVM(
            header=header,
            chaindb=self.chain_db,
            chain_context=ChainContext(CHAIN_ID),
            consensus_context=ConsensusContext(self.database),
        )

    def state(self, header: PragueBlockHeader) -> StateAPI:
        """The state after `header`, with its context and no base fee, for calls."""
        return self.virtual_machine(header.copy(base_fee_per_gas=0)).state


class ChainEngine(ChainView):
    """The one writer of a chain. Its methods are called one at a time."""

    def __init__(self, data_dir: Path, funded: Sequence[bytes], gas_limit: int) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.path = data_dir / "chain.sqlite"
        self.cache = NodeCache()
        super().__init__(self.path, self.cache)
        if self.store.head_number() is None:
            self._create_genesis(funded, gas_limit)
        if self.store.setting("format_version", 0) != FORMAT_VERSION:
            raise ValueError(f"{self.path} was written by another version of florin: remove it (make reset)")
        self.head: PragueBlockHeader = self._stored_head()

    def _stored_head(self) -> PragueBlockHeader:
        number = self.store.head_number()
        assert number is not None, "genesis exists"
        header = self.header(number)
        assert header is not None, "the head is stored"
        return header

    def _create_genesis(self, funded: Sequence[bytes], gas_limit: int) -> None:
        empty = PragueBlockHeader(difficulty=0, block_number=0, gas_limit=0, timestamp=0)
        state = PragueVM.build_state(self.database, empty, ChainContext(CHAIN_ID))
        for address in funded:
            state.set_balance(address, GENESIS_BALANCE_WEI)
        state.persist()
        header = PragueVM.create_genesis_header(
            difficulty=POST_MERGE_DIFFICULTY,
            nonce=POST_MERGE_NONCE,
            mix_hash=os.urandom(32),  # so that no two chains are alike
            coinbase=ZERO_ADDRESS,
            extra_data=b"",
            gas_limit=gas_limit,
            timestamp=int(time.time()),
            state_root=state.state_root,
            base_fee_per_gas=GENESIS_BASE_FEE_WEI,
        )
        self.store.set_setting("format_version", FORMAT_VERSION)
        self._store_block(header, [], [])

    def _store_block(
        self,
        header: PragueBlockHeader,
        transactions: Sequence[StoredTransaction],
        logs: Sequence[StoredLog],
    ) -> None:
        encoded = rlp.encode(header)
        self.nodes[header.hash] = encoded
        size = len(encoded) + sum(len(transaction.raw) for transaction in transactions)
        block = StoredBlock(header.block_number, header.hash, encoded, size)
        self.store.write_block(block, transactions, logs, self.nodes.pending.items())
        self.nodes.keep()
        self.head = header

    # blocks

    def next_header(self, timestamp_s: int) -> PragueBlockHeader:
        """The head's successor before any transaction."""
        return PragueVM.create_header_from_parent(
            self.head, timestamp=timestamp_s, gas_limit=self.head.gas_limit, mix_hash=os.urandom(32)
        )

    def mine(
        self, transactions: Iterable[SignedTransactionAPI], timestamp_s: int, budget_s: float
    ) -> MinedBlock:
        """Execute transactions in order, until the block is full or `budget_s` has passed; store the block.

        A transaction that is not valid now is refused with its reason, and so are its sender's later ones.
        """
        candidates = list(transactions)
        broken: dict[bytes, str] = {}
        while True:
            try:
                return self._mine_once(candidates, broken, timestamp_s, budget_s)
            except _Unexecutable as error:
                broken[error.transaction_hash] = str(error)
            finally:
                self.nodes.discard()

    def _mine_once(
        self,
        candidates: list[SignedTransactionAPI],
        broken: dict[bytes, str],
        timestamp_s: int,
        budget_s: float,
    ) -> MinedBlock:
        header = self.next_header(timestamp_s)
        machine = self.virtual_machine(header)
        work = _BlockUnderWork(header, machine, dict(broken))
        deadline = time.monotonic() + budget_s
        blocked = {transaction.sender for transaction in candidates if transaction.hash in broken}
        tried = 0
        for transaction in candidates:
            has_room = work.header.gas_used + transaction.gas <= header.gas_limit
            if not has_room or (work.rows and time.monotonic() >= deadline):
                break
            tried += 1
            if transaction.sender not in blocked and not work.apply(transaction):
                blocked.add(transaction.sender)
        machine.state.persist()
        final = work.seal(machine.state.state_root)
        rows, logs = work.rows, work.logs
        self._store_block(final, rows, logs)
        included = tuple(row.hash for row in rows)
        return MinedBlock(final, included, work.refused, len(candidates) - tried)

    def set_balances(self, balances_wei: dict[bytes, int], timestamp_s: int) -> PragueBlockHeader:
        """Give accounts ether in a block of its own (a sandbox's privilege)."""
        machine = self.virtual_machine(self.next_header(timestamp_s))
        for address, balance_wei in balances_wei.items():
            machine.state.set_balance(address, balance_wei)
        machine.state.persist()
        self._store_block(machine.get_header().copy(state_root=machine.state.state_root), [], [])
        return self.head

    def rewind(self, number: int) -> None:
        """Make block `number` the head again; what was above it is orphaned."""
        assert 0 <= number <= self.head.block_number, "only back along the canonical chain"
        self.store.drop_blocks_above(number)
        self.head = self._stored_head()


class _BlockUnderWork:
    """The rows of one block while its transactions execute."""

    def __init__(self, header: PragueBlockHeader, machine: PragueVM, refused: dict[bytes, str]) -> None:
        self.header = header
        self.refused = refused
        self.rows: list[StoredTransaction] = []
        self.logs: list[StoredLog] = []
        self._machine = machine
        self._transactions: list[SignedTransactionAPI] = []
        self._receipts: list[object] = []

    def apply(self, transaction: SignedTransactionAPI) -> bool:
        """Execute one transaction; False when it was not valid."""
        try:
            receipt, computation = self._machine.apply_transaction(self.header, transaction)
        except ValidationError as error:
            self.refused[transaction.hash] = str(error)
            return False
        except Exception as error:
            raise _Unexecutable(transaction.hash, f"{type(error).__name__}: {error}") from error
        gas_used = receipt.gas_used - self.header.gas_used
        self.header = self._machine.add_receipt_to_header(self.header, receipt)
        place = (self.header.block_number, len(self.rows))
        first_log = len(self.logs)
        self.logs.extend(
            StoredLog(
                place[0],
                first_log + index,
                place[1],
                log.address,
                b"".join(topic.to_bytes(32, "big") for topic in log.topics),
                log.data,
            )
            for index, log in enumerate(receipt.logs)
        )
        is_creation = transaction.to == CREATE_CONTRACT_ADDRESS
        self.rows.append(
            StoredTransaction(
                hash=transaction.hash,
                block_number=place[0],
                position=place[1],
                sender=transaction.sender,
                raw=transaction.encode(),
                status=int(not computation.is_error),
                gas_used=gas_used,
                cumulative_gas=receipt.gas_used,
                effective_gas_price=self._machine.state.get_gas_price(transaction),
                contract=computation.msg.storage_address if is_creation else None,
                bloom=receipt.bloom.to_bytes(256, "big"),
            )
        )
        self._transactions.append(transaction)
        self._receipts.append(receipt)
        return True

    def seal(self, state_root: bytes) -> PragueBlockHeader:
        """The finished header."""
        transaction_root, _ = make_trie_root_and_nodes(tuple(self._transactions))
        receipt_root, _ = make_trie_root_and_nodes(tuple(self._receipts))
        return self.header.copy(
            state_root=state_root,
            transaction_root=transaction_root,
            receipt_root=receipt_root,
            requests_hash=hashlib.sha256().digest(),
        )
