"""One institution's books at one moment, added up from its journal; and what they must be by the chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from api.chain.holds import verify_holds
from api.chain.reconciliation import EXPLAINED_IN_TRANSIT, is_projected
from api.ledger.chart import code_of
from api.ledger.verify import Difference
from api.settings import Settings
from contracts.abi import AccountRegistered, AccountWord, Event, ParticipantSet, Skipped, Transfer
from scripts.books.causes import EMPTY_JOURNAL, Journal, read_inconsistencies, read_journal
from scripts.books.chain_replay import ReplayedChain
from scripts.books.reading import Connection, read_patiently


@dataclass(frozen=True, slots=True)
class Check:
    """One figure that two sides must agree on, in minor units."""

    institution: str
    name: str
    books_minor: int
    chain_minor: int

    @property
    def difference_minor(self) -> int:
        """Books less chain."""
        return self.books_minor - self.chain_minor


@dataclass(frozen=True, slots=True)
class Books:
    """What an institution's journal adds up to, and up to which final block its books follow the chain.

    `accounts` has each account's balance on its own side, by code, from the legs; `wallets` each customer's
    address with the balance of its memo account; `projection` what each address holds by
    what it keeps of the chain, `projected_accounts` all that it keeps of them. `journal` has its entries by
    their causes, `inconsistencies` where its tables do not say the same.
    """

    settings: Settings
    genesis_hash: bytes
    contract: bytes
    deployed_block: int
    final_block: int
    accounts: Mapping[str, int]
    wallets: Mapping[bytes, int]
    projection: Mapping[bytes, int]
    projected_supply_minor: int
    reserve_movements: tuple[tuple[str, int, int], ...] = ()
    """What the chain moved in reserves accounts: code, block number, amount on the account's side."""
    projected_accounts: tuple[asyncpg.Record, ...] = ()
    explained_in_transit_minor: int = 0
    journal: Journal = EMPTY_JOURNAL
    inconsistencies: tuple[Difference, ...] = ()
    order_holds: Mapping[tuple[bytes, bytes], int] = field(default_factory=dict)
    """(account, order) -> what the order holds of the account, by what the institution keeps of the chain."""

    def reserves_at(self, code: str, block_number: int) -> int:
        """A reserves account's balance without what blocks above `block_number` moved."""
        later = (
            amount_minor
            for moved, block, amount_minor in self.reserve_movements
            if moved == code and block > block_number
        )
        return self.accounts.get(code, 0) - sum(later)

    def sum_of(self, prefix: str) -> int:
        """The balances of all accounts whose code begins so."""
        return sum(balance for code, balance in self.accounts.items() if code.startswith(prefix))


class NoBooks(Exception):
    """An institution whose books follow no chain yet."""

    code = "NoBooks"

    def __init__(self, institution: str) -> None:
        super().__init__(f"the books of {institution} are still empty: run `florin up` first")


async def final_block(settings: Settings) -> int:
    """How far an institution's books follow the chain. Raises NoBooks, Unanswered."""

    async def read(connection: Connection) -> int | None:
        number: int | None = await connection.fetchval("SELECT final_number FROM chain_cursor")
        return number

    number = await read_patiently(settings, read)
    if number is None:
        raise NoBooks(settings.institution)
    return number


_RESERVE_MOVEMENTS = """
SELECT a.code, k.number, l.amount_minor * a.normal_side AS amount
  FROM ledger_accounts a JOIN ledger_legs l ON l.account_id = a.id JOIN ledger_entries e ON e.id = l.entry_id
  JOIN chain_blocks k ON k.hash = decode(substring(e.source FROM '^event:0x([0-9a-f]{64}):'), 'hex')
 WHERE a.kind IN ('reserves', 'reserves_of')
"""


async def read_books(settings: Settings) -> Books:
    """Reads everything in one snapshot. Raises NoBooks, Unanswered."""
    return await read_patiently(settings, lambda connection: _read_books(settings, connection))


