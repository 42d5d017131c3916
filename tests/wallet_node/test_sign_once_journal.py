"""The journal as a store: what the database itself refuses, and what random histories leave behind."""

import sqlite3
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_builders import (
    ACCOUNT,
    AUTHORIZATIONS,
    NEXT_POLICY,
    PAYER,
    PAYMENTS,
    PERMITS,
    POLICY,
    ROWS,
    called,
    digest_of,
    every_kind,
    everything,
    new_id,
    open_journal,
    paid,
    permitted,
    refused,
    refused_attempt,
    repaired,
    unguarded,
)
from journal_builders import NOW_S as RECORDED_S
from node_builders import NO_PROOF, STRANGER, VALID_BEFORE_S, Home, batch, customers, payment, sign

from wallet_node.errors import JournalBroken, JournalUnavailable
from wallet_node.journal.entries import decode
from wallet_node.journal.nonces import Fees, KnownIntent, PaymentTerms, RefusedIntent
from wallet_node.journal.pages import Page, Row
from wallet_node.journal.verification import verify
from wallet_node.policy.policy import Policy
from wallet_node.store import Store


@pytest.mark.parametrize(
    "statement",
    [
        *(f"DELETE FROM {table}" for table in (
            "journal", "subtrees", "tip", "intents", "signers", "domains", "policies", "activations",
            "attempts", "repairs", "refused_attempts", "authorizations", "derived_keys", "deployment",
        )),
        "UPDATE journal SET entry = x''",
        "UPDATE subtrees SET root = zeroblob(32)",
        "UPDATE intents SET nonce = nonce + 1",
        "UPDATE domains SET chain_id = 1",
        "UPDATE policies SET source = x''",
        "UPDATE activations SET policy_hash = x''",
        "UPDATE attempts SET attempt = attempt + 1",
        "UPDATE repairs SET attempt = attempt + 1",
        "UPDATE refused_attempts SET codes = ''",
        "UPDATE authorizations SET nonce = zeroblob(32)",
        "UPDATE derived_keys SET key_index = 9 WHERE key_index = 0",
        "UPDATE deployment SET chain_id = 1",
        "UPDATE tip SET size = size - 1",
        "UPDATE tip SET last_seen_s = last_seen_s - 1",
        "UPDATE signers SET last_nonce = last_nonce - 1",
        "UPDATE signers SET last_nonce = last_nonce",
        "UPDATE signers SET signer = zeroblob(20)",
        # a second nonce for an id, a second id for a nonce or for a lower one, a nonce of nobody
        "INSERT INTO intents SELECT intent_id, sequence, signer, nonce + 100 FROM intents WHERE nonce = 0",
        "INSERT INTO intents SELECT zeroblob(16), 1, signer, nonce FROM intents WHERE nonce = 42",
        "INSERT INTO intents SELECT zeroblob(16), 1, signer, nonce - 1 FROM intents WHERE nonce = 41",
        "INSERT INTO intents VALUES (zeroblob(16), 1, 99, 0)",
        "INSERT INTO intents VALUES (zeroblob(16), 1, NULL, 0)",
        "INSERT INTO intents VALUES (zeroblob(16), 1, 1, NULL)",
        "INSERT INTO intents SELECT intent_id, sequence, NULL, NULL FROM intents WHERE nonce = 0",
        "INSERT INTO attempts SELECT intent_id, attempt, 1 FROM attempts",
        "INSERT INTO repairs SELECT intent_id, attempt, 1 FROM repairs",
        "INSERT INTO authorizations SELECT domain, signer, nonce, zeroblob(16) FROM authorizations",
        "INSERT INTO authorizations SELECT domain, signer, zeroblob(32), intent_id FROM authorizations",
        "INSERT INTO derived_keys (key_index, address) VALUES (0, zeroblob(20))",
        "INSERT INTO derived_keys (key_index, address) SELECT 9, address FROM derived_keys LIMIT 1",
        "INSERT INTO deployment VALUES (2, 1, zeroblob(20), 'x')",
    ],
)  # fmt: skip
def test_the_database_itself_refuses(tmp_path: Path, statement: str) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    run = store.connection.execute
    run("INSERT INTO subtrees VALUES (9, 9, zeroblob(32))")
    before = everything(store)
    with pytest.raises(sqlite3.IntegrityError):
        run(statement)
    assert everything(store) == before
    store.close()


