"""The journal as a log: what its leaves are made of, and that its order never changes once it is settled.

a leaf
├── is the bytes that its format says, and the same from the database as from its values
├── does not depend on the order in which legs are stored
└── changes with everything that an entry says, and with its accounts' codes
the order
├── an id that is drawn and not committed holds the log back; committed, it comes in its place
├── an id that was rolled back leaves a gap and holds nothing back
├── an empty journal is settled at once
├── is read in sets as in one piece
└── under many writers at once: what was settled is the beginning of all that is settled later
"""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import TYPE_CHECKING

import pytest

from api.database import Pool, connect_pool, transaction
from api.ledger import log
from api.ledger.chart import code_of, open_accounts
from api.ledger.journal import Entry, Leg, Posting
from api.ledger.log import BEFORE_ALL, LogEntry, LogLeg, encode_leaf, is_passed, read_fence, read_leaves
from contracts.merkle import leaf_hash
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    import asyncpg

    from api.database import Connection
    from api.ledger.chart import BankChart
    from tests.api.conftest import Database
    from tests.api.ledger.conftest import Deposits

BUSINESS = uuid.UUID("0f0e0d0c-0b0a-0908-0706-050403020100")
ENTRY = LogEntry(
    258,
    "payment",
    "event:0xab:1",
    BUSINESS,
    1_700_000_000_000_001,
    (LogLeg("wallet:1", "CZK", 500), LogLeg("custody", "CZK", -500)),
)
# put together by hand from the format in the module's text
LEAF = """
01 0000000000000102 00060a24181e4001 0f0e0d0c0b0a09080706050403020100
00000007 7061796d656e74 0000000c 6576656e743a307861623a31 00000002
00000007 637573746f6479 435a4b fffffffffffffe0c
00000008 77616c6c65743a31 435a4b 00000000000001f4
"""


async def leaves_of(
    connection: Connection, above_id: int = BEFORE_ALL, last_id: int = 2**62
) -> list[tuple[int, bytes]]:
    return [leaf async for leaves in read_leaves(connection, above_id, last_id) for leaf in leaves]


async def settled(pool: Pool) -> list[tuple[int, bytes]]:
    """The log as it is settled now."""
    async with pool.acquire() as connection:
        fence = await read_fence(connection)
        async with asyncio.timeout(20):
            while not await is_passed(connection, fence):  # noqa: ASYNC110 - other connections work
                await asyncio.sleep(0.005)
        return await leaves_of(connection, last_id=fence.last_id)


# ------------------------------------------------------------------------------------------ a leaf


def test_a_leaf_is_the_bytes_that_its_format_says() -> None:
    assert encode_leaf(ENTRY) == bytes.fromhex(LEAF)


