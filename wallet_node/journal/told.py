"""What the rows alone tell of customers, caps and officers, added up in a temporary file.

The file is SQLite's own: it spills what memory should not hold, and is gone with the connection. `comparison`
holds it against the tables by which the node decides.
"""

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

from contracts.customer_approvals import NO_CREDENTIAL
from wallet_node.errors import JournalBroken
from wallet_node.journal.entries import (
    CredentialBound,
    CredentialChanged,
    Decision,
    Entry,
    MandateRegistered,
    MandateRevoked,
    OperationApproved,
    OperationExecuted,
    OperationExpired,
    OperationHandedOver,
    OperationPending,
    OperationRefused,
    OperationWithdrawn,
    Signed,
    mandate_proof_hash,
)
from wallet_node.journal.periods import SECONDS_A_BUCKET, oldest_hour, period_start_s

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE credentials (
    wallet BLOB, hash BLOB, is_first INTEGER, is_bound INTEGER, PRIMARY KEY (wallet, hash)
) WITHOUT ROWID;
CREATE TABLE credential_changes (
    change_id BLOB PRIMARY KEY, wallet BLOB, bound BLOB, unbound BLOB, ends_mandates INTEGER
) WITHOUT ROWID;
CREATE TABLE mandates (
    mandate_id BLOB PRIMARY KEY, payer BLOB, payee BLOB, cap_minor INTEGER, period TEXT,
    starts_at_s INTEGER, expires_at_s INTEGER, proof_hash BLOB, is_revoked INTEGER
) WITHOUT ROWID;
CREATE TABLE mandate_proofs (proof_hash BLOB PRIMARY KEY, mandate_id BLOB, period TEXT) WITHOUT ROWID;
CREATE TABLE mandate_revocations (mandate_id BLOB PRIMARY KEY, revoked_at_s INTEGER) WITHOUT ROWID;
CREATE TABLE mandate_spending (
    mandate_id BLOB, period_start_s INTEGER, spent_minor INTEGER, PRIMARY KEY (mandate_id, period_start_s)
) WITHOUT ROWID;
CREATE TABLE rolling_spending (
    ledger TEXT, subject BLOB, hour INTEGER, spent_minor INTEGER, PRIMARY KEY (ledger, subject, hour)
) WITHOUT ROWID;
CREATE TABLE operations (
    operation_id BLOB PRIMARY KEY, kind TEXT, digest BLOB, description_hash BLOB, quorum TEXT, initiator TEXT,
    proposed_at_s INTEGER, expires_at_s INTEGER, state TEXT, ended_at_s INTEGER
) WITHOUT ROWID;
CREATE TABLE operation_statements (
    officer TEXT, statement_hash BLOB, operation_id BLOB, verb INTEGER, policy_hash BLOB,
    expires_at_s INTEGER, stated_at_s INTEGER, PRIMARY KEY (officer, statement_hash)
) WITHOUT ROWID;
"""
_ENDED_BY: Final = {OperationRefused: "withdrawn", OperationExpired: "expired", OperationExecuted: "executed"}
_APPROVE, _WITHDRAW = 1, 2  # as officers/approvals.py writes them
_EXISTING: Final = "operation_id = ? AND digest = ? AND state = 'pending'"


class Told:
    """What the rows so far add up to. Buckets that no window reaches at the journal's end are left out."""

    def __init__(self, last_seen_s: int) -> None:
        self._oldest_hour = oldest_hour(last_seen_s)
        self._connection = sqlite3.connect("", isolation_level=None)
        self._run = self._connection.execute
        for statement in _SCHEMA.split(";"):
            self._run(statement)
        self._run("BEGIN")
        self._has_mandates = False
        self._takes: dict[type[Decision], Callable[[Entry, Any], None]] = {
            CredentialBound: self._credential_bound,
            CredentialChanged: self._credential_changed,
            MandateRegistered: self._mandate_registered,
            MandateRevoked: self._mandate_revoked,
            OperationPending: self._operation_pending,
            OperationHandedOver: self._operation_handed_over,
            OperationApproved: self._operation_stated,
            OperationWithdrawn: self._operation_stated,
            OperationRefused: self._operation_ended,
            OperationExpired: self._operation_ended,
            OperationExecuted: self._operation_ended,
        }

    def take(self, entry: Entry) -> None:
        """Add one row that is no signature. Raises JournalBroken where it contradicts those before it."""
        take = self._takes.get(type(entry.decision))
        if take is None:
            return
        try:
            take(entry, entry.decision)
        except sqlite3.IntegrityError:
            raise JournalBroken(f"row {entry.sequence} says a second time what is said once") from None

    def take_first_signature(self, entry: Entry, decision: Signed) -> None:
        """Add what an id's first signature took of caps and of its mandate."""
        hour = entry.recorded_at_s // SECONDS_A_BUCKET
        if hour >= self._oldest_hour:
            for ledger, is_of_signer, amount_minor in decision.charges:
                subject = decision.content.signer if is_of_signer else b""
                self._add("rolling_spending", (ledger, subject, hour), amount_minor)
        if self._has_mandates and entry.proof_hash:
            found = self._run(
                "SELECT mandate_id, period FROM mandate_proofs WHERE proof_hash = ?", (entry.proof_hash,)
            ).fetchone()
            if found is not None:
                starts_at_s = period_start_s(found[1], entry.recorded_at_s)
                self._add("mandate_spending", (found[0], starts_at_s), decision.content.amount)

    def close(self) -> None:
        """Let go of the temporary file."""
        self._connection.close()

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """A SELECT of what the rows tell."""
        return self._run(statement)

    # ------------------------------------------------------------------------------------------ customers

    def _credential_bound(self, entry: Entry, said: CredentialBound) -> None:
        if self._run("SELECT 1 FROM credentials WHERE wallet = ?", (said.wallet,)).fetchone():
            raise JournalBroken(f"row {entry.sequence} binds a first credential to a wallet that has one")
        self._run("INSERT INTO credentials VALUES (?, ?, 1, 1)", (said.wallet, said.credential_hash))

    def _credential_changed(self, entry: Entry, said: CredentialChanged) -> None:
        if said.bound_hash != NO_CREDENTIAL:
            self._run(
                "INSERT INTO credentials VALUES (?, ?, 0, 1) ON CONFLICT DO UPDATE SET is_bound = 1",
                (said.wallet, said.bound_hash),
            )
        if said.unbound_hash != NO_CREDENTIAL:
            unbound = self._run(
                "UPDATE credentials SET is_bound = 0 WHERE wallet = ? AND hash = ? AND is_bound = 1",
                (said.wallet, said.unbound_hash),
            )
            if unbound.rowcount != 1:
                raise JournalBroken(f"row {entry.sequence} unbinds a credential that was not bound")
        self._run(
            "INSERT INTO credential_changes VALUES (?, ?, ?, ?, ?)",
            (entry.intent_id, said.wallet, said.bound_hash, said.unbound_hash, said.ends_mandates),
        )

    def _mandate_registered(self, entry: Entry, said: MandateRegistered) -> None:
        mandate_id = entry.intent_id
        terms = (said.payer, said.payee, said.cap_minor, said.period, said.starts_at_s, said.expires_at_s)
        self._run(
            "INSERT INTO mandates VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", (mandate_id, *terms, entry.proof_hash)
        )
        self._run(
            "INSERT INTO mandate_proofs VALUES (?, ?, ?)",
            (mandate_proof_hash(mandate_id), mandate_id, said.period),
        )
        self._has_mandates = True

    def _mandate_revoked(self, entry: Entry, _said: MandateRevoked) -> None:
        self._run("INSERT INTO mandate_revocations VALUES (?, ?)", (entry.intent_id, entry.recorded_at_s))
        self._run("UPDATE mandates SET is_revoked = 1 WHERE mandate_id = ?", (entry.intent_id,))

    # ------------------------------------------------------------------------------------------ officers

    def _operation_pending(self, entry: Entry, said: OperationPending) -> None:
        self._run(
            "INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', NULL)",
            (
                entry.intent_id,
                said.what,
                said.digest,
                said.description_hash,
                said.quorum,
                said.initiator,
                entry.recorded_at_s,
                said.expires_at_s,
            ),
        )

    def _operation_handed_over(self, entry: Entry, said: OperationHandedOver) -> None:
        self._change(entry, said.digest, "quorum = ?", said.quorum)

    def _operation_stated(self, entry: Entry, said: OperationApproved | OperationWithdrawn) -> None:
        verb = _APPROVE if isinstance(said, OperationApproved) else _WITHDRAW
        when = (said.expires_at_s, entry.recorded_at_s)
        self._run(
            "INSERT INTO operation_statements VALUES (?, ?, ?, ?, ?, ?, ?)",
            (said.officer, entry.proof_hash, entry.intent_id, verb, entry.policy_hash, *when),
        )
        self._change(entry, said.digest, "quorum = quorum")
        if said.ends:
            self._change(entry, said.digest, "state = ?, ended_at_s = ?", "withdrawn", entry.recorded_at_s)

    def _operation_ended(
        self, entry: Entry, said: OperationRefused | OperationExpired | OperationExecuted
    ) -> None:
        state = _ENDED_BY[type(said)]
        self._change(entry, said.digest, "state = ?, ended_at_s = ?", state, entry.recorded_at_s)

    def _change(self, entry: Entry, digest: bytes, change: str, *values: Any) -> None:
        """Change an operation that waits. Raises JournalBroken where none of that id and digest does."""
        statement = f"UPDATE operations SET {change} WHERE {_EXISTING}"  # noqa: S608 - from this file
        if self._run(statement, (*values, entry.intent_id, digest)).rowcount != 1:
            raise JournalBroken(f"row {entry.sequence} is of an operation that did not wait")

    def _add(self, table: str, key: tuple[Any, ...], amount_minor: int) -> None:
        marks = ", ".join("?" * (len(key) + 1))
        self._run(
            f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO UPDATE"  # noqa: S608 - from this file
            " SET spent_minor = spent_minor + excluded.spent_minor",
            (*key, amount_minor),
        )


def hash_description(description: str) -> bytes:
    """What an operation's row says of what officers are shown."""
    return sha256(description.encode()).digest()
