"""Paying by alias: look it up, within the customer's own budget, before anything is decided; and own aliases.

A look-up is paid for before it is made, as if it would miss, and what it did not cost is given back. No
transaction is open while the directory is asked, and no answer is remembered for the next time.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

from api.addresses import address_text
from api.database import transaction
from api.directory.aliases import Alias, read_alias
from api.directory.budget import OF_CUSTOMERS, charge, give_back, open_budget
from api.errors import NotFound
from api.payments import queries
from api.payments.alias_errors import DirectoryRefused
from api.payments.errors import WalletWithoutAddress
from api.wallets.errors import UnknownWallet

if TYPE_CHECKING:
    from datetime import datetime

    from api.database import Connection, Pool
    from api.institution import Institution
    from api.payments.directory_client import DirectoryClient, FoundPayee
    from api.payments.requests import PaymentRequest


@dataclasses.dataclass(frozen=True, slots=True)
class VerifiedAlias:
    """An alias that a customer has shown to be theirs, and when; a handle is anybody's to take."""

    customer_id: uuid.UUID
    alias: Alias
    verified_at: datetime


def holder_of(customer_id: uuid.UUID) -> str:
    """Whose budget pays for a customer's look-ups."""
    return f"customer:{customer_id}"


async def look_up(
    here: Institution, directory: DirectoryClient, customer_id: uuid.UUID, alias: str, payee_name: str | None
) -> FoundPayee:
    """Whom an alias pays, asked for a customer.

    Raises `AliasUnreadable`, `LookupBudgetExhausted` and what the client does.
    """
    asked, holder = read_alias(alias), holder_of(customer_id)
    async with transaction(here.pool) as conn:
        budget = await open_budget(conn, holder)
        budget.require(OF_CUSTOMERS)
        await charge(conn, budget, OF_CUSTOMERS, OF_CUSTOMERS.miss)
    back = OF_CUSTOMERS.miss
    try:
        found = await directory.look_up(asked.value, payee_name)
        back = OF_CUSTOMERS.miss - OF_CUSTOMERS.hit
    except DirectoryRefused as refusal:
        if refusal.code == "AliasUnknown":
            back = 0
        raise
    finally:
        if back:
            async with transaction(here.pool) as conn:
                await give_back(conn, holder, OF_CUSTOMERS, back)
    await _remember(here.pool, found, holder)
    return found


async def resolve(
    here: Institution, directory: DirectoryClient, request: PaymentRequest, payee_name: str | None = None
) -> tuple[PaymentRequest, FoundPayee | None]:
    """The request with the address that its alias stands for. A payment decided before needs no look-up.

    Raises `UnknownWallet` and what `look_up` does.
    """
    if request.payee.alias is None:
        return request, None
    async with here.pool.acquire() as conn:
        if await queries.decided_payments(conn, [request.payment_id]):
            return request, None
        customer_id = await _payer_of(conn, request)
    found = await look_up(here, directory, customer_id, request.payee.alias, payee_name)
    payee = dataclasses.replace(request.payee, address=found.address)
    return dataclasses.replace(request, payee=payee), found


async def note_payment(conn: Connection, found: FoundPayee, payment_id: uuid.UUID) -> None:
    """A look-up led to an accepted payment: the customer's budget has its cost back, the bank's will."""
    holder = await conn.fetchval(
        """UPDATE alias_lookups SET payment_id = $2 WHERE lookup_id = $1 AND payment_id IS NULL
            RETURNING holder""",
        uuid.UUID(found.lookup_id),
        payment_id,
    )
    if holder is not None:
        await give_back(conn, holder, OF_CUSTOMERS, OF_CUSTOMERS.hit)


async def show_payments(pool: Pool, directory: DirectoryClient) -> int:
    """Show the directory the payments that look-ups led to, once they have a transaction; how many.

    Safe to repeat. Raises what the client does.
    """
    rows = await pool.fetch(
        """SELECT l.lookup_id, l.payment_id, t.hash FROM alias_lookups l
             JOIN outbox_payments o ON o.payment_id = l.payment_id
             JOIN chain_transactions t ON t.id = o.transaction_id
            WHERE l.shown_at IS NULL AND t.hash IS NOT NULL ORDER BY l.looked_up_at LIMIT 100"""
    )
    for row in rows:
        try:
            await directory.paid(row["lookup_id"], row["payment_id"], row["hash"])
        except DirectoryRefused as refusal:
            if refusal.code != "NotFound":  # too old: there is nothing to get back
                raise
        await pool.execute("UPDATE alias_lookups SET shown_at = now() WHERE lookup_id = $1", row["lookup_id"])
    return len(rows)


