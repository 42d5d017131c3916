"""Refunds.

A refund
├── of a final payment: from its payee's wallet to the wallet that paid, linked to it
├── of what came from another bank: to that bank's wallet
├── in parts: up to the original and never above, with what is on its way counted
│   ├── many at once, at two processes: their sum is never above
│   └── one that failed on chain does not count
├── repeated with its key: the same answer; with another content: refused
├── refused by a rule: recorded as such, and nothing counts
├── of a payment that is not final, unknown, a funding, or somebody else's: refused
└── foreseen: the same verdict, and what its payer approves
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.addresses import address_text
from api.errors import NotFound
from api.payments.refunds import refund
from api.payments.schemas import RefundBody
from tests.api.offices import OPENING_MINOR, BankOffice, open_office, payment
from tests.api.payments.test_aliases import wallet_id
from tests.fakes.final_chain import CUSTOMER_TIER, OTHER_BANK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

STRANGER = bytes.fromhex("e7" * 20)


@pytest.fixture
async def two(bank: BankOffice) -> BankOffice:
    """A bank with a second customer, `w-2`, who is paid."""
    await bank.add_customer(2)
    return bank


@pytest.fixture
async def twin(two: BankOffice) -> AsyncIterator[BankOffice]:
    """Another process of the same bank."""
    async with open_office(two.database) as office:
        yield office


async def paid(bank: BankOffice, amount_minor: int = 1_000, *, is_final: bool = True) -> str:
    """A payment from `w-1` to `w-2`."""
    response = await bank.post("/v1/payments", payment(amount_minor, payee={"wallet_reference": "w-2"}))
    payment_id = str(response.json()["payment_id"])
    if is_final:
        await bank.institution.pool.execute(
            "UPDATE outbox_payments SET state = 'final' WHERE payment_id = $1", uuid.UUID(payment_id)
        )
    return payment_id


async def received(bank: BankOffice, amount_minor: int = 1_000) -> str:
    """Money that a customer of another bank has paid to `w-2`."""
    receipt_id = uuid.uuid4()
    await bank.institution.pool.execute(
        """INSERT INTO chain_receipts (receipt_id, payer, payee, amount_minor, transaction_hash, block_number)
           VALUES ($1, $2, $3, $4, $5, 99)""",
        receipt_id, STRANGER, await bank.address_of("w-2"), amount_minor, b"\x07" * 32,
    )  # fmt: skip
    await bank.chain.register(STRANGER, OTHER_BANK, CUSTOMER_TIER)
    return str(receipt_id)


async def pay_back(
    bank: BankOffice, original_id: str, amount_minor: int, key: str | None = None, **changes: Any
) -> httpx.Response:
    body = {"original_id": original_id, "amount_minor": amount_minor} | changes
    return await bank.post("/v1/refunds", body, key=key)


async def test_a_refund_goes_back_to_the_wallet_that_paid(two: BankOffice) -> None:
    for original_id, payer in (
        (await paid(two), await two.address_of("w-1")),
        (await received(two), STRANGER),
    ):
        response = await pay_back(two, original_id, 1_000, note="sorry")
        assert response.status_code == 202, response.text
        shown = (await two.get(f"/v1/payments/{response.json()['payment_id']}")).json()
        assert (shown["payee"], shown["amount_minor"], shown["note"]) == (address_text(payer), 1_000, "sorry")
        assert shown["payer_wallet_id"] == await wallet_id(two, "w-2")
        linked = (await two.get(f"/v1/refunds/{original_id}")).json()
        assert linked == {
            "original_id": original_id,
            "amount_minor": 1_000,
            "refundable_minor": 0,
            "refunds": [{"payment_id": shown["payment_id"], "amount_minor": 1_000, "has_failed": False}],
        }


async def test_receipts_are_listed(two: BankOffice) -> None:
    receipt_id = await received(two)
    for wallet, expected in (("w-2", [receipt_id]), ("w-1", [])):
        listed = (await two.get("/v1/receipts", wallet_id=await wallet_id(two, wallet))).json()["receipts"]
        assert [each["receipt_id"] for each in listed] == expected


async def test_parts_are_never_more_than_the_original(two: BankOffice) -> None:
    original_id = await paid(two)
    assert (await pay_back(two, original_id, 600)).status_code == 202
    above = await pay_back(two, original_id, 401)
    assert (above.status_code, above.json()["code"]) == (422, "RefundAboveOriginal")
    assert above.json()["refundable_minor"] == 400
    assert (await pay_back(two, original_id, 400)).status_code == 202
    assert (await pay_back(two, original_id, 1)).json()["refundable_minor"] == 0


async def test_many_refunds_at_once_are_never_more_than_the_original(
    two: BankOffice, twin: BankOffice
) -> None:
    for original_id in (await paid(two), await received(two)):
        answers = await asyncio.gather(
            *(pay_back(office, original_id, 300) for _ in range(4) for office in (two, twin))
        )
        assert sorted(answer.status_code for answer in answers) == [202] * 3 + [422] * 5
        linked = (await two.get(f"/v1/refunds/{original_id}")).json()
        assert (len(linked["refunds"]), linked["refundable_minor"]) == (3, 100)


async def test_a_refund_that_failed_on_chain_does_not_count(two: BankOffice) -> None:
    original_id = await paid(two)
    failed = (await pay_back(two, original_id, 1_000)).json()["payment_id"]
    await two.institution.pool.execute(
        "UPDATE outbox_payments SET state = 'failed' WHERE payment_id = $1", uuid.UUID(failed)
    )
    assert (await two.get(f"/v1/refunds/{original_id}")).json()["refundable_minor"] == 1_000
    assert (await pay_back(two, original_id, 1_000)).status_code == 202


async def test_the_same_key_is_the_same_refund(two: BankOffice, twin: BankOffice) -> None:
    original_id = await paid(two)
    answers = await asyncio.gather(*(pay_back(office, original_id, 900, "k") for office in (two, twin, two)))
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.content for answer in answers}) == 1
    linked = (await two.get(f"/v1/refunds/{original_id}")).json()
    assert linked["refundable_minor"] == 100
    assert (await pay_back(two, original_id, 50, "k")).json()["code"] == "IdempotencyKeyReused"
    other = await paid(two)
    assert (await pay_back(two, other, 900, "k")).json()["code"] == "IdempotencyKeyReused"


async def test_a_refund_that_a_rule_refuses_counts_for_nothing(two: BankOffice) -> None:
    original_id = await received(two, OPENING_MINOR + 1)
    for _ in range(2):
        refused = await pay_back(two, original_id, OPENING_MINOR + 1, "k")
        assert (refused.status_code, refused.json()["code"]) == (422, "InsufficientFunds")
    linked = (await two.get(f"/v1/refunds/{original_id}")).json()
    assert (linked["refunds"], linked["refundable_minor"]) == ([], OPENING_MINOR + 1)


async def test_what_cannot_be_refunded(two: BankOffice) -> None:
    pending = await pay_back(two, await paid(two, is_final=False), 1)
    assert (pending.status_code, pending.json()["code"]) == (409, "OriginalNotFinal")
    funding = (await two.post("/v1/fundings", {"wallet_reference": "w-1", "amount_minor": 5})).json()
    to_a_biller = (await two.post("/v1/payments", payment())).json()
    for unknown in (str(uuid.uuid4()), funding["payment_id"], to_a_biller["payment_id"]):
        assert (await pay_back(two, unknown, 1)).status_code == 404
        assert (await two.get(f"/v1/refunds/{unknown}")).status_code == 404


async def test_a_person_refunds_only_what_they_were_paid(two: BankOffice) -> None:
    body = RefundBody(original_id=uuid.UUID(await paid(two)), amount_minor=10)
    payer, payee = [
        await two.institution.pool.fetchval("SELECT id FROM customers WHERE reference = $1", reference)
        for reference in ("c-1", "c-2")
    ]
    with pytest.raises(NotFound):
        await refund(two.institution, "customer:1", "k", body, payer)
    outcome = await refund(two.institution, "customer:2", "k", body, payee)
    assert outcome.state == "accepted"


async def test_a_refund_is_foreseen(two: BankOffice) -> None:
    original_id = await paid(two)
    before = await two.state()
    body = {"original_id": original_id, "amount_minor": 10}
    foreseen = (await two.post("/v1/refunds/preflight", body, key="k")).json()
    assert await two.state() == before
    assert foreseen["would_be_accepted"]
    made = (await pay_back(two, original_id, 10, "k")).json()
    assert foreseen["to_approve"] == {
        "payment_id": made["payment_id"],
        "payer": address_text(await two.address_of("w-2")),
        "payee": address_text(await two.address_of("w-1")),
        "amount_minor": 10,
    }
