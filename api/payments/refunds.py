"""Refunds: a payee pays back what it was paid, whole or in parts, never more; to the wallet that paid.

The original is a payment that this bank made between its wallets, or one that came from another bank, of
which the chain's event is kept (`chain_receipts`). A refund is a payment of its own, decided and approved as
any other; what links it is this bank's record.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.addresses import address_text
from api.database import run_in_transaction
from api.errors import NotFound
from api.payments.errors import OriginalNotFinal, RefundAboveOriginal
from api.payments.pay import pay_in
from api.payments.requests import refund_request

if TYPE_CHECKING:
    from api.database import Connection
    from api.institution import Institution
    from api.payments.pay import Outcome
    from api.payments.requests import PaymentRequest
    from api.payments.schemas import RefundBody


@dataclass(frozen=True, slots=True)
class Original:
    """A payment that a wallet of this bank was paid by."""

    original_id: uuid.UUID
    payer: bytes
    payee_wallet_id: uuid.UUID
    payee_customer_id: uuid.UUID
    amount_minor: int
    is_final: bool


async def request_of(
    conn: Connection,
    here: Institution,
    caller: str,
    key: str,
    body: RefundBody,
    *,
    customer_id: uuid.UUID | None = None,
) -> tuple[PaymentRequest, Original]:
    """The payment that a refund is, and its original. `customer_id`: whose receipt it has to be.

    Raises `NotFound` and `OriginalNotFinal`.
    """
    original = await _original(conn, body.original_id)
    if customer_id is not None and original.payee_customer_id != customer_id:
        raise NotFound("payment to refund")
    if not original.is_final:
        raise OriginalNotFinal
    asked = refund_request(here, caller, key, body, wallet_id=original.payee_wallet_id, payer=original.payer)
    return asked, original


async def refund(
    here: Institution, caller: str, key: str, body: RefundBody, customer_id: uuid.UUID | None = None
) -> Outcome:
    """Pay back a part of an original, or all of it. The same key is the same refund.

    `customer_id`: whose receipt it has to be; None: the bank's own systems, for any.

    Raises `NotFound`, `OriginalNotFinal`, `RefundAboveOriginal` and what `pay_in` answers as errors.
    """
    return await run_in_transaction(
        here.pool, lambda conn: _refund(conn, here, caller, key, body, customer_id=customer_id)
    )


async def _refund(
    conn: Connection,
    here: Institution,
    caller: str,
    key: str,
    body: RefundBody,
    *,
    customer_id: uuid.UUID | None,
) -> Outcome:
    await _take_turns(conn, body.original_id)
    asked, original = await request_of(conn, here, caller, key, body, customer_id=customer_id)
    is_repeated = await conn.fetchval("SELECT true FROM payments WHERE id = $1", asked.payment_id)
    if not is_repeated:
        refundable_minor = original.amount_minor - await refunded_minor(conn, original.original_id)
        if body.amount_minor > refundable_minor:
            raise RefundAboveOriginal(body.amount_minor, refundable_minor)
    (outcome,) = await pay_in(conn, here, [asked])
    if isinstance(outcome, Exception):
        raise outcome
    if not outcome.reasons and not is_repeated:
        await conn.execute(
            "INSERT INTO refunds (payment_id, original_id, amount_minor) VALUES ($1, $2, $3)",
            asked.payment_id,
            original.original_id,
            body.amount_minor,
        )
    return outcome


async def refunds_of(conn: Connection, original_id: uuid.UUID) -> dict[str, Any]:
    """What was paid back of an original, and what still can be. Raises `NotFound`."""
    original = await _original(conn, original_id)
    rows = await conn.fetch(
        """SELECT f.payment_id, f.amount_minor, o.state = 'failed' AS has_failed FROM refunds f
             JOIN outbox_payments o ON o.payment_id = f.payment_id
            WHERE f.original_id = $1 ORDER BY o.seq""",
        original_id,
    )
    refunded = sum(row["amount_minor"] for row in rows if not row["has_failed"])
    return {
        "original_id": str(original_id),
        "amount_minor": original.amount_minor,
        "refundable_minor": original.amount_minor - refunded,
        "refunds": [
            {
                "payment_id": str(row["payment_id"]),
                "amount_minor": row["amount_minor"],
                "has_failed": row["has_failed"],
            }
            for row in rows
        ],
    }


async def refunded_minor(conn: Connection, original_id: uuid.UUID) -> int:
    """What was paid back or is on its way; a refund that failed on chain does not count."""
    total: int = await conn.fetchval(
        """SELECT coalesce(sum(f.amount_minor), 0)::bigint FROM refunds f
             JOIN outbox_payments o ON o.payment_id = f.payment_id
            WHERE f.original_id = $1 AND o.state <> 'failed'""",
        original_id,
    )
    return total


async def _take_turns(conn: Connection, original_id: uuid.UUID) -> None:
    """One refund of an original after the other, until the transaction ends."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock($1)", int.from_bytes(original_id.bytes[-8:], "big", signed=True)
    )


async def _original(conn: Connection, original_id: uuid.UUID) -> Original:
    """What a wallet of this bank was paid, by this bank's payment or by another's. Raises `NotFound`."""
    row = await conn.fetchrow(
        """SELECT o.payer, w.id AS wallet_id, w.customer_id, p.amount_minor, o.state = 'final' AS is_final
             FROM payments p
             JOIN outbox_payments o ON o.payment_id = p.id
             JOIN wallets w ON w.id = p.payee_wallet_id
            WHERE p.id = $1 AND p.kind = 'payment'
           UNION ALL
           SELECT c.payer, w.id, w.customer_id, c.amount_minor, true
             FROM chain_receipts c
             JOIN outbox_registrations r ON r.address = c.payee
             JOIN wallets w ON w.id = r.wallet_id
            WHERE c.receipt_id = $1""",
        original_id,
    )
    if row is None:
        raise NotFound("payment to refund")
    return Original(
        original_id,
        row["payer"],
        row["wallet_id"],
        row["customer_id"],
        row["amount_minor"],
        row["is_final"],
    )


async def receipts_of(conn: Connection, wallet_id: uuid.UUID, limit: int) -> dict[str, Any]:
    """What a wallet was paid past this bank's own payments, the newest first; each can be refunded."""
    rows = await conn.fetch(
        """SELECT c.* FROM chain_receipts c JOIN outbox_registrations r ON r.address = c.payee
            WHERE r.wallet_id = $1 ORDER BY c.seq DESC LIMIT $2""",
        wallet_id,
        limit,
    )
    return {
        "receipts": [
            {
                "receipt_id": str(row["receipt_id"]),
                "payer": address_text(row["payer"]),
                "amount_minor": row["amount_minor"],
                "transaction_hash": "0x" + row["transaction_hash"].hex(),
                "block_number": row["block_number"],
            }
            for row in rows
        ]
    }
