"""How fast the books take postings, beside the ceiling of a bare COPY of the same rows in the same run."""

from __future__ import annotations

import random
import statistics
import time
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg

from api.ledger.chart import code_of, open_accounts, open_chart
from api.ledger.journal import Entry, Leg, Posting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.database import Connection

BATCH = 500
BATCHES_PER_ROUND = 10
ROUNDS = 5
ACCOUNTS = 2000
OPENING_MINOR = 1_000_000
CURRENCY = "CZK"


async def measure(database_url: str) -> dict[str, Any]:
    """Postings/s through `Posting` in batches of 500, and of a bare COPY of equal rows.

    `database_url` is that of the owner of a migrated database of its own (the copy needs plain tables,
    which are dropped afterwards; the postings stay). Both ways commit each batch durably; their rounds
    take turns, and the medians are returned.
    """
    connection = await asyncpg.connect(database_url)
    try:
        accounts = await _funded_accounts(connection)
        await _create_plain_tables(connection)
        posted: list[float] = []
        copied: list[float] = []
        for _ in range(ROUNDS):
            posted.append(await _rate(_post_batch, connection, _batches(accounts)))
            copied.append(await _rate(_copy_batch, connection, _batches(accounts)))
        await connection.execute("DROP TABLE bench_entries, bench_legs")
    finally:
        await connection.close()
    postings_per_s, copies_per_s = statistics.median(posted), statistics.median(copied)
    return {
        "postings_per_s": round(postings_per_s),
        "bare_copy_per_s": round(copies_per_s),
        "ratio": round(postings_per_s / copies_per_s, 3),
        "batch": BATCH,
        "accounts": ACCOUNTS,
        "rounds": ROUNDS,
    }


def _batches(accounts: list[int]) -> list[list[Entry]]:
    """One round's entries, each between two accounts drawn at random; made before the clock runs."""
    pairs = (random.sample(accounts, 2) for _ in range(BATCH * BATCHES_PER_ROUND))
    entries = [_entry(payer, payee, 1) for payer, payee in pairs]
    return [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]


async def _rate(
    write: Callable[[Connection, list[Entry]], Awaitable[None]],
    connection: Connection,
    batches: list[list[Entry]],
) -> float:
    started = time.perf_counter()
    for entries in batches:
        await write(connection, entries)
    return BATCH * len(batches) / (time.perf_counter() - started)


async def _funded_accounts(connection: Connection) -> list[int]:
    """New deposit accounts with money in each."""
    run = uuid.uuid4().hex
    async with connection.transaction():
        chart = await open_chart(connection, "bank", CURRENCY)
        codes = [code_of("deposit", f"bench-{run}-{number}") for number in range(ACCOUNTS)]
        accounts = await open_accounts(connection, "deposit", codes, CURRENCY)
        posting = await Posting.open(connection, [chart.reserves, *accounts])
        for account in accounts:
            posting.post(_entry(chart.reserves, account, OPENING_MINOR))
        await posting.write()
    return accounts


async def _create_plain_tables(connection: Connection) -> None:
    """The journal's columns without its indexes and triggers."""
    await connection.execute(
        """DROP TABLE IF EXISTS bench_entries, bench_legs;
           CREATE TABLE bench_entries (LIKE ledger_entries INCLUDING DEFAULTS);
           CREATE TABLE bench_legs (LIKE ledger_legs INCLUDING DEFAULTS)"""
    )


async def _post_batch(connection: Connection, entries: list[Entry]) -> None:
    async with connection.transaction():
        posting = await Posting.open(connection, {leg.account_id for entry in entries for leg in entry.legs})
        for entry in entries:
            posting.post(entry)
        await posting.write()


async def _copy_batch(connection: Connection, entries: list[Entry]) -> None:
    async with connection.transaction():
        await connection.copy_records_to_table(
            "bench_entries",
            columns=("id", "kind", "source", "business_id"),
            records=[(number, entry.kind, entry.source, None) for number, entry in enumerate(entries)],
        )
        await connection.copy_records_to_table(
            "bench_legs",
            columns=("entry_id", "account_id", "currency", "amount_minor"),
            records=[
                (number, leg.account_id, leg.currency, leg.amount_minor)
                for number, entry in enumerate(entries)
                for leg in entry.legs
            ],
        )


def _entry(debited: int, credited: int, amount_minor: int) -> Entry:
    legs = (Leg(debited, CURRENCY, amount_minor), Leg(credited, CURRENCY, -amount_minor))
    return Entry("bench", f"bench:{uuid.uuid4()}", None, legs)
