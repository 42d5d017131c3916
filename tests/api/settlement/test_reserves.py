"""Reserves and approvals at the central bank, and its statements.

A reserve deposit: Dr assets, Cr reserves of the participant; once for each key
An approval
├── within the reserves: holds them and raises the allowance, as one
├── of more than is left: refused, and nothing changes
├── twice at once: never more than the reserves
├── of a participant that the chain does not know yet: refused for now
├── while issuance is frozen: refused for now
└── holds what may be minted, and the check of holds says so
Supply and statement as of a block: what was final then; a block that is not final: refused
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.addresses import address_text
from api.chain.holds import verify_holds
from api.database import transaction
from api.ledger.chart import CentralBankChart
from api.ledger.journal import Entry, Leg, Posting
from contracts.abi import encode_increase_mint_allowance
from tests.api.offices import CURRENCY, Office
from tests.fakes.final_chain import OWN_INSTITUTION

BANK = {"institution_address": address_text(OWN_INSTITUTION), "name": "Bank A", "tier": 3, "tier_mask": 6}


def deposit(amount_minor: Any = 1_000, participant_id: Any = 1) -> dict[str, Any]:
    return {"participant_id": participant_id, "amount_minor": amount_minor}


@pytest.fixture
async def office(begun_central_bank: Office) -> Office:
    """A central bank with one participant, whose reserves are 1,000."""
    await begun_central_bank.put("/v1/participants/1", BANK)
    made = await begun_central_bank.post("/v1/reserve-deposits", deposit(), key="first")
    assert (made.status_code, made.json()["reserves_minor"]) == (201, 1_000)
    await become_final(begun_central_bank)
    return begun_central_bank


async def become_final(office: Office) -> None:
    """The participant's registration is final on chain."""
    await office.institution.pool.execute(
        "INSERT INTO chain_participants VALUES (1, $1, 6, 0) ON CONFLICT DO NOTHING", OWN_INSTITUTION
    )


async def balances(office: Office) -> dict[str, tuple[int, int]]:
    rows = await office.institution.pool.fetch(
        "SELECT code, posted_minor, held_minor FROM ledger_accounts JOIN ledger_balances ON account_id = id"
    )
    return {row["code"]: (row["posted_minor"], row["held_minor"]) for row in rows}


async def test_reserves_are_booked_once_for_each_key(office: Office) -> None:
    assert await balances(office) == {"assets": (1_000, 0), "circulation": (0, 0), "reserves:1": (1_000, 0)}
    before = await office.state()
    assert (await office.post("/v1/reserve-deposits", deposit(), key="first")).json()[
        "reserves_minor"
    ] == 1_000
    assert (await office.post("/v1/reserve-deposits", deposit(7), key="first")).json()["code"] == (
        "IdempotencyKeyReused"
    )
    assert await office.state() == before
    assert (await office.post("/v1/reserve-deposits", deposit(500))).json()["reserves_minor"] == 1_500


async def test_an_approval_holds_reserves_and_raises_the_allowance(office: Office) -> None:
    made = (await office.post("/v1/issuances", deposit(400), key="k-1")).json()
    assert made == {
        "issuance_id": made["issuance_id"],
        "participant_id": 1,
        "amount_minor": 400,
        "state": "accepted",
    }
    assert (await balances(office))["reserves:1"] == (1_000, 400)
    row = await office.institution.pool.fetchrow(
        "SELECT id, key_name, data FROM chain_transactions WHERE kind = 'increase_mint_allowance'"
    )
    assert (str(row["id"]), row["key_name"], row["data"]) == (
        made["issuance_id"], "issuer", encode_increase_mint_allowance(1, 400),
    )  # fmt: skip
    before = await office.state()
    assert (await office.post("/v1/issuances", deposit(400), key="k-1")).json() == made
    assert await office.state() == before


async def test_a_participant_that_the_chain_does_not_know_yet_gets_no_allowance_for_now(
    office: Office,
) -> None:
    await office.institution.pool.execute("DELETE FROM chain_participants")
    before = await office.state(without=["idempotency_keys"])
    refused = await office.post("/v1/issuances", deposit(400), key="k-1")
    assert (refused.status_code, refused.json()["code"]) == (503, "ParticipantNotFinal")
    assert await office.state(without=["idempotency_keys"]) == before
    await become_final(office)
    assert (await office.post("/v1/issuances", deposit(400), key="k-1")).status_code == 202


