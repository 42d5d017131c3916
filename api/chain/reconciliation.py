"""Books and chain held against each other at a final block, to the minor unit, all the time.

Both sides are read as of the same final block, which no longer changes, so that any difference is a break: it
freezes settlement and opens a case. Totals are compared in each run; accounts one by one where final blocks
touched them, and all of the others in turn. What waits in transit must be what the open cases explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from api.chain.alarms import freeze, open_case
from api.database import transaction
from api.ledger.chart import BankChart
from contracts.abi import (
    AccountFlag,
    AccountWord,
    decode_account_word,
    decode_uint,
    decode_words,
    encode_account_words,
    encode_restriction,
    encode_total_supply,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from api.chain.booking import Books
    from api.chain.deployment import Deployment
    from api.chain.rpc import RpcClient
    from api.database import Connection, Pool

ACCOUNTS_EACH_RUN: Final = 250
_HAS_HOLD: Final = int(AccountFlag.HAS_HOLD)
KEPT_DAYS: Final = 30

_TOTALS = """
SELECT c.final_number,
       (SELECT COALESCE(sum(balance_minor), 0)::bigint FROM chain_accounts) AS balances_minor,
       (SELECT balance_minor FROM chain_accounts a JOIN chain_participants p ON p.institution = a.address
         WHERE p.participant = $1) AS institution_minor
  FROM chain_cursor c
"""

_WALLETS = """
SELECT COALESCE(sum(b.posted_minor), 0)::bigint AS books_minor,
       COALESCE(sum(COALESCE(a.balance_minor, 0)), 0)::bigint AS chain_minor,
       COALESCE(sum(abs(b.posted_minor - COALESCE(a.balance_minor, 0))), 0)::bigint AS apart_minor
  FROM outbox_registrations r JOIN ledger_balances b ON b.account_id = r.wallet_ledger_account_id
  LEFT JOIN chain_accounts a ON a.address = r.address AND a.participant = $1
"""

EXPLAINED_IN_TRANSIT: Final = """
SELECT COALESCE(sum((detail ->> 'in_transit_minor')::bigint), 0)::bigint FROM chain_cases
 WHERE closed_at IS NULL AND detail ? 'in_transit_minor'
"""

_ACCOUNTS = """
SELECT address, participant, tier, flags, balance_minor, spent_minor, spent_day, next_nonce,
       (SELECT COALESCE(sum(h.held_minor), 0)::text FROM chain_order_holds h
         WHERE h.address = a.address) AS held_minor
  FROM chain_accounts a
 WHERE (participant = $1 OR $1 = 0)
"""


_FORGET = """
DELETE FROM chain_reconciliations
 WHERE run_at < now() - make_interval(days => $1) AND difference_minor = 0 AND mismatched = '{}'
