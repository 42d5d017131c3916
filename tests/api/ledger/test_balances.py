"""Reading the books.

Entries of an account
├── come newest first, with the amount as the account sees it
├── come in pages that neither repeat nor skip one
└── are none of another account
Balances are of exactly the accounts asked for, and of accounts that exist
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.database import Pool, transaction
from api.ledger.balances import list_entries, read_balance, read_balances
from api.ledger.errors import UnknownLedgerAccount
from api.ledger.journal import Entry, Leg, Posting
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    from api.ledger.chart import BankChart
    from tests.api.ledger.conftest import Deposits


async def test_entries_come_newest_first_as_the_account_sees_them(
    pool: Pool, chart: BankChart, deposits: Deposits
) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee, chart.fees])
        legs = (
            Leg(payer, "CZK", 10),
            Leg(payer, "CZK", 1),
            Leg(payee, "CZK", -10),
            Leg(chart.fees, "CZK", -1),
        )
        posting.post(Entry("payment", "p:1", None, legs))
        posting.post(transfer(payee, payer, 4, "p:2"))
        await posting.write()
        page = await list_entries(conn, payer)
        seen_by_payee = await list_entries(conn, payee)
    assert [(entry.source, entry.amount_minor) for entry in page.entries[:2]] == [("p:2", 4), ("p:1", -11)]
    assert [entry.amount_minor for entry in page.entries] == [4, -11, 100]
    assert [entry.amount_minor for entry in seen_by_payee.entries] == [-4, 10]
    assert page.next_before is None


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
async def test_pages_neither_repeat_nor_skip(pool: Pool, deposits: Deposits, limit: int) -> None:
    payer, payee = await deposits(100, 0)
    async with transaction(pool) as conn:
        posting = await Posting.open(conn, [payer, payee])
        for number in range(6):
            posting.post(transfer(payer, payee, 1, f"p:{number}"))
        await posting.write()
        seen: list[int] = []
        before: int | None = None
        for _ in range(7):
            page = await list_entries(conn, payer, before=before, limit=limit)
            assert 1 <= len(page.entries) <= limit
            seen += [entry.entry_id for entry in page.entries]
            before = page.next_before
            if before is None:
                break
    assert before is None
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 7


async def test_a_balance_is_of_exactly_the_account_asked_for(
    pool: Pool, chart: BankChart, deposits: Deposits
) -> None:
    first, second = await deposits(100, 250)
    async with transaction(pool) as conn:
        found = await read_balances(conn, [second, chart.reserves])
        assert {key: balance.posted_minor for key, balance in found.items()} == {
            second: 250,
            chart.reserves: 350,
        }
        assert (await read_balance(conn, first)).code == "deposit:customer-0"
        with pytest.raises(UnknownLedgerAccount):
            await read_balances(conn, [first, 987654321])