@pytest.mark.parametrize(
    "page",
    [
        Page(first_attempts=[paid(0, 77)]),
        Page(first_attempts=[paid(60, 0)]),
        Page(first_attempts=[paid(60, 42)]),
        Page(first_attempts=[paid(60, 60), paid(61, 60)]),
        Page(first_attempts=[paid(60, 61), paid(61, 60)]),
        Page(first_attempts=[paid(60, 60), paid(60, 61)]),
        Page(first_attempts=[paid(50, 60)]),
        Page(first_attempts=[called(60, 5)]),
        Page(first_attempts=[permitted(60, 0)]),
        Page(first_attempts=[permitted(60, b"n" * 32, AUTHORIZATIONS)]),
        Page(first_attempts=[permitted(21, b"m" * 32, AUTHORIZATIONS)]),
        Page(refused=[refused(0)]),
        Page(refused=[refused(50)]),
        Page(refused=[refused(60), refused(60)]),
        Page(later_attempts=[paid(1, 1, attempt=3)]),
        Page(repairs=[repaired(11, 5)]),
        Page(first_attempts=[paid(60, 60)], changes=[("INSERT INTO nowhere VALUES (?)", [(1,)])]),
    ],
    ids=range(17),
)
def test_a_page_that_would_sign_twice_is_not_added_and_leaves_no_trace(tmp_path: Path, page: Page) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    journal = open_journal(store, NEXT_POLICY)
    before = everything(store)
    with pytest.raises(JournalUnavailable):
        journal.write(page, RECORDED_S + 9)
    assert everything(store) == before
    assert journal.length == ROWS
    assert journal.next_nonce(PAYMENTS, PAYER) == 43
    journal.write(Page(first_attempts=[paid(90, 43)]), RECORDED_S + 9)
    assert verify(store).rows == ROWS + 1
    store.close()


def test_what_is_known_of_an_id_is_what_its_rows_say(tmp_path: Path) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    known = open_journal(store).known([new_id(n) for n in (1, 11, 21, 50, 99)])
    assert known.keys() == {new_id(n) for n in (1, 11, 21, 50)}
    payment, call, grant, refusal = (known[new_id(n)] for n in (1, 11, 21, 50))
    assert isinstance(payment, KnownIntent)
    assert (payment.space, payment.nonce) == (PAYMENTS, 1)
    assert payment.attempts == {1: PaymentTerms(RECORDED_S + 600), 3: PaymentTerms(RECORDED_S + 700)}
    assert payment.last_attempt == 3
    assert isinstance(call, KnownIntent)
    assert (call.nonce, call.attempts) == (5, {1: Fees(9, 1), 2: Fees(10, 2)})
    assert call.repairs == {1: Fees(20, 9)}
    assert isinstance(grant, KnownIntent)
    assert grant.nonce == b"n" * 32
    assert isinstance(refusal, RefusedIntent)
    assert [each.code for each in refusal.reasons] == ["ZeroAmount"]
    store.close()


def test_each_space_counts_for_itself_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    for journal in (open_journal(store), open_journal(store)):
        assert journal.next_nonces(PAYMENTS, [PAYER, b"R" * 20, b"Z" * 20]) == {
            PAYER: 43, b"R" * 20: 1, b"Z" * 20: 0,
        }  # fmt: skip
        assert journal.next_nonce(ACCOUNT, PAYER) == 6
        assert journal.next_nonce(PERMITS, PAYER) == 1
        assert journal.next_nonce(AUTHORIZATIONS, PAYER) == 0
    store.close()


