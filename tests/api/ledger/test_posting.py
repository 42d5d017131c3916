"""Posting, decided on locked rows and written at once.

Posting
├── reserve
│   ├── takes no more than what is available
│   ├── of exactly what is available leaves zero
│   ├── refused, changes nothing
│   └── reserve_posted does not ask what is available
├── post
│   ├── moves both sides of each account
│   ├── adds up legs of one account
│   ├── resolves every hold of the business, of this posting and of older ones
│   ├── may go past the holds of others (final events always post)
│   ├── never takes more than is posted, except from clearing accounts
│   ├── refuses an entry that does not balance / mixes classes / has no or zero legs / another currency
│   ├── refuses a source of the same posting
│   └── refuses a source of an older one when written
├── void frees the holds once
├── of accounts that do not exist, or that were not locked, or holds that were not loaded
└── a connection lost between COPY and COMMIT leaves nothing
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.database import Pool, transaction
from api.errors import DatabaseUnavailable
from api.ledger.balances import read_balance, read_balances
from api.ledger.chart import code_of, open_accounts, open_chart
from api.ledger.errors import (
    BalanceTooLarge,
    BalanceWouldBeNegative,
    DuplicateSource,
    InsufficientAvailable,
    UnbalancedEntry,
    UnknownLedgerAccount,
)
from api.ledger.journal import Entry, Hold, Leg, Posting
from api.ledger.verify import verify_ledger
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    from api.ledger.chart import BankChart
    from tests.api.ledger.conftest import Deposits


async def test_a_hold_takes_no_more_than_what_is_available(pool: Pool, deposits: Deposits) -> None:
    (account,) = await deposits(1000)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account])
        posting.reserve(Hold(account, 700, uuid.uuid4()))
        with pytest.raises(InsufficientAvailable) as refusal:
            posting.reserve(Hold(account, 301, uuid.uuid4()))
        assert (refusal.value.available_minor, refusal.value.requested_minor) == (300, 301)
        posting.reserve(Hold(account, 300, uuid.uuid4()))
        assert posting.available(account) == 0
        await posting.write()
        balance = await read_balance(conn, account)
        assert (balance.posted_minor, balance.held_minor, balance.available_minor) == (1000, 1000, 0)
        assert await conn.fetchval("SELECT count(*) FROM ledger_holds") == 2
        assert await verify_ledger_in(pool) == []


async def verify_ledger_in(pool: Pool) -> list[object]:
    async with pool.acquire() as connection:
        return list(await verify_ledger(connection))


async def test_money_that_a_final_event_brought_is_held_without_asking(
    pool: Pool, deposits: Deposits
) -> None:
    (account,) = await deposits(100)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account])
        posting.reserve_posted(Hold(account, 250, uuid.uuid4()))
        assert posting.available(account) == -150
        await posting.write()
        assert (await read_balance(conn, account)).held_minor == 250


async def test_an_entry_moves_each_account_on_its_own_side(
    pool: Pool, chart: BankChart, deposits: Deposits
) -> None:
    (account,) = await deposits(1000)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account, chart.fees])
        posting.post(transfer(account, chart.fees, 15))
        written = await posting.write()
        found = await read_balances(conn, [account, chart.fees, chart.reserves])
    assert len(written.entry_ids) == 1
    assert [found[key].posted_minor for key in (account, chart.fees, chart.reserves)] == [985, 15, 1000]


async def test_legs_of_one_account_add_up(pool: Pool, chart: BankChart, deposits: Deposits) -> None:
    (account,) = await deposits(1000)
    legs = (Leg(account, "CZK", 900), Leg(chart.fees, "CZK", -500), Leg(account, "CZK", -400))
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account, chart.fees])
        posting.post(Entry("test", "add-up", None, legs))
        assert posting.posted(account) == 500
        await posting.write()
        assert (await read_balance(conn, chart.fees)).posted_minor == 500
    assert await verify_ledger_in(pool) == []


async def test_an_entry_beyond_what_a_balance_holds_is_refused_and_changes_nothing(
    pool: Pool, chart: BankChart, deposits: Deposits
) -> None:
    (account,) = await deposits(1000)
    most = 2**63 - 1 - 1000
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account, chart.reserves])
        for amount in (most + 1, 2**64):
            legs = (Leg(chart.reserves, "CZK", amount), Leg(account, "CZK", -amount))
            with pytest.raises(BalanceTooLarge):
                posting.post(Entry("test", "too-large", None, legs))
        assert posting.posted(account) == 1000
        legs = (Leg(chart.reserves, "CZK", most), Leg(account, "CZK", -most))
        posting.post(Entry("test", "largest", None, legs))
        await posting.write()
    assert await verify_ledger_in(pool) == []


async def test_posting_resolves_the_holds_of_its_business_only(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(1000, 50)
    paid, other = uuid.uuid4(), uuid.uuid4()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        posting.reserve(Hold(payer, 300, paid))
        posting.reserve(Hold(payee, 10, paid))
        posting.reserve(Hold(payer, 200, other))
        await posting.write()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payee], for_businesses=[paid])
        resolved = posting.post(transfer(payer, payee, 300, "paid"), resolves=paid)
        assert set(resolved) == {Hold(payer, 300, paid), Hold(payee, 10, paid)}
        assert posting.available(payer) == 1000 - 300 - 200
        (entry_id,) = (await posting.write()).entry_ids
        outcomes = await conn.fetch("SELECT outcome, entry_id FROM ledger_hold_resolutions")
        assert [tuple(row) for row in outcomes] == [("posted", entry_id)] * 2
        assert (await read_balance(conn, payer)).held_minor == 200
        assert (await read_balance(conn, payee)).available_minor == 350
    assert await verify_ledger_in(pool) == []


async def test_a_hold_can_be_made_and_resolved_in_one_posting(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    first, second = uuid.uuid4(), uuid.uuid4()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        posting.reserve(Hold(payer, 60, first))
        posting.reserve(Hold(payer, 40, second))
        posting.post(transfer(payer, payee, 60), resolves=first)
        posting.void(second)
        await posting.write()
    async with transaction(pool) as conn:
        assert (await read_balance(conn, payer)).available_minor == 40
    assert await verify_ledger_in(pool) == []


async def test_a_final_event_posts_past_the_holds_of_others(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        posting.reserve(Hold(payer, 80, uuid.uuid4()))
        posting.post(transfer(payer, payee, 100))
        await posting.write()
        assert (await read_balance(conn, payer)).available_minor == -80


async def test_no_entry_takes_more_than_is_posted(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        with pytest.raises(BalanceWouldBeNegative):
            posting.post(transfer(payer, payee, 101))
        assert (posting.posted(payer), posting.posted(payee)) == (100, 0)
        posting.post(transfer(payer, payee, 100))
        assert len((await posting.write()).entry_ids) == 1


async def test_a_clearing_account_may_stand_on_either_side(
    pool: Pool, chart: BankChart, deposits: Deposits
) -> None:
    (account,) = await deposits(0)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account, chart.in_transit_unidentified])
        posting.post(transfer(chart.in_transit_unidentified, account, 70))
        await posting.write()
        assert (await read_balance(conn, chart.in_transit_unidentified)).posted_minor == -70
    assert await verify_ledger_in(pool) == []


async def test_the_database_refuses_a_negative_balance_by_itself(pool: Pool, deposits: Deposits) -> None:
    (account,) = await deposits(100)
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("UPDATE ledger_balances SET posted_minor = -1 WHERE account_id = $1", account)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("one-sided", "differ by 5"),
        ("own against memo", "own legs in CZK differ by 5"),
        ("no legs", "no legs"),
        ("zero leg", "is zero"),
        ("another currency", "not carried in EUR"),
    ],
)
async def test_an_entry_that_does_not_balance_is_refused_and_changes_nothing(
    pool: Pool, chart: BankChart, deposits: Deposits, case: str, why: str
) -> None:
    (account,) = await deposits(100)
    legs = {
        "one-sided": (Leg(account, "CZK", 10), Leg(chart.fees, "CZK", -5)),
        "own against memo": (Leg(account, "CZK", 5), Leg(chart.custody, "CZK", -5)),
        "no legs": (),
        "zero leg": (Leg(account, "CZK", 0), Leg(chart.fees, "CZK", 0)),
        "another currency": (Leg(account, "EUR", 5), Leg(chart.fees, "EUR", -5)),
    }[case]
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account, chart.fees, chart.custody])
        with pytest.raises(UnbalancedEntry, match=why):
            posting.post(Entry("test", "broken", None, legs))
        assert (await posting.write()).entry_ids == ()
        assert (await read_balance(conn, account)).posted_minor == 100


async def test_the_same_source_never_posts_twice(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        posting.post(transfer(payer, payee, 10, "chain:(0xab)=(1)"))
        with pytest.raises(DuplicateSource):
            posting.post(transfer(payer, payee, 10, "chain:(0xab)=(1)"))
        assert posting.posted(payer) == 90
        await posting.write()

    async def post_again() -> None:
        async with transaction(pool) as conn:
            posting = await Posting.open(conn, [payer, payee])
            posting.post(transfer(payer, payee, 10, "chain:(0xab)=(1)"))
            await posting.write()

    with pytest.raises(DuplicateSource) as refusal:
        await post_again()
    assert refusal.value.source == "chain:(0xab)=(1)"
    async with transaction(pool) as conn:
        assert (await read_balance(conn, payer)).posted_minor == 90


async def test_voiding_frees_the_money_once(pool: Pool, deposits: Deposits) -> None:
    (account,) = await deposits(100)
    business = uuid.uuid4()
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [account])
        posting.reserve(Hold(account, 100, business))
        await posting.write()
    for expected in ((Hold(account, 100, business),), ()):
        async with transaction(pool) as conn:
            posting = await Posting.open(conn, [], for_businesses=[business])
            assert posting.void(business) == expected
            await posting.write()
    async with transaction(pool) as conn:
        assert (await read_balance(conn, account)).available_minor == 100
    assert await verify_ledger_in(pool) == []


async def test_accounts_and_holds_must_be_loaded_first(pool: Pool, deposits: Deposits) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as conn:
        with pytest.raises(UnknownLedgerAccount) as refusal:
            await Posting.open(conn, [payer, 987654321])
        assert refusal.value.account_ids == [987654321]
        posting = await Posting.open(conn, [payer])
        with pytest.raises(ValueError, match="was not locked"):
            posting.post(transfer(payer, payee, 1))
        with pytest.raises(ValueError, match="were not loaded"):
            posting.void(uuid.uuid4())
        with pytest.raises(ValueError, match="above zero"):
            posting.reserve(Hold(payer, 0, uuid.uuid4()))
        assert posting.available(payer) == 100


async def test_a_connection_killed_between_copy_and_commit_leaves_nothing(
    pool: Pool, superuser: asyncpg.Connection[asyncpg.Record], deposits: Deposits
) -> None:
    payer, payee = await deposits(100, 0)
    before = await books(superuser)

    async def pay(*, is_killed: bool) -> None:
        async with transaction(pool) as conn:
            posting = await Posting.open(conn, [payer, payee])
            posting.post(transfer(payer, payee, 60, "the-same"))
            posting.reserve(Hold(payer, 40, uuid.uuid4()))
            await posting.write()
            if is_killed:
                await superuser.execute("SELECT pg_terminate_backend($1, 5000)", conn.get_server_pid())

    with pytest.raises(DatabaseUnavailable):
        await pay(is_killed=True)
    assert await books(superuser) == before
    await pay(is_killed=False)
    assert await books(superuser) != before
    assert await verify_ledger_in(pool) == []


async def books(connection: asyncpg.Connection[asyncpg.Record]) -> list[object]:
    """Every row of the ledger."""
    tables = ("balances", "entries", "legs", "holds", "hold_resolutions")
    return [await connection.fetch(f"SELECT * FROM ledger_{table} ORDER BY 1, 2") for table in tables]


async def test_the_chart_opens_once_and_accounts_keep_their_order(pool: Pool) -> None:
    async with transaction(pool) as conn:
        bank = await open_chart(conn, "bank", "CZK")
        assert await open_chart(conn, "bank", "CZK") == bank
        central = await open_chart(conn, "central_bank", "CZK")
        assert central.circulation != bank.inventory
        codes = [code_of("wallet", name) for name in ("b", "a", "c")]
        first = await open_accounts(conn, "wallet", codes, "CZK")
        again = await open_accounts(conn, "wallet", [*reversed(codes), "wallet:d"], "CZK")
        assert again[:3] == first[::-1]
        assert len({*first, *again}) == 4
        with pytest.raises(ValueError, match="must start with"):
            await open_accounts(conn, "deposit", ["wallet:e"], "CZK")
