"""Deposit accounts.

An account
├── with an opening deposit: Dr reserves, Cr deposit, once
├── without: open and empty
├── again: the same answer, and nothing is booked
├── with a known reference and other terms: refused
├── for an unknown customer, or in another currency: refused, and nothing changes
└── that cannot be read: a typed error, and nothing changes
Its entries: newest first, in pages
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from api.database import transaction
from api.identity.keys import create_key
from tests.api.offices import CURRENCY, OPENING_MINOR, BankOffice


def account(reference: str = "a-2", **changes: Any) -> dict[str, Any]:
    body = {
        "reference": reference,
        "customer_reference": "c-1",
        "currency": CURRENCY,
        "opening_deposit_minor": 700,
    }
    return body | changes


async def posted(bank: BankOffice, code: str) -> int:
    amount: int = await bank.institution.pool.fetchval(
        "SELECT posted_minor FROM ledger_accounts JOIN ledger_balances ON account_id = id WHERE code = $1",
        code,
    )
    return amount


async def test_what_an_account_brings_raises_reserves_and_deposit(bank: BankOffice) -> None:
    reserves = await posted(bank, "reserves")
    made = await bank.post("/v1/accounts", account())
    assert made.status_code == 201
    assert (made.json()["posted_minor"], made.json()["available_minor"]) == (700, 700)
    assert await posted(bank, "deposit:a-2") == 700
    assert await posted(bank, "reserves") == reserves + 700
    shown = (await bank.get(f"/v1/accounts/{made.json()['account_id']}")).json()
    assert shown == made.json()


async def test_only_who_speaks_for_the_reserves_may_open_an_account_with_money(bank: BankOffice) -> None:
    async with transaction(bank.institution.pool) as conn:
        key = await create_key(conn, "branch", ["accounts:write"], "bank")
    before = await posted(bank, "reserves")
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
    refused = await bank.client.post("/v1/accounts", json=account(), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "ScopeMissing")
    lines = [account("a-3"), account("a-4", opening_deposit_minor=0)]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    headers |= {"Content-Type": "application/x-ndjson"}
    answers = await bank.client.post("/v1/accounts:bulk", content=content, headers=headers)
    assert [json.loads(line).get("code") for line in answers.text.splitlines()] == ["ScopeMissing", None]
    assert await posted(bank, "reserves") == before


async def test_an_account_may_be_opened_empty(bank: BankOffice) -> None:
    entries = (await bank.state())["ledger_entries"]
    made = (await bank.post("/v1/accounts", account(opening_deposit_minor=0))).json()
    assert made["posted_minor"] == 0
    assert (await bank.state())["ledger_entries"] == entries
    assert (await bank.get(f"/v1/accounts/{made['account_id']}/entries")).json() == {
        "entries": [],
        "next_before": None,
    }


async def test_the_same_account_again_books_nothing(bank: BankOffice) -> None:
    first = await bank.post("/v1/accounts", account(), key="k-1")
    before = await bank.state(without=["idempotency_keys"])
    assert (await bank.post("/v1/accounts", account(), key="k-1")).content == first.content
    assert (await bank.post("/v1/accounts", account(), key="k-2")).json() == first.json()
    assert await bank.bulk("/v1/accounts:bulk", [account(), account()]) == [first.json()] * 2
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_bulk_requests_that_overlap_book_each_account_once(bank: BankOffice) -> None:
    lines = [account(f"n-{i}", opening_deposit_minor=1) for i in range(600)]
    reserves = await posted(bank, "reserves")
    await asyncio.gather(bank.bulk("/v1/accounts:bulk", lines), bank.bulk("/v1/accounts:bulk", lines[::-1]))
    assert await posted(bank, "reserves") == reserves + 600


async def test_refused_accounts_change_nothing(bank: BankOffice) -> None:
    before = await bank.state(without=["idempotency_keys"])
    cases = [
        (account("a-1", opening_deposit_minor=OPENING_MINOR + 1), "IdempotencyKeyReused"),
        (
            account("a-1", customer_reference="c-9", opening_deposit_minor=OPENING_MINOR),
            "IdempotencyKeyReused",
        ),
        (account(customer_reference="c-404"), "UnknownCustomer"),
        (account(currency="EUR"), "UnknownCurrency"),
        (account(opening_deposit_minor=-1), "AmountNotPositive"),
        (account(opening_deposit_minor=1.5), "AmountNotInteger"),
        (account(opening_deposit_minor=True), "AmountNotInteger"),
        (account(opening_deposit_minor=2**63), "AmountTooLarge"),
        (account(colour="red"), "UnknownField"),
    ]
    for body, code in cases:
        assert (await bank.post("/v1/accounts", body)).json()["code"] == code, body
    answers = await bank.bulk("/v1/accounts:bulk", [body for body, _ in cases])
    assert [(each["state"], each["code"]) for each in answers] == [("error", code) for _, code in cases]
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_entries_come_newest_first_in_pages(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 300)
    wallet = next(w for w in (await bank.get("/v1/wallets")).json()["wallets"] if w["reference"] == "w-1")
    path = f"/v1/accounts/{wallet['account_id']}/entries"
    page = (await bank.get(path, limit=1)).json()
    assert [(each["kind"], each["amount_minor"]) for each in page["entries"]] == [("funding", -300)]
    rest = (await bank.get(path, limit=1, before=page["next_before"])).json()
    assert [(each["kind"], each["amount_minor"]) for each in rest["entries"]] == [("opening", OPENING_MINOR)]
    assert rest["next_before"] is None
