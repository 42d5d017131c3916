"""API keys.

A key
├── is shown once, and only its hash is kept
├── opens the routes of its scopes, and no others
├── that is unknown, cut short, in another scheme, or in a cookie: 401, all alike
├── that was revoked: 401 within two seconds
└── of the same name as another one: the same caller, so a retry with the new key is still a retry
A scope that no route asks for cannot be given
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from api.database import transaction
from api.identity.access import known_scopes
from api.identity.errors import InvalidCallerName, UnknownScope
from api.identity.keys import KeyRing, create_key, revoke_keys
from tests.api.offices import BankOffice, payment

if TYPE_CHECKING:
    import httpx


async def new_key(bank: BankOffice, name: str, *scopes: str) -> str:
    async with transaction(bank.institution.pool) as conn:
        return await create_key(conn, name, scopes, "bank")


async def get_with(bank: BankOffice, authorization: str | None, **more: str) -> httpx.Response:
    headers = {"Authorization": authorization or "", **more}
    return await bank.client.get("/v1/wallets:summary", headers=headers)


async def test_only_the_hash_of_a_key_is_kept(bank: BankOffice) -> None:
    key = await new_key(bank, "auditor", "wallets:read")
    rows = (await bank.state())["api_keys"]
    assert key not in repr(rows)
    assert hashlib.sha256(key.encode()).digest() in [row[2] for row in rows]


async def test_a_key_opens_the_routes_of_its_scopes_only(bank: BankOffice) -> None:
    key = await new_key(bank, "auditor", "wallets:read")
    assert (await get_with(bank, f"Bearer {key}")).status_code == 200
    headers = {"Authorization": f"Bearer {key}"}
    refused = await bank.client.get("/v1/payments:summary", headers=headers)
    assert (refused.status_code, refused.json()["code"], refused.json()["scope"]) == (
        403, "ScopeMissing", "payments:read",
    )  # fmt: skip


async def test_whatever_is_no_good_key_gets_the_same_answer(bank: BankOffice) -> None:
    key = bank.key
    answers = [
        await get_with(bank, None),
        await get_with(bank, "Bearer"),
        await get_with(bank, f"Bearer {key[:-1]}"),
        await get_with(bank, f"Bearer {key}x"),
        await get_with(bank, f"Bearer {key.upper()}"),
        await get_with(bank, f"Basic {key}"),
        await get_with(bank, key),
        await get_with(bank, "Bearer florin_" + "x" * 10_000),
        await bank.client.get("/v1/wallets:summary", headers={b"Authorization": b"Bearer florin_\xff"}),
        await get_with(bank, None, Cookie=f"florin_session_bank-a={key}"),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert answers[0].headers["www-authenticate"] == "Bearer"


async def test_a_revoked_key_stops_working(bank: BankOffice) -> None:
    key = await new_key(bank, "auditor", "wallets:read")
    async with transaction(bank.institution.pool) as conn:
        assert await revoke_keys(conn, "auditor") == 1
    bank.app.state.key_ring = KeyRing(bank.institution.pool)  # what two seconds do to the one that remembers
    assert (await get_with(bank, f"Bearer {key}")).status_code == 401
    assert (await get_with(bank, f"Bearer {bank.key}")).status_code == 200


async def test_a_replaced_key_keeps_its_callers_references(bank: BankOffice) -> None:
    first = await bank.post("/v1/payments", payment(), key="k-1")
    renewed = await new_key(bank, "caller-1", "payments:write")
    stranger = await new_key(bank, "caller-2", "payments:write")
    headers = {"Authorization": f"Bearer {renewed}", "Idempotency-Key": "k-1"}
    again = await bank.client.post("/v1/payments", json=payment(), headers=headers)
    assert again.json() == first.json()
    headers["Authorization"] = f"Bearer {stranger}"
    other = await bank.client.post("/v1/payments", json=payment(), headers=headers)
    assert other.json()["payment_id"] != first.json()["payment_id"]


async def test_a_scope_that_no_route_asks_for_cannot_be_given(bank: BankOffice) -> None:
    with pytest.raises(UnknownScope):
        await new_key(bank, "auditor", "everything")


@pytest.mark.parametrize("name", ["", "customer:8c1f", "a b", "ü", "n" * 65])
async def test_a_caller_cannot_be_named_like_a_customer_or_unreadably(bank: BankOffice, name: str) -> None:
    with pytest.raises(InvalidCallerName):
        await new_key(bank, name, "wallets:read")


def test_the_two_kinds_of_institution_have_their_own_scopes() -> None:
    assert "currency:write" in known_scopes("central_bank")
    assert "currency:write" not in known_scopes("bank")
