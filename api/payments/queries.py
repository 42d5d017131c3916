"""The reads of the payments room, each for a whole set of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.accounts import AccountFlag

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from api.database import Connection

_WALLET = """
SELECT w.id, w.reference, w.customer_id, w.ledger_account_id, a.ledger_account_id AS deposit_account_id,
       r.address, r.registered_block IS NOT NULL AS was_registered
  FROM wallets w
  LEFT JOIN accounts a ON a.id = w.account_id
  LEFT JOIN outbox_registrations r ON r.wallet_id = w.id
"""

_STATE = """
CASE WHEN p.refusals IS NOT NULL THEN 'refused'
     WHEN o.state = 'final' THEN 'final'
     WHEN o.state = 'failed' THEN 'failed'
     WHEN o.state = 'queued' OR t.state IS NULL OR t.state = 'prepared' THEN 'accepted'
     WHEN t.included_block IS NOT NULL THEN 'included'
     ELSE 'submitted' END
"""

_PAYMENT = f"""
SELECT p.id, p.reference, p.kind, {_STATE} AS state, p.payer_wallet_id, p.payee_wallet_id, p.payee,
       p.amount_minor, p.currency, p.from_wallet_minor, p.from_deposit_minor, p.note, p.refusals,
       p.created_at, p.mandate_id, o.payer AS chain_payer,
       b.reference AS biller_reference, b.name AS biller_name, q.name AS payee_name, z.name AS payer_name,
       o.outcome_code, o.record_index, o.final_at, t.hash AS transaction_hash,
       coalesce(o.final_block, t.included_block) AS block_number
  FROM payments p
  LEFT JOIN outbox_payments o ON o.payment_id = p.id
  LEFT JOIN chain_transactions t ON t.id = o.transaction_id
  LEFT JOIN billers b ON b.id = p.biller_id
  LEFT JOIN wallets v ON v.id = p.payee_wallet_id
  LEFT JOIN customers q ON q.id = v.customer_id
  LEFT JOIN wallets w ON w.id = p.payer_wallet_id
  LEFT JOIN customers z ON z.id = w.customer_id
"""  # noqa: S608 - put together from constants


_MANDATE = """
SELECT m.mandate_id, m.wallet_id, m.payer, m.payee, m.cap_minor, m.period, m.starts_at_s, m.expires_at_s,
       m.approval, m.state, m.outcome_code
  FROM outbox_mandates m
"""

_PAYMENTS_OF_WALLET = f"""{_PAYMENT}
 WHERE p.id IN (
       (SELECT id FROM payments WHERE payer_wallet_id = $1 ORDER BY created_at DESC LIMIT $2)
       UNION ALL
       (SELECT id FROM payments WHERE payee_wallet_id = $1 AND refusals IS NULL
         ORDER BY created_at DESC LIMIT $2))
 ORDER BY p.created_at DESC LIMIT $2
"""  # noqa: S608 - put together from constants

_SUMMARY = f"""
SELECT {_STATE} AS state, coalesce(p.refusals->0->>'code', o.outcome_code) AS code,
       count(*) AS count, sum(p.amount_minor) AS amount_minor,
       min(p.created_at) FILTER (WHERE p.refusals IS NULL) AS first_accepted_at,
       max(o.final_at) AS last_final_at
  FROM payments p
  LEFT JOIN outbox_payments o ON o.payment_id = p.id
  LEFT JOIN chain_transactions t ON t.id = o.transaction_id
 WHERE $1 = '' OR (p.caller = $2 AND starts_with(p.reference, $1))
 GROUP BY 1, 2
"""  # noqa: S608 - put together from constants


async def wallets_named(
    conn: Connection, references: Collection[str], ids: Collection[uuid.UUID]
) -> list[Any]:
    """Wallets by reference or id, with their ledger accounts and addresses."""
    rows = await conn.fetch(_WALLET + "WHERE w.reference = ANY($1)", list(references)) if references else []
    if ids:
        rows += await conn.fetch(_WALLET + "WHERE w.id = ANY($1)", list(ids))
    return rows


async def wallets_at(conn: Connection, addresses: Collection[bytes]) -> list[Any]:
    """This bank's own wallets among `addresses`."""
    return await conn.fetch(_WALLET + "WHERE r.address = ANY($1)", list(addresses)) if addresses else []


async def billers_named(conn: Connection, references: Collection[str]) -> dict[str, Any]:
    """reference -> biller, for those that exist."""
    if not references:
        return {}
    rows = await conn.fetch(
        "SELECT id, reference, name, address FROM billers WHERE reference = ANY($1)", list(references)
    )
    return {row["reference"]: row for row in rows}


