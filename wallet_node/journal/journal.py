"""The sign-once record: every decision in one row, hash-chained and a Merkle log, durable before signing.

What one request adds is a page. Pages are appended in one open transaction, where later requests see them,
and made durable by one commit, which is one fsync; only then is anything signed. `write` does both for one
page, `JournalGroup` shares the commit among requests. Signatures are not stored: they are deterministic (RFC
6979), so the same attempt gives the same bytes for ever, also after a crash in between.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from contracts.merkle import LEAF_PREFIX
from wallet_node.errors import JournalBroken, JournalUnavailable
from wallet_node.journal.allocator import Allocator
from wallet_node.journal.entries import (
    GENESIS,
    AttemptRefused,
    Entry,
    NonceRepaired,
    PolicyActivated,
    Signed,
    encode,
)
from wallet_node.journal.known_intents import read_known
from wallet_node.journal.nonces import Known, Space
from wallet_node.journal.pages import Commit, Page, Row
from wallet_node.journal.proofs import Growth, JournalProofs
from wallet_node.keystore.seals import Seals
from wallet_node.store import Store

_TIP: Final = "tip"
_SET_TIP: Final = (
    "INSERT INTO tip VALUES (1, ?, ?, ?, ?) ON CONFLICT (only_one) DO UPDATE"
    " SET size = excluded.size, leaf = excluded.leaf, last_seen_s = excluded.last_seen_s,"
    " seal = excluded.seal"
)


@dataclass(frozen=True, slots=True)
class _Tip:
    """Where the log stands."""

    size: int
    leaf: bytes
    growth: Growth
    last_seen_s: int
    policy_hash: bytes


class Journal:
    """Reads and appends. The one writer of its file, so that nonces and the log's end can be cached."""

    def __init__(
        self, store: Store, policy_hash: bytes, policy_source: bytes, seals: Seals | None = None
    ) -> None:
        """`policy_hash` is the SHA-256 of `policy_source`. Raises JournalBroken when the end does not fit, or
        has not the seal that it must have where there are `seals`.
        """
        self._store = store
        self._seals = seals
        self._allocator = Allocator(store)
        self._appended = self._committed = _read_tip(store, policy_hash, seals)
        self._open: Commit | None = None
        self._forget: list[Callable[[], None]] = [self._allocator.forget]
        self.proofs = JournalProofs(store, lambda: self.length)
        store.settle = self.commit
        if store.query("SELECT 1 FROM policies WHERE policy_hash = ?", (policy_hash,)) == []:
            with store.transaction() as connection:
                connection.execute("INSERT INTO policies VALUES (?, ?)", (policy_hash, policy_source))

    # ------------------------------------------------------------------------------------------ reading

    @property
    def length(self) -> int:
        """How many rows are durable."""
        return self._committed.size

    @property
    def is_open(self) -> bool:
        """Whether something was appended that is not durable yet."""
        return self._open is not None

    @property
    def policy_hash(self) -> bytes:
        """The policy that decides the next row."""
        return self._appended.policy_hash

    def root_at(self, size: int) -> bytes | None:
        """The Merkle root as it was when the journal had so many rows; None where it never had."""
        return self.proofs.root_at(size) if 0 <= size <= self.length else None

    def now_s(self, clock_s: int) -> int:
        """max(clock, last seen): a clock set back does not bring an earlier day back."""
        return max(clock_s, self._appended.last_seen_s)

    def known(self, intent_ids: Collection[bytes]) -> dict[bytes, Known]:
        """Those of `intent_ids` that were decided already: with a nonce and all attempts, or refused."""
        return read_known(self._store, intent_ids)

    def next_nonces(self, space: Space, signers: Collection[bytes]) -> dict[bytes, int]:
        """For each signer one above the highest nonce ever given to it in this space; 0 at first."""
        return self._allocator.next_nonces(space, signers)

    def next_nonce(self, space: Space, signer: bytes) -> int:
        """One above the highest nonce ever given to this signer in this space; 0 at first."""
        return self._allocator.next_nonces(space, [signer])[signer]

    def authorized_by(self, space: Space, signer: bytes, nonce: bytes) -> bytes | None:
        """The id that has this random nonce (EIP-3009), if any."""
        return self._allocator.authorized_by(space, signer, nonce)

    def activated_policy(self) -> bytes | None:
        """The hash of the policy that a row activated last, if ever one did."""
        found = self._store.query("SELECT policy_hash FROM activations ORDER BY sequence DESC LIMIT 1")
        return found[0][0] if found else None

    # ------------------------------------------------------------------------------------------ writing

    def write(self, page: Page, now_s: int) -> None:
        """Append a page, durable on return; or raise JournalUnavailable, nothing of it added.

        What was appended before becomes durable with it. So an empty page is written as well: what was
        decided may be a repetition of what another request has only appended.
        """
        if page.is_empty and not self.is_open:
            return
        commit = self.append(page, now_s)
        self.commit()
        commit.require()

    def append(self, page: Page, now_s: int) -> Commit:
        """Add a page to the open transaction: what is decided next sees it, `commit` makes it durable.

        Nothing may be signed before the commit that is returned is over and its `require` passes. Raises
        JournalUnavailable, nothing of the page added; where the file itself fails, every page of the commit
        fails.
        """
        commit = self._open or self._begin()
        try:
            if commit.pages:  # a savepoint copies every page of the file that changes; the first needs none
                self._store.connection.execute("SAVEPOINT page")
            tip = self._insert(page, now_s)
            if commit.pages:
                self._store.connection.execute("RELEASE page")
        except BaseException as error:
            self._undo(commit, error)
            if isinstance(error, sqlite3.Error):
                raise _unavailable(error) from error
            raise
        self._appended = tip
        commit.pages += 1
        return commit

    def commit(self) -> None:
        """Make durable what was appended. Whether that worked, each page's commit tells."""
        commit, tip = self._open, self._appended
        if commit is None:
            return
        try:
            end = (tip.size, tip.leaf, tip.last_seen_s)
            seal = None if self._seals is None else self._seals.of(_TIP, *end)
            self._store.connection.execute(_SET_TIP, (*end, seal))
            self._store.connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back(commit, error)
            if not isinstance(error, sqlite3.Error):
                raise
        else:
            self._committed, self._open = tip, None
            commit.is_over = True

    def when_undone(self, forget: Callable[[], None]) -> None:
        """Have this called whenever pages that were to be written are not: nobody may remember them."""
        self._forget.append(forget)

    def _begin(self) -> Commit:
        try:
            self._store.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._forget_all()
            raise _unavailable(error) from error
        self._open = Commit()
        return self._open

    def _undo(self, commit: Commit, error: BaseException) -> None:
        """Take back one page; or all of the commit, where it is the only one or the file takes back more."""
        connection = self._store.connection
        if commit.pages and connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK TO page")
                connection.execute("RELEASE page")
                self._forget_all()
                return
        self._roll_back(commit, error)

    def _roll_back(self, commit: Commit, error: BaseException) -> None:
        self._open, self._appended = None, self._committed
        commit.failure, commit.is_over = _unavailable(error), True
        self._forget_all()
        if self._store.connection.in_transaction:
            self._store.connection.execute("ROLLBACK")

    def _forget_all(self) -> None:
        for forget in self._forget:
            forget()

    def _insert(self, page: Page, now_s: int) -> _Tip:
        page.refused_attempts = self._news(page.refused_attempts)
        now_s = self.now_s(now_s)  # another request may have been written since the caller asked for it
        before, insert = self._appended, self._store.insert
        rows, leaves = _hashed(page, before, now_s)
        growth = before.growth.copy()
        insert("journal", rows)
        insert("subtrees", growth.extend(leaves))
        activated = self._insert_index(page, before.size + 1)
        for statement, parameters in page.changes:
            self._store.connection.executemany(statement, parameters)
        return _Tip(
            before.size + len(rows),
            leaves[-1] if leaves else before.leaf,
            growth,
            now_s if rows else before.last_seen_s,
            activated or before.policy_hash,
        )

    def _insert_index(self, page: Page, first: int) -> bytes | None:
        """Where each id's rows are, in the order of `Page.rows` from sequence `first` on.

        Returns the policy that the page activated, if any.
        """
        insert, at = self._store.insert, first
        self._allocator.give(
            (sequence, row.intent_id, _signed(row)) for sequence, row in enumerate(page.first_attempts, at)
        )
        at += len(page.first_attempts)
        insert("attempts", _attempts(page.later_attempts, at))
        at += len(page.later_attempts)
        insert("repairs", _attempts(page.repairs, at))
        at += len(page.repairs)
        refused = [(row.intent_id, sequence, None, None) for sequence, row in enumerate(page.refused, at)]
        insert("intents", refused)
        at += len(page.refused)
        attempts = enumerate(page.refused_attempts, at)
        insert("refused_attempts", [(row.intent_id, _codes(row), sequence) for sequence, row in attempts])
        at += len(page.refused_attempts)
        activations = [
            (sequence, row.decision.activated)
            for sequence, row in enumerate(page.notes, at)
            if isinstance(row.decision, PolicyActivated)
        ]
        insert("activations", activations)
        return activations[-1][1] if activations else None

    def _news(self, rows: Sequence[Row]) -> list[Row]:
        """Refused attempts that were not refused for the same reasons before."""
        kept: dict[tuple[bytes, str], Row] = {}
        for row in rows:
            kept.setdefault((row.intent_id, _codes(row)), row)
        if kept:
            ids = list({intent_id for intent_id, _ in kept})
            for before in self._store.query_in(
                "SELECT intent_id, codes FROM refused_attempts WHERE intent_id IN (#)", ids
            ):
                kept.pop(before, None)
        return list(kept.values())


