"""Asking to be paid.

A payment request
├── made: open, with a token; the same key is the same request, another content is refused
├── for a wallet that is another's, unknown or not ready: refused
├── paid: its payee has the money, it says by which payment; by another amount, or twice: refused
│   ├── many who pay at once: one is accepted, whatever process they ask
│   ├── the same key again: the same answer
│   ├── refused by a rule: recorded as such, and the request stays open
│   └── by a payment that failed on chain: open again
├── declined by the person who was asked, and by nobody else
├── cancelled by its payee, and by nobody else
├── expired: cannot be paid any more
├── found by its token by whoever has it; listed for its two sides, and for no third one
├── of somebody by alias: in their list; of somebody who banks elsewhere: refused
└── in bulk or as a mandate's payee: refused
A note never leaves the bank: it is in no intent and in no transaction
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from api.addresses import address_text
from api.chain.outbox import PaymentIntent
from api.payments.directory_client import DirectoryClient
from tests.api.directory.conftest import BOB, Bank, first, office, second, secret_file
from tests.api.offices import OPENING_MINOR, BankOffice, Office, open_office, payment
from tests.api.payments.test_aliases import person, wallet_id
from tests.fakes.final_chain import CUSTOMER_TIER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["first", "office", "second", "secret_file"]

LATER_S = 3_600


@pytest.fixture
async def two(bank: BankOffice) -> BankOffice:
    """A bank with a second customer, `w-2`."""
    await bank.add_customer(2)
    return bank


@pytest.fixture
async def twin(two: BankOffice) -> AsyncIterator[BankOffice]:
    """Another process of the same bank."""
    async with open_office(two.database) as office:
        yield office


async def ask(bank: BankOffice, key: str | None = None, **changes: Any) -> httpx.Response:
    """Ask, for `w-2`."""
    body = {
        "payee_wallet_id": await wallet_id(bank, "w-2"),
        "amount_minor": 500,
        "note": "lunch",
        "expires_at_s": int(time.time()) + LATER_S,
    }
    return await bank.post("/v1/payment-requests", body | changes, key=key)


async def asked(bank: BankOffice, **changes: Any) -> dict[str, Any]:
    response = await ask(bank, **changes)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def paying(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return payment(500, payee={"request_token": request["token"]}, **changes)


async def state_of(bank: BankOffice, request: dict[str, Any]) -> str:
    return str((await bank.get(f"/v1/payment-requests/{request['request_id']}")).json()["state"])


async def test_a_request_is_made_once_for_its_key(two: BankOffice) -> None:
    expires_at_s = int(time.time()) + LATER_S
    made = (await ask(two, "k", expires_at_s=expires_at_s)).json()
    assert (await ask(two, "k", expires_at_s=expires_at_s)).json() == made
    assert (made["state"], made["payee_name"], made["note"]) == ("open", "Customer 2", "lunch")
    assert made["payee"] == address_text(await two.address_of("w-2"))
    for change in ({"amount_minor": 501}, {"note": None}, {"expires_at_s": expires_at_s + 1}):
        other = await ask(two, "k", **({"expires_at_s": expires_at_s} | change))
        assert other.json()["code"] == "IdempotencyKeyReused"
    assert (await ask(two, payee_wallet_id=str(uuid.uuid4()))).json()["code"] == "UnknownWallet"
    assert (await ask(two, payer_customer_reference="c-0")).json()["code"] == "UnknownCustomer"
    for moment_s, state in ((1, "expired"), (2**40 - 1, "open")):
        assert (await ask(two, expires_at_s=moment_s)).json()["state"] == state


async def test_a_request_is_paid_once(two: BankOffice) -> None:
    request = await asked(two)
    wrong = await two.post("/v1/payments", paying(request) | {"amount_minor": 499})
    assert (wrong.json()["code"], wrong.json()["amount_minor"]) == ("RequestAmountDiffers", 500)
    foreseen = (await two.post("/v1/payments/preflight", paying(request), key="p")).json()
    assert foreseen["to_approve"]["payee"] == request["payee"]
    paid = await two.post("/v1/payments", paying(request), key="p")
    assert paid.status_code == 202, paid.text
    assert paid.json()["payment_id"] == foreseen["to_approve"]["payment_id"]
    assert (await two.post("/v1/payments", paying(request), key="p")).json() == paid.json()
    shown = (await two.get(f"/v1/payment-requests/{request['request_id']}")).json()
    assert (shown["state"], shown["payment_id"]) == ("paid", paid.json()["payment_id"])
    again = await two.post("/v1/payments", paying(request))
    assert (again.status_code, again.json()["code"], again.json()["state"]) == (409, "RequestClosed", "paid")
    assert await two.intents() == [("funding", 500), ("payment", 500)]
    assert (await two.post("/v1/payments", paying({"token": "A" * 22}))).status_code == 404


async def test_many_who_pay_a_request_at_once_pay_it_once(two: BankOffice, twin: BankOffice) -> None:
    await two.add_customer(3)
    for number in range(6):
        request = await asked(two)
        answers = await asyncio.gather(
            *(
                office.post("/v1/payments", paying(request, payer_wallet_reference=wallet))
                for office in (two, twin)
                for wallet in ("w-1", "w-3")
            ),
            two.post(f"/v1/payment-requests/{request['request_id']}/cancellation", None),
        )
        codes = sorted(answer.status_code for answer in answers[:4])
        was_cancelled = answers[4].status_code == 200
        assert codes == ([409] * 4 if was_cancelled else [202, 409, 409, 409]), number
        assert await state_of(two, request) == ("cancelled" if was_cancelled else "paid")


async def test_a_refused_payment_leaves_the_request_open(two: BankOffice) -> None:
    request = await asked(two, amount_minor=OPENING_MINOR + 1)
    body = paying(request) | {"amount_minor": OPENING_MINOR + 1}
    for _ in range(2):
        refused = await two.post("/v1/payments", body, key="k")
        assert (refused.status_code, refused.json()["code"]) == (422, "InsufficientFunds")
    shown = await two.get(f"/v1/payments/{refused.json()['payment_id']}")
    assert shown.json()["state"] == "refused"
    own = await two.post(
        "/v1/payments", paying(request, payer_wallet_reference="w-2") | {"amount_minor": OPENING_MINOR + 1}
    )
    assert own.json()["code"] == "SelfPayment"
    assert await state_of(two, request) == "open"


async def test_a_payment_that_fails_on_chain_leaves_the_request_open_again(two: BankOffice) -> None:
    request = await asked(two)
    assert (await two.post("/v1/payments", paying(request))).status_code == 202
    await two.institution.pool.execute("UPDATE outbox_payments SET state = 'failed' WHERE kind = 'payment'")
    assert await state_of(two, request) == "open"
    assert (await two.post("/v1/payments", paying(request))).status_code == 202
    assert await state_of(two, request) == "paid"


async def test_an_expired_request_cannot_be_paid(two: BankOffice) -> None:
    request = await asked(two, expires_at_s=int(time.time()) - 1)
    assert request["state"] == "expired"
    refused = await two.post("/v1/payments", paying(request))
    assert (refused.json()["code"], refused.json()["state"]) == ("RequestClosed", "expired")
    cancelled = await two.post(f"/v1/payment-requests/{request['request_id']}/cancellation", None)
    assert cancelled.json()["code"] == "RequestClosed"


async def test_only_its_two_sides_end_a_request(two: BankOffice) -> None:
    await two.add_customer(3)
    payer, payee, third = [await person(two, reference) for reference in ("c-1", "c-2", "c-3")]
    mine = "/v1/me/payment-requests"

    async def act(headers: dict[str, str], request: dict[str, Any], verb: str) -> httpx.Response:
        return await two.client.post(f"{mine}/{request['request_id']}/{verb}", headers=headers)

    declined, cancelled = [await asked(two, payer_customer_reference="c-1") for _ in range(2)]
    for headers in (payee, third):
        assert (await act(headers, declined, "decline")).status_code == 404
    for headers in (payer, third):
        assert (await act(headers, cancelled, "cancellation")).status_code == 404
    for _ in range(2):
        assert (await act(payer, declined, "decline")).json()["state"] == "declined"
        assert (await act(payee, cancelled, "cancellation")).json()["state"] == "cancelled"
    for request, state in ((declined, "declined"), (cancelled, "cancelled")):
        refused = await two.post("/v1/payments", paying(request))
        assert refused.json()["state"] == state
    assert (await act(payer, cancelled, "decline")).json()["code"] == "RequestClosed"
    listed = [(await two.client.get(mine, headers=headers)).json() for headers in (payer, payee, third)]
    assert [(len(each["made"]), len(each["received"])) for each in listed] == [(0, 2), (2, 0), (0, 0)]
    seen = await two.client.get(f"{mine}/{declined['token']}", headers=third)
    assert seen.json()["state"] == "declined", "whoever has the token sees the request"
    assert (await two.client.get(f"{mine}/{'B' * 22}", headers=third)).status_code == 404


async def test_a_person_asks_another_by_alias(
    two: BankOffice, office: Office, first: Bank, second: Bank
) -> None:
    await office.chain.register(await two.address_of("w-1"), 1, CUSTOMER_TIER)
    assert (await first.register("@anna", await two.address_of("w-1"))).status_code == 200
    assert (await second.register("@bob", BOB)).status_code == 200
    payer, payee = await person(two, "c-1"), await person(two, "c-2")
    body = {
        "wallet_id": await wallet_id(two, "w-2"),
        "amount_minor": 7,
        "expires_at_s": int(time.time()) + 60,
    }
    async with DirectoryClient("http://central", first.key, httpx.ASGITransport(office.app)) as client:
        two.app.state.directory = client
        answers = [
            await two.client.post(
                "/v1/me/payment-requests",
                json=body | {"payer_alias": alias},
                headers=payee | {"Idempotency-Key": alias},
            )
            for alias in ("@anna", "@bob", "@nobody")
        ]
        other = await two.client.post(
            "/v1/me/payment-requests", json=body, headers=payer | {"Idempotency-Key": "mine"}
        )
    assert [answer.status_code for answer in answers] == [201, 422, 404]
    assert answers[1].json()["code"] == "PayerElsewhere"
    assert other.json()["code"] == "UnknownWallet", "nobody asks into another's wallet"
    received = (await two.client.get("/v1/me/payment-requests", headers=payer)).json()["received"]
    assert received == [answers[0].json()]


async def test_a_request_is_not_paid_in_bulk(two: BankOffice) -> None:
    (line,) = await two.bulk("/v1/payments:bulk", [paying(await asked(two)) | {"reference": "r"}])
    assert line["code"] == "MalformedRequest"


async def test_no_note_reaches_the_chain(two: BankOffice) -> None:
    request = await asked(two, note="NOTE-OF-REQUEST")
    assert (await two.post("/v1/payments", paying(request) | {"note": "NOTE-OF-PAYMENT"})).status_code == 202
    assert not {"note"} & set(PaymentIntent.__slots__)
    tables = await two.state()
    found = {table for table, rows in tables.items() if "NOTE-OF" in repr(rows)}
    assert found == {"payments", "payment_requests"}, "neither outbox nor chain_transactions"