async def mandates_named(conn: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """id -> mandate, for those that exist."""
    if not ids:
        return {}
    rows = await conn.fetch(_MANDATE + "WHERE m.mandate_id = ANY($1)", list(ids))
    return {row["mandate_id"]: row for row in rows}


async def count_mandates(conn: Connection) -> list[Any]:
    """Mandates counted by state."""
    return await conn.fetch("SELECT state, count(*) AS count FROM outbox_mandates GROUP BY state")


async def decided_payments(conn: Connection, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """id -> what was decided about it before."""
    rows = await conn.fetch(
        """SELECT id, request_hash, refusals, from_wallet_minor, from_deposit_minor
             FROM payments WHERE id = ANY($1)""",
        list(ids),
    )
    return {row["id"]: row for row in rows}


async def moment(conn: Connection, participant_id: int) -> Any:
    """What holds for every payment now: pause, frozen settlement, the chain's day, the bank's own address."""
    return await conn.fetchrow(
        """SELECT coalesce((SELECT is_paused FROM chain_currency), false) AS is_paused,
                  (SELECT reason FROM chain_freezes WHERE flow = 'settle') AS frozen_reason,
                  coalesce((SELECT greatest(head_time_s, final_time_s) FROM chain_cursor), 0) / 86400 AS day,
                  (SELECT institution FROM chain_participants WHERE participant = $1) AS institution,
                  extract(epoch FROM now())::bigint AS now_s,
                  $1::integer AS participant""",
        participant_id,
    )


async def chain_accounts(conn: Connection, addresses: Collection[bytes], day: int) -> list[Any]:
    """The final state of registered addresses with their limits, and each one's bank's account beside it."""
    return await conn.fetch(
        """SELECT n.address, n.participant, n.flags, n.balance_minor,
                  CASE WHEN n.spent_day = $2 THEN n.spent_minor ELSE 0 END AS spent,
                  coalesce(t.holding_limit_minor, 0)::text AS holding,
                  coalesce(t.per_payment_limit_minor, 0)::text AS single,
                  coalesce(t.daily_limit_minor, 0)::text AS daily, b.address AS bank, b.flags AS bank_flags,
                  CASE WHEN n.flags & $3 <> 0
                       THEN (SELECT coalesce(sum(h.held_minor), 0) FROM chain_order_holds h
                              WHERE h.address = n.address)
                       ELSE 0 END::text AS held
             FROM chain_accounts n
             LEFT JOIN chain_tiers t ON t.tier = n.tier
             LEFT JOIN chain_participants p ON p.participant = n.participant
             LEFT JOIN chain_accounts b ON b.address = p.institution
            WHERE n.address = ANY($1)""",
        list(addresses),
        day,
        int(AccountFlag.HAS_HOLD),
    )


async def unsettled_spending(conn: Connection, payers: Collection[bytes]) -> dict[bytes, int]:
    """payer -> what it has accepted payments for that are not final."""
    rows = await conn.fetch(
        """SELECT payer, sum(amount_minor)::bigint AS amount FROM outbox_payments
            WHERE payer = ANY($1) AND state IN ('queued', 'batched') GROUP BY payer""",
        list(payers),
    )
    return {row["payer"]: row["amount"] for row in rows}


async def unsettled_receipts(conn: Connection, payees: Collection[bytes], kind: str) -> dict[bytes, int]:
    """payee -> what is on its way to it from this bank's payers, of `kind`, and not as part of a payment."""
    if not payees:
        return {}
    rows = await conn.fetch(
        """SELECT payee, sum(amount_minor)::bigint AS amount FROM outbox_payments
            WHERE state IN ('queued', 'batched') AND kind = $2 AND serves_payment_id IS NULL
              AND payee = ANY($1)
            GROUP BY payee""",
        list(payees),
        kind,
    )
    return {row["payee"]: row["amount"] for row in rows}


async def unproved_spending(conn: Connection, wallet_id: uuid.UUID) -> Any:
    """What a wallet has spent without its customer's proof in the signer's two windows: `day`, `week`.

    The signer's windows are up to an hour longer than they say. What it refused itself does not count there.
    """
    return await conn.fetchrow(
        """SELECT coalesce(sum(o.amount_minor), 0)::bigint AS week,
                  coalesce(sum(o.amount_minor) FILTER (WHERE p.created_at > now() - interval '25 hours'), 0)
                      ::bigint AS day
             FROM payments p JOIN outbox_payments o ON o.payment_id = p.id
            WHERE p.payer_wallet_id = $1 AND p.created_at > now() - interval '169 hours'
              AND p.kind <> 'funding' AND o.proof IS NULL
              AND NOT (o.state = 'failed' AND o.transaction_id IS NULL)""",
        wallet_id,
    )


async def credentials_of_wallet(conn: Connection, wallet_id: uuid.UUID) -> list[str]:
    """The credentials that the signer was asked to bind to a wallet, as JSON."""
    rows = await conn.fetch(
        "SELECT credential FROM outbox_registrations WHERE wallet_id = $1 AND credential IS NOT NULL",
        wallet_id,
    )
    return [row["credential"] for row in rows]


async def payment_by_id(conn: Connection, payment_id: uuid.UUID) -> Any:
    """One payment with how far it has come, or None."""
    return await conn.fetchrow(_PAYMENT + "WHERE p.id = $1", payment_id)


async def payments_of_wallet(conn: Connection, wallet_id: uuid.UUID, limit: int) -> list[Any]:
    """A wallet's newest payments, made and received from wallets of this bank."""
    return await conn.fetch(_PAYMENTS_OF_WALLET, wallet_id, limit)


_OWN = "(p.payer_wallet_id = ANY($1) OR (p.payee_wallet_id = ANY($1) AND p.refusals IS NULL))"


async def payments_of_wallets(
    conn: Connection,
    wallet_ids: Collection[uuid.UUID],
    *,
    state: str | None,
    text: str,
    since: datetime | None,
    until: datetime | None,
    before: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """A page of the payments that these wallets made or received, newest first."""
    created_at, payment_id = before or (None, None)
    return await conn.fetch(
        _PAYMENT
        + f"""WHERE {_OWN} AND ($2::text IS NULL OR {_STATE} = $2)
                AND ($3::timestamptz IS NULL OR p.created_at >= $3)
                AND ($4::timestamptz IS NULL OR p.created_at < $4)
                AND ($5::timestamptz IS NULL OR (p.created_at, p.id) < ($5, $6::uuid))
                AND ($7 = '%%' OR p.note ILIKE $7 OR b.name ILIKE $7
                     OR (q.name ILIKE $7 AND p.payer_wallet_id = ANY($1))
                     OR (z.name ILIKE $7 AND NOT p.payer_wallet_id = ANY($1)))
              ORDER BY p.created_at DESC, p.id DESC LIMIT $8""",
        list(wallet_ids),
        state,
        since,
        until,
        created_at,
        payment_id,
        _containing(text),
        limit,
    )


async def payment_of_wallets(
    conn: Connection, payment_id: uuid.UUID, wallet_ids: Collection[uuid.UUID]
) -> Any:
    """One payment that these wallets made or received, or None."""
    return await conn.fetchrow(_PAYMENT + f"WHERE {_OWN} AND p.id = $2", list(wallet_ids), payment_id)


async def mandates_of_customer(conn: Connection, customer_id: uuid.UUID) -> list[Any]:
    """The mandates of a customer's wallets, the newest first."""
    return await conn.fetch(
        _MANDATE + "JOIN wallets w ON w.id = m.wallet_id WHERE w.customer_id = $1 ORDER BY m.seq DESC",
        customer_id,
    )


async def summary(conn: Connection, caller: str, prefix: str) -> list[Any]:
    """Payments counted by state and code; with a `prefix`, of this caller's references that begin so."""
    return await conn.fetch(_SUMMARY, prefix, caller)


async def billers_after(conn: Connection, after: str, search: str, limit: int) -> list[Any]:
    """A page of billers above the reference `after`; `search` is a part of their names or references."""
    return await conn.fetch(
        """SELECT id, reference, name, address FROM billers
            WHERE reference > $1 AND (name ILIKE $2 OR reference ILIKE $2) ORDER BY reference LIMIT $3""",
        after,
        _containing(search),
        limit,
    )


def _containing(text: str) -> str:
    """The ILIKE pattern of texts that contain this one."""
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


_HISTORY = f"""
SELECT h.* FROM ({_PAYMENT}
         WHERE p.id IN (SELECT id FROM payments WHERE payer_wallet_id = $1
                        UNION ALL
                        SELECT id FROM payments WHERE payee_wallet_id = $1 AND refusals IS NULL)) h
 WHERE ($2::text[] IS NULL OR h.state = ANY($2))
   AND ($3::timestamptz IS NULL OR h.created_at >= $3) AND ($4::timestamptz IS NULL OR h.created_at < $4)
   AND concat_ws(' ', h.biller_name, h.payee_name, h.payer_name, h.note) ILIKE $5
   AND ($6::uuid IS NULL OR (h.created_at, h.id) < (SELECT created_at, id FROM payments WHERE id = $6))
 ORDER BY h.created_at DESC, h.id DESC LIMIT $7
"""  # noqa: S608 - put together from constants


async def history_of_wallet(
    conn: Connection,
    wallet_id: uuid.UUID,
    *,
    states: Sequence[str] | None,
    since: datetime | None,
    until: datetime | None,
    pattern: str,
    before: uuid.UUID | None,
    limit: int,
) -> list[Any]:
    """A wallet's payments, made and received, newest first, from after the payment `before`.

    `states` (None: all) and the time from `since` to before `until` filter; `pattern` (of LIKE) is of the
    names of both sides and the note.
    """
    return await conn.fetch(_HISTORY, wallet_id, states, since, until, pattern, before, limit)


async def mandates_of_wallet(conn: Connection, wallet_id: uuid.UUID) -> list[Any]:
    """A wallet's mandates, newest first, each with the name of the biller that has the payee's address."""
    return await conn.fetch(
        """SELECT m.mandate_id, m.wallet_id, m.payer, m.payee, m.cap_minor, m.period, m.starts_at_s,
                  m.expires_at_s, m.approval, m.state, m.outcome_code,
                  (SELECT b.name FROM billers b WHERE b.address = m.payee ORDER BY b.reference LIMIT 1)
                  AS payee_name
             FROM outbox_mandates m WHERE m.wallet_id = $1 ORDER BY m.seq DESC""",
        wallet_id,
    )
