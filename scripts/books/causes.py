"""Every entry of a journal held against its cause, and every cause against its entry.

An entry is caused by an event of the chain, by an account that was opened with money, or by a reserve
deposit. What an event must book is derived here anew: from the event, the wallets' links and the chart, and
from the bank with which each wallet was at that event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from api.chain.postings import source_of
from api.ledger.chart import code_of
from api.ledger.verify import Difference
from contracts.abi import AccountMoved, AccountRegistered, Event, ParticipantSet, Transfer
from scripts.books.chain_replay import NOBODY
from scripts.books.reading import Connection

Legs = Mapping[int, int]
"""Ledger account -> what an entry moves there, debits positive."""

_LEGS = """
SELECT e.source, l.account_id, l.amount_minor FROM ledger_entries e JOIN ledger_legs l ON l.entry_id = e.id
"""

_CAUSES = """
SELECT 'opening:' || a.id, r.id, a.ledger_account_id, a.opening_deposit_minor
  FROM accounts a JOIN ledger_accounts r ON r.code = 'reserves' AND r.currency = a.currency
 WHERE a.opening_deposit_minor > 0
 UNION ALL
SELECT 'reserve-deposit:' || d.id, s.id, p.reserves_account_id, d.amount_minor
  FROM reserve_deposits d JOIN participants p ON p.id = d.participant_id
  JOIN ledger_accounts r ON r.id = p.reserves_account_id
  JOIN ledger_accounts s ON s.code = 'assets' AND s.currency = r.currency
