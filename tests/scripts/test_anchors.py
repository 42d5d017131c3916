"""Anchors held against the logs that they commit to.

an institution's anchors
├── are those of every address that it ever had, and of no other's
└── are looked at up to its final block, each with its own log
a ledger
├── that is what was anchored: nothing is found
├── with an entry changed: the range between the last sound anchor and the first wrong one is named, once
└── that is shorter than what was anchored: its length is named
a signer's journal
├── that is what was anchored: nothing is found, also while the node uses it
├── that was set back: its length is named
├── that gave fewer nonces than the chain has executed transactions: account and both numbers are named
├── two anchors of one size that differ: no journal has both
├── whose rows do not follow from one another: that is found, and nothing else is asked
└── that is no journal: that is found
"""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from contracts.abi import ROLES, AdministrativeEvent, Event, ParticipantSet
from contracts.merkle import leaf_hash, root_of
from contracts.notary import LEDGER_LOG, SIGNER_LOG, Anchored
from scripts.books.anchors import (
    JOURNAL_CHECK,
    LEDGER_CHECK,
    SIGNER_CHECK,
    Held,
    addresses_of,
    ledger_differences,
    outrun_nonces,
    own_anchors,
    signer_differences,
)
from scripts.commands.officers_desk import all_anchors
from wallet_node.errors import JournalBroken
from wallet_node.journal.entries import TransactionSigned
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import Content, Fees, Space
from wallet_node.journal.pages import Page, Row
from wallet_node.journal.verification import verify
from wallet_node.store import Store

if TYPE_CHECKING:
    from api.chain.rpc import RpcClient

BANK, SUCCESSOR, OTHER_BANK, ISSUER, GOVERNOR = (bytes([number]) * 20 for number in range(1, 6))
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


def at(block: int) -> dict[str, Any]:
    return {
        "block_number": block, "block_hash": bytes(32), "transaction_hash": bytes(32), "log_index": 0,
    }  # fmt: skip


def anchored(
    size: int, root: bytes, block: int = 10, log: bytes = LEDGER_LOG, institution: bytes = BANK
) -> Anchored:
    return Anchored(institution, log, 0, size, root, **at(block))


def role_given(role: str, holder: bytes) -> Event:
    topics = (bytes(32), ROLES[role], bytes(32), bytes(12) + holder)
    return AdministrativeEvent("RoleTransferred", topics, b"", **at(1))


EVENTS: list[Event] = [
    role_given("GOVERNOR", GOVERNOR),
    role_given("ISSUER", ISSUER),
    role_given("PAUSER", bytes([9]) * 20),
    AdministrativeEvent(
        "RoleOffered", (bytes(32), ROLES["ISSUER"], bytes(32), bytes([8]) * 32), b"", **at(1)
    ),
    ParticipantSet(1, BANK, 0, 0, **at(2)),
    ParticipantSet(2, OTHER_BANK, 0, 0, **at(3)),
    ParticipantSet(1, SUCCESSOR, 0, 0, **at(4)),
]


def test_an_institution_is_every_address_that_it_ever_had() -> None:
    assert addresses_of(1, EVENTS) == {BANK, SUCCESSOR}
    assert addresses_of(2, EVENTS) == {OTHER_BANK}
    assert addresses_of(0, EVENTS) == {GOVERNOR, ISSUER}
    assert addresses_of(3, EVENTS) == set()


def test_only_its_own_final_anchors_are_looked_at_each_with_its_log() -> None:
    first, late = anchored(1, LEAVES[0], 10), anchored(2, LEAVES[1], 11)
    of_signer = anchored(3, LEAVES[2], 10, SIGNER_LOG, SUCCESSOR)
    others = [anchored(1, LEAVES[3], institution=OTHER_BANK), anchored(1, LEAVES[3], log=bytes(32))]
    everything = [first, *others, of_signer, late]
    assert own_anchors(everything, {BANK, SUCCESSOR}, 10) == ([first], [of_signer])
    assert own_anchors(everything, {BANK}, 11) == ([first, late], [])


def held(leaves: list[bytes], sizes: list[int]) -> Held:
    return Held(len(leaves), {size: root_of(leaves[:size]) for size in sizes if size <= len(leaves)})


SIZES = [3, 10, 11, 30]
ANCHORS = [anchored(size, root_of(LEAVES[:size]), block=100 + size) for size in SIZES]


def test_a_ledger_that_is_what_was_anchored_shows_nothing() -> None:
    assert list(ledger_differences(ANCHORS, held(LEAVES, SIZES))) == []
    assert list(ledger_differences([], held(LEAVES, []))) == []


@pytest.mark.parametrize(
    ("place", "named", "wrong"),
    [
        (0, "entries 1 to 3, anchored in block 103", "4 of 4"),
        (2, "entries 1 to 3, anchored in block 103", "4 of 4"),
        (3, "entries 4 to 10, anchored in block 110", "3 of 4"),
        (10, "entries 11 to 11, anchored in block 111", "2 of 4"),
        (29, "entries 12 to 30, anchored in block 130", "1 of 4"),
    ],
)
def test_a_changed_entry_is_between_the_last_sound_anchor_and_the_first_wrong_one(
    place: int, named: str, wrong: str
) -> None:
    changed = [*LEAVES[:place], leaf_hash(b"another"), *LEAVES[place + 1 :]]
    (difference,) = ledger_differences(ANCHORS, held(changed, SIZES))
    assert (difference.check, difference.subject) == (LEDGER_CHECK, named)
    assert (
        difference.expected == "0x" + next(each.root for each in ANCHORS if f"to {each.size}," in named).hex()
    )
    assert difference.found.endswith(f"({wrong} anchors differ)")


