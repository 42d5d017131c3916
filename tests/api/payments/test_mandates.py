"""Mandates, and payments with a customer's proof.

A mandate
├── given: passed on; repeated: the same answer; other content: 422; unknown parties: refused
├── of a wallet without an address: refused, since nobody can have approved it
├── revoked: `revoked` at once, also when repeated; unknown: 404
└── counted by state
A payment under a mandate
├── that is active: accepted, and the intent carries it
└── unknown, not active, for another wallet or payee, out of its time, or too small: refused
A payment with an assertion: carried to the intent as it came; another one under the same key is refused
Preflight under a key: what there is to approve, the same payment as is made under that key
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.addresses import address_text
from tests.api.offices import BILLER, BankOffice, payment
from tests.fakes.final_chain import CUSTOMER_TIER

if TYPE_CHECKING:
    import httpx

MANDATE_ID = uuid.UUID("7d6a3c1e-0000-4000-8000-000000000001")
ASSERTION = {
    "expires_at_s": 1_900_000_000,
    "credential_id": "Y3JlZA",
    "authenticator_data": "YXV0aA",
    "client_data_json": "e30",
    "signature": "c2ln",
}
LONG_AGO_S, FAR_OFF_S = 1_000_000_000, 4_000_000_000


def mandate(**changes: Any) -> dict[str, Any]:
    body = {
        "mandate_id": str(MANDATE_ID),
        "payer_wallet_reference": "w-1",
        "payee": {"biller_reference": "b-1"},
        "cap_minor": 1_000,
        "period": "month",
        "starts_at_s": LONG_AGO_S,
        "expires_at_s": FAR_OFF_S,
        "approval": ASSERTION,
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


async def settle_mandate(bank: BankOffice, state: str = "active", **changes: Any) -> None:
    """A mandate as the signer's word left it."""
    response = await bank.post("/v1/mandates", mandate(**changes))
    assert response.status_code == 202, response.text
    await bank.institution.pool.execute("UPDATE outbox_mandates SET state = $1", state)


def codes_of(response: httpx.Response) -> list[str]:
    assert response.status_code == 422, response.text
    return [reason["code"] for reason in response.json()["reasons"]]


async def test_a_mandate_is_passed_on_and_repeating_it_gives_the_same_answer(bank: BankOffice) -> None:
    first = await bank.post("/v1/mandates", mandate())
    assert first.status_code == 202
    assert first.json()["state"] == "requested"
    assert first.json()["payee"] == address_text(BILLER)
    row = await bank.institution.pool.fetchrow("SELECT * FROM outbox_mandates")
    assert (row["payer"], row["payee"], row["state"]) == (await bank.address_of("w-1"), BILLER, "queued")
    assert json.loads(row["approval"]) == ASSERTION
    for approval in (ASSERTION, ASSERTION | {"signature": "eA"}):
        again = await bank.post("/v1/mandates", mandate(approval=approval))
        assert again.json() == first.json()
    assert (
        json.loads(await bank.institution.pool.fetchval("SELECT approval FROM outbox_mandates")) == ASSERTION
    )
    assert await bank.institution.pool.fetchval("SELECT count(*) FROM outbox_mandates") == 1


