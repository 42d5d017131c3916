"""A running chain: its clock, its mempool and the rhythm of its blocks."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import rlp
import rlp.exceptions
from eth.abc import SignedTransactionAPI, StateAPI
from eth.exceptions import UnrecognizedTransactionType
from eth.vm.forks.cancun.constants import BLOB_TX_TYPE
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from scripts.chain.calls import floor_gas
from scripts.chain.engine import CHAIN_ID, ChainEngine, ChainView, MinedBlock
from scripts.chain.mempool import Mempool, Refused

log = logging.getLogger("florin.chain")

Result = TypeVar("Result")

BLOCK_EXECUTION_BUDGET_S = 1.0
READER_THREADS = 2


@dataclass(frozen=True)
class Rhythm:
    """When blocks are made: each `block_time_s` while something may await confirmation, which is for `busy_s`
    after the last transaction; then each `idle_block_time_s` while a client has asked within `busy_s`."""

    block_time_s: float = 1.0
    idle_block_time_s: float = 5.0
    busy_s: float = 60.0

    def spacing_s(
        self, *, is_waiting: bool, since_transaction_s: float, since_request_s: float
    ) -> float | None:
        """Seconds from one block to the next; None when nobody would notice one."""
        if is_waiting or since_transaction_s < self.busy_s:
            return self.block_time_s
        return self.idle_block_time_s if since_request_s < self.busy_s else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What evm_revert goes back to."""

    number: int
    hash: bytes
    waiting: tuple[SignedTransactionAPI, ...]
    clock_offset_s: int


