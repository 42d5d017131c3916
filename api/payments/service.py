"""Looking payments up: where each is on its way, and how many are where."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from api.addresses import address_text
from api.errors import NotFound
from api.payments import queries

if TYPE_CHECKING:
    import uuid

    from api.database import Connection


async def payment(conn: Connection, payment_id: uuid.UUID) -> dict[str, Any]:
    """One payment and how far it has come. Raises `NotFound`."""
    row = await queries.payment_by_id(conn, payment_id)
    if row is None:
        raise NotFound("payment")
    return payment_answer(row)


async def summary(conn: Connection, caller: str, prefix: str) -> dict[str, Any]:
    """Payments counted by state and code; with a `prefix`, of this caller's references that begin so."""
    states: Counter[str] = Counter()
    codes: dict[str, Counter[str]] = {"refused": Counter(), "failed": Counter()}
    amount_final_minor = 0
    first_accepted, last_final = [], []
    for row in await queries.summary(conn, caller, prefix):
        states[row["state"]] += row["count"]
        if row["state"] in codes:
            codes[row["state"]][row["code"] or "Unknown"] += row["count"]
        if row["state"] == "final":
            amount_final_minor += int(row["amount_minor"])
        first_accepted += [row["first_accepted_at"]] if row["first_accepted_at"] else []
        last_final += [row["last_final_at"]] if row["last_final_at"] else []
    return {
        "states": dict(states),
        "refusals": dict(codes["refused"]),
        "failures": dict(codes["failed"]),
        "amount_final_minor": amount_final_minor,
        "first_accepted_at": min(first_accepted).isoformat() if first_accepted else None,
        "last_final_at": max(last_final).isoformat() if last_final else None,
    }


def payment_answer(row: Any) -> dict[str, Any]:
    """A payment's row as callers see it."""
    return {
        "payment_id": str(row["id"]),
        "reference": row["reference"],
        "kind": row["kind"],
        "state": row["state"],
        "payer_wallet_id": str(row["payer_wallet_id"]),
        "payee": address_text(row["payee"]) if row["payee"] else None,
        "biller_reference": row["biller_reference"],
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "from_wallet_minor": row["from_wallet_minor"],
        "from_deposit_minor": row["from_deposit_minor"],
        "note": row["note"],
        "reasons": json.loads(row["refusals"]) if row["refusals"] else [],
        "outcome_code": row["outcome_code"],
        "block_number": row["block_number"],
        "transaction_hash": "0x" + row["transaction_hash"].hex() if row["transaction_hash"] else None,
        "record_index": row["record_index"],
        "created_at": row["created_at"].isoformat(),
        "final_at": row["final_at"].isoformat() if row["final_at"] else None,
    }
