"""How far a payment has come, read from outbox and chain.

A payment is
├── refused: it has reasons and no intent
├── accepted: queued, or in a settlement that is not signed yet
├── submitted: its settlement is signed
├── included: its settlement is in a block that may still be replaced
├── final, with block, transaction and record
└── failed, with the chain's reason
The summary counts them, and those of a prefix only
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from api.database import transaction
from api.identity.keys import create_key
from tests.api.offices import BankOffice, payment

HASH = b"\x0b" * 32


async def settle(
    bank: BankOffice, payment_id: str, outbox_state: str, transaction_state: str, **columns: Any
) -> None:
    pool, transaction_id = bank.institution.pool, uuid.uuid4()
    await pool.execute(
        """INSERT INTO chain_transactions (id, key_name, kind, data, gas, state, hash, included_block)
           VALUES ($1, 'institution', 'settle', '\\x', 0, $2, $3, $4)""",
        transaction_id,
        transaction_state,
        columns.get("hash", HASH),
        columns.get("included_block"),
    )
    await pool.execute(
        """UPDATE outbox_payments SET state = $2, transaction_id = $3, record_index = 7, final_block = $4,
                  outcome_code = $5, final_at = CASE WHEN $4::bigint IS NULL THEN NULL ELSE now() END
            WHERE payment_id = $1""",
        uuid.UUID(payment_id),
        outbox_state,
        transaction_id,
        columns.get("final_block"),
        columns.get("outcome_code"),
    )


@pytest.mark.parametrize(
    ("outbox_state", "transaction_state", "columns", "state"),
    [
        ("batched", "prepared", {}, "accepted"),
        ("batched", "signed", {}, "submitted"),
        ("batched", "signed", {"included_block": 12}, "included"),
        ("final", "final", {"included_block": 12, "final_block": 12}, "final"),
        ("failed", "final", {"final_block": 12, "outcome_code": "DailyLimitExceeded"}, "failed"),
    ],
)
async def test_the_state_is_read_from_outbox_and_chain(
    bank: BankOffice, outbox_state: str, transaction_state: str, columns: dict[str, Any], state: str
) -> None:
    payment_id = (await bank.post("/v1/payments", payment(1_000), key="k-1")).json()["payment_id"]
    shown = (await bank.get(f"/v1/payments/{payment_id}")).json()
    assert (shown["state"], shown["block_number"], shown["transaction_hash"]) == ("accepted", None, None)
    await settle(bank, payment_id, outbox_state, transaction_state, **columns)
    shown = (await bank.get(f"/v1/payments/{payment_id}")).json()
    assert shown["state"] == state
    assert shown["transaction_hash"] == "0x" + HASH.hex()
    assert shown["block_number"] == columns.get("final_block", columns.get("included_block"))
    assert (shown["record_index"], shown["outcome_code"]) == (7, columns.get("outcome_code"))
    assert (shown["final_at"] is not None) == ("final_block" in columns)


async def test_the_summary_counts_by_state_and_code(bank: BankOffice) -> None:
    lines = [payment(1_000) | {"reference": f"order-{i}"} for i in range(4)]
    lines.append(payment(payee={"biller_reference": "nobody"}) | {"reference": "order-5"})
    lines.append(payment(1_000) | {"reference": "other-1"})
    answers = await bank.bulk("/v1/payments:bulk", lines)
    await settle(bank, answers[0]["payment_id"], "final", "final", final_block=12)
    await settle(
        bank,
        answers[1]["payment_id"],
        "failed",
        "final",
        final_block=12,
        outcome_code="PayeeFrozen",
        hash=b"2" * 32,
    )
    summary = (await bank.get("/v1/payments:summary", since_reference_prefix="order-")).json()
    assert summary["states"] == {"final": 1, "failed": 1, "accepted": 2, "refused": 1}
    assert summary["refusals"] == {"UnknownPayee": 1}
    assert summary["failures"] == {"PayeeFrozen": 1}
    assert summary["amount_final_minor"] == 1_000
    assert summary["first_accepted_at"] < summary["last_final_at"]
    everything = (await bank.get("/v1/payments:summary")).json()
    assert everything["states"]["accepted"] == 3
    async with transaction(bank.institution.pool) as conn:
        key = await create_key(conn, "another", ["payments:read"], "bank")
    theirs = await bank.client.get(
        "/v1/payments:summary?since_reference_prefix=order-", headers={"Authorization": f"Bearer {key}"}
    )
    assert theirs.json()["states"] == {}, "a reference is its caller's own"
    # a prefix is a prefix, and no pattern
    assert (await bank.get("/v1/payments:summary", since_reference_prefix="%")).json()["states"] == {}


async def test_another_id_is_not_found(bank: BankOffice) -> None:
    response = await bank.get(f"/v1/payments/{uuid.uuid4()}")
    assert (response.status_code, response.json()["code"]) == (404, "NotFound")