class ChainNode:
    """The chain as its clients see it. Lives in one event loop; blocks are made in a thread of their own."""

    def __init__(self, data_dir: Path, funded: Sequence[bytes], gas_limit: int, rhythm: Rhythm) -> None:
        self.engine = ChainEngine(data_dir, funded, gas_limit)
        self.rhythm = rhythm
        self.mempool = Mempool()
        self._clock_offset_s = self.engine.store.setting("clock_offset_s", 0)
        self._clock_offset_s = max(self._clock_offset_s, self.head.timestamp - int(time.time()))
        self._next_timestamp_s: int | None = None
        self._is_automatic = True
        self._snapshots: list[Snapshot] = []
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._last_block_at = self._last_transaction_at = self._last_request_at = time.monotonic()
        self._own_view = ChainView(self.engine.path, self.engine.cache)
        self._accounts: tuple[bytes, StateAPI] | None = None
        self._writer = ThreadPoolExecutor(1, "chain-writer")
        self._readers = ThreadPoolExecutor(READER_THREADS, "chain-reader")
        self._views: asyncio.Queue[ChainView] = asyncio.Queue()
        for _ in range(READER_THREADS):
            self._views.put_nowait(ChainView(self.engine.path, self.engine.cache))

    @property
    def head(self) -> PragueBlockHeader:
        """The latest block's header."""
        return self.engine.head

    @property
    def genesis_hash(self) -> bytes:
        """What tells this chain from every other."""
        genesis = self._own_view.store.block_by_number(0)
        assert genesis is not None, "genesis is stored"
        return genesis.hash

    def close(self) -> None:
        """Wait for the threads and let go of the file."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._own_view.store.close()
        self.engine.store.close()
        while not self._views.empty():
            self._views.get_nowait().store.close()

    def accounts(self) -> StateAPI:
        """Accounts at the head; for quick looks from the event loop."""
        if self._accounts is None or self._accounts[0] != self.head.hash:
            self._accounts = (self.head.hash, self._own_view.state(self.head))
        return self._accounts[1]

    async def read(self, work: Callable[[ChainView], Result]) -> Result:
        """Run a read that may take long, apart from the event loop and from the making of blocks."""
        view = await self._views.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, work, view)
        finally:
            self._views.put_nowait(view)

    def note_request(self) -> None:
        """A client is there: chain time goes on."""
        self._last_request_at = time.monotonic()
        self._wake.set()

    # transactions

    def submit(self, raw: bytes) -> bytes:
        """Take a signed transaction and answer its hash, a known one alike. Raises Refused."""
        transaction = _decode(raw)
        known = self.mempool.get(transaction.hash) or self._own_view.store.transaction(transaction.hash)
        if known is None:
            self._require_acceptable(transaction)
            self.mempool.add(transaction, self.accounts().get_nonce(transaction.sender))
        self._last_transaction_at = time.monotonic()
        self._wake.set()
        transaction_hash: bytes = transaction.hash
        return transaction_hash

    def _require_acceptable(self, transaction: SignedTransactionAPI) -> None:
        if transaction.chain_id not in (None, CHAIN_ID):
            raise Refused(f"invalid chain id for signer: have {transaction.chain_id} want {CHAIN_ID}")
        if transaction.type_id == BLOB_TX_TYPE:
            raise Refused("transaction type not supported")
        try:
            transaction.validate()
        except ValidationError as error:
            raise Refused(f"invalid transaction: {error}") from error
        if transaction.gas < max(transaction.intrinsic_gas, floor_gas(transaction.data)):
            raise Refused("intrinsic gas too low")
        if transaction.gas > self.head.gas_limit:
            raise Refused("exceeds block gas limit")
        have = self.accounts().get_balance(transaction.sender)
        want = transaction.gas * transaction.max_fee_per_gas + transaction.value
        if have < want:
            raise Refused(
                f"insufficient funds for gas * price + value: "
                f"address 0x{transaction.sender.hex()} have {have} want {want}"
            )

    # blocks

    def now_s(self) -> int:
        """The chain's clock: the machine's, ahead of it only by what a client asked for."""
        return int(time.time()) + self._clock_offset_s

    async def run(self) -> None:
        """Make blocks until cancelled."""
        while True:
            await self._until_due()
            try:
                async with self._writing:
                    await self._mine()
            except Exception:
                log.exception("a block could not be made; trying again")
                self._last_block_at = time.monotonic()

    async def _until_due(self) -> None:
        while (delay_s := self._seconds_until_due()) != 0:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), delay_s)
            except TimeoutError:
                continue

    def _seconds_until_due(self) -> float | None:
        """0 when a block is due, None when only a request can make one due."""
        if not self._is_automatic:
            return None
        now = time.monotonic()
        spacing_s = self.rhythm.spacing_s(
            is_waiting=len(self.mempool) > 0,
            since_transaction_s=now - self._last_transaction_at,
            since_request_s=now - self._last_request_at,
        )
        if spacing_s is None:
            return None
        ahead_s: float = self.head.timestamp + 1 - (time.time() + self._clock_offset_s)
        return max(self._last_block_at + spacing_s - now, ahead_s, 0.0)

    async def _mine(self) -> MinedBlock:
        timestamp_s = self._take_timestamp()
        self._last_block_at = time.monotonic()
        base_fee = self.engine.next_header(timestamp_s).base_fee_per_gas
        waiting = list(self.mempool.executable(self.accounts().get_nonce, base_fee))
        mined = await self._write(self.engine.mine, waiting, timestamp_s, BLOCK_EXECUTION_BUDGET_S)
        for transaction_hash in mined.included:
            self.mempool.remove(transaction_hash)
        for transaction_hash, reason in mined.refused.items():
            log.warning("dropped 0x%s: %s", transaction_hash.hex(), reason)
            self.mempool.remove(transaction_hash)
        if waiting:
            self._last_transaction_at = time.monotonic()
            took_s = time.monotonic() - self._last_block_at
            log.info(
                "block %d: %d transactions, %d gas, %.2f s",
                mined.header.block_number,
                len(mined.included),
                mined.header.gas_used,
                took_s,
            )
        return mined

    async def _write(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *arguments)

    def _take_timestamp(self) -> int:
        asked, self._next_timestamp_s = self._next_timestamp_s, None
        timestamp_s: int = max(asked or self.now_s(), self.head.timestamp + 1)
        if timestamp_s > self.now_s():
            self._set_clock_offset(timestamp_s - int(time.time()))
        return timestamp_s

    def _set_clock_offset(self, offset_s: int) -> None:
        self._clock_offset_s = offset_s
        self._own_view.store.set_setting("clock_offset_s", offset_s)

    # what a sandbox's client may ask for

    async def mine_now(self, count: int, timestamp_s: int | None = None) -> None:
        """Make blocks at once; the chain's clock follows if they run ahead of it."""
        async with self._writing:
            for _ in range(count):
                self._next_timestamp_s = timestamp_s or self._next_timestamp_s
                timestamp_s = None
                await self._mine()

    async def set_balance(self, address: bytes, balance_wei: int) -> None:
        """Give an account ether, in a block of its own."""
        async with self._writing:
            await self._write(self.engine.set_balances, {address: balance_wei}, self._take_timestamp())
            self._last_block_at = time.monotonic()

    def increase_time(self, seconds: int) -> int:
        """Put the chain's clock forward; answers the whole offset."""
        self._set_clock_offset(self._clock_offset_s + seconds)
        return self._clock_offset_s

    def set_next_timestamp(self, timestamp_s: int) -> None:
        """The next block's time, later than the head's."""
        if timestamp_s <= self.head.timestamp:
            raise Refused(f"timestamp {timestamp_s} is not after the head's {self.head.timestamp}")
        self._next_timestamp_s = timestamp_s

    def set_interval(self, seconds: int) -> None:
        """Block time; 0 stops automatic blocks, so that only mine_now makes them."""
        self._is_automatic = seconds > 0
        if seconds:
            self.rhythm = Rhythm(seconds, max(seconds, self.rhythm.idle_block_time_s), self.rhythm.busy_s)
        self._wake.set()

    def snapshot(self) -> int:
        """Remember the head and the mempool; answers the snapshot's id."""
        waiting = tuple(self.mempool.all())
        self._snapshots.append(
            Snapshot(self.head.block_number, self.head.hash, waiting, self._clock_offset_s)
        )
        return len(self._snapshots)

    async def revert(self, snapshot_id: int) -> bool:
        """Go back to a snapshot, which uses it up with all later ones; what was mined since is dropped."""
        if not 1 <= snapshot_id <= len(self._snapshots):
            return False
        async with self._writing:
            snapshot = self._snapshots[snapshot_id - 1]
            del self._snapshots[snapshot_id - 1 :]
            block = self._own_view.store.block_by_number(snapshot.number)
            if block is None or block.hash != snapshot.hash:
                return False
            await self._write(self.engine.rewind, snapshot.number)
            self._set_clock_offset(snapshot.clock_offset_s)
            self._refill(snapshot.waiting)
        return True

    async def reorganise(self, depth: int, transactions: Sequence[tuple[bytes, int]]) -> None:
        """Replace the last `depth` blocks by as many others; the i-th holds the transactions paired with i.

        What the old blocks held is dropped: its senders have to send it again.
        """
        if not 0 < depth <= self.head.block_number:
            raise Refused(f"cannot replace {depth} of {self.head.block_number} blocks")
        async with self._writing:
            waiting = self.mempool.all()
            await self._write(self.engine.rewind, self.head.block_number - depth)
            for index in range(depth):
                chosen = [_decode(raw) for raw, place in transactions if place == index]
                timestamp_s = self.head.timestamp + 1
                await self._write(self.engine.mine, chosen, timestamp_s, float("inf"))
            self._refill(waiting)
            self._last_transaction_at = time.monotonic()
            self._wake.set()

    def _refill(self, transactions: Sequence[SignedTransactionAPI]) -> None:
        self.mempool = Mempool()
        for transaction in transactions:
            account_nonce = self.accounts().get_nonce(transaction.sender)
            if transaction.nonce >= account_nonce:
                self.mempool.add(transaction, account_nonce)


def _decode(raw: bytes) -> SignedTransactionAPI:
    try:
        transaction = PragueTransactionBuilder.decode(raw)
        assert transaction.sender is not None, "the signature is recovered here"
    except (ValidationError, UnrecognizedTransactionType, BadSignature, rlp.exceptions.RLPException) as error:
        raise Refused(f"invalid transaction: {error}") from error
    return transaction


def decode_stored(raw: bytes) -> SignedTransactionAPI:
    """A transaction out of the store, which took only valid ones."""
    return PragueTransactionBuilder.decode(raw)