async def _read_books(settings: Settings, connection: Connection) -> Books:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        cursor = await connection.fetchrow(
            "SELECT genesis_hash, contract, deployed_block, final_number FROM chain_cursor"
        )
        if cursor is None:
            raise NoBooks(settings.institution)
        accounts = await connection.fetch(
            """SELECT a.id, a.code, (coalesce(sum(l.amount_minor), 0) * a.normal_side)::bigint AS balance
                 FROM ledger_accounts a LEFT JOIN ledger_legs l ON l.account_id = a.id
                WHERE a.currency = $1 GROUP BY a.id""",
            settings.currency,
        )
        wallets = await connection.fetch(
            "SELECT address, wallet_ledger_account_id FROM outbox_registrations WHERE address IS NOT NULL"
        )
        projection = await connection.fetch(
            """SELECT address, participant, tier, flags, balance_minor, spent_minor, spent_day, next_nonce
                 FROM chain_accounts"""
        )
        order_holds = await connection.fetch(
            "SELECT address, order_id, held_minor::text AS held FROM chain_order_holds"
        )
        supply = await connection.fetchval("SELECT supply_minor FROM chain_currency")
        movements = await connection.fetch(_RESERVE_MOVEMENTS)
        explained_minor = await connection.fetchval(EXPLAINED_IN_TRANSIT)
        journal = await read_journal(connection, settings.currency)
        inconsistencies = [*await verify_holds(connection), *await read_inconsistencies(connection)]
    by_id = {row["id"]: row["balance"] for row in accounts}
    return Books(
        settings=settings,
        genesis_hash=cursor["genesis_hash"],
        contract=cursor["contract"],
        deployed_block=cursor["deployed_block"],
        final_block=cursor["final_number"],
        accounts={row["code"]: row["balance"] for row in accounts},
        wallets={row["address"]: by_id[row["wallet_ledger_account_id"]] for row in wallets},
        projection={row["address"]: row["balance_minor"] for row in projection},
        projected_accounts=tuple(projection),
        explained_in_transit_minor=explained_minor,
        journal=journal,
        inconsistencies=tuple(inconsistencies),
        order_holds={(row["address"], row["order_id"]): int(row["held"]) for row in order_holds},
        projected_supply_minor=supply or 0,
        reserve_movements=tuple((row["code"], row["number"], row["amount"]) for row in movements),
    )


def compare_with_chain(books: Books, chain: ReplayedChain) -> list[Check]:
    """The institution's checks at its final block: totals always, single wallets only where they differ."""
    name = books.settings.institution

    def check(what: str, books_minor: int, chain_minor: int) -> Check:
        return Check(name, what, books_minor, chain_minor)

    checks = [check("projected supply", books.projected_supply_minor, chain.supply_minor)]
    if books.settings.kind == "central_bank":
        checks.append(check("circulation = supply", books.accounts.get("circulation", 0), chain.supply_minor))
    else:
        participant = books.settings.participant_id
        float_minor = chain.balances[chain.institutions.get(participant, b"")]
        checks += [
            check("inventory = own balance", books.accounts.get("inventory", 0), float_minor),
            check(
                "custody = customers' balances",
                books.accounts.get("custody", 0),
                chain.customers_total_minor(participant),
            ),
            check("sum of wallets = custody", sum(books.wallets.values()), books.accounts.get("custody", 0)),
            check("in transit = open cases", books.sum_of("in_transit:"), books.explained_in_transit_minor),
        ]
        checks += [
            check(f"wallet 0x{address.hex()}", balance, chain.kept_minor(address, participant))
            for address, balance in books.wallets.items()
            if balance != chain.kept_minor(address, participant)
        ]
    known = books.projection.keys() | {account for account, held in chain.balances.items() if held}
    checks += [
        check(f"projection of 0x{address.hex()}", books.projection.get(address, 0), chain.balances[address])
        for address in sorted(known)
        if books.projection.get(address, 0) != chain.balances[address]
    ]
    checks += [
        check(f"held of 0x{key[0].hex()} under order 0x{key[1].hex()}", held_minor, chain.order_holds[key])
        for key in sorted(books.order_holds.keys() | chain.order_holds.keys())
        if (held_minor := books.order_holds.get(key, 0)) != chain.order_holds[key]
    ]
    return checks


def misprojected_accounts(
    books: Books, words: Mapping[bytes, AccountWord], later: Sequence[Event]
) -> Iterator[Difference]:
    """Whatever else an institution keeps of an account and the contract does not: tier, flags, limits, nonce.

    `words` is the contract's state at the head. An account that `later` events, those above the books' final
    block, may have changed is not compared.
    """
    if any(isinstance(event, Skipped | ParticipantSet) for event in later):
        return  # a skipped record may have used up a nonce of anybody
    changed = {
        account
        for event in later
        for account in (
            (event.payer, event.payee) if isinstance(event, Transfer)
            else (event.account,) if isinstance(event, AccountRegistered)
            else ()
        )
    }  # fmt: skip
    participant = books.settings.participant_id if books.settings.kind == "bank" else 0
    for row in books.projected_accounts:
        address = row["address"]
        if address in changed or participant not in {0, row["participant"]}:
            continue
        word = words.get(address)
        if word is None or not is_projected(row, word, participant):
            yield Difference("projected account", f"0x{address.hex()}", str(word), str(dict(row)))


def compare_reserves(central_bank: Books, bank: Books) -> Check:
    """What a bank has at the central bank: by its own books and, in the chain's place, the central bank's.

    One of them may follow the chain further than the other: both as of the block that both have seen.
    """
    block = min(central_bank.final_block, bank.final_block)
    owed = central_bank.reserves_at(code_of("reserves_of", bank.settings.participant_id), block)
    own = bank.reserves_at("reserves", block)
    return Check(bank.settings.institution, "reserves = at central bank", own, owed)
