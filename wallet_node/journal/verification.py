"""The offline check of a journal: every row recomputed, and every table held against the rows.

The rows are a hash chain and a Merkle log, so a changed, dropped or moved row is found wherever it is. That
the end is complete, only a root kept elsewhere can prove: give the anchored ones. What the tables say must be
exactly what the rows say, since the node decides by the tables: of ids and nonces each row is looked up, what
rows add up to (`told`) is compared at the end (`comparison`). Rows do not tell of customers' keys without a
credential, of passkeys' counters, of the notary's address and of a token's signatures.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.merkle import LEAF_PREFIX, Frontier
from contracts.typed_data import PaymentDomain, payment_digest
from wallet_node.errors import JournalBroken, MalformedRequest
from wallet_node.journal.comparison import compare
from wallet_node.journal.entries import (
    GENESIS,
    AttemptRefused,
    Entry,
    IdRefused,
    NonceRepaired,
    PaymentSigned,
    PolicyActivated,
    Signed,
    decode,
    encode,
)
from wallet_node.journal.nonces import TRANSACTION, Space
from wallet_node.journal.proofs import EMPTY_ROOT, Growth
from wallet_node.journal.told import Told
from wallet_node.store import Store

_SPACES = "SELECT domain, chain_id, contract, space FROM domains"
_TABLES = {
    "intents": ("sequence, signer, nonce", "intent_id = ?"),
    "authorizations": ("intent_id", "domain = ? AND signer = ? AND nonce = ?"),
    "attempts": ("sequence", "intent_id = ? AND attempt = ?"),
    "repairs": ("sequence", "intent_id = ? AND attempt = ?"),
    "refused_attempts": ("sequence", "intent_id = ? AND codes = ?"),
    "activations": ("policy_hash", "sequence = ?"),
    "subtrees": ("root", "level = ? AND place = ?"),
}
"""What each table says, and of what; every row of each must follow from a row of the journal."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A sound journal: its rows, its root, and its roots at the sizes that were asked for."""

    rows: int
    root: bytes
    roots: Mapping[int, bytes]


