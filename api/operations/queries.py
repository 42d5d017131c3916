"""The reads of the operations room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.database import Connection, Pool


async def component_health(conn: Connection | Pool) -> list[Any]:
    """What each part of the worker last said about itself, and how long ago."""
    return await conn.fetch(
        """SELECT component, is_ok, detail, extract(epoch FROM clock_timestamp() - seen_at)::float AS age_s
             FROM chain_health ORDER BY component"""
    )


async def cursor(conn: Connection | Pool) -> Any:
    """Head and final block as the indexer last saw them, or None before its first look."""
    return await conn.fetchrow(
        "SELECT head_number, final_number, head_time_s, final_time_s FROM chain_cursor"
    )


async def last_reconciliation(conn: Connection | Pool) -> Any:
    """The newest comparison of books and chain, or None."""
    return await conn.fetchrow(
        """SELECT block_number, difference_minor, checks, mismatched, run_at FROM chain_reconciliations
            ORDER BY id DESC LIMIT 1"""
    )


async def freezes(conn: Connection | Pool) -> list[Any]:
    """The flows that are stopped, and why."""
    return await conn.fetch("SELECT flow, reason, frozen_at FROM chain_freezes ORDER BY frozen_at")


async def open_cases(conn: Connection | Pool) -> int:
    """How many cases wait for a person."""
    count: int = await conn.fetchval("SELECT count(*) FROM chain_cases WHERE closed_at IS NULL")
    return count


async def final_anchors(conn: Connection | Pool) -> list[Any]:
    """Each log's newest final anchor: how much of it that covers, and how old it is."""
    return await conn.fetch(
        """SELECT DISTINCT ON (a.log) a.log, a.size,
                  extract(epoch FROM clock_timestamp() - a.anchored_at)::float AS age_s
             FROM chain_anchors a JOIN chain_transactions t ON t.id = a.transaction_id
            WHERE t.state = 'final' ORDER BY a.log, a.seq DESC"""
    )


async def outbox_counts(conn: Connection | Pool) -> list[Any]:
    """Intents by kind and state."""
    return await conn.fetch("SELECT kind, state, count(*) AS count FROM outbox_payments GROUP BY kind, state")


async def refused_count(conn: Connection | Pool) -> int:
    """Payments that were refused before any intent."""
    count: int = await conn.fetchval("SELECT count(*) FROM payments WHERE refusals IS NOT NULL")
    return count


async def unregistered_wallets(conn: Connection | Pool) -> int:
    """Wallets whose registration is not final, but for those whose address another participant has, and those
    that the signer makes no key for.
    """
    count: int = await conn.fetchval(
        """SELECT count(*) FROM outbox_registrations r
            WHERE registered_block IS NULL AND refusal IS NULL
              AND NOT EXISTS (SELECT FROM chain_accounts n WHERE n.address = r.address)"""
    )
    return count