async def register(
    here: Institution, directory: DirectoryClient, verified: VerifiedAlias, wallet_id: uuid.UUID
) -> dict[str, Any]:
    """Register a customer's alias for one of their wallets, or have it pay another of them. Safe to repeat.

    Raises `UnknownWallet`, `WalletWithoutAddress` and what the client does (`AliasOfAnotherBank`: claim it).
    """
    async with here.pool.acquire() as conn:
        address, owner, name = await _owned(conn, verified.customer_id, wallet_id)
    answer = await directory.register(verified.alias.value, address, owner, name)
    async with transaction(here.pool) as conn:
        await conn.execute(
            """INSERT INTO customer_aliases (alias_id, customer_id, wallet_id, kind, alias, verified_at)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (alias_id) DO UPDATE
                  SET wallet_id = excluded.wallet_id, verified_at = excluded.verified_at""",
            uuid.UUID(answer["alias_id"]),
            verified.customer_id,
            wallet_id,
            verified.alias.kind,
            verified.alias.value,
            verified.verified_at,
        )
    return {"alias_id": answer["alias_id"], "kind": verified.alias.kind, "alias": verified.alias.value,
            "wallet_id": str(wallet_id)}  # fmt: skip


async def aliases_of(conn: Connection, customer_id: uuid.UUID) -> dict[str, Any]:
    """A customer's aliases, in the order in which they were registered."""
    rows = await conn.fetch(
        """SELECT alias_id, kind, alias, wallet_id FROM customer_aliases
            WHERE customer_id = $1 ORDER BY registered_at, alias_id""",
        customer_id,
    )
    return {
        "aliases": [
            {"alias_id": str(row["alias_id"]), "kind": row["kind"], "alias": row["alias"],
             "wallet_id": str(row["wallet_id"])}
            for row in rows
        ]
    }  # fmt: skip


async def release(
    here: Institution, directory: DirectoryClient, customer_id: uuid.UUID, alias_id: uuid.UUID
) -> None:
    """Nobody pays this customer by this alias any more. Raises `NotFound` and what the client does."""
    async with here.pool.acquire() as conn:
        known = await conn.fetchval(
            "SELECT true FROM customer_aliases WHERE alias_id = $1 AND customer_id = $2",
            alias_id,
            customer_id,
        )
    if not known:
        raise NotFound("alias")
    await directory.release(alias_id)
    async with transaction(here.pool) as conn:
        await conn.execute("DELETE FROM customer_aliases WHERE alias_id = $1", alias_id)


async def _remember(pool: Pool, found: FoundPayee, holder: str) -> None:
    """Which look-up it was, not what was looked up; for as long as the directory gives anything back."""
    async with transaction(pool) as conn:
        await conn.execute("DELETE FROM alias_lookups WHERE looked_up_at < now() - interval '2 days'")
        await conn.execute(
            "INSERT INTO alias_lookups (lookup_id, holder) VALUES ($1, $2)",
            uuid.UUID(found.lookup_id),
            holder,
        )


async def _payer_of(conn: Connection, request: PaymentRequest) -> uuid.UUID:
    names = ({request.wallet}, ()) if isinstance(request.wallet, str) else ((), {request.wallet})
    rows = await queries.wallets_named(conn, *names)
    if not rows:
        raise UnknownWallet(str(request.wallet))
    customer_id: uuid.UUID = rows[0]["customer_id"]
    return customer_id


async def _owned(conn: Connection, customer_id: uuid.UUID, wallet_id: uuid.UUID) -> tuple[bytes, str, str]:
    """The wallet's address, and its customer's reference and name."""
    row = await conn.fetchrow(
        """SELECT w.reference AS wallet, r.address, c.reference, c.name FROM wallets w
             JOIN customers c ON c.id = w.customer_id
             LEFT JOIN outbox_registrations r ON r.wallet_id = w.id
            WHERE w.id = $1 AND c.id = $2""",
        wallet_id,
        customer_id,
    )
    if row is None:
        raise UnknownWallet(str(wallet_id))
    if row["address"] is None:
        raise WalletWithoutAddress(row["wallet"])
    return row["address"], row["reference"], row["name"]


def payee_answer(found: FoundPayee) -> dict[str, Any]:
    """Whom a payer would pay, as far as a stranger is told."""
    return {
        "address": address_text(found.address),
        "participant_id": found.participant_id,
        "masked_name": found.masked_name,
        "name_match": found.name_match,
    }
