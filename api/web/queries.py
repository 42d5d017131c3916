"""The reads of the pages that no other room has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid

    from api.database import Connection


async def customers_with_wallets(conn: Connection, participant_id: int, search: str, limit: int) -> list[Any]:
    """Customers with a wallet that is ready, each by the first of them; `search` is a part of their names."""
    return await conn.fetch(
        """SELECT c.id, c.name, c.reference, b.posted_minor, d.posted_minor AS deposit_minor
             FROM wallets w
             JOIN customers c ON c.id = w.customer_id
             JOIN outbox_registrations r ON r.wallet_id = w.id
             JOIN chain_accounts n ON n.address = r.address AND n.participant = $1
             JOIN ledger_balances b ON b.account_id = w.ledger_account_id
             LEFT JOIN accounts a ON a.id = w.account_id
             LEFT JOIN ledger_balances d ON d.account_id = a.ledger_account_id
            WHERE c.name ILIKE $2
              AND NOT EXISTS (
                  SELECT FROM wallets e JOIN outbox_registrations er ON er.wallet_id = e.id
                    JOIN chain_accounts en ON en.address = er.address AND en.participant = $1
                   WHERE e.customer_id = w.customer_id AND e.key_index < w.key_index)
            ORDER BY w.key_index LIMIT $3""",
        participant_id,
        like_pattern(search),
        limit,
    )


async def has_wallet(conn: Connection, customer_id: uuid.UUID) -> bool:
    """Whether the customer exists and has a wallet."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM wallets WHERE customer_id = $1)", customer_id
    )
    return found


async def billers_like(conn: Connection, search: str, limit: int) -> list[Any]:
    """Billers whose name contains `search`, the closest first."""
    return await conn.fetch(
        """SELECT reference, name FROM billers WHERE name ILIKE $1
            ORDER BY position(lower($2) IN lower(name)), name LIMIT $3""",
        like_pattern(search),
        search,
        limit,
    )


async def billers_paid_before(conn: Connection, wallet_id: uuid.UUID, limit: int) -> list[Any]:
    """Billers whom this wallet paid, the latest first."""
    return await conn.fetch(
        """SELECT b.reference, b.name FROM billers b JOIN (
                  SELECT biller_id, max(created_at) AS at FROM payments
                   WHERE payer_wallet_id = $1 AND biller_id IS NOT NULL GROUP BY biller_id) p
               ON p.biller_id = b.id
            ORDER BY p.at DESC LIMIT $2""",
        wallet_id,
        limit,
    )


async def newest_issuances(conn: Connection, limit: int) -> list[Any]:
    """Reserve deposits and approvals at the central bank, newest first."""
    return await conn.fetch(
        """SELECT what, name, amount_minor, created_at FROM (
                  SELECT 'reserve deposit' AS what, participant_id, amount_minor, created_at
                    FROM reserve_deposits
                  UNION ALL
                  SELECT kind, participant_id, amount_minor, created_at FROM issuances) e
             JOIN participants p ON p.id = e.participant_id ORDER BY created_at DESC LIMIT $1""",
        limit,
    )


async def mint_allowances(conn: Connection) -> dict[int, int]:
    """participant -> what it may still mint, as it is final on chain."""
    rows = await conn.fetch("SELECT participant, mint_allowance_minor::text FROM chain_participants")
    return {row[0]: int(row[1]) for row in rows}


def like_pattern(search: str) -> str:
    """A pattern for LIKE that finds `search` itself anywhere."""
    return "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


async def chain(conn: Connection) -> Any:
    """The chain and the currency's contract on it, or None before the first start of the worker."""
    return await conn.fetchrow("SELECT chain_id, contract FROM chain_cursor")
