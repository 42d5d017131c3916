"""Requests that share one fsync: each page is durable before its caller goes on, or all of them fail."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_builders import NOW_S, PAYER, PAYMENTS, new_id, open_journal, paid, refused

from wallet_node.errors import JournalUnavailable
from wallet_node.journal.group import JournalGroup
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import KnownIntent
from wallet_node.journal.pages import Page
from wallet_node.journal.verification import verify
from wallet_node.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "journal.sqlite3")
    yield made
    made.close()


@pytest.fixture
def journal(store: Store) -> Journal:
    return open_journal(store)


def durable(store: Store) -> int:
    """How many rows another process sees."""
    path = store.query("PRAGMA database_list")[0][2]
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as other:
        count: int = other.execute("SELECT count(*) FROM journal").fetchone()[0]
    other.close()
    return count


def commits(store: Store) -> list[str]:
    """Every commit from now on."""
    seen: list[str] = []
    store.connection.set_trace_callback(lambda text: seen.append(text) if text == "COMMIT" else None)
    return seen


async def pay(journal: Journal, group: JournalGroup, number: int) -> int:
    """Decide by what the journal says now, as a request does; the nonce once its row is durable."""
    nonce = journal.next_nonce(PAYMENTS, PAYER)
    await group.write(Page(first_attempts=[paid(number, nonce)]), NOW_S)
    return nonce


async def test_requests_that_are_there_at_once_share_a_commit_and_see_each_others_nonces(
    store: Store, journal: Journal
) -> None:
    group, seen = JournalGroup(journal), commits(store)
    nonces = await asyncio.gather(*(pay(journal, group, number) for number in range(20)))
    assert nonces == list(range(20))
    assert len(seen) == 1
    assert durable(store) == journal.length == 20
    verify(store)


async def test_a_request_alone_is_committed_at_once(store: Store, journal: Journal) -> None:
    group, seen = JournalGroup(journal), commits(store)
    for number in range(3):
        await pay(journal, group, number)
        assert durable(store) == number + 1
    assert len(seen) == 3


async def test_nothing_is_told_of_rows_that_are_not_durable(store: Store, journal: Journal) -> None:
    group = JournalGroup(journal)
    waiting = asyncio.ensure_future(pay(journal, group, 1))
    await asyncio.sleep(0)
    assert new_id(1) in journal.known([new_id(1)]), "who decides next knows it"
    assert (durable(store), journal.length) == (0, 0)
    assert journal.root_at(1) is None
    await waiting
    assert (durable(store), journal.length) == (1, 1)


async def ask(journal: Journal, group: JournalGroup, number: int) -> int:
    """As a request does that may be a repetition."""
    known = journal.known([new_id(number)]).get(new_id(number))
    if known is None:
        return await pay(journal, group, number)
    assert isinstance(known, KnownIntent)
    assert isinstance(known.nonce, int)
    await group.write(Page(), NOW_S)
    return known.nonce


async def test_one_id_asked_for_by_many_at_once_has_one_nonce_and_one_row(
    store: Store, journal: Journal
) -> None:
    group = JournalGroup(journal)
    assert await asyncio.gather(*(ask(journal, group, number % 3) for number in range(12))) == [0, 1, 2] * 4
    assert verify(store).rows == 3


async def test_who_repeats_what_is_not_durable_yet_waits_for_it_and_fails_with_it(
    store: Store, journal: Journal
) -> None:
    group = JournalGroup(journal)
    await ask(journal, group, 0)
    store.connection.execute(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON tip BEGIN SELECT RAISE(ROLLBACK, 'no space left'); END"
    )
    outcomes = await asyncio.gather(*(ask(journal, group, 1) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [JournalUnavailable] * 3
    assert await ask(journal, group, 0) == 0, "what is durable needs no commit"


async def test_one_page_that_cannot_be_added_fails_alone(store: Store, journal: Journal) -> None:
    group = JournalGroup(journal)
    twice = Page(first_attempts=[paid(7, 50), paid(8, 50)])
    outcomes = await asyncio.gather(
        pay(journal, group, 1),
        group.write(twice, NOW_S),
        pay(journal, group, 2),
        return_exceptions=True,
    )
    assert outcomes[0] == 0
    assert isinstance(outcomes[1], JournalUnavailable)
    assert outcomes[2] == 1
    assert verify(store).rows == 2
    assert journal.known([new_id(7)]) == {}


async def test_a_first_page_that_cannot_be_added_leaves_room_for_the_next(
    store: Store, journal: Journal
) -> None:
    group = JournalGroup(journal)
    twice = Page(refused=[refused(7), refused(7)])
    outcomes = await asyncio.gather(group.write(twice, NOW_S), pay(journal, group, 1), return_exceptions=True)
    assert isinstance(outcomes[0], JournalUnavailable)
    assert outcomes[1] == 0
    assert verify(store).rows == 1


async def test_when_the_commit_fails_all_of_them_fail_and_nothing_is_remembered(
    store: Store, journal: Journal
) -> None:
    group = JournalGroup(journal)
    await pay(journal, group, 0)
    store.connection.execute(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON tip BEGIN SELECT RAISE(ROLLBACK, 'no space left'); END"
    )
    outcomes = await asyncio.gather(
        *(pay(journal, group, number) for number in range(1, 5)), return_exceptions=True
    )
    assert all(isinstance(outcome, JournalUnavailable) for outcome in outcomes)
    assert "no space left" in str(outcomes[3])
    assert (journal.length, durable(store)) == (1, 1)
    assert journal.next_nonce(PAYMENTS, PAYER) == 1
    assert journal.known([new_id(n) for n in range(5)]).keys() == {new_id(0)}
    store.connection.execute("DROP TRIGGER full")
    assert await asyncio.gather(*(pay(journal, group, number) for number in range(1, 5))) == [1, 2, 3, 4]
    assert verify(store).rows == 5


async def test_when_the_file_fails_while_a_page_is_added_those_before_it_fail_too(
    store: Store, journal: Journal
) -> None:
    group = JournalGroup(journal)
    await pay(journal, group, 0)
    store.connection.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON journal WHEN NEW.sequence = 3"
        " BEGIN SELECT RAISE(ROLLBACK, 'no space left'); END"
    )
    outcomes = await asyncio.gather(
        *(pay(journal, group, number) for number in (1, 2, 3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes[:2]] == [JournalUnavailable] * 2
    assert outcomes[2] == 1, "the third one began anew"
    assert verify(store).rows == 2


async def test_a_caller_that_leaves_takes_nobody_with_it(store: Store, journal: Journal) -> None:
    group = JournalGroup(journal)
    leaving = asyncio.ensure_future(pay(journal, group, 1))
    staying = asyncio.ensure_future(pay(journal, group, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 1
    assert leaving.cancelled()
    assert verify(store).rows == 2, "its row stays: asking again gives the same bytes"


async def test_what_another_room_commits_meanwhile_makes_the_pages_durable_with_it(
    store: Store, journal: Journal
) -> None:
    group = JournalGroup(journal)
    waiting = asyncio.ensure_future(pay(journal, group, 1))
    await asyncio.sleep(0)
    with store.transaction() as connection:
        connection.execute("INSERT INTO derived_keys (key_index, address) VALUES (0, zeroblob(20))")
    assert durable(store) == 1
    assert await waiting == 0
    journal.write(Page(first_attempts=[paid(2, 1)]), NOW_S)
    assert verify(store).rows == 2
