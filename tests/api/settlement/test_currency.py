"""Tiers, participants and accounts of the system at the central bank.

What is asked for
├── for the first time: one call of the contract by the governor
├── again, while it is pending or once it is final: nothing is sent
├── of an account of the system, or of a participant: only for what is nobody else's
├── with a new account while the present one is suspended, frozen or held: refused
├── with a tier that was not set: refused; that is being set: sent after it
├── with a new account while the present one holds money: refused
├── otherwise than what is pending or final: another call
└── that makes no sense: a typed error, and nothing changes
"""

from __future__ import annotations

import asyncio
from typing import Any

from api.addresses import address_text
from contracts.abi import AccountFlag, encode_set_participant, encode_set_tier
from contracts.memberships import encode_set_system_account
from tests.api.offices import Office
from tests.fakes.final_chain import INSTITUTION_TIER, OTHER_INSTITUTION, OWN_INSTITUTION, TIERS

LIMITS = {"holding_limit_minor": 1_000, "per_payment_limit_minor": 900, "daily_limit_minor": 5_000}
BANK = {"institution_address": address_text(OWN_INSTITUTION), "name": "Bank A", "tier": 3, "tier_mask": 6}


SETTLEMENT = bytes.fromhex("5e" * 20)
SYSTEM_ACCOUNT = f"/v1/system-accounts/{address_text(SETTLEMENT)}"


async def calls(office: Office) -> list[tuple[str, str, bytes]]:
    rows = await office.institution.pool.fetch(
        "SELECT key_name, kind, data FROM chain_transactions ORDER BY seq"
    )
    return [tuple(row) for row in rows]


async def make_final(office: Office) -> None:
    await office.institution.pool.execute("UPDATE chain_transactions SET state = 'final'")


async def test_a_tier_is_sent_once(central_bank: Office) -> None:
    first = await central_bank.put("/v1/tiers/2", LIMITS)
    assert (first.status_code, first.json()) == (200, {"tier": 2, **LIMITS, "state": "requested"})
    assert await calls(central_bank) == [("governor", "set_tier", encode_set_tier(2, 1_000, 900, 5_000))]
    assert (await central_bank.put("/v1/tiers/2", LIMITS)).json() == first.json()
    await make_final(central_bank)
    await central_bank.institution.pool.execute("INSERT INTO chain_tiers VALUES (2, 1000, 900, 5000)")
    assert (await central_bank.put("/v1/tiers/2", LIMITS)).json()["state"] == "final"
    assert len(await calls(central_bank)) == 1
    assert (await central_bank.get("/v1/tiers")).json() == {
        "tiers": [{"tier": 2, **LIMITS, "state": "final"}]
    }


async def test_a_change_of_mind_is_sent_even_back_to_what_is_final(central_bank: Office) -> None:
    await central_bank.institution.pool.execute("INSERT INTO chain_tiers VALUES (2, 1000, 900, 5000)")
    await central_bank.put("/v1/tiers/2", LIMITS | {"daily_limit_minor": 6_000})
    assert (await central_bank.put("/v1/tiers/2", LIMITS)).json()["state"] == "requested"
    assert [data for _, _, data in await calls(central_bank)] == [
        encode_set_tier(2, 1_000, 900, 6_000),
        encode_set_tier(2, 1_000, 900, 5_000),
    ]


async def test_the_largest_limits_are_taken(central_bank: Office) -> None:
    widest = {
        "holding_limit_minor": 2**96 - 1,
        "per_payment_limit_minor": 2**64 - 1,
        "daily_limit_minor": 2**64 - 1,
    }
    assert (await central_bank.put("/v1/tiers/255", widest)).status_code == 200


async def test_a_participant_gets_reserves_and_is_sent_once(begun_central_bank: Office) -> None:
    first = (await begun_central_bank.put("/v1/participants/1", BANK)).json()
    assert first == {"participant_id": 1, **BANK, "state": "requested"}
    assert (await begun_central_bank.put("/v1/participants/1", BANK)).json() == first
    assert await calls(begun_central_bank) == [
        ("governor", "set_participant", encode_set_participant(1, OWN_INSTITUTION, 3, 6))
    ]
    await make_final(begun_central_bank)
    await begun_central_bank.institution.pool.execute(
        "INSERT INTO chain_participants VALUES (1, $1, 6, 0)", OWN_INSTITUTION
    )
    await begun_central_bank.chain.register(OWN_INSTITUTION, 1, 3)
    assert (await begun_central_bank.put("/v1/participants/1", BANK)).json()["state"] == "final"
    assert len(await calls(begun_central_bank)) == 1
    listed = (await begun_central_bank.get("/v1/participants")).json()["participants"]
    assert listed == [first | {"state": "final"}]


