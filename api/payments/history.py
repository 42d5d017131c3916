"""A person's payments: made and received, a page at a time, and each with its place on chain."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from api.addresses import address_text
from api.errors import NotFound
from api.payments import queries
from api.payments.approvals import domain_of
from api.wallets.queries import wallets_of_customer

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.sessions import SignedIn
    from api.institution import Institution
    from api.payments.own_schemas import PaymentsWanted


async def own_payments(
    conn: Connection, institution: Institution, person: SignedIn, wanted: PaymentsWanted
) -> dict[str, Any]:
    """A page of a person's payments, newest first. Raises `NotFound` for a `before` that is not theirs."""
    own = await _own_wallets(conn, institution, person)
    chosen = own if wanted.wallet_id is None else [each for each in own if each == wanted.wallet_id]
    start = None
    if wanted.before is not None:
        start = await queries.payment_of_wallets(conn, wanted.before, own)
        if start is None:
            raise NotFound("payment")
    zone = ZoneInfo(institution.settings.time_zone)
    rows = await queries.payments_of_wallets(
        conn,
        chosen,
        state=wanted.state,
        text=wanted.search.strip(),
        since=_start_of(wanted.from_day, zone),
        until=_start_of(wanted.to_day and wanted.to_day + timedelta(days=1), zone),
        before=None if start is None else (start["created_at"], start["id"]),
        limit=wanted.limit,
    )
    next_before = str(rows[-1]["id"]) if len(rows) == wanted.limit else None
    return {"payments": [_answer(row, own) for row in rows], "next_before": next_before}


async def own_payment(
    conn: Connection, institution: Institution, person: SignedIn, payment_id: uuid.UUID
) -> dict[str, Any]:
    """One of a person's payments with its place on chain. Raises `NotFound`; another's looks the same."""
    own = await _own_wallets(conn, institution, person)
    row = await queries.payment_of_wallets(conn, payment_id, own)
    if row is None:
        raise NotFound("payment")
    return _answer(row, own) | {"proof": _proof_of(institution, row)}


async def _own_wallets(conn: Connection, institution: Institution, person: SignedIn) -> list[uuid.UUID]:
    rows = await wallets_of_customer(conn, institution.settings.participant_id, person.customer_id)
    return [row["id"] for row in rows]


def _answer(row: Any, own: list[uuid.UUID]) -> dict[str, Any]:
    """A payment as its person sees it: how another paid for theirs is not their business."""
    is_out, is_in = row["payer_wallet_id"] in own, row["payee_wallet_id"] in own
    is_between = is_out and is_in and row["kind"] == "payment"
    other = row["biller_name"] or row["payee_name"] if is_out else row["payer_name"]
    return {
        "payment_id": str(row["id"]),
        "kind": row["kind"],
        "direction": "between" if is_between else "out" if is_out else "in",
        "state": row["state"],
        "wallet_id": str(row["payer_wallet_id"] if is_out else row["payee_wallet_id"]),
        "counterparty_name": other if row["kind"] == "payment" else None,
        "payee": address_text(row["payee"]) if row["payee"] else None,
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "from_wallet_minor": row["from_wallet_minor"] if is_out else None,
        "from_deposit_minor": row["from_deposit_minor"] if is_out else None,
        "note": row["note"],
        "mandate_id": str(row["mandate_id"]) if is_out and row["mandate_id"] else None,
        "reasons": json.loads(row["refusals"]) if row["refusals"] else [],
        "outcome_code": row["outcome_code"],
        "created_at": row["created_at"].isoformat(),
        "final_at": row["final_at"].isoformat() if row["final_at"] else None,
    }


def _proof_of(institution: Institution, row: Any) -> dict[str, Any] | None:
    """Where a payment is on chain; None where it will never be."""
    if row["refusals"] is not None:
        return None
    domain = domain_of(institution)
    return {
        "chain_id": domain.chain_id,
        "contract": address_text(domain.contract),
        "payer": address_text(row["chain_payer"]) if row["chain_payer"] else None,
        "payee": address_text(row["payee"]) if row["payee"] else None,
        "amount_minor": row["amount_minor"],
        "block_number": row["block_number"],
        "transaction_hash": "0x" + row["transaction_hash"].hex() if row["transaction_hash"] else None,
        "record_index": row["record_index"],
        "confirmations": institution.settings.confirmations,
    }


def _start_of(day: date | None, zone: ZoneInfo) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), zone)
