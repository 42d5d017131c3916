"""The sign-once record: what was signed, under which nonce and policy; hash-chained, durable before signing.

A batch is written in one transaction with one fsync; only then is anything signed. Signatures are not
stored: they are deterministic (RFC 6979), so the same attempt gives the same bytes for ever, also after a
crash in between.
"""

import hashlib
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wallet_node.errors import JournalBroken
from wallet_node.nonces import Content, Fees, KnownIntent, PaymentTerms
from wallet_node.store import Store

PAYMENT = "payment"
TRANSACTION = "transaction"
_SECONDS_A_DAY = 86_400
_GENESIS = bytes(32)
_CACHED_NONCES = 100_000
_VALUES_IN_ONE_QUERY = 1_000

_ROW = struct.Struct(">Q16sQQQQ32s32sQ")
_INTENT = struct.Struct(">Q20sQ20sQ")


class Attempt(msgspec.Struct, frozen=True):
    """One attempt about to be journaled. `content` and `domain` repeat the intent's, to be hashed with it."""

    intent_id: bytes
    domain: int
    nonce: int
    content: Content
    attempt: int
    terms: PaymentTerms | Fees
    digest: bytes


@dataclass(slots=True)
class Page:
    """What one request adds to the journal: gathered while deciding, then written at once."""

    first_attempts: list[Attempt] = field(default_factory=list)
    later_attempts: list[Attempt] = field(default_factory=list)
    spent: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[str, Sequence[tuple[Any, ...]]]] = field(default_factory=list)
    """What other rooms write beside the rows, in the same transaction: a statement and its parameters."""

    @property
    def is_empty(self) -> bool:
        return not (self.first_attempts or self.later_attempts or self.changes)


