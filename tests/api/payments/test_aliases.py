"""Paying by alias: two banks and the central bank's directory, over HTTP.

A payment by alias
├── pays the address that the directory answers, whatever bank it is with
├── repeated with its key: the same answer without a look-up, also once the alias pays somebody else
├── by an alias that is none, or that nobody has: refused, and nothing is recorded
├── beside another payee, in bulk, or of a mandate: refused
└── while the directory is away, slow or refuses the bank: 503, nothing is recorded, and it costs nothing
A preflight: whom it would pay, and whether the name is theirs; never the whole name
A customer's budget: misses run out, hits that lead to payments do not; another customer's is untouched
What look-ups led to is shown to the directory once it has a transaction, once
A customer's own alias: registered, listed, released; another's wallet or alias: refused
Nothing is open in the database while the directory is asked
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from api.addresses import address_text
from api.database import transaction
from api.directory.budget import OF_CUSTOMERS
from api.identity.sessions import open_session
from api.payments.aliases import show_payments
from api.payments.directory_client import DirectoryClient
from tests.api.directory.conftest import BOB, Bank, first, office, second, secret_file
from tests.api.offices import BankOffice, Office, payment
from tests.fakes.final_chain import CUSTOMER_TIER, OTHER_BANK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["first", "office", "second", "secret_file"]

PHONE = "+420601000001"
BY_ALIAS = {"alias": "+420 601 000 001"}


@pytest.fixture
async def paying(bank: BankOffice, office: Office, first: Bank, second: Bank) -> AsyncIterator[BankOffice]:
    """A bank that asks the central bank; there, its own wallet is known, and the second bank has an alias."""
    await bank.chain.register(BOB, OTHER_BANK, CUSTOMER_TIER)
    await office.chain.register(await bank.address_of("w-1"), 1, CUSTOMER_TIER)
    assert (await second.register(PHONE, BOB, name="Bob Novák")).status_code == 200
    async with DirectoryClient("http://central", first.key, httpx.ASGITransport(office.app)) as client:
        bank.app.state.directory = client
        yield bank


async def asked(office: Office) -> int:
    """How many look-ups the directory has answered."""
    count: int = await office.institution.pool.fetchval("SELECT count(*) FROM directory_lookups")
    return count


async def test_an_alias_pays_a_customer_of_another_bank(paying: BankOffice) -> None:
    response = await paying.post("/v1/payments", payment(payee=BY_ALIAS))
    assert response.status_code == 202, response.text
    shown = (await paying.get(f"/v1/payments/{response.json()['payment_id']}")).json()
    assert shown["payee"] == address_text(BOB)
    intents = await paying.institution.pool.fetch("SELECT payee FROM outbox_payments WHERE kind = 'payment'")
    assert [row["payee"] for row in intents] == [BOB]


async def test_a_repeated_payment_is_not_looked_up_again(
    paying: BankOffice, office: Office, second: Bank
) -> None:
    answers = [await paying.post("/v1/payments", payment(payee=BY_ALIAS), key="once")]
    await office.chain.register(b"\xbb" * 19 + b"\x01", 2, CUSTOMER_TIER)
    await second.register(PHONE, b"\xbb" * 19 + b"\x01", name="Bob Novák")
    answers += [await paying.post("/v1/payments", payment(payee={"alias": PHONE}), key="once")]
    assert answers[0].json() == answers[1].json()
    assert await asked(office) == 1
    other = await paying.post("/v1/payments", payment(payee={"alias": "@bob"}), key="once")
    assert other.json()["code"] == "IdempotencyKeyReused"


async def test_what_cannot_be_paid_by_alias(paying: BankOffice, office: Office) -> None:
    before = await paying.state(without=["lookup_budgets"])
    for payee, code in (
        ({"alias": "@nobody"}, "AliasUnknown"),
        ({"alias": "Bob"}, "AliasUnreadable"),
        (BY_ALIAS | {"biller_reference": "b-1"}, "MalformedRequest"),
        ({"biller_reference": "b-1", "payee_name": "Bob"}, "MalformedRequest"),
    ):
        assert (await paying.post("/v1/payments", payment(payee=payee))).json()["code"] == code
    (line,) = await paying.bulk("/v1/payments:bulk", [payment(payee=BY_ALIAS) | {"reference": "r"}])
    assert line["code"] == "MalformedRequest"
    unknown = await paying.post("/v1/payments", payment(payee=BY_ALIAS, payer_wallet_reference="w-0"))
    assert unknown.json()["code"] == "UnknownWallet"
    assert await paying.state(without=["lookup_budgets"]) == before
    assert await asked(office) == 1, "only what could have been paid was asked about"


class Weather(httpx.AsyncBaseTransport):
    """A directory that does not work, in a given way."""

    def __init__(self, way: str) -> None:
        self.way = way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.way == "away":
            raise httpx.ConnectError("refused")
        if self.way == "slow":
            raise httpx.ReadTimeout("too slow")
        if self.way == "nonsense":
            return httpx.Response(200, text="<html>")
        return httpx.Response(int(self.way), json={"code": "Unauthenticated"})


@pytest.mark.parametrize("way", ["away", "slow", "nonsense", "401", "403", "500", "302"])
async def test_without_the_directory_nothing_is_decided(bank: BankOffice, way: str) -> None:
    before = await bank.state(without=["lookup_budgets"])
    async with DirectoryClient("http://central", "key", Weather(way)) as client:
        bank.app.state.directory = client
        for _ in range(2 * OF_CUSTOMERS.capacity // OF_CUSTOMERS.miss):
            response = await bank.post("/v1/payments", payment(payee=BY_ALIAS))
            assert (response.status_code, response.json()["code"]) == (503, "DirectoryUnavailable")
    assert await bank.state(without=["lookup_budgets"]) == before


async def test_a_bank_without_a_directory_says_so(bank: BankOffice) -> None:
    response = await bank.post("/v1/payments", payment(payee=BY_ALIAS))
    assert (response.status_code, response.json()["code"]) == (503, "NoDirectory")


async def test_a_preflight_says_whom_it_would_pay(paying: BankOffice) -> None:
    for name, match in (("Novák Bob", "match"), ("Bob Novak", "match"), ("Eve", "no_match"), (None, None)):
        body = payment(payee=BY_ALIAS | ({"payee_name": name} if name else {}))
        response = await paying.post("/v1/payments/preflight", body, key="later")
        answer = response.json()
        assert answer["payee"] == {
            "address": address_text(BOB),
            "participant_id": 2,
            "masked_name": "B*** N***",
            "name_match": match,
        }
        assert answer["to_approve"]["payee"] == address_text(BOB)
        assert "Nov" not in response.text
    assert (await paying.post("/v1/payments/preflight", payment())).json()["payee"] is None


async def test_a_customers_misses_run_out_and_another_customers_do_not(
    paying: BankOffice, office: Office
) -> None:
    await paying.add_customer(2)
    burst = OF_CUSTOMERS.capacity // OF_CUSTOMERS.miss
    codes = [
        answer.json()["code"]
        for answer in await asyncio.gather(
            *(paying.post("/v1/payments", payment(payee={"alias": f"@no_{n}_one"})) for n in range(burst + 5))
        )
    ]
    assert sorted(codes) == ["AliasUnknown"] * burst + ["LookupBudgetExhausted"] * 5
    assert await asked(office) == burst
    refused = await paying.post("/v1/payments", payment(payee=BY_ALIAS))
    assert refused.status_code == 429
    assert refused.json()["retry_after_s"] > 0
    other = payment(payee=BY_ALIAS, payer_wallet_reference="w-2")
    assert (await paying.post("/v1/payments", other)).status_code == 202


async def test_hits_that_lead_to_payments_cost_a_customer_nothing(paying: BankOffice) -> None:
    for _ in range(OF_CUSTOMERS.capacity + 5):
        assert (await paying.post("/v1/payments", payment(1, payee=BY_ALIAS))).status_code == 202


async def test_payments_are_shown_to_the_directory_once(paying: BankOffice, office: Office) -> None:
    directory = paying.app.state.directory
    paid = (await paying.post("/v1/payments", payment(payee=BY_ALIAS))).json()["payment_id"]
    await paying.post("/v1/payments/preflight", payment(payee=BY_ALIAS))
    pool = paying.institution.pool
    assert await show_payments(pool, directory) == 0, "it has no transaction yet"
    transaction_id = uuid.uuid4()
    await pool.execute(
        """INSERT INTO chain_transactions (id, key_name, kind, data, gas, state, hash)
           VALUES ($1, 'institution', 'settle', '', 1, 'signed', $2)""",
        transaction_id,
        b"\x05" * 32,
    )
    await pool.execute(
        "UPDATE outbox_payments SET transaction_id = $1 WHERE payment_id = $2",
        transaction_id,
        uuid.UUID(paid),
    )
    assert await show_payments(pool, directory) == 1
    assert await show_payments(pool, directory) == 0
    shown = await office.institution.pool.fetch(
        "SELECT payment_id, transaction_hash FROM directory_lookups WHERE payment_id IS NOT NULL"
    )
    assert [(str(row["payment_id"]), row["transaction_hash"]) for row in shown] == [(paid, b"\x05" * 32)]


async def person(bank: BankOffice, reference: str) -> dict[str, str]:
    """The headers of a signed-in customer."""
    async with transaction(bank.institution.pool) as conn:
        customer_id = await conn.fetchval("SELECT id FROM customers WHERE reference = $1", reference)
        return {"Authorization": f"Bearer {await open_session(conn, customer_id, 'sandbox')}"}


async def wallet_id(bank: BankOffice, reference: str) -> str:
    found = await bank.institution.pool.fetchval("SELECT id FROM wallets WHERE reference = $1", reference)
    return str(found)


async def test_a_person_has_aliases_of_their_own(paying: BankOffice, office: Office) -> None:
    await paying.add_customer(2)
    own, other = await person(paying, "c-1"), await person(paying, "c-2")
    wallet = await wallet_id(paying, "w-1")

    async def take(headers: Any, handle: str = "@anna") -> httpx.Response:
        body = {"wallet_id": wallet, "handle": handle}
        return await paying.client.put("/v1/me/aliases/handle", json=body, headers=headers)

    taken = (await take(own)).json()
    assert (await take(own)).json() == taken
    assert (await take(other)).json()["code"] == "UnknownWallet", "another's wallet is none"
    assert (await take(own, PHONE)).json()["code"] == "AliasUnreadable", "only handles are there to be taken"
    listed = (await paying.client.get("/v1/me/aliases", headers=own)).json()["aliases"]
    assert listed == [taken] == [taken | {"alias": "@anna", "kind": "handle", "wallet_id": wallet}]
    assert (await paying.client.get("/v1/me/aliases", headers=other)).json() == {"aliases": []}
    asked_for = {"alias": "@Anna", "payee_name": "Customer 1"}
    found = (await paying.client.post("/v1/me/payees/lookup", json=asked_for, headers=other)).json()
    assert found["name_match"] == "match"
    assert found["address"] == address_text(await paying.address_of("w-1"))
    path = f"/v1/me/aliases/{taken['alias_id']}"
    assert (await paying.client.delete(path, headers=other)).status_code == 404
    assert (await paying.client.delete(path, headers=own)).status_code == 204
    assert (await paying.client.delete(path, headers=own)).status_code == 404
    gone = await paying.client.post("/v1/me/payees/lookup", json=asked_for, headers=other)
    assert gone.json()["code"] == "AliasUnknown"
    del office


async def test_a_bank_registers_what_it_has_verified(paying: BankOffice) -> None:
    body = {
        "customer_reference": "c-1", "wallet_id": await wallet_id(paying, "w-1"), "alias": "Anna@Example.com",
    }  # fmt: skip
    registered = (await paying.put("/v1/aliases", body)).json()
    assert (registered["kind"], registered["alias"]) == ("email", "anna@example.com")
    taken = await paying.put("/v1/aliases", body | {"alias": PHONE})
    assert (taken.status_code, taken.json()["code"]) == (409, "AliasOfAnotherBank")
    for change, code in (
        ({"customer_reference": "nobody"}, "UnknownCustomer"),
        ({"wallet_id": await wallet_id(paying, "w-9")}, "UnknownWallet"),
    ):
        assert (await paying.put("/v1/aliases", body | change)).json()["code"] == code


async def test_no_transaction_is_open_while_the_directory_is_asked(paying: BankOffice) -> None:
    seen: list[int] = []
    real = paying.app.state.directory.look_up

    async def watched(alias: str, payee_name: str | None = None) -> Any:
        seen.append(
            await paying.institution.pool.fetchval(
                """SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'"""
            )
        )
        return await real(alias, payee_name)

    paying.app.state.directory.look_up = watched
    assert (await paying.post("/v1/payments", payment(payee=BY_ALIAS))).status_code == 202
    assert seen == [0]
