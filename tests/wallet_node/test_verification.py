"""The offline check: whatever is changed in a journal's file, it is found."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_builders import (
    NEXT_POLICY,
    NOW_S,
    ROWS,
    called,
    digest_of,
    every_kind,
    new_id,
    open_journal,
    paid,
    unguarded,
)

from contracts.merkle import leaf_hash, root_of
from wallet_node.errors import JournalBroken, JournalUnavailable, MalformedRequest, StoreOfOtherVersion
from wallet_node.journal.entries import GENESIS, Entry, encode
from wallet_node.journal.pages import Page
from wallet_node.journal.verification import parse_anchor, verify, verify_file
from wallet_node.store import Store

JOURNALS_OWN = {
    "journal",
    "tip",
    "intents",
    "signers",
    "domains",
    "policies",
    "activations",
    "attempts",
    "repairs",
    "refused_attempts",
    "authorizations",
}
"""And `subtrees`, which has rows only once 256 rows are there: a test of its own."""


UNTOLD = {"only_one", "seal"}
"""Columns of which the rows say nothing; the seal is the node's to check (test_edited_store.py)."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = every_kind(tmp_path / "journal.sqlite3")
    yield made
    made.close()


def rows(store: Store) -> list[bytes]:
    return [entry for (entry,) in store.query("SELECT entry FROM journal ORDER BY sequence")]


def test_an_untouched_journal_of_every_kind_verifies_and_says_its_roots(store: Store) -> None:
    leaves = list(map(leaf_hash, rows(store)))
    verified = verify(store, [0, 1, 7, ROWS, ROWS + 1])
    assert (verified.rows, verified.root) == (ROWS, root_of(leaves))
    assert verified.roots == {size: root_of(leaves[:size]) for size in (0, 1, 7, ROWS)}


def test_an_empty_journal_verifies(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    assert verify(store).rows == 0
    open_journal(store)
    assert verify(store).root == root_of([])
    store.close()


def test_it_verifies_beside_a_node_that_goes_on_writing(store: Store, tmp_path: Path) -> None:
    journal = open_journal(store, NEXT_POLICY)
    journal.append(Page(first_attempts=[paid(60, 60)]), NOW_S + 7)
    anchors = {ROWS: root_of(list(map(leaf_hash, rows(store)[:ROWS])))}
    assert verify_file(tmp_path / "journal.sqlite3", anchors).rows == ROWS
    journal.commit()
    assert verify_file(tmp_path / "journal.sqlite3", anchors).rows == ROWS + 1


def cells(store: Store) -> list[tuple[str, str, int]]:
    """Every column of every row of the journal's tables."""
    found = []
    for table in sorted(JOURNALS_OWN):
        count = store.query(f"SELECT count(*) FROM {table}")[0][0]
        assert count, f"no test without a row of {table}"
        columns = [row[1] for row in store.query(f"PRAGMA table_info({table})") if row[1] not in UNTOLD]
        found += [(table, column, place) for column in columns for place in range(count)]
    return found


def changed(value: object) -> object:
    match value:
        case bytes():
            return bytes([value[0] ^ 1, *value[1:]]) if value else b"x"
        case int():
            return value + 1_000
        case str():
            return value + "x"
        case _:
            return 7


def test_a_change_of_any_column_of_any_row_is_found(tmp_path: Path) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    unguarded(store)
    run = store.connection.execute
    tried = 0
    for table, column, place in cells(store):
        keys = [row[1] for row in store.query(f"PRAGMA table_info({table})") if row[5]]
        key, value = ", ".join(keys), None
        *at, value = run(f"SELECT {key}, {column} FROM {table} LIMIT 1 OFFSET {place}").fetchone()
        where = " AND ".join(f"{name} = ?" for name in keys)
        # verify opens a transaction of its own: the change is committed, and taken back after it
        run(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed(value), *at))
        with pytest.raises(JournalBroken):
            print(table, column, place, verify(store))
        moved = [changed(value) if name == column else old for name, old in zip(keys, at, strict=True)]
        run(f"UPDATE {table} SET {column} = ? WHERE {where}", (value, *moved))
        tried += 1
    assert verify(store).rows == ROWS
    assert tried > 150
    store.close()


