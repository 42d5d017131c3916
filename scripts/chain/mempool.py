"""Transactions that wait for a block: a queue by nonce for each sender, mined in the order of arrival."""

import heapq
from collections.abc import Callable, Iterator

from eth.abc import SignedTransactionAPI

REPLACEMENT_PERCENT = 110
CAPACITY = 50_000


class Refused(Exception):
    """A transaction that a node does not take, in the words that clients know."""


class Mempool:
    """Queues with gaps allowed: a transaction waits until the nonces below it are mined or queued."""

    def __init__(self) -> None:
        self._queues: dict[bytes, dict[int, tuple[int, SignedTransactionAPI]]] = {}
        self._by_hash: dict[bytes, SignedTransactionAPI] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, transaction_hash: bytes) -> SignedTransactionAPI | None:
        """A waiting transaction."""
        return self._by_hash.get(transaction_hash)

    def add(self, transaction: SignedTransactionAPI, account_nonce: int) -> None:
        """Queue a valid transaction; the same nonce again replaces only for a tenth more in fees."""
        if transaction.hash in self._by_hash:
            return
        if transaction.nonce < account_nonce:
            raise Refused(f"nonce too low: next nonce {account_nonce}, tx nonce {transaction.nonce}")
        queue = self._queues.setdefault(transaction.sender, {})
        rival = queue.get(transaction.nonce)
        if rival is not None:
            _require_better_fees(transaction, rival[1])
            del self._by_hash[rival[1].hash]
        elif len(self._by_hash) >= CAPACITY:
            raise Refused("txpool is full")
        self._arrivals += 1
        arrival = self._arrivals if rival is None else rival[0]
        queue[transaction.nonce] = (arrival, transaction)
        self._by_hash[transaction.hash] = transaction

    def remove(self, transaction_hash: bytes) -> None:
        """Forget a transaction: it was mined or refused."""
        transaction = self._by_hash.pop(transaction_hash, None)
        if transaction is not None:
            queue = self._queues[transaction.sender]
            del queue[transaction.nonce]
            if not queue:
                del self._queues[transaction.sender]

    def next_nonce(self, sender: bytes, account_nonce: int) -> int:
        """The nonce after the last one queued without a gap."""
        queue = self._queues.get(sender, {})
        nonce = account_nonce
        while nonce in queue:
            nonce += 1
        return nonce

    def executable(
        self, account_nonce: Callable[[bytes], int], base_fee_wei: int
    ) -> Iterator[SignedTransactionAPI]:
        """Transactions that could be mined now, the earliest arrival first, each sender's in nonce order."""
        ready: list[tuple[int, bytes, int]] = []

        def offer(sender: bytes, nonce: int) -> None:
            entry = self._queues[sender].get(nonce)
            if entry is not None and entry[1].max_fee_per_gas >= base_fee_wei:
                heapq.heappush(ready, (entry[0], sender, nonce))

        for sender in list(self._queues):
            offer(sender, account_nonce(sender))
        while ready:
            _, sender, nonce = heapq.heappop(ready)
            yield self._queues[sender][nonce][1]
            offer(sender, nonce + 1)

    def all(self) -> list[SignedTransactionAPI]:
        """Every waiting transaction in the order of arrival."""
        entries = [entry for queue in self._queues.values() for entry in queue.values()]
        return [transaction for _, transaction in sorted(entries, key=lambda entry: entry[0])]


def _require_better_fees(transaction: SignedTransactionAPI, rival: SignedTransactionAPI) -> None:
    for name in ("max_fee_per_gas", "max_priority_fee_per_gas"):
        if getattr(transaction, name) * 100 < getattr(rival, name) * REPLACEMENT_PERCENT:
            raise Refused("replacement transaction underpriced")
