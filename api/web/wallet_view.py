"""What the wallet page shows: loaded once for the page, and again for each piece of news."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.errors import NotFound
from api.ledger.balances import AccountEntry, list_entries, read_balance
from api.payments import queries as payment_queries
from api.payments.queries import billers_named, payments_of_wallet
from api.payments.rules import UNLIMITED_DAILY_MINOR
from api.wallets.queries import wallets_of_customer
from api.web import queries

if TYPE_CHECKING:
    from api.database import Connection

STEPS: Final = ("accepted", "submitted", "included", "final")
PENDING: Final = frozenset(STEPS[:-1])
SHOWN_PAYMENTS: Final = 12
SHOWN_MOVEMENTS: Final = 8
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
class Own:
    """A person's wallet that a page is about, among all of theirs."""

    wallet: Any
    wallets: list[Any]

    @property
    def query(self) -> str:
        """What links carry so that the next page is about the same wallet."""
        return f"?wallet={self.wallet['id']}" if self.wallet["id"] != self.wallets[0]["id"] else ""


@dataclass(frozen=True, slots=True)
class Overview:
    """One wallet with its account, payments and movements."""

    wallet: Any
    wallet_money: Money
    account_money: Money | None
    payments: list[dict[str, Any]]
    movements: list[Movement]

    @property
    def pending(self) -> list[dict[str, Any]]:
        """Payments on their way."""
        return [each for each in self.payments if each["state"] in PENDING]

    @property
    def settled(self) -> list[dict[str, Any]]:
        """Payments that are final, failed or refused."""
        return [each for each in self.payments if each["state"] not in PENDING]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the central bank lets a wallet spend and hold, and how much of it is used, in minor units."""

    single_minor: int
    daily_minor: int | None
    spent_minor: int
    holding_minor: int
    balance_minor: int

    @property
    def left_today_minor(self) -> int | None:
        """What may still be spent on the chain's day; None without such a limit."""
        return None if self.daily_minor is None else max(0, self.daily_minor - self.spent_minor)

    @property
    def room_minor(self) -> int:
        """What the wallet may take before the rest flows on to the account."""
        return max(0, self.holding_minor - self.balance_minor)


async def own_wallet(conn: Connection, participant_id: int, customer_id: uuid.UUID, wallet_id: str) -> Own:
    """A customer's wallet (by default the first). Raises `NotFound` for one that is not theirs."""
    wallets = await wallets_of_customer(conn, participant_id, customer_id)
    return Own(choose_wallet(wallets, wallet_id), wallets)


async def balances(conn: Connection, wallet: Any) -> tuple[Money, Money | None]:
    """The money of a wallet, and of its account where it has one."""
    account_money = None
    if wallet["deposit_ledger_account_id"] is not None:
        balance = await read_balance(conn, wallet["deposit_ledger_account_id"])
        account_money = Money(balance.posted_minor, balance.available_minor)
    return Money(wallet["posted_minor"], wallet["available_minor"]), account_money


async def overview(conn: Connection, wallet: Any) -> Overview:
    """What a wallet holds and did lately."""
    wallet_money, account_money = await balances(conn, wallet)
    rows = await payments_of_wallet(conn, wallet["id"], SHOWN_PAYMENTS)
    return Overview(
        wallet=wallet,
        wallet_money=wallet_money,
        account_money=account_money,
        payments=[shown_payment(row, wallet["id"]) for row in rows],
        movements=await _movements(conn, wallet["ledger_account_id"], wallet["deposit_ledger_account_id"]),
    )


async def limits_of(conn: Connection, participant_id: int, wallet: Any) -> Limits | None:
    """A wallet's limits as the chain has them, with what is accepted and not final; None without account."""
    if wallet["address"] is None or wallet["state"] != "ready":
        return None
    address = wallet["address"]
    moment = await payment_queries.moment(conn, participant_id)
    (row,) = await payment_queries.chain_accounts(conn, [address], moment["day"])
    unsettled = await payment_queries.unsettled_spending(conn, [address])
    daily = int(row["daily"])
    return Limits(
        single_minor=int(row["single"]),
        daily_minor=None if daily >= UNLIMITED_DAILY_MINOR else daily,
        spent_minor=row["spent"] + unsettled.get(address, 0),
        holding_minor=int(row["holding"]),
        balance_minor=row["balance_minor"],
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


def shown_payment(row: Any, wallet_id: uuid.UUID) -> dict[str, Any]:
    """A payment as the owner of this wallet sees it."""
    state = row["state"]
    return {
        "id": str(row["id"]),
        "kind": row["kind"],
        "is_incoming": row["payee_wallet_id"] == wallet_id and row["payer_wallet_id"] != wallet_id,
        "payee_name": row["biller_name"] or row["payee_name"],
        "payer": row["chain_payer"],
        "payee": row["payee"],
        "payer_name": row["payer_name"],
        "amount_minor": row["amount_minor"],
        "from_wallet_minor": row["from_wallet_minor"],
        "from_deposit_minor": row["from_deposit_minor"],
        "note": row["note"],
        "state": state,
        "steps_done": STEPS.index(state) + 1 if state in STEPS else 0,
        "reasons": json.loads(row["refusals"]) if row["refusals"] else [],
        "outcome_code": row["outcome_code"],
        "block_number": row["block_number"],
        "record_index": row["record_index"],
        "final_at": row["final_at"],
        "transaction_hash": "0x" + row["transaction_hash"].hex() if row["transaction_hash"] else None,
        "created_at": row["created_at"],
    }
