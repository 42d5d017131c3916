"""The sign-once record: what the database itself refuses, and that the chain of rows shows every edit."""

import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_builders import (
    NO_PROOF,
    STRANGER,
    VALID_BEFORE_S,
    Home,
    batch,
    customers,
    payment,
    sign,
    sign_one,
    transaction,
)

from wallet_node.errors import JournalBroken, JournalUnavailable
from wallet_node.journal import heads_at, verify
from wallet_node.policy import Policy
from wallet_node.store import Store

REST = "counterparty, amount, calldata_hash"
ROW = (
    "intent_id, attempt, valid_before_s, max_fee_per_gas, max_priority_fee_per_gas, digest, policy_hash,"
    " recorded_at_s, row_hash"
)
MINT = "0xa0712d68" + "00" * 32


def filled(home: Home) -> Store:
    """A closed node's store with a few payments, a later attempt and a transaction with a replacement."""
    node = home.open()
    payers = customers(node, 2)
    asked = [payment(payer) for payer in payers * 2]
    sign(node, batch(*asked))
    sign(node, batch(asked[0] | {"attempt": 2}, valid_before_s=VALID_BEFORE_S + 60))
    call = transaction(MINT)
    sign_one(node, call)
    sign_one(node, call | {"max_fee_per_gas": 10**10})
    home.close()
    return Store(home.path / "journal.sqlite3")


def unguarded(store: Store, statement: str, *values: Any) -> None:
    """Change a row as someone with the file in hand would: triggers and all."""
    for trigger in ("intents_stay", "intents_remain", "journal_stays", "journal_remains"):
        store.connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    store.connection.execute(statement, values)


def test_the_chain_of_an_untouched_journal_verifies(home: Home) -> None:
    store = filled(home)
    length, head = verify(store)
    assert length == 7
    assert head == store.query("SELECT row_hash FROM journal WHERE sequence = 7")[0][0]
    store.close()


def test_the_heads_of_before_are_read_by_length_and_those_of_no_length_are_not_there(home: Home) -> None:
    store = filled(home)
    rows = dict(store.query("SELECT sequence, row_hash FROM journal"))
    assert heads_at(store, [7, 1, 3, 8, 0]) == {length: rows[length] for length in (1, 3, 7)}
    assert heads_at(store, []) == {}
    assert heads_at(store, range(5_000)) == rows
    store.close()


def test_an_empty_journal_verifies(home: Home) -> None:
    assert verify(home.open()._store) == (0, bytes(32))


EDITS: dict[str, Callable[[Store], None]] = {
    "a digest": lambda store: unguarded(store, "UPDATE journal SET digest = zeroblob(32) WHERE sequence = 2"),
    "a time": lambda store: unguarded(store, "UPDATE journal SET recorded_at_s = 0 WHERE sequence = 2"),
    "a policy": lambda store: unguarded(
        store, "UPDATE journal SET policy_hash = zeroblob(32) WHERE sequence = 2"
    ),
    "an amount": lambda store: unguarded(
        store, "UPDATE intents SET amount = amount + 1 WHERE nonce = 1 AND domain = 1"
    ),
    "a payee": lambda store: unguarded(
        store, "UPDATE intents SET counterparty = zeroblob(20) WHERE nonce = 1"
    ),
    "a validity": lambda store: unguarded(store, "UPDATE journal SET valid_before_s = 1 WHERE sequence = 5"),
    "a fee": lambda store: unguarded(store, "UPDATE journal SET max_fee_per_gas = 1 WHERE sequence = 7"),
    "a row's hash": lambda store: unguarded(
        store, "UPDATE journal SET row_hash = zeroblob(32) WHERE sequence = 7"
    ),
    "a row removed": lambda store: unguarded(store, "DELETE FROM journal WHERE sequence = 3"),
    "the first row removed": lambda store: unguarded(store, "DELETE FROM journal WHERE sequence = 1"),
    "an intent removed": lambda store: unguarded(store, "DELETE FROM intents WHERE nonce = 1"),
    "the end cut off": lambda store: unguarded(store, "DELETE FROM journal WHERE sequence >= 6"),
    "an intent without a row": lambda store: unguarded(
        store, "INSERT INTO intents VALUES (zeroblob(16), 1, zeroblob(20), 9, zeroblob(20), 1, x'')"
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_any_edit_breaks_the_chain(home: Home, edit: Callable[[Store], None]) -> None:
    store = filled(home)
    edit(store)
    with pytest.raises(JournalBroken):
        verify(store)
    store.close()


def test_two_rows_swapped_break_the_chain(home: Home) -> None:
    store = filled(home)
    for old, new in ((2, 100), (3, 2), (100, 3)):
        unguarded(store, "UPDATE journal SET sequence = ? WHERE sequence = ?", new, old)
    with pytest.raises(JournalBroken):
        verify(store)
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET recorded_at_s = 0",
        "DELETE FROM journal",
        "UPDATE intents SET amount = 0",
        "DELETE FROM intents",
        "UPDATE derived_keys SET key_index = 9 WHERE key_index = 0",
        "DELETE FROM derived_keys",
        "UPDATE deployment SET chain_id = 1",
        "DELETE FROM deployment",
        # a second nonce for an id, a second id for a nonce, a second row for an attempt
        f"INSERT INTO intents SELECT intent_id, domain, signer, nonce + 100, {REST} FROM intents LIMIT 1",
        f"INSERT INTO intents SELECT zeroblob(16), domain, signer, nonce, {REST} FROM intents LIMIT 1",
        f"INSERT INTO journal SELECT 100, {ROW} FROM journal LIMIT 1",
        "INSERT INTO derived_keys (key_index, address) VALUES (0, zeroblob(20))",
        "INSERT INTO derived_keys (key_index, address) SELECT 9, address FROM derived_keys LIMIT 1",
        "INSERT INTO deployment VALUES (2, 1, zeroblob(20), 'x')",
    ],
)
def test_the_database_itself_refuses(home: Home, statement: str) -> None:
    store = filled(home)
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute(statement)
    assert verify(store)[0] == 7
    store.close()