async def test_a_leaf_of_the_database_is_that_of_its_values(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as connection:
        posting = await Posting.open(connection, [payer, payee])
        legs = (Leg(payer, "CZK", 30), Leg(payee, "CZK", -30))
        posting.post(Entry("payment", "příčina: 1", BUSINESS, legs))
        (entry_id,) = (await posting.write()).entry_ids
    async with pool.acquire() as connection:
        booked_at = await connection.fetchval("SELECT booked_at FROM ledger_entries WHERE id = $1", entry_id)
        codes = dict(await connection.fetch("SELECT id, code FROM ledger_accounts"))
        found = await leaves_of(connection, entry_id - 1)
    microseconds = int(booked_at.replace(microsecond=0).timestamp()) * 1_000_000 + booked_at.microsecond
    named = tuple(LogLeg(codes[leg.account_id], leg.currency, leg.amount_minor) for leg in legs)
    entry = LogEntry(entry_id, "payment", "příčina: 1", BUSINESS, microseconds, named)
    assert found == [(entry_id, leaf_hash(encode_leaf(entry)))]


def test_a_leaf_does_not_depend_on_the_order_of_legs() -> None:
    turned = LogEntry(*(getattr(ENTRY, name) for name in ENTRY.__slots__[:-1]), ENTRY.legs[::-1])
    assert encode_leaf(turned) == encode_leaf(ENTRY)


CHANGES = {
    "kind": "UPDATE ledger_entries SET kind = kind || '.' WHERE id = {entry}",
    "source": "UPDATE ledger_entries SET source = source || '.' WHERE id = {entry}",
    "business": "UPDATE ledger_entries SET business_id = gen_random_uuid() WHERE id = {entry}",
    "time": "UPDATE ledger_entries SET booked_at = booked_at + interval '1 microsecond' WHERE id = {entry}",
    "amount": "UPDATE ledger_legs SET amount_minor = amount_minor * 2 WHERE entry_id = {entry}",
    "currency": "UPDATE ledger_legs SET currency = 'EUR' WHERE entry_id = {entry}",
    "account": "UPDATE ledger_legs SET account_id = {other} WHERE entry_id = {entry} AND amount_minor < 0",
    "another leg": "INSERT INTO ledger_legs VALUES ({entry}, {other}, 'CZK', 1)",
    "a leg less": "DELETE FROM ledger_legs WHERE entry_id = {entry} AND amount_minor < 0",
    "the account's code": "UPDATE ledger_accounts SET code = code || '.' WHERE id = {payee}",
    "the account itself": "DELETE FROM ledger_accounts WHERE id = {payee}",
    "the number": "UPDATE ledger_entries SET id = {entry} + 1 WHERE id = {entry}",
    "moved legs": "UPDATE ledger_legs SET entry_id = {entry} - 1 WHERE entry_id = {entry}",
    "an entry before the first": "INSERT INTO ledger_entries (id, kind, source) VALUES (-5, 'k', 's')",
    "no entry": "DELETE FROM ledger_entries WHERE id = {entry}",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_is_changed_shows_in_the_leaves(
    pool: Pool, superuser: asyncpg.Connection[asyncpg.Record], deposits: Deposits, change: str
) -> None:
    payer, payee, other = await deposits(100, 0, 50)
    async with transaction(pool) as connection:
        posting = await Posting.open(connection, [payer, payee])
        posting.post(transfer(payer, payee, 30))
        (entry,) = (await posting.write()).entry_ids
    before = await leaves_of(superuser)
    statement = CHANGES[change].format(entry=entry, payee=payee, other=other)
    await superuser.execute(f"SET session_replication_role = replica; {statement}")
    assert await leaves_of(superuser) != before


# ------------------------------------------------------------------------------------------ the order


async def post(connection: Connection, payer: int, payee: int) -> int:
    posting = await Posting.open(connection, [payer, payee])
    posting.post(transfer(payer, payee, 1))
    (entry_id,) = (await posting.write()).entry_ids
    return entry_id


async def test_an_id_that_is_not_committed_holds_the_log_back_and_comes_in_its_place(
    pool: Pool, deposits: Deposits
) -> None:
    a, b, c, d = await deposits(100, 100, 100, 100)
    before = await settled(pool)
    async with pool.acquire() as slow, pool.acquire() as watcher:
        late = slow.transaction()
        await late.start()
        first = await post(slow, a, b)
        async with transaction(pool) as quick:
            second = await post(quick, c, d)
        assert first < second
        fence = await read_fence(watcher)
        assert fence.last_id == second
        assert not await is_passed(watcher, fence)
        visible = [entry_id for entry_id, _ in await leaves_of(watcher)]
        assert second in visible
        assert first not in visible, "what would have been anchored too early"
        await late.commit()
    after = await settled(pool)
    assert [entry_id for entry_id, _ in after[len(before) :]] == [first, second]
    assert after[: len(before)] == before


async def test_an_id_that_was_rolled_back_leaves_a_gap(pool: Pool, deposits: Deposits) -> None:
    a, b = await deposits(100, 100)
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        lost = await post(connection, a, b)
        await undone.rollback()
    async with transaction(pool) as connection:
        kept = await post(connection, a, b)
    ids = [entry_id for entry_id, _ in await settled(pool)]
    assert lost not in ids
    assert ids[-1] == kept


async def test_an_empty_journal_is_settled_and_its_first_id_is_not_yet_in_it(
    pool: Pool, chart: BankChart
) -> None:
    async with pool.acquire() as connection:
        assert (await read_fence(connection)).last_id == 0
    assert await settled(pool) == []
    async with transaction(pool) as connection:
        accounts = await open_accounts(connection, "deposit", [code_of("deposit", 1)], "CZK")
        posting = await Posting.open(connection, [chart.reserves, *accounts])
        posting.post(transfer(chart.reserves, accounts[0], 5))
        await posting.write()
    assert [entry_id for entry_id, _ in await settled(pool)] == [1]


async def test_it_is_read_in_sets_as_in_one_piece(
    pool: Pool, deposits: Deposits, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deposits(*[10] * 11)
    whole = await settled(pool)
    assert len(whole) == 11
    monkeypatch.setattr(log, "ENTRIES_AT_ONCE", 4)
    assert await settled(pool) == whole
    async with pool.acquire() as connection:
        sets = [len(leaves) async for leaves in read_leaves(connection, 0, whole[-1][0])]
        assert sets == [4, 4, 3]
        assert await leaves_of(connection, whole[3][0], whole[7][0]) == whole[4:8]


async def test_what_was_settled_is_the_beginning_of_all_that_is_settled_later(
    pool: Pool, database: Database, deposits: Deposits
) -> None:
    """Writers that are slow between drawing ids and committing, and some that roll back.

    They write until the log was seen growing: whatever else the server does may hold it back for a while.
    """
    accounts = await deposits(*[10_000] * 16)
    chance = random.Random(7)
    writers = await connect_pool(database.app_url, max_size=8)

    seen: list[list[tuple[int, bytes]]] = []

    async def write(payer: int, payee: int) -> None:
        while len({len(each) for each in seen}) < 6:
            async with writers.acquire() as connection:
                begun = connection.transaction()
                await begun.start()
                await post(connection, payer, payee)
                await asyncio.sleep(chance.uniform(0, 0.02))
                await (begun.rollback() if chance.random() < 0.2 else begun.commit())

    async def watch() -> None:
        while True:
            seen.append(await settled(pool))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(60):
        await asyncio.gather(*(write(*accounts[at : at + 2]) for at in range(0, 16, 2)))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await writers.close()
    final = await settled(pool)
    async with pool.acquire() as connection:
        assert final == await leaves_of(connection)
    assert all(final[: len(each)] == each for each in seen)
