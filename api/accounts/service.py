"""The verbs on deposit accounts: open (alone or in bulk), and look up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.accounts import queries
from api.errors import FlorinError, NotFound
from api.idempotency import IdempotencyKeyReused
from api.identity.customers import customer_ids
from api.identity.errors import ScopeMissing, UnknownCustomer
from api.ledger.balances import list_entries
from api.ledger.chart import open_accounts
from api.ledger.journal import Entry, Leg, Posting
from api.money import UnknownCurrency

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.accounts.schemas import AccountBody
    from api.database import Connection
    from api.institution import Institution


RESERVES_SCOPE: Final = "settlement:write"


async def open_deposit_accounts(
    conn: Connection,
    institution: Institution,
    lines: Sequence[AccountBody],
    *,
    may_bring_reserves: bool,
) -> list[dict[str, Any] | FlorinError]:
    """Open the accounts that are not known yet and book what they bring; answer in order. Safe to repeat.

    What an account brings raises the bank's reserves, which the central bank must have received: who may not
    speak for them is answered `ScopeMissing`.
    """
    customers = await customer_ids(conn, sorted({line.customer_reference for line in lines}))
    known = await queries.accounts_by_reference(conn, sorted({line.reference for line in lines}))
    wanted: dict[str, AccountBody] = {}
    for line in lines:
        is_possible = line.customer_reference in customers and line.currency == institution.settings.currency
        is_allowed = may_bring_reserves or not line.opening_deposit_minor
        if is_possible and is_allowed and line.reference not in known:
            wanted.setdefault(line.reference, line)
    if wanted:
        opened = await _insert(conn, institution, [wanted[name] for name in sorted(wanted)], customers)
        await _book_opening_deposits(conn, institution, opened)
        known |= await queries.accounts_by_reference(conn, list(wanted))
    return [
        _outcome(line, institution, known, customers)
        if may_bring_reserves or not line.opening_deposit_minor
        else ScopeMissing(RESERVES_SCOPE)
        for line in lines
    ]


async def account(conn: Connection, account_id: uuid.UUID) -> dict[str, Any]:
    """One account with its balance. Raises `NotFound`."""
    row = await queries.account_by_id(conn, account_id)
    if row is None:
        raise NotFound("account")
    return _answer(row)


async def own_accounts(conn: Connection, customer_id: uuid.UUID) -> dict[str, Any]:
    """A customer's accounts with their balances, oldest first."""
    rows = await queries.accounts_of_customer(conn, customer_id)
    return {"accounts": [_answer(row) for row in rows]}


async def entries(conn: Connection, account_id: uuid.UUID, before: int | None, limit: int) -> dict[str, Any]:
    """A page of an account's entries, newest first. Raises `NotFound`."""
    row = await queries.account_by_id(conn, account_id)
    if row is None:
        raise NotFound("account")
    page = await list_entries(conn, row["ledger_account_id"], before=before, limit=limit)
    return {
        "entries": [
            {
                "entry_id": entry.entry_id,
                "kind": entry.kind,
                "business_id": str(entry.business_id) if entry.business_id else None,
                "amount_minor": entry.amount_minor,
                "booked_at": entry.booked_at.isoformat(),
            }
            for entry in page.entries
        ],
        "next_before": page.next_before,
    }


async def _insert(
    conn: Connection, institution: Institution, bodies: Sequence[AccountBody], customers: dict[str, uuid.UUID]
) -> list[Any]:
    """Insert accounts, in the order of their references; returns the rows that are really new."""
    currency = institution.settings.currency
    ledger_ids = await open_accounts(
        conn, "deposit", [f"deposit:{body.reference}" for body in bodies], currency
    )
    return await conn.fetch(
        """INSERT INTO accounts
                  (id, reference, customer_id, currency, ledger_account_id, opening_deposit_minor)
           SELECT id, reference, customer_id, $6, ledger_account_id, opening_deposit_minor
             FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[])
               AS t (id, reference, customer_id, ledger_account_id, opening_deposit_minor)
           ON CONFLICT (reference) DO NOTHING RETURNING id, ledger_account_id, opening_deposit_minor""",
        [institution.id_for("account", body.reference) for body in bodies],
        [body.reference for body in bodies],
        [customers[body.customer_reference] for body in bodies],
        ledger_ids,
        [body.opening_deposit_minor for body in bodies],
        currency,
    )


async def _book_opening_deposits(conn: Connection, institution: Institution, opened: Sequence[Any]) -> None:
    """Dr reserves, Cr deposit, for each account that brings something."""
    bringing = [row for row in opened if row["opening_deposit_minor"] > 0]
    if not bringing:
        return
    reserves, currency = institution.bank_chart.reserves, institution.settings.currency
    posting = await Posting.open(conn, [reserves, *(row["ledger_account_id"] for row in bringing)])
    for row in bringing:
        amount = row["opening_deposit_minor"]
        legs = (Leg(reserves, currency, amount), Leg(row["ledger_account_id"], currency, -amount))
        posting.post(Entry("opening", f"opening:{row['id']}", row["id"], legs))
    await posting.write()


def _outcome(
    line: AccountBody, institution: Institution, known: dict[str, Any], customers: dict[str, uuid.UUID]
) -> dict[str, Any] | FlorinError:
    if line.currency != institution.settings.currency:
        return UnknownCurrency(line.currency)
    if line.customer_reference not in customers:
        return UnknownCustomer(line.customer_reference)
    row = known[line.reference]
    is_same = (
        row["customer_reference"] == line.customer_reference
        and row["currency"] == line.currency
        and row["opening_deposit_minor"] == line.opening_deposit_minor
    )
    return _answer(row) if is_same else IdempotencyKeyReused(line.reference, "account")


def _answer(row: Any) -> dict[str, Any]:
    return {
        "account_id": str(row["id"]),
        "reference": row["reference"],
        "customer_id": str(row["customer_id"]),
        "currency": row["currency"],
        "opening_deposit_minor": row["opening_deposit_minor"],
        "posted_minor": row["posted_minor"],
        "available_minor": row["available_minor"],
    }
