"""Minting and returning at a bank.

A minting
├── within allowance and reserves: holds reserves and calls the contract
├── of more than the allowance, less what is being minted: refused
├── of more than the bank's reserves: refused
└── several at once: never more than the allowance
What became of it: accepted, submitted, included, final or failed with its code; unknown: not found
A return: holds inventory and calls the contract; of more than is available: refused
While issuance is frozen: refused for now
"""

from __future__ import annotations

import asyncio
import uuid

import pytest

from contracts.abi import encode_burn, encode_mint
from tests.api.offices import INVENTORY_MINOR, OPENING_MINOR, BankOffice, Office


async def allow(bank: BankOffice, amount_minor: int) -> None:
    await bank.institution.pool.execute(
        "UPDATE chain_participants SET mint_allowance_minor = $1::text::numeric WHERE participant = 1",
        str(amount_minor),
    )


async def test_minting_holds_reserves_and_calls_the_contract(bank: BankOffice) -> None:
    await allow(bank, 1_000)
    made = await bank.post("/v1/issuances", {"amount_minor": 400}, key="k-1")
    assert made.status_code == 202
    assert await bank.held() == {"reserves": 400}
    row = await bank.institution.pool.fetchrow("SELECT id, key_name, kind, data FROM chain_transactions")
    assert (str(row["id"]), *row[1:]) == (made.json()["issuance_id"], "institution", "mint", encode_mint(400))
    before = await bank.state()
    assert (await bank.post("/v1/issuances", {"amount_minor": 400}, key="k-1")).json() == made.json()
    assert await bank.state() == before
    assert (await bank.get("/v1/issuances")).json() == {
        "allowance_minor": 1_000,
        "pending_minor": 400,
        "available_minor": 600,
        "reserves_available_minor": OPENING_MINOR - 400,
        "inventory_available_minor": INVENTORY_MINOR,
    }


async def test_no_more_is_minted_than_is_allowed(bank: BankOffice) -> None:
    await allow(bank, 1_000)
    answers = await asyncio.gather(*(bank.post("/v1/issuances", {"amount_minor": 300}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 202, 422, 422]
    refused = next(answer.json() for answer in answers if answer.status_code == 422)
    assert (refused["code"], refused["allowed_minor"]) == ("MintAllowanceExceeded", 100)
    assert await bank.held() == {"reserves": 900}


async def test_no_more_is_minted_than_the_bank_has_reserves(bank: BankOffice) -> None:
    await allow(bank, 10**12)
    before = await bank.state(without=["idempotency_keys"])
    refused = (await bank.post("/v1/issuances", {"amount_minor": OPENING_MINOR + 1})).json()
    assert (refused["code"], refused["available_minor"]) == ("InsufficientReserves", OPENING_MINOR)
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_a_return_holds_inventory_and_calls_the_contract(bank: BankOffice) -> None:
    assert (await bank.post("/v1/returns", {"amount_minor": INVENTORY_MINOR})).status_code == 202
    assert await bank.held() == {"inventory": INVENTORY_MINOR}
    row = await bank.institution.pool.fetchrow("SELECT key_name, kind, data FROM chain_transactions")
    assert tuple(row) == ("institution", "burn", encode_burn(INVENTORY_MINOR))
    refused = (await bank.post("/v1/returns", {"amount_minor": 1})).json()
    assert (refused["code"], refused["available_minor"]) == ("InsufficientInventory", 0)


@pytest.mark.parametrize(
    ("changes", "state", "code", "block_number"),
    [
        ("state = 'prepared'", "accepted", None, None),
        ("state = 'signed'", "submitted", None, None),
        ("state = 'signed', included_block = 7", "included", None, 7),
        ("state = 'final', included_block = 7, final_block = 7", "final", None, 7),
        ("state = 'reverted', final_block = 7, outcome_code = 'X'", "failed", "X", 7),
        ("state = 'refused', outcome_code = 'NoRuleAllows'", "failed", "NoRuleAllows", None),
    ],
)
async def test_what_became_of_a_minting_is_told(
    bank: BankOffice, changes: str, state: str, code: str | None, block_number: int | None
) -> None:
    await allow(bank, 1_000)
    issuance_id = (await bank.post("/v1/issuances", {"amount_minor": 400})).json()["issuance_id"]
    await bank.institution.pool.execute(f"UPDATE chain_transactions SET {changes}")
    answer = (await bank.get(f"/v1/issuances/{issuance_id}")).json()
    assert (answer["state"], answer["code"], answer["block_number"]) == (state, code, block_number)
    assert (answer["kind"], answer["amount_minor"], answer["issuance_id"]) == ("mint", 400, issuance_id)


async def test_an_unknown_issuance_is_not_found(bank: BankOffice, central_bank: Office) -> None:
    for office in (bank, central_bank):
        answer = await office.get(f"/v1/issuances/{uuid.UUID(int=7)}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/returns"])
async def test_what_cannot_be_read_changes_nothing(bank: BankOffice, path: str) -> None:
    before = await bank.state()
    for body, code in (
        ({"amount_minor": 0}, "AmountNotPositive"),
        ({"amount_minor": 1.0}, "AmountNotInteger"),
        ({"amount_minor": 1, "participant_id": 2}, "UnknownField"),
        ({}, "MalformedRequest"),
    ):
        assert (await bank.post(path, body)).json()["code"] == code
    assert await bank.state() == before


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/returns"])
async def test_frozen_issuance_is_refused_for_now(bank: BankOffice, path: str) -> None:
    await allow(bank, 1)
    await bank.institution.pool.execute(
        "INSERT INTO chain_freezes (flow, reason) VALUES ('issuance', 'a break')"
    )
    refused = await bank.post(path, {"amount_minor": 1})
    assert (refused.status_code, refused.json()["code"]) == (503, "FlowFrozen")
