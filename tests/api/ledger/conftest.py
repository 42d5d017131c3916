"""Customers with money in the books, in as few lines as a test can afford."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from api.database import Pool, transaction
from api.ledger.chart import BankChart, code_of, open_accounts
from api.ledger.journal import Entry, Leg, Posting

Deposits = Callable[..., Awaitable[list[int]]]


@pytest.fixture
def deposits(pool: Pool, chart: BankChart) -> Deposits:
    """Opens one deposit account for each amount given and funds it; returns the accounts' ids."""
    numbers = count()

    async def open_funded(*amounts_minor: int) -> list[int]:
        async with transaction(pool) as connection:
            codes = [code_of("deposit", f"customer-{next(numbers)}") for _ in amounts_minor]
            accounts = await open_accounts(connection, "deposit", codes, "CZK")
            posting = await Posting.open(connection, [chart.reserves, *accounts])
            for account, amount_minor in zip(accounts, amounts_minor, strict=True):
                if amount_minor:
                    posting.post(opening(chart.reserves, account, amount_minor))
            await posting.write()
        return accounts

    return open_funded


def opening(reserves: int, account: int, amount_minor: int) -> Entry:
    """Cash paid in: Dr reserves, Cr deposit."""
    return transfer(reserves, account, amount_minor)


def transfer(debited: int, credited: int, amount_minor: int, source: str | None = None) -> Entry:
    """An entry of two legs; its source is new unless given."""
    legs = (Leg(debited, "CZK", amount_minor), Leg(credited, "CZK", -amount_minor))
    return Entry("test", source or f"test:{uuid.uuid4()}", None, legs)
