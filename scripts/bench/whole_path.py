"""Payments a second through everything: HTTP, books, outbox, signer, chain, confirmations, indexer, books."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from scripts.books.verify import verify, wait_until_level
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import (
    BILLING_BANK,
    CENTRAL_BANK,
    CURRENCY,
    PAYING_BANK,
    signer_journals,
)
from scripts.country.quorum import officers_at_work
from scripts.country.start import Country, CountryStart
from scripts.orders import run_book
from scripts.orders.api_client import ApiClient
from scripts.orders.approvals import Consent
from scripts.orders.book import Account, Book, Client
from scripts.orders.names import person_name
from scripts.orders.run_book import Offices, Run
from scripts.supervision.processes import Supervisor
from scripts.terminal.progress import Steps

FUNDING_MINOR = 100_000
AMOUNT_MINOR = 100
OPENING_MINOR = 2_500_000
CLIENTS_AT_ONCE = 32
POLL_S = 0.2

_FINALITIES = """
SELECT count(*) AS payments, count(DISTINCT o.final_block) AS blocks,
       extract(epoch FROM max(o.final_at) - min(p.created_at))::float8 AS whole_s,
       extract(epoch FROM max(o.final_at) - min(o.final_at))::float8 AS span_s,
       count(*) FILTER (WHERE o.final_at > (SELECT min(f.final_at) FROM outbox_payments f
                                             JOIN payments q ON q.id = f.payment_id
                                            WHERE starts_with(q.reference, $1))) AS after_first
  FROM payments p JOIN outbox_payments o ON o.payment_id = p.id
 WHERE starts_with(p.reference, $1) AND o.state = 'final'
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is measured on one kind of chain; bounded, so that a bench takes minutes."""

    chain: str
    customers: int
    single: int
    bulk: int


LOADS = {
    "anvil": Load("anvil", customers=2_000, single=2_000, bulk=12_000),
    "eth-tester": Load("eth-tester", customers=500, single=500, bulk=3_000),
}


def measure_whole_path(load: Load, steps: Steps) -> dict[str, Any]:
    """The figures of one kind of chain, in a country of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="florin-bench-") as directory:
        data = DataDirectory(Path(directory) / load.chain)
        with Supervisor(data.path) as supervisor:
            country = CountryStart(data, supervisor, steps).run(load.chain)
            figures = asyncio.run(_measure(country, data, load, steps))
            asyncio.run(wait_until_level(list(country.settings.values()), steps))
            verdict = asyncio.run(verify(list(country.settings.values()), steps, signer_journals(data)))
    return {**figures, "difference_minor": verdict.difference_minor, "books_hold": verdict.holds}


async def _measure(country: Country, data: DataDirectory, load: Load, steps: Steps) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        offices = Offices(*[
            await stack.enter_async_context(ApiClient(country.url(plan.slug), country.api_keys[plan.slug]))
            for plan in (CENTRAL_BANK, PAYING_BANK, BILLING_BANK)
        ])  # fmt: skip
        async with officers_at_work(data):
            await _prepare(country, data, offices, load, steps)
        bank = offices.paying_bank
        database = await asyncpg.connect(country.settings[PAYING_BANK.slug].database_url)
        stack.push_async_callback(database.close)

        async def final(prefix: str, count: int, description: str) -> dict[str, Any]:
            await _wait(bank, prefix, count, steps, description)
            return _rates(await database.fetchrow(_FINALITIES, prefix))

        def fund(number: int) -> Awaitable[Any]:
            body = {"wallet_reference": f"wallet-{number}", "amount_minor": FUNDING_MINOR}
            return bank.post("/v1/fundings", body, key=f"fund-{number}")

        fundings_s = await _at_once(fund, range(1, load.customers + 1), steps, "Fundings, one request each")
        await final("fund-", load.customers, "Fundings final")

        def pay(number: int) -> Awaitable[Any]:
            return bank.post("/v1/payments", _payment(number, load), key=f"single-{number}")

        single_s = await _at_once(pay, range(load.single), steps, "Payments, one request each")
        single = await final("single-", load.single, "Single payments final")
        lines = [{"reference": f"bulk-{number}", **_payment(number, load)} for number in range(load.bulk)]
        with steps.step("Payments in bulk", load.bulk) as advance:
            began_at = time.monotonic()
            await bank.bulk("/v1/payments:bulk", lines, advance)
            bulk_s = time.monotonic() - began_at
        bulk = await final("bulk-", load.bulk, "Bulk payments final")
    return {
        "chain": load.chain,
        "confirmations": country.settings[PAYING_BANK.slug].confirmations,
        "fundings_accepted_per_s": round(load.customers / fundings_s, 1),
        "single": {**single, "accepted_per_s": round(load.single / single_s, 1), "clients": CLIENTS_AT_ONCE},
        "bulk": {**bulk, "accepted_per_s": round(load.bulk / bulk_s, 1)},
    }


