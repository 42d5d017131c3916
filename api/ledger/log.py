"""The journal as a log that only grows: its entries in the order of their ids, each as bytes.

Ids are drawn before their transaction commits, so a lower id can become visible after a higher one. The log
therefore ends at a fence: the last id that had been drawn at some moment, once every transaction of that
moment is over. What is visible up to there stays as it is for ever; what is not was rolled back. No posting
waits for this, and nothing is written for it.

A leaf, all integers big-endian, all texts UTF-8 behind their length in 4 bytes:

    version 1 (= 1) | entry id 8 (signed) | booked at, microseconds since 1970 UTC, 8
    | business id 16 (zeros: none) | kind | source | number of legs 4 | legs, in the order of their bytes:
        account code | currency 3 | amount in minor units 8 (signed: debit positive)

The account's code stands for it, and not its number: who renames an account changes the leaf.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contracts.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from uuid import UUID

    from api.database import Connection

ENTRIES_AT_ONCE: Final = 1_000  # some 30 ms of the worker, which has other tasks
LEAF_VERSION: Final = 1
BEFORE_ALL: Final = -(2**63)
"""Below every id that an entry can have, also one that no sequence gave it."""

_HEAD: Final = struct.Struct(">Bqq16s")
_LEG: Final = struct.Struct(">3sq")
_NO_BUSINESS: Final = bytes(16)

_ENTRIES: Final = """
SELECT id, kind, source, business_id, (extract(epoch FROM booked_at) * 1000000)::bigint AS booked_at_us
  FROM ledger_entries WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3
"""

_LEGS: Final = """
SELECT l.entry_id, coalesce(a.code, ''), l.currency, l.amount_minor
  FROM ledger_legs l LEFT JOIN ledger_accounts a ON a.id = l.account_id
 WHERE l.entry_id BETWEEN $1 AND $2 ORDER BY l.entry_id
"""


@dataclass(frozen=True, slots=True)
class LogLeg:
    """One side of an entry as its leaf has it."""

    code: str
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the journal as its leaf has it."""

    id: int
    kind: str
    source: str
    business_id: UUID | None
    booked_at_us: int
    legs: tuple[LogLeg, ...]


@dataclass(frozen=True, slots=True)
class Fence:
    """The last entry id drawn at a moment, and a transaction that began to write after it."""

    last_id: int
    later_transaction: int


async def read_fence(connection: Connection) -> Fence:
    """Where the log could end now. The connection must be outside of a transaction.

    Whoever draws an id has its transaction's number before (`Posting.open` locks rows), so a number that is
    taken after the id was read is above it. A snapshot's xmax would not do: it follows the last transaction
    that is over, and others above it may be under way.
    """
    last_id = await connection.fetchval(
        "SELECT coalesce(pg_sequence_last_value('ledger_entry_ids'::regclass), 0)"
    )
    later_transaction = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
    return Fence(last_id, later_transaction)


async def is_passed(connection: Connection, fence: Fence) -> bool:
    """Whether every transaction that could still write an id up to the fence is over.

    Transactions of other databases on the same server count as well: that only delays.
    """
    oldest: int = await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return oldest >= fence.later_transaction


async def read_leaves(
    connection: Connection, above_id: int, last_id: int
) -> AsyncIterator[list[tuple[int, bytes]]]:
    """(entry id, leaf hash) of the entries above one id up to another, in sets, in the log's order."""
    while True:
        entries = await connection.fetch(_ENTRIES, above_id, last_id, ENTRIES_AT_ONCE)
        if not entries:
            return
        above_id = entries[-1][0]
        legs: dict[int, list[bytes]] = {}
        for entry_id, *leg in await connection.fetch(_LEGS, entries[0][0], above_id):
            legs.setdefault(entry_id, []).append(_leg_bytes(*leg))
        yield [
            (row[0], leaf_hash(_leaf(row[0], row[4], row[3], row[1], row[2], legs.get(row[0], ()))))
            for row in entries
        ]
        if len(entries) < ENTRIES_AT_ONCE:
            return


def encode_leaf(entry: LogEntry) -> bytes:
    """An entry's leaf."""
    legs = [_leg_bytes(leg.code, leg.currency, leg.amount_minor) for leg in entry.legs]
    return _leaf(entry.id, entry.booked_at_us, entry.business_id, entry.kind, entry.source, legs)


def _leaf(  # noqa: PLR0917 - one for each column, in the leaf's order
    entry_id: int,
    booked_at_us: int,
    business_id: UUID | None,
    kind: str,
    source: str,
    legs: Sequence[bytes] | Iterable[bytes],
) -> bytes:
    business = _NO_BUSINESS if business_id is None else business_id.bytes
    ordered = sorted(legs)
    return b"".join((
        _HEAD.pack(LEAF_VERSION, entry_id, booked_at_us, business), _text(kind), _text(source),
        len(ordered).to_bytes(4, "big"), *ordered,
    ))  # fmt: skip


def _leg_bytes(code: str, currency: str, amount_minor: int) -> bytes:
    return _text(code) + _LEG.pack(currency.encode(), amount_minor)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded
