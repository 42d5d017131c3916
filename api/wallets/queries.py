"""The reads of the wallets room. A wallet is ready while the final chain has its address with this bank.

It is `elsewhere` where the chain has it with another participant: its owner moved it there, or that one
registered the address first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection

_STATE = """
CASE WHEN n.address IS NULL THEN 'requested' WHEN n.participant = $1 THEN 'ready' ELSE 'elsewhere' END
"""

_WALLET = f"""
SELECT w.id, w.reference, w.customer_id, w.account_id, w.currency, w.tier, w.key_index, w.ledger_account_id,
       a.ledger_account_id AS deposit_ledger_account_id, a.reference AS account_reference,
       r.address, r.credential, {_STATE} AS state, n.participant AS kept_by,
       r.registered_block IS NOT NULL AS was_registered,
       b.posted_minor, b.posted_minor - b.held_minor AS available_minor
  FROM wallets w
  LEFT JOIN accounts a ON a.id = w.account_id
  LEFT JOIN outbox_registrations r ON r.wallet_id = w.id
  LEFT JOIN chain_accounts n ON n.address = r.address
  JOIN ledger_balances b ON b.account_id = w.ledger_account_id
"""  # noqa: S608 - put together from constants


async def wallets_by_reference(
    conn: Connection, participant_id: int, references: Sequence[str]
) -> dict[str, Any]:
    """reference -> row, for those that exist."""
    rows = await conn.fetch(_WALLET + "WHERE w.reference = ANY($2)", participant_id, list(references))
    return {row["reference"]: row for row in rows}


async def wallet_by_id(conn: Connection, participant_id: int, wallet_id: uuid.UUID) -> Any:
    """The row of one wallet, or None."""
    return await conn.fetchrow(_WALLET + "WHERE w.id = $2", participant_id, wallet_id)


async def wallets_of_customer(conn: Connection, participant_id: int, customer_id: uuid.UUID) -> list[Any]:
    """A customer's wallets: those that are with this bank or will be, oldest first, then the others."""
    return await conn.fetch(
        _WALLET + f"WHERE w.customer_id = $2 ORDER BY {_STATE} = 'elsewhere', w.key_index",
        participant_id,
        customer_id,
    )


async def wallets_after(
    conn: Connection, participant_id: int, after: uuid.UUID | None, state: str | None, limit: int
) -> list[Any]:
    """A page of wallets in the order of their ids, above `after`; `state` filters."""
    return await conn.fetch(
        _WALLET
        + f"""WHERE ($2::uuid IS NULL OR w.id > $2) AND ($3::text IS NULL OR {_STATE} = $3)
              ORDER BY w.id LIMIT $4""",
        participant_id,
        after,
        state,
        limit,
    )


async def count_by_state(conn: Connection, participant_id: int) -> Any:
    """How many wallets there are, and how many of them are ready and how many elsewhere."""
    return await conn.fetchrow(
        """SELECT (SELECT count(*) FROM wallets) AS all,
                  count(*) FILTER (WHERE n.participant = $1) AS ready,
                  count(*) FILTER (WHERE n.participant <> $1) AS elsewhere
             FROM outbox_registrations r JOIN chain_accounts n ON n.address = r.address""",
        participant_id,
    )


async def grantable_tiers(conn: Connection, participant_id: int) -> tuple[frozenset[int], int | None]:
    """The tiers that are set, and this participant's mask of those that it may give (None: it is none)."""
    tiers = await conn.fetch("SELECT tier FROM chain_tiers")
    mask = await conn.fetchval(
        "SELECT tier_mask FROM chain_participants WHERE participant = $1", participant_id
    )
    return frozenset(row["tier"] for row in tiers), None if mask is None else int(mask)
