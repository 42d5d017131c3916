"""A whole real book on both chains, minutes each: `make test-book BOOK=DIR`.

a country with the book that FLORIN_RUN_BOOK names, on each chain
├── with ample opening balances: pays all 6,471 orders, 21,228,993.60 together
└── with small ones: refuses, order by order, what the oracle refuses
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.chain.anvil import find_anvil
from tests.journeys.country_process import Counters, CountryProcess
from tests.journeys.expectations import expect_balances, orders_of
from tests.journeys.oracle import Fate, Terms, foretell

AMPLE, SMALL = Decimal("25000.00"), Decimal("5000.00")
ON_ANVIL = [
    pytest.mark.node,
    pytest.mark.skipif(find_anvil() is None, reason="anvil is neither in node_modules nor on the PATH"),
]
CHAINS = ["eth-tester", pytest.param("anvil", marks=ON_ANVIL)]
REAL_BOOK = os.environ.get("FLORIN_RUN_BOOK", "")
needs_the_real_book = pytest.mark.skipif(
    not REAL_BOOK, reason="takes minutes: `make test-book BOOK=DIR` runs it"
)


async def expect_fate(data: Path, summary: dict[str, Any], book: Path, fate: Fate, opening: Decimal) -> None:
    """Counts, every order's reasons, every balance, and no difference between books and chain."""
    assert (summary["payments_final"], summary["refusals"]) == (fate.paid, fate.counts())
    assert (summary["difference_minor"], summary["findings"]) == (0, 0)
    async with Counters(data, summary["addresses"]) as offices:
        answers = await orders_of(offices, book, fate.refusals)
        found = {order: [each["code"] for each in answer["reasons"]] for order, answer in answers.items()}
        assert found == fate.refusals
        await expect_balances(offices, fate, opening)


@needs_the_real_book
@pytest.mark.parametrize("chain", CHAINS)
async def test_the_whole_real_book_is_paid(chain: str, tmp_path: Path) -> None:
    book, data = Path(REAL_BOOK), tmp_path / "data"
    fate = foretell(book, Terms(AMPLE))
    paid = sum(AMPLE - deposit for deposit in fate.deposits.values())
    assert (fate.paid, f"{paid:,.2f}") == (6_471, "21,228,993.60")
    with CountryProcess(data, "--chain", chain, "--book", book) as country:
        await expect_fate(data, country.wait_for_table(), book, fate, AMPLE)


@needs_the_real_book
@pytest.mark.parametrize("chain", CHAINS)
async def test_of_the_real_book_small_balances_refuse_what_the_oracle_refuses(
    chain: str, tmp_path: Path
) -> None:
    book, data = Path(REAL_BOOK), tmp_path / "data"
    fate = foretell(book, Terms(SMALL))
    assert 0 < fate.paid < 6_471
    arguments = ("--chain", chain, "--book", book, "--opening-balance", str(SMALL))
    with CountryProcess(data, *arguments) as country:
        await expect_fate(data, country.wait_for_table(), book, fate, SMALL)