def _read_tip(store: Store, policy_hash: bytes, seals: Seals | None) -> _Tip:
    found = store.query("SELECT size, leaf, last_seen_s, seal FROM tip")
    size, leaf, last_seen_s, seal = found[0] if found else (0, GENESIS, 0, None)
    last = store.query("SELECT sequence, entry FROM journal ORDER BY sequence DESC LIMIT 1")
    if (last[0][0] if last else 0) != size:
        raise JournalBroken(f"row {size}, the last one written, is not the last one in the file")
    if last and hashlib.sha256(LEAF_PREFIX + last[0][1]).digest() != leaf:
        raise JournalBroken(f"row {size}, the last one, is not what was written")
    if found and seals is not None and not seals.is_of(seal, _TIP, size, leaf, last_seen_s):
        raise JournalBroken(
            f"the journal's end, row {size}, was not written with the keys of this home: run `verify-journal`"
        )
    return _Tip(size, leaf, Growth.read(store, size), last_seen_s, policy_hash)


def _hashed(page: Page, tip: _Tip, now_s: int) -> tuple[list[tuple[int, bytes]], list[bytes]]:
    """A page's rows as they are stored, each with the leaf of the one before it; and all their leaves."""
    sequence, leaf, policy_hash = tip.size, tip.leaf, tip.policy_hash
    rows, leaves = [], []
    for row in page.rows:
        sequence += 1
        entry = encode(
            Entry(2, sequence, leaf, now_s, policy_hash, row.proof_hash, row.intent_id, row.decision)
        )
        leaf = hashlib.sha256(LEAF_PREFIX + entry).digest()
        rows.append((sequence, entry))
        leaves.append(leaf)
    return rows, leaves


def _signed(row: Row) -> Signed:
    assert isinstance(row.decision, Signed)
    return row.decision


def _attempts(rows: Sequence[Row], first: int) -> list[tuple[bytes, int, int]]:
    made = []
    for sequence, row in enumerate(rows, first):
        assert isinstance(row.decision, Signed | NonceRepaired)
        made.append((row.intent_id, row.decision.attempt, sequence))
    return made


def _codes(row: Row) -> str:
    assert isinstance(row.decision, AttemptRefused)
    return " ".join(each.code for each in row.decision.reasons)


def _unavailable(error: BaseException) -> JournalUnavailable:
    return JournalUnavailable(f"the store could not be written: {error}; nothing was signed")
