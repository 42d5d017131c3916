"""Billers.

A biller
├── that is new: known from then on, alone or in bulk
├── again: the same answer; with another name or address: refused
└── that cannot be read: a typed error, and nothing changes
Lists: by reference, in pages, and by a part of the name
"""

from __future__ import annotations

from typing import Any

from api.addresses import address_text
from tests.api.offices import BILLER, BankOffice


def biller(reference: str = "b-2", **changes: Any) -> dict[str, Any]:
    return {"reference": reference, "name": "100% Water", "address": address_text(b"\x77" * 20)} | changes


async def test_the_same_biller_again_gets_the_same_answer(bank: BankOffice) -> None:
    first = await bank.post("/v1/billers", biller(), key="k-1")
    assert (first.status_code, first.json()["address"]) == (201, address_text(b"\x77" * 20))
    assert (await bank.post("/v1/billers", biller(), key="k-1")).content == first.content
    lower = biller(address=address_text(b"\x77" * 20).lower())
    assert await bank.bulk("/v1/billers:bulk", [biller(), lower]) == [first.json()] * 2


async def test_refused_billers_change_nothing(bank: BankOffice) -> None:
    before = await bank.state(without=["idempotency_keys"])
    cases = [
        (biller("b-1", address=address_text(BILLER)), "IdempotencyKeyReused"),
        (biller("b-1", name="Gas & Water"), "IdempotencyKeyReused"),
        (biller(address="0x" + "0" * 40), "MalformedRequest"),
        (biller(address="77" * 20), "MalformedRequest"),
        (biller(address=7), "MalformedRequest"),
        (biller(name=""), "MalformedRequest"),
        (biller(bank="x"), "UnknownField"),
    ]
    for body, code in cases:
        assert (await bank.post("/v1/billers", body)).json()["code"] == code, body
    answers = await bank.bulk("/v1/billers:bulk", [body for body, _ in cases])
    assert [(each["state"], each["code"]) for each in answers] == [("error", code) for _, code in cases]
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_billers_are_found_by_a_part_of_the_name(bank: BankOffice) -> None:
    await bank.bulk("/v1/billers:bulk", [biller("b-2"), biller("b-3", name="100 Leasing")])

    async def found(**query: Any) -> list[str]:
        return [each["reference"] for each in (await bank.get("/v1/billers", **query)).json()["billers"]]

    assert await found() == ["b-1", "b-2", "b-3"]
    assert await found(search="water") == ["b-1", "b-2"]
    assert await found(search="100%") == ["b-2"]
    assert await found(search="_") == []
    assert await found(limit=1, after="b-1") == ["b-2"]
