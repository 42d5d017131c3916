"""The reads of the accounts room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection

_ACCOUNT = """
SELECT a.id, a.reference, a.customer_id, c.reference AS customer_reference, a.currency,
       a.opening_deposit_minor, a.ledger_account_id,
       b.posted_minor, b.posted_minor - b.held_minor AS available_minor
  FROM accounts a JOIN customers c ON c.id = a.customer_id
  JOIN ledger_balances b ON b.account_id = a.ledger_account_id
"""


async def accounts_by_reference(conn: Connection, references: Sequence[str]) -> dict[str, Any]:
    """reference -> row, for those that exist."""
    rows = await conn.fetch(_ACCOUNT + "WHERE a.reference = ANY($1)", list(references))
    return {row["reference"]: row for row in rows}


async def account_by_id(conn: Connection, account_id: uuid.UUID) -> Any:
    """The row of one account, or None."""
    return await conn.fetchrow(_ACCOUNT + "WHERE a.id = $1", account_id)


async def accounts_of_customer(conn: Connection, customer_id: uuid.UUID) -> list[Any]:
    """A customer's accounts, oldest first."""
    return await conn.fetch(_ACCOUNT + "WHERE a.customer_id = $1 ORDER BY a.ledger_account_id", customer_id)