async def test_two_participants_cannot_have_one_account(begun_central_bank: Office) -> None:
    await begun_central_bank.put("/v1/participants/1", BANK)
    before = await begun_central_bank.state()
    refused = await begun_central_bank.put("/v1/participants/2", BANK)
    assert (refused.status_code, refused.json()["code"]) == (422, "AccountOfAnotherParticipant")
    assert refused.json()["participant_id"] == 1
    assert await begun_central_bank.state() == before


async def test_an_account_that_holds_money_is_not_replaced(begun_central_bank: Office) -> None:
    await begun_central_bank.put("/v1/participants/1", BANK)
    pool = begun_central_bank.institution.pool
    await pool.execute("INSERT INTO chain_participants VALUES (1, $1, 6, 0)", OWN_INSTITUTION)
    await pool.execute(
        """INSERT INTO chain_accounts (address, participant, tier, flags, balance_minor)
           VALUES ($1, 1, 3, 1, 7)""",
        OWN_INSTITUTION,
    )
    other = BANK | {"institution_address": address_text(OTHER_INSTITUTION)}
    before = await begun_central_bank.state()
    refused = await begun_central_bank.put("/v1/participants/1", other)
    assert (refused.status_code, refused.json()["code"]) == (422, "InstitutionHoldsMoney")
    assert await begun_central_bank.state() == before
    await pool.execute("UPDATE chain_accounts SET balance_minor = 0")
    assert (await begun_central_bank.put("/v1/participants/1", other)).json()["state"] == "requested"


async def test_an_account_under_a_restriction_is_not_replaced(begun_central_bank: Office) -> None:
    await begun_central_bank.put("/v1/participants/1", BANK)
    pool = begun_central_bank.institution.pool
    await pool.execute("INSERT INTO chain_participants VALUES (1, $1, 6, 0)", OWN_INSTITUTION)
    await begun_central_bank.chain.register(OWN_INSTITUTION, 1, 3, AccountFlag.INSTITUTION)
    other = BANK | {"institution_address": address_text(OTHER_INSTITUTION)}
    for flag in (AccountFlag.FROZEN, AccountFlag.HAS_HOLD, AccountFlag.SUSPENDED):
        await begun_central_bank.chain.change(OWN_INSTITUTION, flags=AccountFlag.INSTITUTION | flag)
        before = await begun_central_bank.state()
        refused = await begun_central_bank.put("/v1/participants/1", other)
        assert (refused.status_code, refused.json()["code"]) == (422, "InstitutionRestricted")
        assert await begun_central_bank.state() == before
    await begun_central_bank.chain.change(OWN_INSTITUTION, flags=AccountFlag.INSTITUTION)
    assert (await begun_central_bank.put("/v1/participants/1", other)).json()["state"] == "requested"


async def test_what_is_anothers_or_the_systems_does_not_become_an_institution(
    begun_central_bank: Office,
) -> None:
    customer, system = bytes.fromhex("c5" * 20), bytes.fromhex("5f" * 20)
    await begun_central_bank.chain.register(customer, 2, 1, AccountFlag.LINKED)
    await begun_central_bank.chain.register(system, 0, 3, AccountFlag.SYSTEM)
    await begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 3})
    before = await begun_central_bank.state()
    for address, owner in ((customer, 2), (system, 0), (SETTLEMENT, 0)):
        answer = await begun_central_bank.put(
            "/v1/participants/1", BANK | {"institution_address": address_text(address)}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "AddressHasOwner")
        assert answer.json()["participant_id"] == owner
    assert await begun_central_bank.state() == before
    await begun_central_bank.chain.register(OWN_INSTITUTION, 1, 1, AccountFlag.LINKED)
    assert (await begun_central_bank.put("/v1/participants/1", BANK)).json()["state"] == "requested"


async def test_a_new_name_changes_nothing_on_chain(begun_central_bank: Office) -> None:
    await begun_central_bank.put("/v1/participants/1", BANK)
    renamed = (await begun_central_bank.put("/v1/participants/1", BANK | {"name": "Bank Aleph"})).json()
    assert renamed["name"] == "Bank Aleph"
    assert len(await calls(begun_central_bank)) == 1


async def test_an_account_of_the_system_is_sent_once(begun_central_bank: Office) -> None:
    first = (await begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 3})).json()
    assert first == {"address": address_text(SETTLEMENT), "tier": 3, "state": "requested"}
    assert (await begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 3})).json() == first
    wanted = ("governor", "set_system_account", encode_set_system_account(SETTLEMENT, 3))
    assert await calls(begun_central_bank) == [wanted]
    assert (await begun_central_bank.get("/v1/system-accounts")).json() == {"system_accounts": []}

    await make_final(begun_central_bank)
    await begun_central_bank.chain.register(SETTLEMENT, 0, 3, AccountFlag.SYSTEM)
    assert (await begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 3})).json() == first | {"state": "final"}
    assert await calls(begun_central_bank) == [wanted]
    assert (await begun_central_bank.get("/v1/system-accounts")).json() == {
        "system_accounts": [first | {"state": "final"}]
    }


