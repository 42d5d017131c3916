"""The chain on disk: one SQLite file, written once for each block.

State-trie nodes, headers and contract code are content-addressed and never deleted; the canonical chain is
the rows of `blocks`, `transactions` and `logs`, which a reorganisation deletes from the top. A block is one
database transaction, so a killed server restarts at a whole block.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS nodes (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS transactions (
    hash BLOB PRIMARY KEY, block_number INTEGER NOT NULL, position INTEGER NOT NULL, sender BLOB NOT NULL,
    raw BLOB NOT NULL, status INTEGER NOT NULL, gas_used INTEGER NOT NULL, cumulative_gas INTEGER NOT NULL,
    effective_gas_price INTEGER NOT NULL, contract BLOB, bloom BLOB NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS transactions_by_place ON transactions (block_number, position);
CREATE TABLE IF NOT EXISTS logs (
    block_number INTEGER NOT NULL, log_index INTEGER NOT NULL, position INTEGER NOT NULL,
    address BLOB NOT NULL, topics BLOB NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (block_number, log_index)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A canonical block: its header as RLP and its encoded size in bytes."""

    number: int
    hash: bytes
    header: bytes
    size: int


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A mined transaction with its receipt; `contract` is the address that it created, if any."""

    hash: bytes
    block_number: int
    position: int
    sender: bytes
    raw: bytes
    status: int
    gas_used: int
    cumulative_gas: int
    effective_gas_price: int
    contract: bytes | None
    bloom: bytes


@dataclass(frozen=True, slots=True)
class StoredLog:
    """A log; `topics` are 0 to 4 words of 32 bytes, one after another."""

    block_number: int
    log_index: int
    position: int
    address: bytes
    topics: bytes
    data: bytes


class ChainStore:
    """One connection to the chain's file. A connection belongs to one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        self._db.close()

    # nodes

    def node(self, key: bytes) -> bytes | None:
        """The value stored under a content address, or None."""
        row = self._db.execute("SELECT value FROM nodes WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    # writing

    def write_block(
        self,
        block: StoredBlock,
        transactions: Iterable[StoredTransaction],
        logs: Iterable[StoredLog],
        nodes: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Append a canonical block, all or nothing."""
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO nodes VALUES (?, ?)", nodes)
            self._db.execute(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)", (block.number, block.hash, block.header, block.size)
            )
            self._db.executemany(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [tuple(getattr(row, name) for name in StoredTransaction.__slots__) for row in transactions],
            )
            self._db.executemany(
                "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (row.block_number, row.log_index, row.position, row.address, row.topics, row.data)
                    for row in logs
                ],
            )

    def drop_blocks_above(self, number: int) -> None:
        """Forget the canonical blocks above `number`, as a reorganisation does."""
        with self._transaction():
            self._db.execute("DELETE FROM logs WHERE block_number > ?", (number,))
            self._db.execute("DELETE FROM transactions WHERE block_number > ?", (number,))
            self._db.execute("DELETE FROM blocks WHERE number > ?", (number,))

    def set_setting(self, name: str, value: int) -> None:
        """Keep one number across restarts."""
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def _transaction(self) -> "_WriteTransaction":
        return _WriteTransaction(self._db)

    # reading

    def setting(self, name: str, default: int) -> int:
        """A number kept by `set_setting`."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else int(row[0])

    def head_number(self) -> int | None:
        """The highest canonical block's number; None before genesis."""
        number: int | None = self._db.execute("SELECT max(number) FROM blocks").fetchone()[0]
        return number

    def block_by_number(self, number: int) -> StoredBlock | None:
        """A canonical block."""
        row = self._db.execute("SELECT * FROM blocks WHERE number = ?", (number,)).fetchone()
        return None if row is None else StoredBlock(*row)

    def block_by_hash(self, block_hash: bytes) -> StoredBlock | None:
        """A canonical block; one that was reorganised away is not found."""
        row = self._db.execute("SELECT * FROM blocks WHERE hash = ?", (block_hash,)).fetchone()
        return None if row is None else StoredBlock(*row)

    def transaction_hashes(self, block_number: int) -> list[bytes]:
        """Hashes of a block's transactions in their order."""
        query = "SELECT hash FROM transactions WHERE block_number = ? ORDER BY position"
        return [row[0] for row in self._db.execute(query, (block_number,))]

    def transactions(self, block_number: int) -> list[StoredTransaction]:
        """A block's transactions in their order."""
        query = "SELECT * FROM transactions WHERE block_number = ? ORDER BY position"
        return [StoredTransaction(*row) for row in self._db.execute(query, (block_number,))]

    def transaction(self, transaction_hash: bytes) -> StoredTransaction | None:
        """A canonical transaction."""
        row = self._db.execute("SELECT * FROM transactions WHERE hash = ?", (transaction_hash,)).fetchone()
        return None if row is None else StoredTransaction(*row)

    def logs(
        self, first_block: int, last_block: int, addresses: list[bytes], topics: list[list[bytes]]
    ) -> list[tuple[StoredLog, bytes, bytes]]:
        """Logs of a range of blocks with their block's and their transaction's hash.

        `addresses` empty means any; `topics[i]` empty means any topic in that place.
        """
        query = [
            "SELECT l.*, b.hash, t.hash FROM logs l",
            "JOIN blocks b ON b.number = l.block_number",
            "JOIN transactions t ON t.block_number = l.block_number AND t.position = l.position",
            "WHERE l.block_number BETWEEN ? AND ?",
        ]
        values: list[int | bytes] = [first_block, last_block]
        if addresses:
            query.append(f"AND l.address IN ({', '.join('?' * len(addresses))})")
            values.extend(addresses)
        for place, accepted in enumerate(topics):
            query.append("AND length(l.topics) >= ?")
            values.append(32 * (place + 1))
            if accepted:
                query.append(f"AND substr(l.topics, ?, 32) IN ({', '.join('?' * len(accepted))})")
                values.extend([32 * place + 1, *accepted])
        query.append("ORDER BY l.block_number, l.log_index")
        rows = self._db.execute(" ".join(query), values)
        return [(StoredLog(*row[:6]), row[6], row[7]) for row in rows]

    def logs_of_transaction(self, block_number: int, position: int) -> list[StoredLog]:
        """One receipt's logs."""
        query = "SELECT * FROM logs WHERE block_number = ? AND position = ? ORDER BY log_index"
        return [StoredLog(*row) for row in self._db.execute(query, (block_number, position))]


class _WriteTransaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when the body raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if error_type is None else "ROLLBACK")