@pytest.mark.parametrize(
    "change", [{"cap_minor": 1_001}, {"period": "week"}, {"starts_at_s": LONG_AGO_S + 1}]
)
async def test_a_known_mandate_with_other_content_is_refused(bank: BankOffice, change: Any) -> None:
    await bank.post("/v1/mandates", mandate())
    before = await bank.state(without=["idempotency_keys"])
    refused = await bank.post("/v1/mandates", mandate(**change))
    assert (refused.status_code, refused.json()["code"]) == (422, "IdempotencyKeyReused")
    assert await bank.state(without=["idempotency_keys"]) == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"payer_wallet_reference": "nobody"}, "UnknownWallet"),
        ({"payee": {"biller_reference": "nobody"}}, "UnknownPayee"),
        ({"payee": {"wallet_reference": "nobody"}}, "UnknownPayee"),
        ({"cap_minor": 0}, "AmountNotPositive"),
        ({"period": "year"}, "MalformedRequest"),
        ({"expires_at_s": LONG_AGO_S}, "MalformedRequest"),
        ({"approval": ASSERTION | {"signature": "not base64url!"}}, "MalformedRequest"),
        ({"approval": ASSERTION | {"more": 1}}, "UnknownField"),
    ],
)
async def test_what_cannot_be_a_mandate_is_refused(bank: BankOffice, change: Any, code: str) -> None:
    before = await bank.state(without=["idempotency_keys"])
    refused = await bank.post("/v1/mandates", mandate(**change))
    assert refused.json()["code"] == code
    assert refused.status_code >= 400
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_a_wallet_without_an_address_cannot_have_approved_anything(bank: BankOffice) -> None:
    wallet = {
        "reference": "w-2", "customer_reference": "c-1", "account_reference": "a-1", "tier": CUSTOMER_TIER,
    }  # fmt: skip
    assert (await bank.post("/v1/wallets", wallet)).status_code == 202
    refused = await bank.post("/v1/mandates", mandate(payer_wallet_reference="w-2"))
    assert (refused.status_code, refused.json()["code"]) == (409, "WalletWithoutAddress")


async def test_a_mandate_is_revoked_at_once_and_once(bank: BankOffice) -> None:
    await settle_mandate(bank)
    path = f"/v1/mandates/{MANDATE_ID}"
    for _ in range(2):
        assert (await bank.post(f"{path}/revocation", None)).json()["state"] == "revoked"
    assert (await bank.get(path)).json()["state"] == "revoked"
    assert await bank.institution.pool.fetchval("SELECT state FROM outbox_mandates") == "revoking"
    assert (await bank.get("/v1/mandates:summary")).json() == {"states": {"revoked": 1}}


async def test_many_mandates_are_given_line_by_line(bank: BankOffice) -> None:
    other = str(uuid.UUID(int=7))
    lines = [mandate(), mandate(mandate_id=other, payer_wallet_reference="nobody"), mandate(cap_minor=2)]
    first, second, third = await bank.bulk("/v1/mandates:bulk", lines)
    assert (first["mandate_id"], first["state"]) == (str(MANDATE_ID), "requested")
    assert (second["reference"], second["code"]) == (other, "UnknownWallet")
    assert third["code"] == "IdempotencyKeyReused"
    assert (await bank.bulk("/v1/mandates:bulk", lines[:1])) == [first]


async def test_an_unknown_mandate_is_not_found(bank: BankOffice) -> None:
    path = f"/v1/mandates/{MANDATE_ID}"
    assert (await bank.get(path)).status_code == 404
    assert (await bank.post(f"{path}/revocation", None)).status_code == 404


async def test_a_payment_under_an_active_mandate_carries_it_to_the_signer(bank: BankOffice) -> None:
    await settle_mandate(bank)
    response = await bank.post("/v1/payments", payment(1_000, mandate_id=str(MANDATE_ID)))
    assert response.status_code == 202, response.text
    proofs = await bank.institution.pool.fetch("SELECT kind, proof FROM outbox_payments ORDER BY seq")
    assert [(row["kind"], json.loads(row["proof"] or "null")) for row in proofs] == [
        ("funding", None),
        ("payment", {"kind": "mandate", "mandate_id": str(MANDATE_ID)}),
    ]
    assert await bank.institution.pool.fetchval("SELECT mandate_id FROM payments") == MANDATE_ID


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("queued", "MandateNotReady"),
        ("refused", "MandateRefused"),
        ("revoking", "MandateRevoked"),
        ("revoked", "MandateRevoked"),
    ],
)
async def test_a_mandate_that_is_not_active_covers_nothing(bank: BankOffice, state: str, code: str) -> None:
    await settle_mandate(bank, state)
    refused = await bank.post("/v1/payments", payment(1_000, mandate_id=str(MANDATE_ID)))
    assert codes_of(refused) == [code]
    assert await bank.intents() == []


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"payee": {"address": "0x" + "d5" * 20}}, "MandatePayeeMismatch"),
        ({"starts_at_s": FAR_OFF_S - 1}, "MandateNotYetValid"),
        ({"expires_at_s": LONG_AGO_S + 1}, "MandateExpired"),
        ({"cap_minor": 999}, "MandateCapExceeded"),
    ],
)
async def test_a_mandate_covers_only_what_it_says(bank: BankOffice, terms: Any, code: str) -> None:
    await settle_mandate(bank, **terms)
    assert codes_of(await bank.post("/v1/payments", payment(1_000, mandate_id=str(MANDATE_ID)))) == [code]


