"""The reads of the wallets room. A wallet is ready once the chain's final registration names its address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection

_WALLET = """
SELECT w.id, w.reference, w.customer_id, w.account_id, w.currency, w.tier, w.key_index, w.ledger_account_id,
       a.ledger_account_id AS deposit_ledger_account_id, a.reference AS account_reference,
       r.address, n.address IS NOT NULL AS is_ready,
       b.posted_minor, b.posted_minor - b.held_minor AS available_minor
  FROM wallets w
  LEFT JOIN accounts a ON a.id = w.account_id
  LEFT JOIN outbox_registrations r ON r.wallet_id = w.id
  LEFT JOIN chain_accounts n ON n.address = r.address
  JOIN ledger_balances b ON b.account_id = w.ledger_account_id
"""


async def wallets_by_reference(conn: Connection, references: Sequence[str]) -> dict[str, Any]:
    """reference -> row, for those that exist."""
    rows = await conn.fetch(_WALLET + "WHERE w.reference = ANY($1)", list(references))
    return {row["reference"]: row for row in rows}


async def wallet_by_id(conn: Connection, wallet_id: uuid.UUID) -> Any:
    """The row of one wallet, or None."""
    return await conn.fetchrow(_WALLET + "WHERE w.id = $1", wallet_id)


async def wallets_of_customer(conn: Connection, customer_id: uuid.UUID) -> list[Any]:
    """A customer's wallets, oldest first."""
    return await conn.fetch(_WALLET + "WHERE w.customer_id = $1 ORDER BY w.key_index", customer_id)


async def wallets_after(
    conn: Connection, after: uuid.UUID | None, state: str | None, limit: int
) -> list[Any]:
    """A page of wallets in the order of their ids, above `after`; `state` filters."""
    return await conn.fetch(
        _WALLET
        + """WHERE ($1::uuid IS NULL OR w.id > $1)
               AND ($2::text IS NULL OR (n.address IS NOT NULL) = ($2 = 'ready'))
             ORDER BY w.id LIMIT $3""",
        after,
        state,
        limit,
    )


async def count_by_state(conn: Connection) -> Any:
    """How many wallets there are, and how many of them are ready."""
    return await conn.fetchrow(
        """SELECT (SELECT count(*) FROM wallets) AS all,
                  (SELECT count(*) FROM outbox_registrations r
                     JOIN chain_accounts n ON n.address = r.address) AS ready"""
    )


async def grantable_tiers(conn: Connection, participant_id: int) -> tuple[frozenset[int], int | None]:
    """The tiers that are set, and this participant's mask of those that it may give (None: it is none)."""
    tiers = await conn.fetch("SELECT tier FROM chain_tiers")
    mask = await conn.fetchval(
        "SELECT tier_mask FROM chain_participants WHERE participant = $1", participant_id
    )
    return frozenset(row["tier"] for row in tiers), None if mask is None else int(mask)