def verify(store: Store, sizes: Collection[int] = ()) -> Verified:
    """Recompute everything, in one view of the file, also while a node writes to it. Raises JournalBroken.

    `roots` has those of `sizes` that the journal has reached.
    """
    run = store.connection.execute
    try:
        run("BEGIN")
        try:
            found = run("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise JournalBroken(f"the file is damaged: {found}")
            tip = store.query("SELECT last_seen_s FROM tip")
            with closing(Told(tip[0][0] if tip else 0)) as told:
                return _Check(store, frozenset(sizes), told).run()
        finally:
            run("COMMIT")
    except sqlite3.DatabaseError as error:
        raise JournalBroken(f"the file cannot be read: {error}") from None


def verify_file(path: Path, anchors: Mapping[int, bytes]) -> Verified:
    """Verify a file, and that it begins with what was anchored. Raises JournalBroken, JournalUnavailable."""
    if not path.exists():
        raise MalformedRequest(f"there is no journal in {path.parent}")
    store = Store.to_read(path)
    try:
        verified = verify(store, anchors)
    finally:
        store.close()
    for size, root in sorted(anchors.items()):
        if size > verified.rows:
            raise JournalBroken(
                f"the journal ends with row {verified.rows}, but {size} rows were anchored: its end is"
                " missing, or this is an earlier copy of it"
            )
        if verified.roots[size] != root:
            raise JournalBroken(f"the first {size} rows are not what was anchored")
    return verified


def parse_anchor(text: str) -> tuple[int, bytes]:
    """`SIZE:ROOT`, the root in hex with or without 0x. Raises MalformedRequest."""
    size, _, root = text.partition(":")
    try:
        parsed = int(size), bytes.fromhex(root.removeprefix("0x"))
    except ValueError:
        parsed = 0, b""
    if parsed[0] < 1 or len(parsed[1]) != 32:
        raise MalformedRequest("an anchor is SIZE:ROOT, a number of rows and 64 hex digits")
    return parsed


@dataclass(slots=True)
class _Check:
    """One pass over the rows, and what they add up to."""

    store: Store
    sizes: frozenset[int]
    told: Told
    last_nonces: dict[tuple[Space, bytes], int] = field(default_factory=dict)
    spaces: set[Space] = field(default_factory=set)
    counted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TABLES, 0))
    domains: dict[Space, int] = field(default_factory=dict)
    policies: set[bytes] = field(default_factory=set)
    in_force: bytes | None = None
    domain: PaymentDomain | None = None

    def run(self) -> Verified:
        self._read_names()
        leaf, last_seen_s, sequence = GENESIS, 0, 0
        frontier, growth = Frontier(), Growth(0, [[] for _ in range(6)])
        roots = {0: EMPTY_ROOT} if 0 in self.sizes else {}
        for row in self._rows("SELECT sequence, entry FROM journal ORDER BY sequence"):
            sequence += 1
            if row[0] != sequence:
                raise JournalBroken(f"row {sequence} is missing: the next one is {row[0]}")
            entry = _decode(row[1], sequence, leaf)
            if entry.recorded_at_s < last_seen_s:
                raise JournalBroken(f"row {sequence} is older than the one before it")
            if entry.policy_hash not in self.policies:
                raise JournalBroken(f"row {sequence} was decided by a policy whose text is not there")
            self._in_force(entry)
            self._decided(entry)
            leaf = hashlib.sha256(LEAF_PREFIX + row[1]).digest()
            last_seen_s = entry.recorded_at_s
            frontier.append(leaf)
            for subtree in growth.extend([leaf]):
                self._expect("subtrees", subtree[:2], subtree[2:], sequence)
            if sequence in self.sizes:
                roots[sequence] = frontier.root()
        self._compare_tip(sequence, leaf, last_seen_s)
        self._compare_tables()
        compare(self.store, self.told, last_seen_s)
        return Verified(sequence, frontier.root(), roots)

    # ------------------------------------------------------------------------------------------ one row

    def _in_force(self, entry: Entry) -> None:
        """Each row is decided by the policy that the rows before it have put in force."""
        if self.in_force not in (None, entry.policy_hash):
            raise JournalBroken(f"row {entry.sequence} was decided by a policy that was not in force")
        decision = entry.decision
        self.in_force = decision.activated if isinstance(decision, PolicyActivated) else entry.policy_hash

    def _decided(self, entry: Entry) -> None:
        """What a row says must be what the tables say."""
        self.told.take(entry)
        decision, sequence, intent_id = entry.decision, entry.sequence, entry.intent_id
        match decision:
            case Signed():
                self._signed(entry, decision)
            case NonceRepaired():
                stuck = self._first_row(entry)
                of_stuck = (stuck.space, stuck.content.signer, stuck.nonce, stuck.space.name)
                if of_stuck != (decision.space, decision.signer, decision.nonce, TRANSACTION):
                    raise JournalBroken(f"row {sequence} repairs a nonce that its transaction does not have")
                self._expect("repairs", (intent_id, decision.attempt), (sequence,), sequence)
            case IdRefused():
                self._expect("intents", (intent_id,), (sequence, None, None), sequence)
            case AttemptRefused():
                self._first_row(entry)
                codes = " ".join(each.code for each in decision.reasons)
                self._expect("refused_attempts", (intent_id, codes), (sequence,), sequence)
            case PolicyActivated():
                if decision.activated not in self.policies:
                    raise JournalBroken(f"row {sequence} activates a policy whose text is not there")
                self._expect("activations", (sequence,), (decision.activated,), sequence)

    def _signed(self, entry: Entry, decision: Signed) -> None:
        self._require_deployment(entry.sequence, decision)
        sequence, intent_id, signer = entry.sequence, entry.intent_id, decision.content.signer
        nonce, space = decision.nonce, decision.space
        where = self.store.query("SELECT sequence FROM intents WHERE intent_id = ?", (intent_id,))
        if where != [(sequence,)]:
            first = self._first_row(entry)
            if (first.space, first.content, first.nonce) != (space, decision.content, nonce):
                raise JournalBroken(f"row {sequence} signs another content under an id than its first row")
            self._expect("attempts", (intent_id, decision.attempt), (sequence,), sequence)
            return
        self.told.take_first_signature(entry, decision)
        domain = self.domains.get(space)
        if domain is None:
            raise JournalBroken(f"row {sequence} names a space that no table knows")
        self.spaces.add(space)
        if isinstance(nonce, bytes):
            self._expect("authorizations", (domain, signer, nonce), (intent_id,), sequence)
            self._expect("intents", (intent_id,), (sequence, None, None), sequence)
            return
        if nonce <= self.last_nonces.get((space, signer), -1):
            raise JournalBroken(f"row {sequence} gives nonce {nonce} of one signer a second time")
        self.last_nonces[space, signer] = nonce
        number = self._number_of(domain, signer, sequence)
        self._expect("intents", (intent_id,), (sequence, number, nonce), sequence)

    def _require_deployment(self, sequence: int, decision: Signed) -> None:
        """The home serves one chain, currency and domain name: those under which its payments are signed."""
        bound, space = self.domain, decision.space
        if bound is None:
            raise JournalBroken(f"row {sequence} is a signature, but the store says of no deployment")
        contract = b"" if space.name == TRANSACTION else bound.contract
        if (space.chain_id, space.contract) != (bound.chain_id, contract):
            raise JournalBroken(f"row {sequence} was signed for another deployment than the store says")
        if isinstance(decision, PaymentSigned):
            content, until_s = decision.content, decision.terms.valid_before_s
            digest = payment_digest(
                bound.separator, content.counterparty, content.amount, decision.nonce, until_s
            )
            if digest != decision.digest:
                raise JournalBroken(f"row {sequence} was signed under another domain than the store says")

    def _number_of(self, domain: int, signer: bytes, sequence: int) -> int:
        found = self.store.query(
            "SELECT number FROM signers WHERE domain = ? AND signer = ?", (domain, signer)
        )
        if not found:
            raise JournalBroken(f"row {sequence} is of a signer that no table knows")
        number: int = found[0][0]
        return number

    def _first_row(self, entry: Entry) -> Signed:
        """The row that gave this row's id its nonce; it comes before."""
        found = self.store.query(
            "SELECT sequence, entry FROM intents JOIN journal USING (sequence) WHERE intents.intent_id = ?",
            (entry.intent_id,),
        )
        if not found or found[0][0] >= entry.sequence:
            raise JournalBroken(f"row {entry.sequence} is of an id that no earlier row gave a nonce")
        first = decode(found[0][1], found[0][0])
        if not isinstance(first.decision, Signed) or first.intent_id != entry.intent_id:
            raise JournalBroken(f"row {entry.sequence} is of an id that row {first.sequence} gave no nonce")
        return first.decision

    def _expect(self, table: str, of: tuple[Any, ...], said: tuple[Any, ...], sequence: int) -> None:
        columns, key = _TABLES[table]
        found = self.store.query(f"SELECT {columns} FROM {table} WHERE {key}", of)  # noqa: S608
        if found != [said]:
            raise JournalBroken(f"the table of {table} does not say what row {sequence} says")
        self.counted[table] += 1

    # ------------------------------------------------------------------------------------------ the whole

    def _read_names(self) -> None:
        for policy_hash, source in self._rows("SELECT policy_hash, source FROM policies"):
            if hashlib.sha256(source).digest() != policy_hash:
                raise JournalBroken("the text of a policy is not what its hash says")
            self.policies.add(policy_hash)
        for chain_id, contract, name in self._rows("SELECT chain_id, contract, domain_name FROM deployment"):
            self.domain = PaymentDomain(name, chain_id, contract)
        for domain, chain_id, contract, name in self._rows(_SPACES):
            self.domains[Space(chain_id, contract, name)] = domain

    def _compare_tip(self, sequence: int, leaf: bytes, last_seen_s: int) -> None:
        found = self.store.query("SELECT size, leaf, last_seen_s FROM tip")
        if not found:
            found = [(0, GENESIS, 0)]
        size, last_leaf, last_s = found[0]
        if size != sequence:
            raise JournalBroken(f"row {size} was the last one written, but row {sequence} is the last one")
        if last_leaf != leaf:
            raise JournalBroken(f"row {sequence}, the last one, is not what was written")
        if last_s != last_seen_s:
            raise JournalBroken("the last time seen is not that of the last row")

    def _compare_tables(self) -> None:
        for table, expected in self.counted.items():
            found = self.store.query(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
            if found != expected:
                raise JournalBroken(
                    f"the table of {table} has {found} rows, the journal accounts for {expected}"
                )
        if self.domains.keys() != self.spaces:
            raise JournalBroken("the table of domains has spaces that no row names")
        names = {domain: space for space, domain in self.domains.items()}
        count = 0
        for domain, signer, last_nonce in self._rows("SELECT domain, signer, last_nonce FROM signers"):
            count += 1
            if domain not in names or self.last_nonces.get((names[domain], signer)) != last_nonce:
                raise JournalBroken(f"the last nonce of 0x{signer.hex()} is not what the rows say")
        if count != len(self.last_nonces):
            raise JournalBroken("the table of signers lacks some that the rows name")

    def _rows(self, statement: str) -> Iterable[Any]:
        return self.store.connection.execute(statement)


def _decode(stored: bytes, sequence: int, previous: bytes) -> Entry:
    entry = decode(stored, sequence)
    if entry.sequence != sequence or entry.previous != previous or encode(entry) != stored:
        raise JournalBroken(f"row {sequence} does not follow from the one before it")
    return entry