async def test_an_account_of_the_system_asked_for_many_times_at_once_is_sent_once(
    begun_central_bank: Office,
) -> None:
    answers = await asyncio.gather(*[begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 3}) for _ in range(8)])
    assert {answer.json()["state"] for answer in answers} == {"requested"}
    assert len(await calls(begun_central_bank)) == 1


async def test_what_becomes_the_systems_and_a_banks_at_once_becomes_one_of_them(
    begun_central_bank: Office,
) -> None:
    institution = BANK | {"institution_address": address_text(SETTLEMENT)}
    answers = await asyncio.gather(
        begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 3}),
        begun_central_bank.put("/v1/participants/1", institution),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert len(await calls(begun_central_bank)) == 1


async def test_an_account_of_the_system_changes_its_tier(begun_central_bank: Office) -> None:
    await begun_central_bank.chain.register(SETTLEMENT, 0, 3, AccountFlag.SYSTEM)
    await begun_central_bank.chain.set_tier(4, TIERS[INSTITUTION_TIER])
    assert (await begun_central_bank.put(SYSTEM_ACCOUNT, {"tier": 4})).json()["state"] == "requested"
    assert [data for _, _, data in await calls(begun_central_bank)] == [
        encode_set_system_account(SETTLEMENT, 4)
    ]


async def test_what_is_a_banks_or_its_customers_does_not_become_the_systems(
    begun_central_bank: Office,
) -> None:
    await begun_central_bank.put("/v1/participants/1", BANK)
    await begun_central_bank.chain.register(OTHER_INSTITUTION, 2, 3, AccountFlag.INSTITUTION)
    before = await begun_central_bank.state()
    for address, participant in ((OWN_INSTITUTION, 1), (OTHER_INSTITUTION, 2)):
        answer = await begun_central_bank.put(f"/v1/system-accounts/{address_text(address)}", {"tier": 3})
        assert (answer.status_code, answer.json()["code"]) == (422, "AddressHasOwner")
        assert answer.json()["participant_id"] == participant
    assert await begun_central_bank.state() == before


async def test_a_tier_is_set_before_it_is_given(central_bank: Office) -> None:
    before = await central_bank.state()
    for path, body in (("/v1/participants/1", BANK), (SYSTEM_ACCOUNT, {"tier": 3})):
        answer = await central_bank.put(path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "TierNotSet")
    assert await central_bank.state() == before
    await central_bank.put("/v1/tiers/3", LIMITS)
    for path, body in (("/v1/participants/1", BANK), (SYSTEM_ACCOUNT, {"tier": 3})):
        assert (await central_bank.put(path, body)).json()["state"] == "requested"
    assert [kind for _, kind, _ in await calls(central_bank)] == [
        "set_tier",
        "set_participant",
        "set_system_account",
    ]


async def test_terms_that_make_no_sense_change_nothing(begun_central_bank: Office) -> None:
    before = await begun_central_bank.state()
    cases: list[tuple[str, Any, str]] = [
        ("/v1/tiers/2", LIMITS | {"per_payment_limit_minor": 1_001}, "PerPaymentAboveHoldingLimit"),
        ("/v1/tiers/2", LIMITS | {"daily_limit_minor": -1}, "AmountNotPositive"),
        ("/v1/tiers/2", LIMITS | {"daily_limit_minor": 1.0}, "AmountNotInteger"),
        ("/v1/tiers/2", LIMITS | {"daily_limit_minor": 2**64}, "AmountTooLarge"),
        ("/v1/tiers/2", LIMITS | {"weekly_limit_minor": 1}, "UnknownField"),
        ("/v1/tiers/256", LIMITS, "MalformedRequest"),
        ("/v1/tiers/-1", LIMITS, "MalformedRequest"),
        ("/v1/participants/0", BANK, "MalformedRequest"),
        ("/v1/participants/65536", BANK, "MalformedRequest"),
        ("/v1/participants/1", BANK | {"tier_mask": 2**256}, "MalformedRequest"),
        ("/v1/participants/1", BANK | {"tier_mask": -1}, "MalformedRequest"),
        ("/v1/participants/1", BANK | {"institution_address": "0x00"}, "MalformedRequest"),
        ("/v1/participants/1", BANK | {"role": "governor"}, "UnknownField"),
        (SYSTEM_ACCOUNT, {"tier": 256}, "MalformedRequest"),
        (SYSTEM_ACCOUNT, {}, "MalformedRequest"),
        (SYSTEM_ACCOUNT + "00", {"tier": 3}, "MalformedRequest"),
        (f"/v1/system-accounts/0x{'0' * 40}", {"tier": 3}, "MalformedRequest"),
    ]
    for path, body, code in cases:
        assert (await begun_central_bank.put(path, body)).json()["code"] == code, (path, body)
    assert await begun_central_bank.state() == before
