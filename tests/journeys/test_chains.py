"""The same journey on the fast chain, and a whole real book on both.

a country
├── on anvil, with a small book: ends as foretold, reconciles, and goes on after Ctrl-C
└── with the book that FLORIN_TEST_BOOK names, on each chain (minutes each)
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
from scripts.orders.sample_book import SampleSize, write_sample_book
from tests.journeys.country_process import Counters, CountryProcess, florin
from tests.journeys.expectations import expect_balances, orders_of
from tests.journeys.oracle import Fate, Terms, foretell

AMPLE, SMALL = Decimal("25000.00"), Decimal("5000.00")
ON_ANVIL = [
    pytest.mark.node,
    pytest.mark.skipif(find_anvil() is None, reason="anvil is neither in node_modules nor on the PATH"),
]
CHAINS = ["eth-tester", pytest.param("anvil", marks=ON_ANVIL)]
REAL_BOOK = os.environ.get("FLORIN_TEST_BOOK", "")
needs_the_real_book = pytest.mark.skipif(
    not REAL_BOOK, reason="FLORIN_TEST_BOOK names no directory with the PKDD'99 book"
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


@pytest.mark.parametrize("chain", CHAINS[1:])
async def test_on_the_fast_chain_a_book_ends_as_foretold_and_the_next_run_goes_on(
    chain: str, tmp_path: Path
) -> None:
    book, data = tmp_path / "book", tmp_path / "data"
    write_sample_book(book, SampleSize(customers=20, orders=40), seed=7)
    with CountryProcess(data, "--chain", chain, "--book", book) as country:
        summary = country.wait_for_table()
        assert (summary["chain"], summary["payments_final"]) == (chain, 40)
        await expect_fate(data, summary, book, foretell(book, Terms(AMPLE)), AMPLE)
        assert country.stop() in (0, 130)
    again = florin("up", "--once", "--json", "--data", data)
    assert again.status == 0, again.errors
    for same in ("chain", "payments_final", "difference_minor", "supply_minor"):
        assert again.summary[same] == summary[same]
    assert "Standing orders" not in again.errors, "nothing is sent again"


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