def test_a_file_that_is_no_database_is_named(home: Home) -> None:
    (home.path / "journal.sqlite3").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(JournalUnavailable, match=r"journal\.sqlite3"):
        home.open()


def test_a_commit_waits_for_its_fsync(home: Home) -> None:
    store = home.open()._store
    assert store.query("PRAGMA journal_mode") == [("wal",)]
    assert store.query("PRAGMA synchronous") == [(2,)]


def test_every_row_carries_the_policy_in_force_and_its_text_is_kept(home: Home) -> None:
    payer = customers(home.open(), 1)[0]
    sign(home.opened[-1], batch(payment(payer)))
    newer = NO_PROOF + b"# a remark\n"
    node = home.open(newer)
    sign(node, batch(payment(payer)))
    rows = node._store.query("SELECT source FROM journal JOIN policies USING (policy_hash) ORDER BY sequence")
    assert rows == [(NO_PROOF,), (newer,)]
    assert Policy(rows[1][0]).digest == node.policy.digest


STEPS = st.lists(
    st.tuples(
        st.integers(0, 5),  # which payment
        st.integers(1, 3),  # which attempt
        st.integers(0, 2),  # how much later it ends
        st.integers(0, 3),  # the floor
        st.sampled_from([0, 1, 1, 1, 2]),  # the amount
        st.booleans(),  # restart first
    ),
    max_size=30,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_under_random_histories_nonces_are_used_once_and_repeats_repeat(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, int, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "home"
    path.mkdir(mode=0o700)
    home = Home(path).bind()
    payers = customers(home.open(), 2)
    ids = [str(uuid.uuid4()) for _ in range(6)]
    nonces: dict[str, int] = {}
    content: dict[str, int] = {}
    signed: dict[tuple[str, int], tuple[int, str]] = {}
    for which, attempt, later, floor, amount, restarts in steps:
        node = home.open() if restarts else home.opened[-1]
        asked = payment(
            payers[which % 2], STRANGER, amount, payment_id=ids[which], attempt=attempt, nonce_floor=floor
        )
        rows_before = node.readiness()["journal_rows"]
        result = sign(node, batch(asked, valid_before_s=VALID_BEFORE_S + later))[0]
        if "refusal" in result:
            assert node.readiness()["journal_rows"] == rows_before
            continue
        assert nonces.setdefault(ids[which], result["nonce"]) == result["nonce"]
        assert content.setdefault(ids[which], amount) == amount
        key = (ids[which], attempt)
        assert signed.setdefault(key, (later, result["signature"])) == (later, result["signature"])
    taken = [(int(i % 2), nonces[name]) for i, name in enumerate(ids) if name in nonces]
    assert len(set(taken)) == len(taken)
    assert verify(home.opened[-1]._store)[0] == len(signed)
    home.close()