"""
"""What books itself, without the chain: source, account to debit, account to credit, amount."""

_CHECKS = {
    "final payment has its entry": """
        SELECT o.kind || ' ' || o.payment_id, o.amount_minor::text,
               coalesce(max(l.amount_minor)::text, 'none')
          FROM outbox_payments o
          LEFT JOIN ledger_entries e ON e.business_id = o.payment_id AND e.kind = o.kind
          LEFT JOIN ledger_legs l ON l.entry_id = e.id
         WHERE o.state = 'final' GROUP BY o.payment_id, o.kind, o.amount_minor
        HAVING max(l.amount_minor) IS DISTINCT FROM o.amount_minor""",
    "entry has its final payment": """
        SELECT e.source, 'a final ' || e.kind, coalesce(o.kind || ' ' || o.state, 'none')
          FROM ledger_entries e LEFT JOIN outbox_payments o ON o.payment_id = e.business_id
         WHERE e.kind IN ('payment', 'funding', 'redemption')
           AND (o.state IS DISTINCT FROM 'final' OR o.kind <> e.kind)""",
    "accepted payment is under way or decided": """
        SELECT 'payment ' || p.id, p.kind || ' of ' || p.amount_minor,
               coalesce(o.kind || ' of ' || o.amount_minor, 'none')
          FROM payments p LEFT JOIN outbox_payments o ON o.payment_id = p.id
         WHERE p.refusals IS NULL AND (o.kind, o.amount_minor) IS DISTINCT FROM (p.kind, p.amount_minor)""",
    "payment under way was asked for": """
        SELECT o.kind || ' ' || o.payment_id, 'an accepted payment', coalesce('refused ' || p.kind, 'none')
          FROM outbox_payments o LEFT JOIN payments p ON p.id = coalesce(o.serves_payment_id, o.payment_id)
         WHERE p.id IS NULL OR p.refusals IS NOT NULL""",
    "wallet has its own accounts": """
        SELECT 'wallet ' || w.reference, 'wallet ' || w.ledger_account_id || ', deposit ' ||
               coalesce(a.ledger_account_id::text, 'none'),
               'wallet ' || r.wallet_ledger_account_id || ', deposit ' ||
               coalesce(r.deposit_ledger_account_id::text, 'none')
          FROM wallets w JOIN outbox_registrations r ON r.wallet_id = w.id
          LEFT JOIN accounts a ON a.id = w.account_id
         WHERE (r.wallet_ledger_account_id, r.deposit_ledger_account_id)
               IS DISTINCT FROM (w.ledger_account_id, a.ledger_account_id)""",
    "wallet and account have one owner": """
        SELECT 'wallet ' || w.reference, w.customer_id::text, a.customer_id::text
          FROM wallets w JOIN accounts a ON a.id = w.account_id WHERE w.customer_id <> a.customer_id""",
    "ledger account is what it is for": """
        SELECT 'ledger account ' || l.id, u.kind || ' ' || u.code, l.kind || ' ' || l.code
          FROM (SELECT ledger_account_id AS id, 'deposit' AS kind, 'deposit:' || reference AS code
                  FROM accounts
                 UNION ALL SELECT ledger_account_id, 'wallet', 'wallet:' || reference FROM wallets
                 UNION ALL SELECT reserves_account_id, 'reserves_of', 'reserves:' || id FROM participants) u
          JOIN ledger_accounts l ON l.id = u.id WHERE (l.kind, l.code) <> (u.kind, u.code)""",
    "only clearing accounts may be negative": """
        SELECT l.code || ' ' || l.currency, (l.kind = 'in_transit')::text, b.may_be_negative::text
          FROM ledger_accounts l JOIN ledger_balances b ON b.account_id = l.id
         WHERE b.may_be_negative <> (l.kind = 'in_transit')""",
}


@dataclass(frozen=True, slots=True)
class Wallet:
    """The ledger accounts of a customer's wallet; no deposit where none is linked."""

    account_id: int
    deposit_id: int | None


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal holds, by source, and what must be in it.

    `codes` has each ledger account by code, `own_causes` what books itself without the chain.
    """

    entries: Mapping[str, Legs]
    own_causes: Mapping[str, Legs]
    codes: Mapping[str, int]
    wallets: Mapping[bytes, Wallet]


EMPTY_JOURNAL = Journal({}, {}, {}, {})


async def read_journal(connection: Connection, currency: str) -> Journal:
    """Reads it in the caller's snapshot."""
    entries: dict[str, dict[int, int]] = {}
    for source, account_id, amount_minor in await connection.fetch(_LEGS):
        legs = entries.setdefault(source, {})
        legs[account_id] = legs.get(account_id, 0) + amount_minor
    accounts = await connection.fetch("SELECT code, id FROM ledger_accounts WHERE currency = $1", currency)
    wallets = await connection.fetch(
        """SELECT r.address, w.ledger_account_id, a.ledger_account_id
             FROM wallets w JOIN outbox_registrations r ON r.wallet_id = w.id
             LEFT JOIN accounts a ON a.id = w.account_id WHERE r.address IS NOT NULL"""
    )
    return Journal(
        entries,
        {row[0]: {row[1]: row[3], row[2]: -row[3]} for row in await connection.fetch(_CAUSES)},
        {row["code"]: row["id"] for row in accounts},
        {row[0]: Wallet(row[1], row[2]) for row in wallets},
    )


async def read_inconsistencies(connection: Connection) -> list[Difference]:
    """Where payments, intents, wallets, accounts and journal do not agree. In the caller's snapshot."""
    found = {check: await connection.fetch(query) for check, query in _CHECKS.items()}
    return [Difference(check, *row) for check, rows in found.items() for row in rows]


def unexplained_entries(journal: Journal, participant: int, events: Iterable[Event]) -> Iterator[Difference]:
    """Every entry that is not what its cause must book, every cause without entry, and the reverse.

    `events` are all of the currency's up to the books' final block; participant 0 is the central bank.
    """
    names = {account_id: code for code, account_id in journal.codes.items()}

    def text(legs: Legs | None) -> str:
        if legs is None:
            return "none"
        return ", ".join(f"{names.get(each, each)} {amount:+}" for each, amount in sorted(legs.items()))

    explained = set()
    for event, expected in _expected(journal, participant, events):
        source = source_of(event)
        explained.add(source)
        found = journal.entries.get(source)
        if found not in expected:
            yield Difference("entry is what its event says", source, text(expected[0]), text(found))
    for source, legs in journal.own_causes.items():
        explained.add(source)
        found = journal.entries.get(source)
        if found != legs:
            yield Difference("entry is what its cause says", source, text(legs), text(found))
    for source, legs in journal.entries.items():
        if source not in explained:
            yield Difference("entry has a cause", source, "none", text(legs))


