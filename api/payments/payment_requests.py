"""Asking to be paid: request, pay, decline, cancel. A request is paid once, whoever tries at the same time.

A request has an id for its payee's side and a random token for links and codes: whoever has the token sees
it. It expires by itself. A payment that failed on chain leaves it open again. The note stays in this bank's
books; a payer of another bank pays from the code by address, and the request does not learn of that.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from api.addresses import address_text
from api.database import run_in_transaction
from api.errors import NotFound
from api.idempotency import IdempotencyKeyReused
from api.payments.errors import RequestAmountDiffers, RequestClosed, WalletWithoutAddress
from api.payments.links import new_token
from api.payments.pay import pay_in
from api.wallets.errors import UnknownWallet

if TYPE_CHECKING:
    from api.database import Connection
    from api.institution import Institution
    from api.payments.pay import Outcome
    from api.payments.requests import PaymentRequest

RequestState = Literal["open", "paid", "declined", "cancelled", "expired"]

_REQUEST = """
SELECT q.request_id, q.token, q.payee_wallet_id, q.payer_customer_id, q.amount_minor, q.currency, q.note,
       q.expires_at, q.payment_id, q.created_at, w.customer_id AS payee_customer_id, c.name AS payee_name,
       r.address,
       CASE WHEN q.state = 'paid' AND o.state IS DISTINCT FROM 'failed' THEN 'paid'
            WHEN q.state IN ('declined', 'cancelled') THEN q.state
            WHEN q.expires_at <= clock_timestamp() THEN 'expired' ELSE 'open' END AS state
  FROM payment_requests q
  JOIN wallets w ON w.id = q.payee_wallet_id
  JOIN customers c ON c.id = w.customer_id
  JOIN outbox_registrations r ON r.wallet_id = w.id
  LEFT JOIN outbox_payments o ON o.payment_id = q.payment_id
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `payer_customer_id` None: of whoever has the link."""

    payee_wallet_id: uuid.UUID
    payer_customer_id: uuid.UUID | None
    amount_minor: int
    note: str | None
    expires_at_s: int


async def ask(
    conn: Connection,
    here: Institution,
    caller: str,
    key: str,
    wanted: Wanted,
    *,
    customer_id: uuid.UUID | None = None,
) -> dict[str, Any]:
    """Ask to be paid; the same key is the same request. `customer_id`: whose wallet it has to be.

    Raises `UnknownWallet`, `WalletWithoutAddress` and `IdempotencyKeyReused`.
    """
    wallet = await conn.fetchrow(
        """SELECT w.reference, r.address FROM wallets w LEFT JOIN outbox_registrations r ON r.wallet_id = w.id
            WHERE w.id = $1 AND ($2::uuid IS NULL OR w.customer_id = $2)""",
        wanted.payee_wallet_id,
        customer_id,
    )
    if wallet is None:
        raise UnknownWallet(str(wanted.payee_wallet_id))
    if wallet["address"] is None:
        raise WalletWithoutAddress(wallet["reference"])
    request_id = here.id_for("payment request", caller, key)
    expires_at = datetime.fromtimestamp(min(wanted.expires_at_s, 2**34), UTC)
    await conn.execute(
        """INSERT INTO payment_requests
                  (request_id, token, payee_wallet_id, payer_customer_id, amount_minor, currency, note,
                   expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (request_id) DO NOTHING""",
        request_id,
        new_token(),
        wanted.payee_wallet_id,
        wanted.payer_customer_id,
        wanted.amount_minor,
        here.settings.currency,
        wanted.note,
        expires_at,
    )
    row = await conn.fetchrow(_REQUEST + "WHERE q.request_id = $1", request_id)
    assert row is not None, "it was just made"
    names = ("payee_wallet_id", "payer_customer_id", "amount_minor", "note")
    if row["expires_at"] != expires_at or any(row[name] != getattr(wanted, name) for name in names):
        raise IdempotencyKeyReused(key, "payment request")
    return request_answer(row)


async def by_id(conn: Connection, request_id: uuid.UUID) -> dict[str, Any]:
    """A request of this bank. Raises `NotFound`."""
    return request_answer(_found(await conn.fetchrow(_REQUEST + "WHERE q.request_id = $1", request_id)))


async def by_token(conn: Connection, token: str) -> dict[str, Any]:
    """The request of a link. Raises `NotFound`."""
    return request_answer(_found(await conn.fetchrow(_REQUEST + "WHERE q.token = $1", token)))


async def requests_of(conn: Connection, customer_id: uuid.UUID, limit: int) -> dict[str, Any]:
    """A person's newest requests: those that they made, and those that were made of them."""
    made = await conn.fetch(
        _REQUEST + "WHERE w.customer_id = $1 ORDER BY q.created_at DESC, q.request_id LIMIT $2",
        customer_id,
        limit,
    )
    received = await conn.fetch(
        _REQUEST + "WHERE q.payer_customer_id = $1 ORDER BY q.created_at DESC, q.request_id LIMIT $2",
        customer_id,
        limit,
    )
    return {
        "made": [request_answer(row) for row in made],
        "received": [request_answer(row) for row in received],
    }


async def cancel(
    conn: Connection, request_id: uuid.UUID, customer_id: uuid.UUID | None = None
) -> dict[str, Any]:
    """The payee takes a request back. Safe to repeat. `customer_id`: whose it has to be.

    Raises `NotFound` and `RequestClosed`.
    """
    row = await _locked(conn, "request_id", request_id)
    if customer_id is not None and row["payee_customer_id"] != customer_id:
        raise NotFound("payment request")
    return await _close(conn, row, "cancelled")


async def decline(conn: Connection, request_id: uuid.UUID, customer_id: uuid.UUID) -> dict[str, Any]:
    """The person who was asked says no. Safe to repeat. Raises `NotFound` and `RequestClosed`."""
    row = await _locked(conn, "request_id", request_id)
    if row["payer_customer_id"] != customer_id:
        raise NotFound("payment request")
    return await _close(conn, row, "declined")


async def resolve(conn: Connection, asked: PaymentRequest) -> PaymentRequest:
    """A payment of a request with the address that it pays. Raises `NotFound`."""
    row = _found(await conn.fetchrow(_REQUEST + "WHERE q.token = $1", asked.payee.request_token))
    return _addressed(asked, row)


async def pay(here: Institution, asked: PaymentRequest) -> Outcome:
    """Decide the payment of a request, and close the request with it, in one transaction of its own.

    Raises `NotFound`, `RequestClosed`, `RequestAmountDiffers` and what `pay_in` answers as errors.
    """
    return await run_in_transaction(here.pool, lambda conn: _pay(conn, here, asked))


async def _pay(conn: Connection, here: Institution, asked: PaymentRequest) -> Outcome:
    row = await _locked(conn, "token", asked.payee.request_token)
    is_repeated = await conn.fetchval("SELECT true FROM payments WHERE id = $1", asked.payment_id)
    if not is_repeated:
        _require_open(row)
        if asked.amount_minor != row["amount_minor"]:
            raise RequestAmountDiffers(row["amount_minor"])
    (outcome,) = await pay_in(conn, here, [_addressed(asked, row)])
    if isinstance(outcome, Exception):
        raise outcome
    if not outcome.reasons and not is_repeated:
        await conn.execute(
            """UPDATE payment_requests SET state = 'paid', payment_id = $2, decided_at = now()
                WHERE request_id = $1""",
            row["request_id"],
            asked.payment_id,
        )
    return outcome


def _addressed(asked: PaymentRequest, row: Any) -> PaymentRequest:
    return dataclasses.replace(asked, payee=dataclasses.replace(asked.payee, address=row["address"]))


async def _locked(conn: Connection, column: Literal["request_id", "token"], value: object) -> Any:
    """A request, locked, as it is once the lock is got. Raises `NotFound`."""
    await conn.execute(f"SELECT 1 FROM payment_requests WHERE {column} = $1 FOR UPDATE", value)  # noqa: S608
    return _found(await conn.fetchrow(_REQUEST + f"WHERE q.{column} = $1", value))


async def _close(conn: Connection, row: Any, state: RequestState) -> dict[str, Any]:
    if row["state"] != state:
        _require_open(row)
        await conn.execute(
            "UPDATE payment_requests SET state = $2, decided_at = now() WHERE request_id = $1",
            row["request_id"],
            state,
        )
    return request_answer(row) | {"state": state}


def _require_open(row: Any) -> None:
    if row["state"] != "open":
        raise RequestClosed(row["state"])


def _found(row: Any) -> Any:
    if row is None:
        raise NotFound("payment request")
    return row


def request_answer(row: Any) -> dict[str, Any]:
    """A request's row as its two sides see it."""
    return {
        "request_id": str(row["request_id"]),
        "token": row["token"],
        "state": row["state"],
        "payee_name": row["payee_name"],
        "payee": address_text(row["address"]),
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "note": row["note"],
        "expires_at": row["expires_at"].isoformat(),
        "created_at": row["created_at"].isoformat(),
        "payment_id": str(row["payment_id"]) if row["state"] == "paid" else None,
    }
