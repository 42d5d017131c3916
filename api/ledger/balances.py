"""What the books hold, for reading: balances, totals by kind, and an account's entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.ledger.errors import UnknownLedgerAccount

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from api.database import Connection

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Balance:
    """One account's balance on its normal side, in minor units."""

    account_id: int
    code: str
    kind: str
    currency: str
    posted_minor: int
    held_minor: int

    @property
    def available_minor(self) -> int:
        """Posted less held."""
        return self.posted_minor - self.held_minor


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One entry as one account sees it: `amount_minor` is positive where the entry raised the account."""

    entry_id: int
    kind: str
    source: str
    business_id: UUID | None
    booked_at: datetime
    amount_minor: int


@dataclass(frozen=True, slots=True)
class AccountEntries:
    """A page of entries, newest first; `next_before` asks for the page after it, None at the end."""

    entries: tuple[AccountEntry, ...]
    next_before: int | None


async def read_balance(conn: Connection, account_id: int) -> Balance:
    """The balance of one account. Raises `UnknownLedgerAccount`."""
    return (await read_balances(conn, [account_id]))[account_id]


async def read_balances(conn: Connection, account_ids: Collection[int]) -> dict[int, Balance]:
    """The balances of several accounts as of one moment. Raises `UnknownLedgerAccount`."""
    rows = await conn.fetch(
        """SELECT a.id, a.code, a.kind, a.currency, b.posted_minor, b.held_minor
             FROM ledger_accounts a JOIN ledger_balances b ON b.account_id = a.id
            WHERE a.id = ANY($1::bigint[])""",
        list(account_ids),
    )
    found = {row["id"]: Balance(*row) for row in rows}
    missing = set(account_ids) - found.keys()
    if missing:
        raise UnknownLedgerAccount(missing)
    return found


async def list_entries(
    conn: Connection, account_id: int, *, before: int | None = None, limit: int = 50
) -> AccountEntries:
    """An account's entries, newest first, from below the entry id `before`; at most `MAX_PAGE` of them."""
    limit = max(1, min(limit, MAX_PAGE))
    rows = await conn.fetch(
        """SELECT l.entry_id, e.kind, e.source, e.business_id, e.booked_at,
                  (sum(l.amount_minor) * a.normal_side)::bigint
             FROM ledger_legs l
             JOIN ledger_entries e ON e.id = l.entry_id
             JOIN ledger_accounts a ON a.id = l.account_id
            WHERE l.account_id = $1 AND l.entry_id < $2
            GROUP BY l.entry_id, e.id, a.normal_side
            ORDER BY l.entry_id DESC LIMIT $3""",
        account_id,
        2**63 - 1 if before is None else before,
        limit + 1,
    )
    entries = tuple(AccountEntry(*row) for row in rows[:limit])
    return AccountEntries(entries, entries[-1].entry_id if len(rows) > limit else None)
