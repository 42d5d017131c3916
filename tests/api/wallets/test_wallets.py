"""Wallets.

A wallet
├── that is new: a key index, a memo account and a registration with its link and tier; 202
├── is ready once its registration is final
├── whose address another participant, or the central bank, registered first: elsewhere, with what to do
│   └── and asked for again: refused, with the same; another one under a new reference is made
├── that its owner moved away: elsewhere, and asked for again the same
├── again: the same wallet, and no second key index
├── with a known reference and other terms: refused
├── for an unknown customer or account, another's account, a tier that cannot be given: refused
└── before the bank takes part: refused for now (503)
Lists: in pages, by state; and a summary
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.accounts import AccountFlag
from tests.api.offices import BankOffice
from tests.fakes.final_chain import OTHER_BANK


def wallet(reference: str = "w-2", **changes: Any) -> dict[str, Any]:
    return {
        "reference": reference,
        "customer_reference": "c-1",
        "account_reference": "a-1",
        "tier": 1,
    } | changes


async def test_a_wallet_is_requested_and_becomes_ready(bank: BankOffice) -> None:
    made = await bank.post("/v1/wallets", wallet())
    assert (made.status_code, made.json()["state"]) == (202, "requested")
    path = f"/v1/wallets/{made.json()['wallet_id']}"
    shown = (await bank.get(path)).json()
    assert (shown["state"], shown["address"], shown["balance_minor"]) == ("requested", None, 0)
    assert (await bank.get("/v1/wallets:summary")).json() == {
        "requested": 1, "ready": 2, "elsewhere": 0,
    }  # fmt: skip
    row = await bank.institution.pool.fetchrow("SELECT * FROM outbox_registrations ORDER BY seq DESC LIMIT 1")
    assert (row["key_index"], row["tier"], row["flags"]) == (2, 1, AccountFlag.LINKED)
    assert row["deposit_ledger_account_id"] is not None
    await bank.chain.register_requested_wallets()
    shown = (await bank.get(path)).json()
    assert (shown["state"], len(shown["address"])) == ("ready", 42)
    assert (await bank.get("/v1/wallets:summary")).json() == {
        "requested": 0, "ready": 3, "elsewhere": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("keeper", "name"), [(OTHER_BANK, "Participant 2"), (0, "The central bank")])
async def test_a_wallet_whose_address_is_taken_is_never_ready(
    bank: BankOffice, keeper: int, name: str
) -> None:
    made = (await bank.post("/v1/wallets", wallet())).json()
    await bank.chain.register_requested_wallets(keeper)
    shown = (await bank.get(f"/v1/wallets/{made['wallet_id']}")).json()
    assert (shown["state"], shown["reason"]["code"], shown["reason"]["participant_id"]) == (
        "elsewhere", "AddressOfAnotherParticipant", keeper,
    )  # fmt: skip
    assert shown["reason"]["detail"].startswith(f"{name} registered the address of the wallet 'w-2'")
    assert "request another wallet" in shown["reason"]["detail"]
    assert (await bank.get("/v1/wallets:summary")).json() == {
        "requested": 0, "ready": 2, "elsewhere": 1,
    }  # fmt: skip
    listed = {state: (await bank.get("/v1/wallets", state=state)).json()["wallets"] for state in
              ("requested", "ready", "elsewhere")}  # fmt: skip
    assert {state: [each["reference"] for each in found] for state, found in listed.items()} == {
        "requested": [], "ready": [each["reference"] for each in listed["ready"]], "elsewhere": ["w-2"],
    }  # fmt: skip
    assert "w-2" not in [each["reference"] for each in listed["ready"]]

    again = await bank.post("/v1/wallets", wallet())
    assert (again.status_code, again.json()["code"]) == (409, "AddressOfAnotherParticipant")
    assert again.json()["detail"] == shown["reason"]["detail"]
    assert (again.json()["address"], again.json()["participant_id"]) == (shown["address"], keeper)
    (line,) = await bank.bulk("/v1/wallets:bulk", [wallet()])
    assert (line["state"], line["code"]) == ("error", "AddressOfAnotherParticipant")

    assert (await bank.post("/v1/wallets", wallet("w-2b"))).status_code == 202
    await bank.chain.register_requested_wallets()
    ready = (await bank.get("/v1/wallets", state="ready")).json()["wallets"]
    assert sorted(each["reference"] for each in ready) == ["w-1", "w-2b", "w-9"]


async def test_a_wallet_that_its_owner_moved_is_elsewhere(bank: BankOffice) -> None:
    request = wallet("w-1", customer_reference="c-1", account_reference="a-1")
    before = (await bank.post("/v1/wallets", request)).json()
    assert before["state"] == "ready"
    await bank.chain.change(await bank.address_of("w-1"), participant=OTHER_BANK)
    shown = (await bank.get(f"/v1/wallets/{before['wallet_id']}")).json()
    assert (shown["state"], shown["reason"]["code"]) == ("elsewhere", "WalletMoved")
    again = await bank.post("/v1/wallets", request)
    assert (again.status_code, again.json()) == (202, before | {"state": "elsewhere"})


async def test_a_wallet_without_account_is_not_linked(bank: BankOffice) -> None:
    await bank.post("/v1/wallets", wallet(account_reference=None))
    row = await bank.institution.pool.fetchrow("SELECT * FROM outbox_registrations ORDER BY seq DESC LIMIT 1")
    assert (row["flags"], row["deposit_ledger_account_id"]) == (0, None)


async def test_the_same_wallet_again_takes_no_second_key(bank: BankOffice) -> None:
    first = await bank.post("/v1/wallets", wallet(), key="k-1")
    before = await bank.state(without=["idempotency_keys"])
    assert (await bank.post("/v1/wallets", wallet(), key="k-1")).content == first.content
    assert (await bank.post("/v1/wallets", wallet(), key="k-2")).json() == first.json()
    assert await bank.bulk("/v1/wallets:bulk", [wallet(), wallet()]) == [first.json()] * 2
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_bulk_requests_that_overlap_make_each_wallet_once(bank: BankOffice) -> None:
    lines = [wallet(f"n-{i}") for i in range(600)]
    await asyncio.gather(bank.bulk("/v1/wallets:bulk", lines), bank.bulk("/v1/wallets:bulk", lines[::-1]))
    count = await bank.institution.pool.fetchval("SELECT count(*) FROM outbox_registrations")
    assert count == 602


async def test_refused_wallets_change_nothing(bank: BankOffice) -> None:
    before = await bank.state(without=["idempotency_keys"])
    cases = [
        (wallet("w-1", tier=2), "IdempotencyKeyReused"),
        (wallet("w-1", account_reference=None), "IdempotencyKeyReused"),
        (wallet(customer_reference="c-404"), "UnknownCustomer"),
        (wallet(account_reference="a-404"), "UnknownAccount"),
        (wallet(account_reference="a-9"), "AccountOfAnotherCustomer"),
        (wallet(tier=77), "UnknownTier"),
        (wallet(tier=3), "TierNotGranted"),
        (wallet(tier=256), "MalformedRequest"),
        (wallet(tier="1"), "MalformedRequest"),
        (wallet(key_index=4), "UnknownField"),
    ]
    for body, code in cases:
        assert (await bank.post("/v1/wallets", body)).json()["code"] == code, body
    answers = await bank.bulk("/v1/wallets:bulk", [body for body, _ in cases])
    assert [(each["state"], each["code"]) for each in answers] == [("error", code) for _, code in cases]
    assert await bank.state(without=["idempotency_keys"]) == before


async def test_before_the_bank_takes_part_a_wallet_is_refused_for_now(bank: BankOffice) -> None:
    await bank.institution.pool.execute("DELETE FROM chain_participants WHERE participant = 1")
    refused = await bank.post("/v1/wallets", wallet(), key="k-1")
    assert (refused.status_code, refused.json()["code"]) == (503, "NotAParticipantYet")
    await bank.institution.pool.execute("INSERT INTO chain_participants VALUES (1, '\\x01', 2, 0)")
    assert (await bank.post("/v1/wallets", wallet(), key="k-1")).status_code == 202


async def test_lists_come_in_pages_and_by_state(bank: BankOffice) -> None:
    await bank.bulk("/v1/wallets:bulk", [wallet(f"n-{i}") for i in range(5)])
    seen: list[str] = []
    after = ""
    while True:
        page = (await bank.get("/v1/wallets", after=after, limit=2)).json()
        seen += [each["reference"] for each in page["wallets"]]
        if page["next_after"] is None:
            break
        after = page["next_after"]
    assert sorted(seen) == ["n-0", "n-1", "n-2", "n-3", "n-4", "w-1", "w-9"]
    ready = (await bank.get("/v1/wallets", state="ready")).json()["wallets"]
    assert sorted(each["reference"] for each in ready) == ["w-1", "w-9"]
    assert (await bank.get("/v1/wallets", state="lost")).status_code == 400
