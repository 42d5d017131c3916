"""Customers.

A customer
├── that is new: created, alone or in bulk
├── with a known reference and the same name: the same answer, whatever the key
├── with a known reference and another name: refused
├── named in any script, or hostile: kept as it is
├── whose name cannot be seen, or turns the text around it: refused
└── that cannot be read: a typed error, and nothing changes
"""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.api.offices import BankOffice

NAMES = [
    "Jana Nováková",
    "李明",
    '"><script>alert(1)</script>',
    "نامه‌رسان",  # a joiner that Persian needs
    " J. ",
    "'; DROP TABLE customers; --",
    "x" * 200,
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_customer_keeps_its_name(bank: BankOffice, name: str) -> None:
    made = await bank.post("/v1/customers", {"reference": "c-2", "name": name})
    assert made.status_code == 201
    shown = await bank.get(f"/v1/customers/{made.json()['customer_id']}")
    assert shown.json() | {"created_at": ""} == made.json() | {"created_at": ""}
    assert shown.json()["name"] == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u00a0\u3000", "\u200b", "\u200d", "\u202eevil", "a\u2066b", "a\nb", "a\u2028b", "\ufeffa"],
)
async def test_a_name_that_misleads_the_eye_is_refused(bank: BankOffice, name: str) -> None:
    before = await bank.state(without=["idempotency_keys"])
    response = await bank.post("/v1/customers", {"reference": "c-2", "name": name})
    assert (response.status_code, response.json()["code"]) == (400, "MalformedRequest")
    (field,) = response.json()["fields"]
    assert field["field"] == "name"
    assert "\\" not in field["problem"]
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_the_same_customer_again_gets_the_same_answer(bank: BankOffice) -> None:
    body = {"reference": "c-2", "name": "Two"}
    first = await bank.post("/v1/customers", body, key="k-1")
    assert (await bank.post("/v1/customers", body, key="k-1")).content == first.content
    assert (await bank.post("/v1/customers", body, key="k-2")).json() == first.json()
    assert await bank.bulk("/v1/customers:bulk", [body]) == [first.json()]


async def test_a_known_reference_with_another_name_is_refused(bank: BankOffice) -> None:
    before = await bank.state(without=["idempotency_keys"])
    response = await bank.post("/v1/customers", {"reference": "c-1", "name": "Somebody else"})
    assert (response.status_code, response.json()["code"]) == (422, "IdempotencyKeyReused")
    (line,) = await bank.bulk("/v1/customers:bulk", [{"reference": "c-1", "name": "Somebody else"}])
    assert (line["state"], line["code"]) == ("error", "IdempotencyKeyReused")
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_lines_of_a_bulk_request_are_answered_in_order(bank: BankOffice) -> None:
    lines = [{"reference": f"n-{i % 3}", "name": f"N {i % 3}"} for i in range(6)]
    answers = await bank.bulk("/v1/customers:bulk", lines)
    assert [each["reference"] for each in answers] == [line["reference"] for line in lines]
    assert answers[:3] == answers[3:]


async def test_two_bulk_requests_with_the_same_references_do_not_meet_badly(bank: BankOffice) -> None:
    lines = [{"reference": f"n-{i}", "name": f"N {i}"} for i in range(600)]
    answers = await asyncio.gather(
        bank.bulk("/v1/customers:bulk", lines), bank.bulk("/v1/customers:bulk", lines[::-1])
    )
    assert answers[0] == answers[1][::-1]


async def test_what_cannot_be_read_changes_nothing(bank: BankOffice) -> None:
    before = await bank.state()
    for body, code in (
        ({"reference": "c 2", "name": "Two"}, "MalformedRequest"),
        ({"reference": "", "name": "Two"}, "MalformedRequest"),
        ({"reference": "c-2", "name": ""}, "MalformedRequest"),
        ({"reference": "c-2", "name": "a\x00b"}, "MalformedRequest"),
        ({"reference": "c-2", "name": "a\nb"}, "MalformedRequest"),
        ({"reference": "c-2", "name": "x" * 201}, "MalformedRequest"),
        ({"reference": "č-2", "name": "Two"}, "MalformedRequest"),
        ({"reference": "c-2", "name": 7}, "MalformedRequest"),
        ({"reference": "c-2", "name": "Two", "vip": True}, "UnknownField"),
        ({"reference": "c-2"}, "MalformedRequest"),
    ):
        response = await bank.post("/v1/customers", body)
        assert (response.status_code, response.json()["code"]) == (400, code), body
    assert await bank.state() == before


@pytest.mark.parametrize("customer_id", [str(uuid.UUID(int=7)), "not-an-id", "%00"])
async def test_another_id_is_not_found_or_malformed(bank: BankOffice, customer_id: str) -> None:
    response = await bank.get(f"/v1/customers/{customer_id}")
    assert response.status_code in {400, 404}
    assert response.json()["code"] in {"NotFound", "MalformedRequest"}
