"""Several workers on the same accounts at the same time.

Two workers
├── that reserve from one account at once never take more than is there
├── that lock the same accounts in opposite orders do not wait for each other for ever
├── that resolve the same business at once resolve it once
├── that post the same source at once post it once
├── that open the same accounts in opposite orders get the same accounts
└── of which one resolves a business while the other adds a hold to it elsewhere: both holds are resolved
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from api.database import Connection, Pool, connect_pool, run_in_transaction, transaction
from api.ledger.balances import read_balance
from api.ledger.chart import code_of, open_accounts
from api.ledger.errors import DuplicateSource, InsufficientAvailable
from api.ledger.journal import Hold, Posting
from api.ledger.verify import verify_ledger
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    from tests.api.conftest import Database
    from tests.api.ledger.conftest import Deposits

WAITS = """SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock')"""


async def test_two_workers_never_take_more_than_is_there(
    pool: Pool, database: Database, deposits: Deposits
) -> None:
    (account,) = await deposits(1000)
    taken = 0

    async def worker(own_pool: Pool) -> None:
        nonlocal taken
        for _ in range(30):
            async with transaction(own_pool) as conn:
                posting = await Posting.open(conn, [account])
                for _ in range(3):
                    try:
                        posting.reserve(Hold(account, 7, uuid.uuid4()))
                    except InsufficientAvailable:
                        continue
                    taken += 1
                await posting.write()

    other_pool = await connect_pool(database.app_url)
    await asyncio.gather(worker(pool), worker(pool), worker(other_pool), worker(other_pool))
    await other_pool.close()
    assert taken == 1000 // 7
    async with pool.acquire() as conn:
        assert (await read_balance(conn, account)).available_minor == 1000 - 7 * taken
        assert await verify_ledger(conn) == []


async def test_opposite_orders_of_accounts_do_not_deadlock(pool: Pool, deposits: Deposits) -> None:
    accounts = await deposits(*[1000] * 20)

    async def worker(order: list[int]) -> None:
        for _ in range(25):
            async with transaction(pool) as conn:
                posting = await Posting.open(conn, order)
                posting.post(transfer(order[0], order[-1], 1))
                await posting.write()

    await asyncio.gather(
        *(worker(order) for order in (accounts, accounts[::-1], accounts[10:] + accounts[:10]))
    )
    async with pool.acquire() as conn:
        assert await verify_ledger(conn) == []


async def test_the_same_accounts_opened_in_opposite_orders_are_the_same(pool: Pool) -> None:
    async def open_all(codes: list[str]) -> list[int]:
        async with transaction(pool) as conn:
            return await open_accounts(conn, "wallet", codes, "CZK")

    for round_number in range(4):
        codes = [code_of("wallet", f"{round_number}-{number}") for number in range(2000)]
        forwards, backwards = await asyncio.gather(open_all(codes), open_all(codes[::-1]))
        assert forwards == backwards[::-1]


async def test_a_business_is_resolved_once(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    business = uuid.uuid4()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer])
        posting.reserve(Hold(payer, 60, business))
        await posting.write()

    async def void() -> int:
        async with transaction(pool) as conn:
            posting = await Posting.open(conn, [payee], for_businesses=[business])
            freed = posting.void(business)
            await posting.write()
            return len(freed)

    assert sorted(await asyncio.gather(*(void() for _ in range(6)))) == [0, 0, 0, 0, 0, 1]
    async with pool.acquire() as conn:
        assert (await read_balance(conn, payer)).available_minor == 100
        assert await verify_ledger(conn) == []


async def test_a_source_is_posted_once(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(1000, 0)

    async def post() -> str:
        try:
            async with transaction(pool) as conn:
                posting = await Posting.open(conn, [payer, payee])
                posting.post(transfer(payer, payee, 60, "event"))
                await posting.write()
        except DuplicateSource as refusal:
            return refusal.code
        return "posted"

    assert sorted(await asyncio.gather(post(), post())) == ["DuplicateSource", "posted"]
    async with pool.acquire() as conn:
        assert (await read_balance(conn, payer)).posted_minor == 940
        assert await verify_ledger(conn) == []


async def test_a_hold_that_appears_on_another_account_meanwhile_is_locked_too(
    pool: Pool, deposits: Deposits
) -> None:
    first, second = await deposits(100, 100)
    business = uuid.uuid4()
    has_read = asyncio.Event()

    async def reserve(conn: Connection, account: int) -> None:
        posting = await Posting.open(conn, [account])
        posting.reserve(Hold(account, 60, business))
        await posting.write()

    async def void(conn: Connection) -> list[Hold]:
        has_read.set()
        posting = await Posting.open(conn, [], for_businesses=[business])
        freed = posting.void(business)
        await posting.write()
        return list(freed)

    async with transaction(pool) as conn:
        await reserve(conn, first)
    async with transaction(pool) as conn:
        await Posting.open(conn, [first])
        voiding = asyncio.create_task(run_in_transaction(pool, void))
        await has_read.wait()
        async with asyncio.timeout(30):
            while not await pool.fetchval(WAITS):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.005)
        await reserve(conn, second)
    async with asyncio.timeout(10):
        freed = await voiding
    assert sorted(hold.account_id for hold in freed) == [first, second]
    async with pool.acquire() as conn:
        assert await verify_ledger(conn) == []