def test_what_was_never_anchored_may_be_anything() -> None:
    changed = [*LEAVES[:30], leaf_hash(b"another")]
    assert list(ledger_differences(ANCHORS, held(changed, SIZES))) == []


def test_a_shorter_ledger_is_named_with_its_length() -> None:
    (difference,) = ledger_differences(ANCHORS, held(LEAVES[:12], SIZES))
    assert difference.subject == "entries 12 to 30, anchored in block 130"
    assert difference.found == "only 12 entries (1 of 4 anchors differ)"


# ------------------------------------------------------------------------------------------ the signer


POLICY = b"policy"


def sign(path: Path, count: int, first: int = 0) -> list[bytes]:
    """Rows in a signer's journal; the root after each."""
    store = Store(path)
    with store.transaction() as connection:
        connection.execute("INSERT INTO deployment VALUES (1, 1, ?, 'x') ON CONFLICT DO NOTHING", (BANK,))
    journal, roots = Journal(store, sha256(POLICY).digest(), POLICY), []
    for number in range(first, first + count):
        content = Content(BANK, OTHER_BANK, 0, b"")
        signed = TransactionSigned(Space(1, b"", "transaction"), content, number, 1, Fees(2, 1), bytes(32))
        journal.write(Page(first_attempts=[Row(number.to_bytes(16, "big"), signed)]), 7)
        root = journal.root_at(journal.length)
        assert root is not None
        roots.append(root)
    store.close()
    return roots


def of_signer(roots: list[bytes], *sizes: int) -> list[Anchored]:
    return [anchored(size, roots[size - 1], 100 + size, SIGNER_LOG) for size in sizes]


def test_a_signers_journal_that_is_what_was_anchored_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a # journal?.sqlite3"
    roots = sign(path, 9)
    before = path.read_bytes()
    assert list(signer_differences(of_signer(roots, 1, 5, 9), path)) == []
    assert path.read_bytes() == before
    store = Store(path)
    try:
        with store.transaction():
            assert list(signer_differences(of_signer(roots, 1, 5, 9), path)) == []
    finally:
        store.close()


def test_a_journal_that_was_set_back_holds_together_and_is_not_what_was_anchored(tmp_path: Path) -> None:
    path, copy = tmp_path / "journal.sqlite3", tmp_path / "copy.sqlite3"
    roots = sign(path, 4)
    copy.write_bytes(path.read_bytes())
    roots += sign(path, 5, first=4)
    (difference,) = signer_differences(of_signer(roots, 2, 4, 6, 9), copy)
    assert (difference.check, difference.subject) == (SIGNER_CHECK, "rows 5 to 6, anchored in block 106")
    assert difference.found == "only 4 rows (2 of 4 anchors differ)"
    sign(copy, 5, first=100)  # and went on with other signatures
    (difference,) = signer_differences(of_signer(roots, 2, 4, 6, 9), copy)
    assert difference.subject == "rows 5 to 6, anchored in block 106"
    assert difference.found.startswith("0x")


def test_rows_that_do_not_follow_from_one_another_are_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    roots = sign(path, 4)
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP TRIGGER journal_stay; UPDATE journal SET entry = zeroblob(9) WHERE sequence = 3"
    )
    connection.close()
    (difference,) = signer_differences(of_signer(roots, 2, 4), path)
    assert difference.check == JOURNAL_CHECK
    assert difference.found.startswith("row 3 cannot be read")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_what_is_no_journal_is_found(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(content)
    (difference,) = signer_differences([], path)
    assert difference.check == JOURNAL_CHECK


class ChainThatExecuted:
    """As much of a chain as is asked: how many transactions of an account it has executed."""

    def __init__(self, executed: dict[bytes, int]) -> None:
        self.executed = executed

    async def transaction_count(self, address: bytes) -> int:
        return self.executed.get(address, 0)


async def test_a_journal_that_the_chain_has_outrun_is_an_earlier_copy(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    sign(path, 4)
    for executed in (0, 3, 4):  # the last ones may not be there yet
        assert await outrun_nonces(cast("RpcClient", ChainThatExecuted({BANK: executed})), path) == []
    found = await outrun_nonces(cast("RpcClient", ChainThatExecuted({BANK: 6})), path)
    assert found == [(BANK, 6, 4)]


def test_anchors_that_were_typed_and_those_of_the_chain_are_put_together() -> None:
    on_chain = [anchored(3, LEAVES[0]), anchored(3, LEAVES[0], block=11), anchored(5, LEAVES[1])]
    assert all_anchors({4: LEAVES[2], 5: LEAVES[1]}, on_chain) == {4: LEAVES[2], 3: LEAVES[0], 5: LEAVES[1]}
    with pytest.raises(JournalBroken, match="two anchors of 5 rows differ, one of them in block 10"):
        all_anchors({5: LEAVES[2]}, on_chain)


def test_an_auditor_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    sign(path, 2)
    store = Store.to_read(path)
    try:
        assert verify(store).rows == 2
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.connection.execute("DROP TRIGGER journal_stay")
    finally:
        store.close()
