"""An alias moves to another bank (directory.tree, "a claim")."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from api.addresses import address_text
from tests.api.directory.conftest import ANNA, BOB, CARL, Bank, bank_of
from tests.fakes.final_chain import CUSTOMER_TIER

if TYPE_CHECKING:
    import asyncpg
    import httpx

    from tests.api.offices import Office

PHONE = "+420601000001"


@pytest.fixture
async def alias_id(first: Bank) -> str:
    """An alias of the first bank."""
    return str((await first.register(PHONE, ANNA)).json()["alias_id"])


async def claim(bank: Bank, age_s: int = 0, **changes: Any) -> httpx.Response:
    body = {"alias": PHONE, "address": address_text(BOB), "owner": "b-1", "name": "Anna N"}
    return await bank.call("PUT", "/claims", body | {"verified_at_s": int(time.time()) - age_s} | changes)


async def act(bank: Bank, response: httpx.Response, verb: str, body: Any = None) -> httpx.Response:
    return await bank.call("POST", f"/claims/{response.json()['claim_id']}/{verb}", body)


def word(age_s: int = 0) -> dict[str, int]:
    return {"verified_at_s": int(time.time()) - age_s}


async def payee(bank: Bank) -> str:
    return str((await bank.look_up(PHONE)).json()["address"])


async def let_time_pass(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    await owner.execute("UPDATE directory_claims SET waits_until = now() - interval '1 s'")


async def test_what_cannot_be_claimed(first: Bank, second: Bank) -> None:
    assert (await claim(second)).json()["code"] == "AliasUnknown"
    await first.register(PHONE, ANNA)
    own = await claim(first, address=address_text(CARL))
    assert own.json()["code"] == "AliasOfAnotherCustomer"
    assert (await claim(second, address=address_text(ANNA))).json()["code"] == "AddressNotOfParticipant"
    for age_s in (601 + 5, -60, -(2**39), int(time.time()) - 1):
        assert (await claim(second, age_s=age_s)).json()["code"] == "VerificationNotRecent"
    assert (await first.call("GET", "/claims")).json() == {"claims": []}


@pytest.mark.usefixtures("alias_id")
async def test_both_banks_see_a_claim_and_no_third_one(office: Office, first: Bank, second: Bank) -> None:
    made = (await claim(second)).json()
    assert (made["state"], made["claimant_id"], made["former_id"]) == ("open", 2, 1)
    assert (await claim(second)).json() == made, "the same claim"
    for bank in (first, second):
        assert (await bank.call("GET", "/claims")).json() == {"claims": [made]}
    await office.chain.register(b"\x03" * 20, 3, CUSTOMER_TIER)
    third = await bank_of(office, 3)
    assert (await third.call("GET", "/claims")).json() == {"claims": []}
    assert (await claim(third, address=address_text(b"\x03" * 20))).json()["code"] == "AliasHasClaim"
    for verb in ("completion", "withdrawal", "contest"):
        response = await third.call("POST", f"/claims/{made['claim_id']}/{verb}", word())
        assert response.status_code == 404


async def test_releasing_a_claimed_alias_hands_it_over(alias_id: str, first: Bank, second: Bank) -> None:
    made = await claim(second)
    assert await payee(second) == address_text(ANNA)
    assert (await first.call("DELETE", f"/aliases/{alias_id}")).status_code == 204
    assert await payee(first) == address_text(BOB)
    assert (await act(second, made, "completion")).json()["state"] == "done"
    contested = await act(first, made, "contest", word())
    assert (contested.status_code, contested.json()["code"]) == (409, "ClaimClosed")
    assert (await first.call("DELETE", f"/aliases/{alias_id}")).status_code == 404, (
        "it is the other bank's now"
    )
    assert (await second.register(PHONE, BOB, owner="b-1")).json()["alias_id"] == alias_id


@pytest.mark.usefixtures("alias_id")
async def test_a_contested_alias_stays(first: Bank, second: Bank) -> None:
    made = await claim(second, age_s=30)
    for age_s in (60, 700):
        older = await act(first, made, "contest", word(age_s))
        assert older.json()["code"] == "VerificationNotRecent"
    assert (await act(second, made, "contest", word())).status_code == 404, "only the former bank contests"
    for _ in range(2):
        assert (await act(first, made, "contest", word())).json()["state"] == "contested"
    completed = await act(second, made, "completion")
    assert (completed.json()["code"], completed.json()["state"]) == ("ClaimClosed", "contested")
    assert await payee(second) == address_text(ANNA)
    assert (await claim(second)).json()["state"] == "open", "it can be claimed anew"


@pytest.mark.usefixtures("alias_id")
async def test_without_an_answer_the_alias_is_the_claimants_after_its_time(
    first: Bank, second: Bank, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    made = await claim(second)
    early = await act(second, made, "completion")
    assert (early.json()["code"], early.json()["waits_until"]) == (
        "ClaimTooEarly", made.json()["waits_until"][:19] + "+00:00",
    )  # fmt: skip
    await let_time_pass(owner)
    assert (await act(first, made, "completion")).status_code == 404
    assert await payee(first) == address_text(ANNA), "nothing happens by itself"
    for _ in range(2):
        assert (await act(second, made, "completion")).json()["state"] == "done"
    assert await payee(first) == address_text(BOB)


@pytest.mark.usefixtures("alias_id")
async def test_a_withdrawn_claim_is_closed(first: Bank, second: Bank) -> None:
    made = await claim(second)
    assert (await act(first, made, "withdrawal")).status_code == 404
    for _ in range(2):
        assert (await act(second, made, "withdrawal")).json()["state"] == "withdrawn"
    assert (await act(first, made, "contest", word())).json()["code"] == "ClaimClosed"


async def test_a_release_a_contest_and_a_completion_at_once_decide_a_claim_once(
    alias_id: str, first: Bank, second: Bank, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    made = await claim(second, age_s=30)
    await let_time_pass(owner)
    await asyncio.gather(
        act(second, made, "completion"),
        act(first, made, "contest", word()),
        first.call("DELETE", f"/aliases/{alias_id}"),
    )
    (state,) = [each["state"] for each in (await second.call("GET", "/claims")).json()["claims"]]
    row = await owner.fetchrow("SELECT participant_id FROM directory_aliases")
    if state == "done":
        assert row is not None
        assert row["participant_id"] == 2
    else:
        assert state == "contested"
        assert row is None, "contested first, then released"