def test_more_signers_than_are_cached_keep_their_counters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wallet_node.journal.allocator._CACHED_SIGNERS", 3)
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    signers = [bytes([n]) * 20 for n in range(1, 9)]
    for turn in range(3):
        assert journal.next_nonces(PAYMENTS, signers[:5]) == dict.fromkeys(signers[:5], turn)
        rows = [paid(turn * 10 + n, turn, payer=signer) for n, signer in enumerate(signers)]
        journal.write(Page(first_attempts=rows), RECORDED_S)
    assert journal.next_nonces(PAYMENTS, signers) == dict.fromkeys(signers, 3)
    assert verify(store).rows == 24
    store.close()


def test_a_random_nonce_is_known_by_signer_and_space(tmp_path: Path) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    assert journal.authorized_by(AUTHORIZATIONS, PAYER, b"n" * 32) == new_id(21)
    assert journal.authorized_by(AUTHORIZATIONS, b"R" * 20, b"n" * 32) is None
    assert journal.authorized_by(AUTHORIZATIONS, PAYER, b"m" * 32) is None
    assert journal.authorized_by(PERMITS, PAYER, b"n" * 32) is None
    store.close()


def test_a_policy_that_a_row_activates_decides_the_rows_after_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    assert journal.activated_policy() is None
    page = Page(first_attempts=[paid(0, 0)])
    page.activate(new_id(800), digest_of(NEXT_POLICY), NEXT_POLICY)
    journal.write(page, RECORDED_S)
    journal.write(Page(first_attempts=[paid(1, 1)]), RECORDED_S)
    assert journal.policy_hash == journal.activated_policy() == digest_of(NEXT_POLICY)
    hashes = [decode(entry, n).policy_hash for n, entry in store.query("SELECT sequence, entry FROM journal")]
    assert hashes == [digest_of(POLICY)] * 2 + [digest_of(NEXT_POLICY)]
    assert dict(store.query("SELECT policy_hash, source FROM policies"))[hashes[2]] == NEXT_POLICY
    store.close()


def test_a_policy_whose_page_was_not_added_decides_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    page = Page(first_attempts=[paid(0, 0), paid(0, 1)])
    page.activate(new_id(800), digest_of(NEXT_POLICY), NEXT_POLICY)
    with pytest.raises(JournalUnavailable):
        journal.write(page, RECORDED_S)
    assert journal.policy_hash == digest_of(POLICY)
    assert journal.activated_policy() is None
    store.close()


def test_an_attempt_refused_for_the_same_reasons_adds_one_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    journal.write(Page(first_attempts=[paid(0, 0), paid(1, 1)]), RECORDED_S)
    for _ in range(3):
        rows = [refused_attempt(0), refused_attempt(0, "Other"), refused_attempt(0), refused_attempt(1)]
        journal.write(Page(refused_attempts=rows), RECORDED_S)
    assert journal.length == 5
    assert verify(store).rows == 5
    store.close()


def test_changes_of_other_rooms_commit_with_the_page_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    change = ("INSERT INTO derived_keys (key_index, address) VALUES (?, ?)", [(1, b"k" * 20), (2, b"l" * 20)])
    journal.write(Page(first_attempts=[paid(0, 0)], changes=[change]), RECORDED_S)
    with pytest.raises(JournalUnavailable):
        journal.write(Page(first_attempts=[paid(1, 1)], changes=[change]), RECORDED_S)
    assert journal.length == 1
    assert store.query("SELECT count(*) FROM derived_keys") == [(2,)]
    store.close()


def test_a_clock_set_back_is_not_believed_also_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    assert journal.now_s(5) == 5
    journal.write(Page(first_attempts=[paid(0, 0)]), RECORDED_S)
    for again in (journal, open_journal(store)):
        assert again.now_s(5) == RECORDED_S
        assert again.now_s(RECORDED_S + 1) == RECORDED_S + 1
    store.close()


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM journal WHERE sequence = 34",
        "UPDATE journal SET entry = x'00' WHERE sequence = 34",
        "UPDATE tip SET size = 29",
        "DELETE FROM tip",
    ],
)
def test_a_node_does_not_start_on_a_journal_whose_end_is_not_what_was_written(
    tmp_path: Path, edit: str
) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    unguarded(store, edit)
    with pytest.raises(JournalBroken):
        open_journal(store)
    store.close()