async def _prepare(country: Country, data: DataDirectory, offices: Offices, load: Load, steps: Steps) -> None:
    """Customers with an account and a wallet, and digital currency at their bank."""
    numbers = range(1, load.customers + 1)
    clients = tuple(Client(n, person_name(n, is_woman=n % 2 == 0), "", n) for n in numbers)
    accounts = tuple(Account(n, n, n) for n in numbers)
    run = Run(
        Book(clients, accounts, (), (), ""),
        OPENING_MINOR,
        Consent.at(PAYING_BANK, country, data),
        least_issuance_minor=FUNDING_MINOR * load.customers,
    )
    await run_book.set_terms(offices, country, steps)
    await run_book.bring_reserves(offices, run, steps)
    await run_book.import_people(offices, run, steps)
    issuance_id = await run_book.issue(offices, run, steps)
    await run_book.wait_for_wallets(offices, steps)
    await run_book.wait_for_issuance(offices, issuance_id, steps)


def _payment(number: int, load: Load) -> dict[str, Any]:
    """Payment `number`: from one customer's wallet to the next but one's; all wallets take turns."""
    payer, payee = number % load.customers + 1, (number + 2) % load.customers + 1
    return {
        "payer_wallet_reference": f"wallet-{payer}",
        "payee": {"wallet_reference": f"wallet-{payee}"},
        "amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
    }


async def _at_once(
    send: Callable[[int], Awaitable[Any]], numbers: Sequence[int], steps: Steps, description: str
) -> float:
    """Sends one request for each number, some at a time; the seconds that it took."""
    waiting = iter(numbers)
    with steps.step(description, len(numbers)) as advance:

        async def client() -> None:
            for number in waiting:
                await send(number)
                advance(1)

        began_at = time.monotonic()
        await asyncio.gather(*[client() for _ in range(CLIENTS_AT_ONCE)])
        return time.monotonic() - began_at


async def _wait(bank: ApiClient, prefix: str, count: int, steps: Steps, description: str) -> None:
    with steps.step(description, count) as advance:
        seen = 0
        while seen < count:
            summary = await bank.get("/v1/payments:summary", since_reference_prefix=prefix)
            if summary["failures"] or summary["refusals"]:
                raise RuntimeError(f"payments of the bench were refused: {summary}")
            final = int(summary["states"].get("final", 0))
            advance(final - seen)
            seen = final
            await asyncio.sleep(POLL_S)


def _rates(row: Any) -> dict[str, Any]:
    """`payments_per_s` counts from the first acceptance to the last finality, with all confirmations;
    `sustained_per_s` counts between the first and the last finality."""
    return {
        "payments": row["payments"],
        "blocks": row["blocks"],
        "payments_per_s": round(row["payments"] / max(row["whole_s"], 0.001), 1),
        "sustained_per_s": round(row["after_first"] / row["span_s"], 1) if row["span_s"] else None,
    }
