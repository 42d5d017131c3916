"""Payments and transactions that will never reach the chain: their holds end with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.chain.alarms import Flow, flow_of, freeze, open_case
from api.ledger.journal import Posting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from api.database import Connection

FINAL_CHANNEL: Final = "florin_final"


async def unasked_served(connection: Connection, funding_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The payments that these fundings serve and for which no signature was ever asked, locked; by payment,
    the funding.

    One that was asked for may be executable: the chain decides it (`InsufficientBalance`, as a rule).
    """
    if not funding_ids:
        return {}
    rows = await connection.fetch(
        """
        SELECT p.payment_id, f.payment_id AS funding_id
          FROM outbox_payments f JOIN outbox_payments p ON p.payment_id = f.serves_payment_id
         WHERE f.payment_id = ANY($1::uuid[]) AND p.state = 'queued' AND p.valid_before_s IS NULL
         ORDER BY p.seq FOR UPDATE OF p
        """,
        list(funding_ids),
    )
    return {row["payment_id"]: row["funding_id"] for row in rows}


async def give_up_asked(connection: Connection, codes: Mapping[UUID, str]) -> None:
    """Settle no more what the signer refuses now and was asked for before: it may have been signed then.

    Holds stay until a final block's time has passed the last `valid_before_s` that was asked for. The
    payments that such fundings were to serve share their fate, unless they were asked for as well.
    """
    await connection.execute(
        """
        WITH given_up AS (
            UPDATE outbox_payments o SET state = 'batched', outcome_code = f.code
              FROM unnest($1::uuid[], $2::text[]) AS f (payment_id, code)
             WHERE o.payment_id = f.payment_id AND o.state = 'queued'
            RETURNING o.serves_payment_id, o.valid_before_s, o.outcome_code)
        UPDATE outbox_payments p
           SET state = 'batched', outcome_code = g.outcome_code, valid_before_s = g.valid_before_s
          FROM given_up g
         WHERE p.payment_id = g.serves_payment_id AND p.state = 'queued' AND p.valid_before_s IS NULL
        """,
        list(codes),
        list(codes.values()),
    )


async def fail_queued(connection: Connection, codes: Mapping[UUID, str]) -> None:
    """Fail payments that no signature was ever asked for before the signer refused them, and the payments
    that refused fundings were to serve. Void their holds.
    """
    served = await unasked_served(connection, list(codes))
    outcomes = {**{payment: codes[funding] for payment, funding in served.items()}, **codes}
    rows = await connection.fetch(
        """
        UPDATE outbox_payments o
           SET state = 'failed', outcome_code = f.code, final_at = clock_timestamp(),
               closed_by = pg_current_xact_id()
          FROM unnest($1::uuid[], $2::text[]) AS f (payment_id, code)
         WHERE o.payment_id = f.payment_id AND o.state = 'queued' RETURNING o.payment_id
        """,
        list(outcomes),
        list(outcomes.values()),
    )
    failed = [row["payment_id"] for row in rows]
    posting = await Posting.open(connection, (), failed)
    for payment_id in failed:
        posting.void(payment_id)
    await posting.write()
    await announce_final(connection)


async def refuse_transaction(
    connection: Connection, transaction_id: UUID, kind: str, code: str, detail: str
) -> None:
    """A prepared transaction that will never be mined: its holds end, a case is opened.

    The wallets of a refused registration wait for another one. Records of a refused settlement stay batched
    until a final block's time has passed their last `valid_before_s`: their signatures exist. Both flows are
    frozen, so that the queue does not follow them, unless the settlement had only come too late.
    """
    updated = await connection.execute(
        """UPDATE chain_transactions SET state = 'refused', outcome_code = $2
            WHERE id = $1 AND state IN ('prepared', 'signed')""",
        transaction_id,
        code,
    )
    if updated != "UPDATE 1":
        return
    await void_business(connection, transaction_id)
    await release_registrations(connection, [transaction_id])
    if code == "BatchExpired":
        return
    await open_case(
        connection,
        "TransactionRefused",
        transaction_id=str(transaction_id),
        kind=kind,
        code=code,
        detail=detail,
    )
    flow = stopped_by_failure(kind)
    if flow is not None:
        await freeze(connection, flow, f"transaction {transaction_id} was refused: {code}")


def stopped_by_failure(kind: str) -> Flow | None:
    """The flow that a failed transaction of this kind stops: what waits behind it would fail likewise."""
    flow = flow_of(kind)
    return flow if flow in {"settle", "registration", "anchoring"} else None


async def release_registrations(connection: Connection, transaction_ids: Collection[UUID]) -> None:
    """Wallets of registrations that failed wait for another one, which comes once a person has looked."""
    if transaction_ids:
        await connection.execute(
            """UPDATE outbox_registrations SET transaction_id = NULL
                WHERE transaction_id = ANY($1::uuid[]) AND registered_block IS NULL""",
            list(transaction_ids),
        )


async def void_business(connection: Connection, business_id: UUID) -> None:
    """Free what is held for a business."""
    posting = await Posting.open(connection, (), [business_id])
    posting.void(business_id)
    await posting.write()


async def announce_final(connection: Connection) -> None:
    """Wake those who show final states; they hear it when the transaction commits."""
    await connection.execute(
        "SELECT pg_notify($1, COALESCE((SELECT final_number FROM chain_cursor), 0)::text)", FINAL_CHANNEL
    )
