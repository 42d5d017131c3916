"""Rolling spending: whatever the order, times, failures and restarts, no window holds more than its cap."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import PROOFS, policy

from wallet_node.errors import JournalUnavailable
from wallet_node.journal.periods import SECONDS_A_BUCKET
from wallet_node.policy.policy import PaymentFacts
from wallet_node.policy.spending import Changes, Reservations, Spending
from wallet_node.store import Store

HOUR, DAY, WEEK = 3_600, 86_400, 7 * 86_400
START_S = 1_800_000_000
WALLETS = tuple(bytes([number]) * 20 for number in range(1, 4))
POLICY = policy(
    PROOFS + "payments: [{name: pay, effect: allow, payer: derived, payee: any, proof: customer,"
    " unproved: {per_payment_cap_minor: 40, wallet: {day_minor: 60, week_minor: 150},"
    " institution: {day_minor: 100, week_minor: 300}}}]"
)
CAPS = {"wallet": {DAY: 60, WEEK: 150}, "institution": {DAY: 100, WEEK: 300}}
LEDGER = "pay/unproved"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "journal.sqlite3")
    yield store
    store.close()


def throwaway(directories: pytest.TempPathFactory) -> Store:
    """One of hundreds, none of which has to survive the machine."""
    store = Store(directories.mktemp("spending") / "journal.sqlite3")
    store.connection.execute("PRAGMA synchronous = OFF")
    return store


def spending(store: Store, kept: int = 1_000) -> Spending:
    found = Spending(store, kept)
    found.know(POLICY.ledgers)
    return found


def write(store: Store, changes: Changes) -> None:
    with store.transaction() as connection:
        for statement, rows in changes:
            connection.executemany(statement, rows)


def opened(found: Spending, now_s: int, *wallets: bytes) -> Reservations:
    return found.open([(LEDGER, b""), *((LEDGER, wallet) for wallet in wallets)], now_s)


def pay(batch: Reservations, wallet: bytes, amount_minor: int, now_s: int) -> bool:
    facts = PaymentFacts(wallet, "derived", "any", amount_minor, now_s)
    decision = POLICY.evaluate_payment(facts, batch.spent)
    if not decision.refusals:
        batch.reserve(decision.reserves, amount_minor)
    return not decision.refusals


def keep(store: Store, batch: Reservations) -> None:
    write(store, batch.changes())
    batch.keep()


def used(found: Spending, now_s: int, subject: bytes) -> tuple[int, int]:
    balance = found.open([(LEDGER, subject)], now_s).spent[LEDGER, subject]
    return balance.day_minor, balance.week_minor


def test_a_batch_sees_what_it_reserved_itself(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S, *WALLETS)
    assert [pay(batch, WALLETS[0], 40, START_S) for _ in range(2)] == [True, False]
    assert pay(batch, WALLETS[0], 20, START_S)
    assert [pay(batch, WALLETS[1], 40, START_S), pay(batch, WALLETS[2], 1, START_S)] == [True, False]


def test_what_was_kept_is_there_after_a_restart(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S, *WALLETS)
    pay(batch, WALLETS[0], 40, START_S)
    keep(store, batch)
    for again in (found, spending(store)):
        assert used(again, START_S, WALLETS[0]) == used(again, START_S, b"") == (40, 40)
        assert used(again, START_S, WALLETS[1]) == (0, 0)


def test_what_could_not_be_written_is_not_kept(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S, WALLETS[0])
    assert pay(batch, WALLETS[0], 40, START_S)
    store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnavailable):
        write(store, batch.changes())
    store.connection.execute("PRAGMA query_only = OFF")
    assert used(found, START_S, WALLETS[0]) == used(found, START_S, b"") == (0, 0)
    found.forget()
    assert used(found, START_S, WALLETS[0]) == (0, 0)


def test_a_day_is_never_shorter_than_24_hours_and_at_most_one_hour_longer(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S + 5, WALLETS[0])
    pay(batch, WALLETS[0], 40, START_S + 5)
    keep(store, batch)
    assert used(found, START_S + 5 + DAY, WALLETS[0]) == (40, 40)
    assert used(found, START_S + HOUR - 1 + DAY, WALLETS[0]) == (40, 40)
    assert used(found, START_S + HOUR + DAY, WALLETS[0]) == (0, 40)
    assert used(found, START_S + HOUR - 1 + WEEK, WALLETS[0]) == (0, 40)
    assert used(found, START_S + HOUR + WEEK, WALLETS[0]) == (0, 0)


def test_a_clock_that_is_set_back_frees_nothing(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S, WALLETS[0])
    pay(batch, WALLETS[0], 40, START_S)
    keep(store, batch)
    for again in (found, spending(store)):
        assert used(again, START_S - 3 * WEEK, WALLETS[0]) == (40, 40)


def test_wallets_that_memory_has_forgotten_are_read_again(store: Store) -> None:
    found = spending(store, kept=2)
    for number in range(60):
        wallet = number.to_bytes(20)
        batch = found.open([(LEDGER, wallet)], START_S + number)
        batch.reserve([(LEDGER, wallet)], number)
        keep(store, batch)
    assert len(found._recent) + len(found._older) <= 6
    assert [used(found, START_S, number.to_bytes(20))[0] for number in range(60)] == list(range(60))


def test_many_wallets_are_loaded_at_once(store: Store) -> None:
    found = spending(store)
    wallets = [number.to_bytes(20) for number in range(2_500)]
    batch = opened(found, START_S, *wallets)
    batch.reserve([(LEDGER, wallet) for wallet in wallets], 7)
    keep(store, batch)
    again = opened(spending(store), START_S, *wallets)
    assert {again.spent[LEDGER, wallet].day_minor for wallet in wallets} == {7}


def test_a_bucket_never_shrinks_and_old_ones_are_swept(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S, WALLETS[0])
    pay(batch, WALLETS[0], 40, START_S)
    keep(store, batch)
    with pytest.raises(JournalUnavailable), store.transaction() as connection:
        connection.execute("UPDATE rolling_spending SET spent_minor = spent_minor - 1")
    found.sweep(START_S + WEEK)
    assert used(spending(store), START_S + WEEK, WALLETS[0]) == (0, 40)
    found.sweep(START_S + WEEK + HOUR)
    assert store.query("SELECT count(*) FROM rolling_spending") == [(0,)]


def test_a_policy_without_caps_writes_nothing(store: Store) -> None:
    found = spending(store)
    batch = opened(found, START_S, WALLETS[0])
    assert batch.changes() == []
    batch.keep()


BATCHES = st.lists(
    st.tuples(
        # how far the clock moves; most bounds are an hour long, where a window may be too short
        st.one_of(
            st.integers(-2 * DAY, 3 * DAY),
            st.integers(DAY - HOUR, DAY + HOUR),
            st.integers(0, HOUR),
            st.sampled_from([DAY - HOUR, DAY - 1, DAY, WEEK - HOUR, WEEK - 1, WEEK]),
        ),
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 45)), min_size=1, max_size=4),
        st.sampled_from(["kept", "kept", "kept", "lost", "restarted"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(batches=BATCHES)
def test_no_window_of_24_or_168_hours_ever_holds_more_than_its_cap(
    tmp_path_factory: pytest.TempPathFactory, batches: list
) -> None:
    store = throwaway(tmp_path_factory)
    found, clock_s, seen_s = spending(store, kept=3), START_S, START_S
    history: list[tuple[int, bytes, int]] = []
    for moved_s, payments, fate in batches:
        clock_s += moved_s
        now_s = seen_s = max(clock_s, seen_s)
        batch, done = opened(found, now_s, *WALLETS), []
        for number, amount_minor in payments:
            if pay(batch, WALLETS[number], amount_minor, now_s):
                done.append((now_s, WALLETS[number], amount_minor))
        if fate == "lost":
            continue
        keep(store, batch)
        history += done
        if fate == "restarted":
            found = spending(store, kept=3)
    store.close()
    for at_s, _, _ in history:
        for window_s in (DAY, WEEK):
            within = [(wallet, amount) for then, wallet, amount in history if at_s <= then <= at_s + window_s]
            assert sum(amount for _, amount in within) <= CAPS["institution"][window_s]
            for wallet in WALLETS:
                assert sum(a for whose, a in within if whose == wallet) <= CAPS["wallet"][window_s]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30 * HOUR), st.integers(1, 9)), min_size=1, max_size=60))
def test_memory_says_what_the_store_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    store = throwaway(tmp_path_factory)
    found, now_s = spending(store), START_S
    buckets: dict[int, int] = {}
    for later_s, amount_minor in steps:
        now_s += later_s
        batch = opened(found, now_s, WALLETS[0])
        batch.reserve([(LEDGER, WALLETS[0])], amount_minor)
        keep(store, batch)
        hour = now_s // SECONDS_A_BUCKET
        buckets[hour] = buckets.get(hour, 0) + amount_minor
        day, week = (sum(a for h, a in buckets.items() if h >= hour - hours) for hours in (24, 168))
        assert used(found, now_s, WALLETS[0]) == (day, week)
    assert used(spending(store), now_s, WALLETS[0]) == used(found, now_s, WALLETS[0])
    store.close()