class Journal:
    """Reads and appends. The one writer of its file, so next nonces and the chain's head can be cached."""

    def __init__(self, store: Store, policy_hash: bytes, policy_source: bytes) -> None:
        self._store = store
        self._policy_hash = policy_hash
        self._next_nonces: dict[tuple[int, bytes], int] = {}
        self._sequence, self._head = self._last_row()
        self._last_seen_s: int = sum(row[0] for row in store.query("SELECT last_seen_s FROM clock"))
        if self._store.query("SELECT 1 FROM policies WHERE policy_hash = ?", (policy_hash,)) == []:
            with store.transaction() as connection:
                connection.execute("INSERT INTO policies VALUES (?, ?)", (policy_hash, policy_source))

    @property
    def length(self) -> int:
        """How many rows the journal has."""
        return self._sequence

    @property
    def head(self) -> bytes:
        """The hash of the last row, which commits to all of them; 32 zero bytes before the first."""
        return self._head

    def head_at(self, length: int) -> bytes | None:
        """The head as it was when the journal had so many rows; None where it never had."""
        if not 0 < length <= self._sequence:
            return None
        return heads_at(self._store, [length])[length]

    def domain(self, chain_id: int, contract: bytes, space: str) -> int:
        """The number of (chain, contract, space), given out at first use."""
        key = (chain_id, contract, space)
        wanted = "SELECT domain FROM domains WHERE chain_id = ? AND contract = ? AND space = ?"
        found = self._store.query(wanted, key)
        if not found:
            with self._store.transaction() as connection:
                connection.execute("INSERT INTO domains (chain_id, contract, space) VALUES (?, ?, ?)", key)
            found = self._store.query(wanted, key)
        number: int = found[0][0]
        return number

    def now_s(self, clock_s: int) -> int:
        """max(clock, last seen): a clock set back does not bring an earlier day back."""
        return max(clock_s, self._last_seen_s)

    def known(self, intent_ids: Collection[bytes]) -> dict[bytes, KnownIntent]:
        """Those of `intent_ids` that have their nonce already, with all their attempts."""
        ids = list(intent_ids)
        rows = self._store.query_in(
            "SELECT intent_id, domain, signer, nonce, counterparty, amount, calldata_hash"
            " FROM intents WHERE intent_id IN (#)",
            ids,
        )
        if not rows:
            return {}
        found = {
            intent_id: KnownIntent(Content(signer, counterparty, amount, calldata_hash), domain, nonce)
            for intent_id, domain, signer, nonce, counterparty, amount, calldata_hash in rows
        }
        attempts = self._store.query_in(
            "SELECT intent_id, attempt, valid_before_s, max_fee_per_gas, max_priority_fee_per_gas"
            " FROM journal WHERE intent_id IN (#) ORDER BY intent_id, attempt",
            ids,
        )
        for intent_id, attempt, valid_before_s, max_fee, priority_fee in attempts:
            found[intent_id].attempts[attempt] = _terms(valid_before_s, max_fee, priority_fee)
        return found

    def next_nonce(self, domain: int, signer: bytes) -> int:
        """One above the highest nonce ever given to this signer in this domain; 0 at first."""
        key = (domain, signer)
        cached = self._next_nonces.get(key)
        if cached is None:
            highest = self._store.query(
                "SELECT max(nonce) FROM intents WHERE domain = ? AND signer = ?", key
            )[0][0]
            cached = 0 if highest is None else highest + 1
            if len(self._next_nonces) >= _CACHED_NONCES:
                self._next_nonces.clear()
            self._next_nonces[key] = cached
        return cached

    def spent_on(self, now_s: int) -> dict[str, int]:
        """What each daily cap has used on the day of `now_s` (UTC)."""
        return dict(
            self._store.query(
                "SELECT cap, spent_minor FROM spending WHERE day = ?", (now_s // _SECONDS_A_DAY,)
            )
        )

    def write(self, page: Page, now_s: int) -> None:
        """Append a page in one transaction, durable on return; or raise JournalUnavailable, nothing added."""
        sequence, head = self._sequence, self._head
        rows = []
        for attempt in (*page.first_attempts, *page.later_attempts):
            sequence += 1
            terms = _columns(attempt.terms)
            head = _chain(head, sequence, attempt, self._policy_hash, now_s)
            rows.append(
                (
                    sequence,
                    attempt.intent_id,
                    attempt.attempt,
                    *terms,
                    attempt.digest,
                    self._policy_hash,
                    now_s,
                    head,
                )
            )
        with self._store.transaction() as connection:
            connection.executemany(
                "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?)", map(_intent_row, page.first_attempts)
            )
            connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            for cap, amount_minor in page.spent.items():
                connection.execute(
                    "INSERT INTO spending VALUES (?, ?, ?)"
                    " ON CONFLICT (cap, day) DO UPDATE SET spent_minor = spent_minor + excluded.spent_minor",
                    (cap, now_s // _SECONDS_A_DAY, amount_minor),
                )
            for statement, parameters in page.changes:
                connection.executemany(statement, parameters)
            connection.execute(
                "INSERT INTO clock VALUES (1, ?)"
                " ON CONFLICT (only_one) DO UPDATE SET last_seen_s = max(last_seen_s, excluded.last_seen_s)",
                (now_s,),
            )
        self._sequence, self._head = sequence, head
        self._last_seen_s = max(self._last_seen_s, now_s)
        for attempt in page.first_attempts:
            self._next_nonces[attempt.domain, attempt.content.signer] = attempt.nonce + 1

    def _last_row(self) -> tuple[int, bytes]:
        rows = self._store.query("SELECT sequence, row_hash FROM journal ORDER BY sequence DESC LIMIT 1", ())
        return rows[0] if rows else (0, _GENESIS)


def verify(store: Store) -> tuple[int, bytes]:
    """Recompute the whole chain: the number of rows and the head, or JournalBroken at the first bad row.

    It proves that no row was altered, removed from the middle or reordered. That the end is complete, only
    a head kept elsewhere can prove: compare it with the one returned.
    """
    store.connection.execute("BEGIN")  # one view of the file, also while a node writes to it
    try:
        length, head = _verify_rows(store)
        journaled = store.query("SELECT count(DISTINCT intent_id) FROM journal")[0][0]
        recorded = store.query("SELECT count(*) FROM intents")[0][0]
    finally:
        store.connection.execute("COMMIT")
    if journaled != recorded:
        raise JournalBroken(f"{recorded} intents have a nonce but {journaled} were journaled")
    return length, head


def heads_at(store: Store, lengths: Collection[int]) -> dict[int, bytes]:
    """The head at each of these lengths, as far as the journal has been so long.

    It is what the rows say of themselves: `verify` proves that they say the truth.
    """
    wanted = list(lengths)
    found: dict[int, bytes] = {}
    for at in range(0, len(wanted), _VALUES_IN_ONE_QUERY):
        part = wanted[at : at + _VALUES_IN_ONE_QUERY]
        found |= dict(store.query_in("SELECT sequence, row_hash FROM journal WHERE sequence IN (#)", part))
    return found


def _verify_rows(store: Store) -> tuple[int, bytes]:
    rows: Iterable[tuple[Any, ...]] = store.connection.execute(
        "SELECT sequence, journal.intent_id, attempt, valid_before_s, max_fee_per_gas,"
        " max_priority_fee_per_gas, digest, policy_hash, recorded_at_s, row_hash,"
        " domain, signer, nonce, counterparty, amount, calldata_hash"
        " FROM journal LEFT JOIN intents USING (intent_id) ORDER BY sequence"
    )
    length, head = 0, _GENESIS
    for row in rows:
        sequence, intent_id, attempt, *terms, digest, policy_hash, recorded_at_s, row_hash = row[:10]
        domain, signer, nonce, counterparty, amount, calldata_hash = row[10:]
        length += 1
        if sequence != length:
            raise JournalBroken(f"row {length} is missing: the next one is {sequence}")
        if domain is None:
            raise JournalBroken(f"row {sequence} stands for an intent that is not recorded")
        content = Content(signer, counterparty, amount, calldata_hash)
        entry = Attempt(intent_id, domain, nonce, content, attempt, _terms(*terms), digest)
        head = _chain(head, sequence, entry, policy_hash, recorded_at_s)
        if head != row_hash:
            raise JournalBroken(f"row {sequence} does not hash to what it records")
    return length, head


def _intent_row(entry: Attempt) -> tuple[Any, ...]:
    content = entry.content
    return (
        entry.intent_id,
        entry.domain,
        content.signer,
        entry.nonce,
        content.counterparty,
        content.amount,
        content.calldata_hash,
    )


def _chain(head: bytes, sequence: int, entry: Attempt, policy_hash: bytes, recorded_at_s: int) -> bytes:
    """SHA-256(previous | row); every field but the last has a fixed width: no row can be read two ways."""
    valid_before_s, max_fee, priority_fee = _columns(entry.terms)
    content = entry.content
    row = _ROW.pack(
        sequence,
        entry.intent_id,
        entry.attempt,
        valid_before_s or 0,
        max_fee or 0,
        priority_fee or 0,
        entry.digest,
        policy_hash,
        recorded_at_s,
    )
    intent = _INTENT.pack(entry.domain, content.signer, entry.nonce, content.counterparty, content.amount)
    return hashlib.sha256(head + row + intent + content.calldata_hash).digest()


def _terms(valid_before_s: int | None, max_fee: int | None, priority_fee: int | None) -> PaymentTerms | Fees:
    if valid_before_s is not None:
        return PaymentTerms(valid_before_s)
    assert max_fee is not None
    assert priority_fee is not None
    return Fees(max_fee, priority_fee)


def _columns(terms: PaymentTerms | Fees) -> tuple[int | None, int | None, int | None]:
    if isinstance(terms, PaymentTerms):
        return terms.valid_before_s, None, None
    return None, terms.max_fee_per_gas, terms.max_priority_fee_per_gas
