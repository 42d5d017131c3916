"""The reads of the settlement room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid

    from api.database import Connection, Pool


async def tiers(conn: Connection) -> dict[int, tuple[int, int, int]]:
    """tier -> its three limits, as they are final on chain."""
    rows = await conn.fetch(
        """SELECT tier, holding_limit_minor::text, per_payment_limit_minor::text, daily_limit_minor::text
             FROM chain_tiers ORDER BY tier"""
    )
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}


async def participant_on_chain(conn: Connection, participant_id: int) -> tuple[bytes, int, int] | None:
    """(institution, its tier, tier mask) as they are final on chain."""
    row = await conn.fetchrow(
        """SELECT p.institution, coalesce(n.tier, -1), p.tier_mask::text FROM chain_participants p
             LEFT JOIN chain_accounts n ON n.address = p.institution WHERE p.participant = $1""",
        participant_id,
    )
    return None if row is None else (row[0], row[1], int(row[2]))


async def account_on_chain(conn: Connection, address: bytes) -> tuple[int, int, int] | None:
    """(participant, tier, flags) as they are final on chain."""
    row = await conn.fetchrow(
        "SELECT participant, tier, flags FROM chain_accounts WHERE address = $1", address
    )
    return None if row is None else (row[0], row[1], row[2])


async def system_accounts(conn: Connection) -> list[tuple[bytes, int]]:
    """(address, tier) of the accounts that have SYSTEM (32), as they are final on chain."""
    rows = await conn.fetch("SELECT address, tier FROM chain_accounts WHERE flags & 32 <> 0 ORDER BY address")
    return [(row[0], row[1]) for row in rows]


async def replaced_account(
    conn: Connection, participant_id: int, institution_address: bytes
) -> tuple[int, int]:
    """(balance, flags) of the participant's account on chain where it is another than this; else zeros."""
    row = await conn.fetchrow(
        """SELECT n.balance_minor, n.flags
             FROM chain_participants p JOIN chain_accounts n ON n.address = p.institution
            WHERE p.participant = $1 AND p.institution <> $2""",
        participant_id,
        institution_address,
    )
    return (row[0], row[1]) if row else (0, 0)


async def participant_at(conn: Connection, institution_address: bytes) -> int | None:
    """The participant that was asked for with this account, or None."""
    found: int | None = await conn.fetchval(
        "SELECT id FROM participants WHERE institution_address = $1", institution_address
    )
    return found


async def participants(conn: Connection | Pool) -> list[Any]:
    """The participants as they were asked for."""
    return await conn.fetch(
        """SELECT id, name, institution_address, tier, tier_mask::text AS tier_mask, reserves_account_id
             FROM participants ORDER BY id"""
    )


async def participant(conn: Connection, participant_id: int) -> Any:
    """One participant, or None."""
    return await conn.fetchrow(
        """SELECT id, name, institution_address, tier, tier_mask::text AS tier_mask, reserves_account_id
             FROM participants WHERE id = $1""",
        participant_id,
    )


async def last_pending_call(conn: Connection, kind: str, about: bytes) -> bytes | None:
    """The newest call of `kind` that is not final and begins with `about` (selector and first argument)."""
    data: bytes | None = await conn.fetchval(
        """SELECT data FROM chain_transactions
            WHERE kind = $1 AND state IN ('prepared', 'signed') AND substring(data FOR $2) = $3
            ORDER BY seq DESC LIMIT 1""",
        kind,
        len(about),
        about,
    )
    return data


async def freeze_reason(conn: Connection, flow: str) -> str | None:
    """Why `flow` is stopped, or None."""
    reason: str | None = await conn.fetchval("SELECT reason FROM chain_freezes WHERE flow = $1", flow)
    return reason


async def mint_allowance(conn: Connection, participant_id: int) -> tuple[int, int]:
    """(final allowance, amount of this bank's mintings that are not final)."""
    allowance = await conn.fetchval(
        "SELECT mint_allowance_minor::text FROM chain_participants WHERE participant = $1", participant_id
    )
    pending = await conn.fetchval(
        """SELECT coalesce(sum(i.amount_minor), 0)::bigint
             FROM issuances i JOIN chain_transactions t ON t.id = i.id
            WHERE i.kind = 'mint' AND t.state IN ('prepared', 'signed')"""
    )
    return int(allowance or 0), pending


async def issuance(conn: Connection, issuance_id: uuid.UUID) -> Any:
    """An approval, minting or return with its transaction, or None."""
    return await conn.fetchrow(
        """SELECT i.id, i.kind, i.participant_id, i.amount_minor, i.created_at,
                  t.state, t.outcome_code, t.hash, coalesce(t.final_block, t.included_block) AS block_number
             FROM issuances i JOIN chain_transactions t ON t.id = i.id WHERE i.id = $1""",
        issuance_id,
    )


async def final_number(conn: Connection) -> int:
    """The newest final block, 0 before the first look at the chain."""
    number: int | None = await conn.fetchval("SELECT final_number FROM chain_cursor")
    return number or 0


async def holdings_at(conn: Connection, participant_id: int, block_number: int) -> tuple[int, int]:
    """(all that is held, of that by the institution) as of a final block; participant 0: the whole supply."""
    row = await conn.fetchrow(
        """SELECT balance_minor, institution_minor FROM chain_supply_history
            WHERE participant = $1 AND block_number <= $2 ORDER BY block_number DESC LIMIT 1""",
        participant_id,
        block_number,
    )
    return (row[0], row[1]) if row else (0, 0)


async def posted_at(conn: Connection, account_id: int, block_number: int) -> int:
    """A ledger account's posted balance less what final blocks above `block_number` posted to it."""
    posted: int = await conn.fetchval(
        """SELECT b.posted_minor - coalesce((
                  SELECT sum(l.amount_minor) * a.normal_side FROM ledger_legs l
                    JOIN ledger_entries e ON e.id = l.entry_id
                    JOIN chain_blocks k
                      ON k.hash = decode(substring(e.source FROM '^event:0x([0-9a-f]{64}):'), 'hex')
                   WHERE l.account_id = $1 AND k.number > $2), 0)::bigint
             FROM ledger_balances b JOIN ledger_accounts a ON a.id = b.account_id WHERE b.account_id = $1""",
        account_id,
        block_number,
    )
    return posted