async def test_another_wallet_cannot_pay_under_a_mandate(bank: BankOffice) -> None:
    await bank.add_customer(2)
    await settle_mandate(bank)
    asked = payment(1_000, payer_wallet_reference="w-2", mandate_id=str(MANDATE_ID))
    assert codes_of(await bank.post("/v1/payments", asked)) == ["MandatePayerMismatch"]


async def test_an_unknown_mandate_covers_nothing(bank: BankOffice) -> None:
    refused = await bank.post("/v1/payments", payment(1_000, mandate_id=str(MANDATE_ID)))
    assert codes_of(refused) == ["MandateUnknown"]


async def test_an_assertion_is_carried_to_the_signer_as_it_came(bank: BankOffice) -> None:
    assert (await bank.post("/v1/payments", payment(1_000, proof=ASSERTION), key="k")).status_code == 202
    proof = await bank.institution.pool.fetchval("SELECT proof FROM outbox_payments WHERE kind = 'payment'")
    assert json.loads(proof) == {"kind": "assertion", **ASSERTION}
    other = payment(1_000, proof=ASSERTION | {"signature": "eA"})
    assert (await bank.post("/v1/payments", other, key="k")).json()["code"] == "IdempotencyKeyReused"


async def test_a_mandate_and_an_assertion_together_are_refused(bank: BankOffice) -> None:
    both = payment(1_000, proof=ASSERTION, mandate_id=str(MANDATE_ID))
    assert (await bank.post("/v1/payments", both)).json()["code"] == "MalformedRequest"


async def test_a_redemption_carries_its_assertion(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 300)
    body = {"wallet_reference": "w-1", "amount_minor": 300, "proof": ASSERTION}
    assert (await bank.post("/v1/redemptions", body)).status_code == 202
    proof = await bank.institution.pool.fetchval("SELECT proof FROM outbox_payments")
    assert json.loads(proof)["kind"] == "assertion"


async def test_preflight_under_a_key_says_what_there_is_to_approve(bank: BankOffice) -> None:
    response = await bank.post("/v1/payments/preflight", payment(1_000), key="k-7")
    to_approve = response.json()["to_approve"]
    made = await bank.post("/v1/payments", payment(1_000), key="k-7")
    assert to_approve == {
        "payment_id": made.json()["payment_id"],
        "payer": address_text(await bank.address_of("w-1")),
        "payee": address_text(BILLER),
        "amount_minor": 1_000,
    }


async def test_a_wallets_first_credential_goes_with_its_request(bank: BankOffice) -> None:
    credential = {"credential_id": "Y3JlZA", "algorithm": -7, "public_key": "eA"}
    wallet = {
        "reference": "w-2", "customer_reference": "c-1", "account_reference": None, "tier": CUSTOMER_TIER,
    }  # fmt: skip
    assert (await bank.post("/v1/wallets", wallet | {"credential": credential})).status_code == 202
    stored = await bank.institution.pool.fetchval(
        "SELECT credential FROM outbox_registrations ORDER BY seq DESC LIMIT 1"
    )
    assert json.loads(stored) == credential
    assert (await bank.post("/v1/wallets", wallet | {"credential": credential})).status_code == 202
    changed = wallet | {"credential": credential | {"public_key": "eQ"}}
    for other in (wallet, changed):
        assert (await bank.post("/v1/wallets", other)).json()["code"] == "IdempotencyKeyReused"