async def test_no_more_is_approved_than_the_reserves_leave(office: Office) -> None:
    before = await office.state(without=["idempotency_keys"])
    refused = (await office.post("/v1/issuances", deposit(1_001))).json()
    assert (refused["code"], refused["available_minor"]) == ("InsufficientReserves", 1_000)
    assert await office.state(without=["idempotency_keys"]) == before
    answers = await asyncio.gather(*(office.post("/v1/issuances", deposit(300)) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 202, 422, 422]
    assert (await balances(office))["reserves:1"] == (1_000, 900)


async def test_frozen_issuance_is_refused_for_now(office: Office) -> None:
    await office.institution.pool.execute(
        "INSERT INTO chain_freezes (flow, reason) VALUES ('issuance', 'a break')"
    )
    refused = await office.post("/v1/issuances", deposit(1), key="k-1")
    assert (refused.status_code, refused.json()["code"]) == (503, "FlowFrozen")
    await office.institution.pool.execute("DELETE FROM chain_freezes")
    assert (await office.post("/v1/issuances", deposit(1), key="k-1")).status_code == 202


@pytest.mark.parametrize("path", ["/v1/reserve-deposits", "/v1/issuances"])
async def test_what_cannot_be_done_changes_nothing(office: Office, path: str) -> None:
    before = await office.state(without=["idempotency_keys"])
    for body, code in (
        (deposit(participant_id=2), "UnknownParticipant"),
        (deposit(0), "AmountNotPositive"),
        (deposit(-1), "AmountNotPositive"),
        (deposit("1"), "AmountNotInteger"),
        (deposit(2**63), "AmountTooLarge"),
        (deposit() | {"currency": "CZK"}, "UnknownField"),
        ({"amount_minor": 1}, "MalformedRequest"),
        (deposit(participant_id="1"), "MalformedRequest"),
        (deposit(participant_id=2**40), "MalformedRequest"),
    ):
        response = await office.post(path, body)
        assert response.json()["code"] == code, body
    without_key = await office.client.post(path, json=deposit())
    assert without_key.json()["code"] == "IdempotencyKeyRequired"
    assert await office.state(without=["idempotency_keys"]) == before


async def test_statements_tell_what_was_final_at_a_block(office: Office) -> None:
    await office.institution.pool.execute("DELETE FROM chain_participants")
    await office.chain.begin()
    pool, chart = office.institution.pool, office.institution.chart
    assert isinstance(chart, CentralBankChart)
    reserves = await pool.fetchval("SELECT reserves_account_id FROM participants")
    await pool.execute(
        "INSERT INTO chain_blocks VALUES (90, $1, $2, 0), (95, $3, $1, 0)",
        b"\x90" * 32,
        b"\0" * 32,
        b"\x95" * 32,
    )
    for block, amount, holdings in ((90, 300, (300, 300)), (95, 200, (500, 450))):
        async with transaction(pool) as conn:
            posting = await Posting.open(conn, [reserves, chart.circulation])
            legs = (Leg(reserves, CURRENCY, amount), Leg(chart.circulation, CURRENCY, -amount))
            posting.post(Entry("issuance", f"event:0x{f'{block}' * 32}:0", None, legs))
            await posting.write()
        await pool.executemany(
            """INSERT INTO chain_supply_history (block_number, participant, balance_minor, institution_minor)
               VALUES ($1, $2, $3, $4)""",
            [(block, 0, holdings[0], 0), (block, 1, *holdings)],
        )
    for block, circulation, own, customers in (
        (None, 500, 450, 50),
        (95, 500, 450, 50),
        (94, 300, 300, 0),
        (89, 0, 0, 0),
    ):
        asked = {} if block is None else {"block": block}
        supply = (await office.get("/v1/supply", **asked)).json()
        assert (supply["supply_minor"], supply["circulation_minor"]) == (circulation, circulation), block
        statement = (await office.get("/v1/participants/1/statement", **asked)).json()
        assert statement["reserves_minor"] == 1_000 - circulation, block
        assert (statement["institution_minor"], statement["customers_minor"]) == (own, customers), block
    for path in ("/v1/supply", "/v1/participants/1/statement"):
        early = await office.get(path, block=101)
        assert (early.status_code, early.json()["code"], early.json()["final_number"]) == (
            409,
            "BlockNotFinal",
            100,
        )
    assert (await office.get("/v1/participants/2/statement")).status_code == 404


async def test_what_is_held_for_minting_is_the_allowance(office: Office) -> None:
    assert (await office.post("/v1/issuances", deposit(400))).status_code == 202
    pool = office.institution.pool
    async with pool.acquire() as conn:
        assert await verify_holds(conn) == [], "raised, but not final"
        await conn.execute("UPDATE chain_transactions SET state = 'final'")
        (difference,) = await verify_holds(conn)
        assert (difference.check, difference.expected, difference.found) == (
            "held for minting = allowance", "0", "400",
        )  # fmt: skip
        await conn.execute("UPDATE chain_participants SET mint_allowance_minor = 400")
        assert await verify_holds(conn) == []