def test_a_table_that_names_a_wrong_row_is_not_believed(tmp_path: Path) -> None:
    store = every_kind(tmp_path / "journal.sqlite3")
    unguarded(store, "UPDATE intents SET sequence = sequence + 1")
    with pytest.raises(JournalBroken, match="another id"):
        open_journal(store).known([new_id(1)])
    store.close()


def test_rows_never_go_back_in_time_whatever_the_callers_clock_said(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    journal = open_journal(store)
    for number, now_s in enumerate((9, 5, 7)):
        journal.write(Page(first_attempts=[paid(number, number)]), now_s)
    rows = store.query("SELECT sequence, entry FROM journal")
    assert [decode(entry, sequence).recorded_at_s for sequence, entry in rows] == [9, 9, 9]
    assert verify(store).rows == 3
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
    node = home.open()
    payer = customers(node, 1)[0]
    sign(node, batch(payment(payer)))
    newer = NO_PROOF + b"# a remark\n"
    page = Page()
    page.activate(new_id(1), Policy(newer).digest, newer)
    node._journal.write(page, RECORDED_S)
    sign(node, batch(payment(payer)))
    texts = dict(node._store.query("SELECT policy_hash, source FROM policies"))
    rows = node._store.query("SELECT sequence, entry FROM journal ORDER BY sequence")
    found = [texts[decode(entry, sequence).policy_hash] for sequence, entry in rows]
    assert found == [NO_PROOF, NO_PROOF, newer]


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
def test_under_random_histories_an_id_is_decided_once_and_repeats_repeat(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, int, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "home"
    path.mkdir(mode=0o700)
    home = Home(path).bind()
    payers = customers(home.open(), 2)
    ids = [str(uuid.uuid4()) for _ in range(6)]
    nonces: dict[str, int] = {}
    content: dict[str, int] = {}
    refusals: dict[str, object] = {}
    signed: dict[tuple[str, int], tuple[int, str]] = {}
    conflicts: set[tuple[str, str]] = set()
    for which, attempt, later, floor, amount, restarts in steps:
        node = home.open() if restarts else home.opened[-1]
        asked = payment(
            payers[which % 2], STRANGER, amount, payment_id=ids[which], attempt=attempt, nonce_floor=floor
        )
        result = sign(node, batch(asked, valid_before_s=VALID_BEFORE_S + later))[0]
        name = ids[which]
        if name in nonces and "refusal" in result:
            conflicts.add((name, result["refusal"]["code"]))
        elif "refusal" in result:
            assert refusals.setdefault(name, result) == result
        else:
            assert name not in refusals, "a refused id was signed"
            assert nonces.setdefault(name, result["nonce"]) == result["nonce"]
            assert content.setdefault(name, amount) == amount
            key = (name, attempt)
            assert signed.setdefault(key, (later, result["signature"])) == (later, result["signature"])
        assert node.readiness()["journal_rows"] == len(signed) + len(refusals) + len(conflicts)
    taken = [(int(i % 2), nonces[name]) for i, name in enumerate(ids) if name in nonces]
    assert len(set(taken)) == len(taken)
    verify(home.opened[-1]._store)
    home.close()


def test_a_row_may_say_what_proof_allowed_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite3")
    open_journal(store).write(Page(first_attempts=[Row(new_id(1), paid(1, 0).decision, b"w" * 32)]), 5)
    ((entry,),) = store.query("SELECT entry FROM journal")
    found = decode(entry, 1)
    assert (found.proof_hash, found.recorded_at_s, found.intent_id) == (b"w" * 32, 5, new_id(1))
    store.close()
