"""Reading the books.

Entries of an account
├── come newest first, with the amount as the account sees it
├── come in pages that neither repeat nor skip one
└── are none of another account
Balances are of exactly the accounts asked for; totals are of one kind and currency
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.database import Pool, transaction
from api.ledger.balances import list_entries, read_balance, total_posted
from api.ledger.chart import open_chart
from api.ledger.errors import UnknownAccount
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


async def test_totals_are_of_one_kind_and_currency(pool: Pool, chart: BankChart, deposits: Deposits) -> None:
    await deposits(100, 250)
    async with transaction(pool) as conn:
        await open_chart(conn, "bank", "EUR")
        assert await total_posted(conn, "deposit", "CZK") == 350
        assert await total_posted(conn, "deposit", "EUR") == 0
        assert await total_posted(conn, "reserves", "CZK") == 350
        assert (await read_balance(conn, chart.reserves)).code == "reserves"
        with pytest.raises(UnknownAccount):
            await read_balance(conn, 987654321)