def test_any_flipped_bit_of_a_row_is_found(store: Store) -> None:
    unguarded(store)
    for sequence in (1, 2, ROWS - 1, ROWS):
        entry = rows(store)[sequence - 1]
        for bit in range(sequence, len(entry) * 8, 23):
            flipped = bytearray(entry)
            flipped[bit // 8] ^= 1 << bit % 8
            store.connection.execute(
                "UPDATE journal SET entry = ? WHERE sequence = ?", (bytes(flipped), sequence)
            )
            with pytest.raises(JournalBroken):
                verify(store)
        store.connection.execute("UPDATE journal SET entry = ? WHERE sequence = ?", (entry, sequence))
    assert verify(store).rows == ROWS


@pytest.mark.parametrize("sequence", [1, 2, 9, ROWS - 1, ROWS])
def test_a_dropped_row_is_found(store: Store, sequence: int) -> None:
    unguarded(store, f"DELETE FROM journal WHERE sequence = {sequence}")
    with pytest.raises(JournalBroken, match=rf"row {sequence}\b"):
        verify(store)


def test_a_dropped_row_is_found_also_when_the_others_are_numbered_anew(store: Store) -> None:
    unguarded(store, "DELETE FROM journal WHERE sequence = 9")
    for sequence in range(10, ROWS + 1):
        unguarded(store, f"UPDATE journal SET sequence = {sequence - 1} WHERE sequence = {sequence}")
    with pytest.raises(JournalBroken, match="row 9 does not follow"):
        verify(store)


def test_a_reordered_pair_is_found(store: Store) -> None:
    moves = ((2, 100), (3, 2), (100, 3))
    unguarded(store, *(f"UPDATE journal SET sequence = {new} WHERE sequence = {old}" for old, new in moves))
    with pytest.raises(JournalBroken, match="row 2 does not follow"):
        verify(store)


TABLES = ["intents", "authorizations", "attempts", "repairs", "refused_attempts", "activations", "subtrees"]


@pytest.mark.parametrize("table", [*TABLES, "signers", "domains", "policies", "tip"])
def test_rows_that_are_gone_from_any_table_are_found(store: Store, table: str) -> None:
    unguarded(store, f"DELETE FROM {table}")
    if table == "subtrees":
        assert verify(store).rows == ROWS, "none is full yet"
        return
    with pytest.raises(JournalBroken):
        verify(store)


@pytest.mark.parametrize(
    "addition",
    [
        "INSERT INTO intents VALUES (zeroblob(16), 1, NULL, NULL)",
        "INSERT INTO intents VALUES (zeroblob(16), 99, 1, 77)",
        "INSERT INTO attempts SELECT intent_id, 9, sequence FROM attempts",
        "INSERT INTO repairs SELECT intent_id, 9, sequence FROM repairs",
        "INSERT INTO refused_attempts SELECT intent_id, 'X', sequence FROM refused_attempts LIMIT 1",
        "INSERT INTO authorizations SELECT domain, signer, zeroblob(32), zeroblob(16) FROM authorizations",
        "INSERT INTO activations SELECT 1, policy_hash FROM activations",
        "INSERT INTO subtrees VALUES (1, 0, zeroblob(32))",
        "INSERT INTO domains VALUES (9, 1, zeroblob(20), 'payment')",
        "INSERT INTO signers VALUES (9, 1, zeroblob(20), 0)",
    ],
)
def test_a_row_that_no_decision_accounts_for_is_found(store: Store, addition: str) -> None:
    unguarded(store, addition)
    with pytest.raises(JournalBroken):
        verify(store)


@pytest.mark.parametrize(("column", "value"), [("root", "zeroblob(32)"), ("place", "5"), ("level", "2")])
def test_a_kept_root_that_is_not_the_rows_is_found(tmp_path: Path, column: str, value: str) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    open_journal(store).write(Page(first_attempts=[paid(n, n) for n in range(600)]), NOW_S)
    assert verify(store).rows == 600
    unguarded(store, f"UPDATE subtrees SET {column} = {value} WHERE place = 1")
    with pytest.raises(JournalBroken, match="table of subtrees"):
        verify(store)
    store.close()


def test_a_truncated_tail_is_found_with_an_anchor(store: Store, tmp_path: Path) -> None:
    """Who cuts everything back in step leaves a journal that is sound, but shorter than what was anchored."""
    path = tmp_path / "journal.sqlite3"
    earlier = tmp_path / "earlier.sqlite3"
    store.connection.execute("VACUUM INTO ?", (str(earlier),))
    before = verify(store)
    journal = open_journal(store, NEXT_POLICY)
    journal.write(Page(first_attempts=[paid(n, n) for n in range(60, 64)]), NOW_S + 7)
    after = verify(store)
    assert verify_file(path, {before.rows: before.root, after.rows: after.root}).rows == ROWS + 4
    assert verify_file(earlier, {before.rows: before.root}).rows == ROWS
    with pytest.raises(JournalBroken, match=f"ends with row {ROWS}, but {ROWS + 4} rows were anchored"):
        verify_file(earlier, {after.rows: after.root})
    other = Store(earlier)
    open_journal(other, NEXT_POLICY).write(
        Page(first_attempts=[paid(n, n) for n in range(70, 75)]), NOW_S + 7
    )
    other.close()
    with pytest.raises(JournalBroken, match=f"first {ROWS + 4} rows are not what was anchored"):
        verify_file(earlier, {after.rows: after.root})


def rewritten(store: Store, entries: list[Entry]) -> None:
    """Put other rows in the place of all, chained as a node would have chained them."""
    unguarded(store, "DELETE FROM journal")
    previous = GENESIS
    for sequence, entry in enumerate(entries, 1):
        stored = encode(
            Entry(2, sequence, previous, NOW_S, entry.policy_hash, b"", entry.intent_id, entry.decision)
        )
        store.connection.execute("INSERT INTO journal VALUES (?, ?)", (sequence, stored))
        previous = leaf_hash(stored)
    store.connection.execute("UPDATE tip SET size = ?, leaf = ?", (len(entries), previous))


def entry_of(row: object) -> Entry:
    decision, intent_id = row.decision, row.intent_id  # type: ignore[attr-defined]
    return Entry(2, 1, GENESIS, NOW_S, digest_of(b"policy"), b"", intent_id, decision)


def test_two_contents_under_one_nonce_are_found_however_well_they_are_chained(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    open_journal(store).write(Page(first_attempts=[paid(1, 0), called(2, 0)]), NOW_S)
    rewritten(store, [entry_of(paid(1, 0)), entry_of(called(2, 0))])
    assert verify(store).rows == 2
    rewritten(store, [entry_of(paid(1, 0)), entry_of(called(2, 0)), entry_of(paid(3, 0))])
    unguarded(store, f"INSERT INTO intents SELECT x'{new_id(3).hex()}', 3, 1, 0")
    with pytest.raises(JournalBroken, match="gives nonce 0 of one signer a second time"):
        verify(store)
    store.close()


def test_another_content_under_a_known_id_is_found_however_well_it_is_chained(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    open_journal(store).write(Page(first_attempts=[paid(1, 0)]), NOW_S)
    other = paid(1, 0, payer=b"R" * 20, attempt=2)
    rewritten(store, [entry_of(paid(1, 0)), entry_of(other)])
    unguarded(store, f"INSERT INTO attempts VALUES (x'{new_id(1).hex()}', 2, 2)")
    with pytest.raises(JournalBroken, match="signs another content under an id"):
        verify(store)
    store.close()


@pytest.mark.parametrize(
    "text", ["", "5", ":", "5:", "0:" + "00" * 32, "-1:" + "00" * 32, "5:" + "00" * 31, "x:" + "00" * 32]
)
def test_an_anchor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_anchor(text)


def test_an_anchor_is_a_size_and_a_root() -> None:
    assert parse_anchor("5:" + "ab" * 32) == parse_anchor("5:0x" + "AB" * 32) == (5, b"\xab" * 32)


def test_a_journal_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MalformedRequest, match="no journal"):
        verify_file(tmp_path / "journal.sqlite3", {})


def test_a_file_that_is_no_journal_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(JournalUnavailable):
        verify_file(path, {})


@pytest.mark.parametrize(("version", "advice"), [(3, "make reset"), (5, "later version")])
def test_a_file_of_another_version_is_refused_and_says_what_to_do(
    store: Store, tmp_path: Path, version: int, advice: str
) -> None:
    store.connection.execute(f"PRAGMA user_version = {version}")
    for act in (Store, lambda path: verify_file(path, {})):
        with pytest.raises(StoreOfOtherVersion, match=advice):
            act(tmp_path / "journal.sqlite3")


def test_damage_below_the_rows_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    store = every_kind(path)
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = store.query("SELECT rootpage FROM sqlite_schema WHERE name = 'signers'")[0][0]
    store.close()
    content = bytearray(path.read_bytes())
    content[(pages - 1) * 4096 : (pages - 1) * 4096 + 12] = b"\xff" * 12
    path.write_bytes(content)
    with pytest.raises(JournalBroken, match=r"damaged|cannot be read"):
        verify_file(path, {})