def _expected(
    journal: Journal, participant: int, events: Iterable[Event]
) -> Iterator[tuple[Event, list[Legs]]]:
    """The transfers and moves that an institution must book, and each with the ways in which it may."""
    institutions: dict[int, bytes] = {}
    keepers: dict[bytes, int] = {}
    ever_own: set[bytes] = set()
    balances: defaultdict[bytes, int] = defaultdict(int)
    for event in events:
        match event:
            case ParticipantSet():
                institutions[event.participant] = event.institution
                keepers[event.institution] = event.participant
            case AccountRegistered():
                keepers[event.account] = event.participant
                if event.participant == participant:
                    ever_own.add(event.account)
            case Transfer() if participant == 0:
                if NOBODY in {event.payer, event.payee}:
                    yield event, [_issuance(journal.codes, keepers, event)]
            case Transfer():
                balances[event.payer] -= event.amount_minor
                balances[event.payee] += event.amount_minor
                own = {each for each in (event.payer, event.payee) if keepers.get(each) == participant}
                legs = list(_bank_legs(journal, institutions.get(participant), own, ever_own, event))
                if legs:
                    yield event, legs
            case AccountMoved() if participant in {event.former_participant, event.participant}:
                side = 1 if event.former_participant == participant else -1
                wallet, moved_minor = journal.wallets.get(event.account), balances[event.account]
                if wallet is not None and moved_minor:
                    custody = journal.codes.get("custody", 0)
                    yield event, [{wallet.account_id: side * moved_minor, custody: -side * moved_minor}]


def _issuance(codes: Mapping[str, int], keepers: Mapping[bytes, int], event: Transfer) -> Legs:
    is_minted = event.payer == NOBODY
    keeper = keepers.get(event.payee if is_minted else event.payer, 0)
    reserves = codes.get(code_of("reserves_of", keeper), 0)
    amount_minor = event.amount_minor if is_minted else -event.amount_minor
    return {reserves: amount_minor, codes.get("circulation", 0): -amount_minor}


def _bank_legs(
    journal: Journal, institution: bytes | None, own: set[bytes], ever_own: set[bytes], event: Transfer
) -> Iterator[Legs]:
    """How a bank may book a transfer: an unexplained one waits in transit instead of on a deposit.

    `own` are the parties that are with this bank: a wallet that was moved away is another bank's. Only a
    wallet that ever was with it (`ever_own`) has a deposit behind it.
    """
    codes, amount_minor = journal.codes, event.amount_minor
    payer, payee = (journal.wallets.get(each) if each in own else None for each in (event.payer, event.payee))
    if payer is None and payee is None and institution not in {event.payer, event.payee}:
        return
    if NOBODY in {event.payer, event.payee}:
        change_minor = amount_minor if event.payer == NOBODY else -amount_minor
        yield {codes.get("inventory", 0): change_minor, codes.get("reserves", 0): -change_minor}
        return
    legs: dict[int, int] = {}
    if payer is not None or payee is not None:
        legs[payer.account_id if payer else codes.get("custody", 0)] = amount_minor
        legs[payee.account_id if payee else codes.get("custody", 0)] = -amount_minor
    if institution not in {event.payer, event.payee}:
        yield legs
        return
    side, other = (-1, event.payee) if event.payer == institution else (1, event.payer)
    customer = journal.wallets.get(other) if other in ever_own else None
    counters = [customer.deposit_id if customer else None, codes.get("in_transit:unidentified", 0)]
    for counter in counters:
        if counter is not None:
            yield legs | {codes.get("inventory", 0): side * amount_minor, counter: -side * amount_minor}
