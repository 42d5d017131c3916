"""What the wallet page shows: loaded once for the page, and again for each piece of news."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.errors import NotFound
from api.ledger.balances import AccountEntry, list_entries, read_balance
from api.payments.queries import billers_named, payments_of_wallet
from api.wallets.queries import wallets_of_customer
from api.web import queries

if TYPE_CHECKING:
    from api.database import Connection

STEPS: Final = ("accepted", "submitted", "included", "final")
SHOWN_PAYMENTS: Final = 12
SHOWN_MOVEMENTS: Final = 10
SHOWN_PAYEES: Final = 6


@dataclass(frozen=True, slots=True)
class Money:
    """A balance as people read it: what is booked, and what of it pending payments hold."""

    posted_minor: int
    available_minor: int

    @property
    def pending_minor(self) -> int:
        """What is on its way out."""
        return self.posted_minor - self.available_minor


@dataclass(frozen=True, slots=True)
class Movement:
    """A booked entry on the wallet or on the account; positive raised it."""

    is_of_wallet: bool
    entry: AccountEntry


@dataclass(frozen=True, slots=True)
class Overview:
    """One wallet with its account, payments and movements."""

    wallet: Any
    wallets: list[Any]
    wallet_money: Money
    account_money: Money | None
    payments: list[dict[str, Any]]
    movements: list[Movement]


async def overview(
    conn: Connection, participant_id: int, customer_id: uuid.UUID, wallet_id: str | None
) -> Overview:
    """A customer's wallet (by default the first). Raises `NotFound` for one that is not theirs."""
    wallets = await wallets_of_customer(conn, participant_id, customer_id)
    wallet = choose_wallet(wallets, wallet_id)
    deposit_id = wallet["deposit_ledger_account_id"]
    account_money = None
    if deposit_id is not None:
        balance = await read_balance(conn, deposit_id)
        account_money = Money(balance.posted_minor, balance.available_minor)
    rows = await payments_of_wallet(conn, wallet["id"], SHOWN_PAYMENTS)
    return Overview(
        wallet=wallet,
        wallets=wallets,
        wallet_money=Money(wallet["posted_minor"], wallet["available_minor"]),
        account_money=account_money,
        payments=[_shown_payment(row, wallet["id"]) for row in rows],
        movements=await _movements(conn, wallet["ledger_account_id"], deposit_id),
    )


async def payees(
    conn: Connection, wallet_id: uuid.UUID, search: str, chosen: str | None = None
) -> list[dict[str, Any]]:
    """Who may be meant: the chosen biller first, then (without a search) those paid before, then others."""
    before = await queries.billers_paid_before(conn, wallet_id, SHOWN_PAYEES)
    names = {
        row["reference"]: row["name"]
        for row in (await billers_named(conn, [chosen] if chosen else [])).values()
    }
    if not search:
        names |= {row["reference"]: row["name"] for row in before}
    names |= {row["reference"]: row["name"] for row in await queries.billers_like(conn, search, SHOWN_PAYEES)}
    known = {row["reference"] for row in before}
    offered = [
        {"reference": reference, "name": name, "is_known": reference in known}
        for reference, name in names.items()
    ]
    return offered[:SHOWN_PAYEES]


async def _movements(conn: Connection, wallet_account_id: int, deposit_id: int | None) -> list[Movement]:
    """The newest entries on both ledger accounts, newest first."""
    found = []
    for account_id in (wallet_account_id, deposit_id):
        if account_id is not None:
            page = await list_entries(conn, account_id, limit=SHOWN_MOVEMENTS)
            found += [Movement(account_id == wallet_account_id, entry) for entry in page.entries]
    found.sort(key=lambda movement: (movement.entry.entry_id, movement.is_of_wallet), reverse=True)
    return found[:SHOWN_MOVEMENTS]


def choose_wallet(wallets: list[Any], wallet_id: str | None) -> Any:
    """The wallet with this id, or the first one. Raises `NotFound`."""
    for wallet in wallets:
        if not wallet_id or str(wallet["id"]) == wallet_id:
            return wallet
    raise NotFound("wallet")


def _shown_payment(row: Any, wallet_id: uuid.UUID) -> dict[str, Any]:
    state = row["state"]
    return {
        "id": str(row["id"]),
        "kind": row["kind"],
        "is_incoming": row["payee_wallet_id"] == wallet_id and row["payer_wallet_id"] != wallet_id,
        "payee_name": row["biller_name"] or row["payee_name"],
        "payee": row["payee"],
        "payer_name": row["payer_name"],
        "amount_minor": row["amount_minor"],
        "note": row["note"],
        "state": state,
        "steps_done": STEPS.index(state) + 1 if state in STEPS else 0,
        "reasons": json.loads(row["refusals"]) if row["refusals"] else [],
        "outcome_code": row["outcome_code"],
        "block_number": row["block_number"],
        "transaction_hash": "0x" + row["transaction_hash"].hex() if row["transaction_hash"] else None,
        "created_at": row["created_at"],
    }