"""
"""Comparisons that found nothing, after some time; breaks are kept for ever."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison, in minor units. `difference_minor` is never negative."""

    name: str
    books_minor: int
    chain_minor: int
    difference_minor: int

    @classmethod
    def of(cls, name: str, books_minor: int, chain_minor: int) -> Check:
        """Compare two totals."""
        return cls(name, books_minor, chain_minor, abs(books_minor - chain_minor))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of a run."""

    block_number: int
    checks: tuple[Check, ...]
    mismatched: tuple[str, ...]

    @property
    def difference_minor(self) -> int:
        """The sum of all differences."""
        return sum(check.difference_minor for check in self.checks)

    @property
    def is_reconciled(self) -> bool:
        """Whether everything agrees: amounts, and what is projected of each account."""
        return self.difference_minor == 0 and not self.mismatched


class Reconciliation:
    """Runs the comparison. `touch` tells it which accounts final blocks changed."""

    def __init__(self, pool: Pool, rpc: RpcClient, deployment: Deployment, books: Books) -> None:
        self._pool = pool
        self._rpc = rpc
        self._deployment = deployment
        self._books = books
        self._touched: dict[bytes, None] = {}
        self._sweep_after = b""

    def touch(self, addresses: set[bytes]) -> None:
        """Look at these accounts soon."""
        self._touched |= dict.fromkeys(addresses)

    @property
    def is_waiting(self) -> bool:
        """Whether touched accounts have not been looked at yet."""
        return bool(self._touched)

    async def run_once(self) -> Reconciled | None:
        """Compare, store the result, and freeze settlement on a break.

        None while the currency itself is not final.
        """
        chosen = list(self._touched)[:ACCOUNTS_EACH_RUN]
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            totals = await connection.fetchrow(_TOTALS, self._books.participant)
            assert totals is not None, "the cursor is written before the worker's tasks start"
            if totals["final_number"] < self._deployment.deployed_block:
                return None
            books = await self._book_totals(connection, totals)
            accounts = await self._accounts(connection, chosen)
        number = totals["final_number"]
        supply = decode_uint(
            await self._rpc.call_contract(self._deployment.contract, encode_total_supply(), number)
        )
        words = await self._words([row["address"] for row in accounts], number)
        apart, mismatched = _compare(accounts, words, self._books.participant)
        mismatched += await self._misheld(accounts, number, mismatched)
        checks = (
            Check.of("supply", totals["balances_minor"], supply),
            *self._checks(books, supply),
            Check("accounts", apart[0], apart[1], apart[2]),
        )
        reconciled = Reconciled(number, checks, mismatched)
        await self._write(reconciled)
        for address in chosen:
            self._touched.pop(address, None)
        return reconciled

    def _checks(self, books: dict[str, tuple[int, int, int]], supply: int) -> list[Check]:
        if not isinstance(self._books.chart, BankChart):
            return [Check.of("circulation", books["circulation"][0], supply)]
        return [Check(name, *values) for name, values in books.items()]

    async def _book_totals(
        self, connection: Connection, totals: asyncpg.Record
    ) -> dict[str, tuple[int, int, int]]:
        """(books, chain as projected, difference) by name."""
        chart = self._books.chart
        if not isinstance(chart, BankChart):
            return {"circulation": (await _posted(connection, chart.circulation), 0, 0)}
        inventory = await _posted(connection, chart.inventory)
        custody = await _posted(connection, chart.custody)
        held = totals["institution_minor"] or 0
        wallets = await connection.fetchrow(_WALLETS, self._books.participant)
        assert wallets is not None
        in_transit = await _posted(connection, chart.in_transit_unidentified)
        explained = await connection.fetchval(EXPLAINED_IN_TRANSIT)
        return {
            "in_transit": (in_transit, explained, abs(in_transit - explained)),
            "inventory": (inventory, held, abs(inventory - held)),
            "custody": (custody, wallets["chain_minor"], abs(custody - wallets["chain_minor"])),
            "wallets": (wallets["books_minor"], wallets["chain_minor"], wallets["apart_minor"]),
        }

    async def _accounts(self, connection: Connection, chosen: Sequence[bytes]) -> list[asyncpg.Record]:
        """Those that were touched, and as many of the others as there is room for, in turn."""
        participant = self._books.participant
        touched = await connection.fetch(f"{_ACCOUNTS} AND address = ANY($2::bytea[])", participant, chosen)
        swept = await connection.fetch(
            f"{_ACCOUNTS} AND address > $2 ORDER BY address LIMIT $3",
            participant,
            self._sweep_after,
            max(0, ACCOUNTS_EACH_RUN - len(chosen)),
        )
        if len(chosen) < ACCOUNTS_EACH_RUN:
            self._sweep_after = swept[-1]["address"] if swept else b""
        return list({row["address"]: row for row in [*touched, *swept]}.values())

    async def _words(self, addresses: Sequence[bytes], number: int) -> list[int]:
        if not addresses:
            return []
        data = encode_account_words(addresses)
        return decode_words(await self._rpc.call_contract(self._deployment.contract, data, number))

    async def _misheld(
        self, accounts: Sequence[asyncpg.Record], number: int, known: Sequence[str]
    ) -> tuple[str, ...]:
        """The accounts of which orders hold something else than is projected."""
        mismatched: list[str] = []
        for row in accounts:
            address = "0x" + row["address"].hex()
            held_minor, has_hold = int(row["held_minor"]), bool(row["flags"] & _HAS_HOLD)
            if address in known or not (held_minor or has_hold):
                continue
            returned = await self._rpc.call_contract(
                self._deployment.contract, encode_restriction(row["address"]), number
            )
            if decode_uint(returned[:32]) != held_minor:
                mismatched.append(address)
        return tuple(mismatched)

    async def _write(self, reconciled: Reconciled) -> None:
        checks = msgspec.json.encode(reconciled.checks).decode()
        async with transaction(self._pool) as connection:
            await connection.execute(
                """INSERT INTO chain_reconciliations (block_number, difference_minor, checks, mismatched)
                   VALUES ($1, $2, $3::jsonb, $4)""",
                reconciled.block_number,
                reconciled.difference_minor,
                checks,
                list(reconciled.mismatched),
            )
            await connection.execute(_FORGET, KEPT_DAYS)
            if not reconciled.is_reconciled:
                differ = f"differ by {reconciled.difference_minor} at block {reconciled.block_number}"
                await freeze(connection, "settle", f"books and chain {differ}")
                await open_case(
                    connection, "ReconciliationBreak",
                    difference_minor=reconciled.difference_minor, accounts=list(reconciled.mismatched[:20]),
                )  # fmt: skip


async def _posted(connection: Connection, account_id: int) -> int:
    posted: int = await connection.fetchval(
        "SELECT posted_minor FROM ledger_balances WHERE account_id = $1", account_id
    )
    return posted


def is_projected(row: asyncpg.Record, chain: AccountWord, own_participant: int) -> bool:
    """Whether a row of `chain_accounts` says of its address what the chain does.

    Nonces are projected for one's own payers only, and the central bank has none.
    """
    return (
        row["balance_minor"] == chain.balance
        and (row["participant"], row["tier"], row["flags"]) == (chain.participant, chain.tier, chain.flags)
        and row["spent_day"] == chain.day
        and row["spent_minor"] == min(chain.spent_today, 2**63 - 1)
        and (row["next_nonce"] == chain.nonce or own_participant == 0)
    )


def _compare(
    accounts: Sequence[asyncpg.Record], words: Sequence[int], own_participant: int
) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """(projected, on chain, apart) in minor units, and the accounts of which anything differs."""
    projected = found = apart = 0
    mismatched: list[str] = []
    for row, word in zip(accounts, words, strict=True):
        chain = decode_account_word(word)
        projected += row["balance_minor"]
        found += chain.balance
        apart += abs(row["balance_minor"] - chain.balance)
        if not is_projected(row, chain, own_participant):
            mismatched.append("0x" + row["address"].hex())
    return (projected, found, apart), tuple(mismatched)
