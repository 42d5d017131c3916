"""Aliases, look-ups and their budget over HTTP (directory.tree)."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.addresses import address_text
from api.directory.budget import OF_BANKS, Budget, Tariff
from api.directory.errors import LookupBudgetExhausted, SecretFileUnusable
from api.directory.secret import DirectorySecret
from tests.api.directory.conftest import ANNA, BOB, CARL, Bank, bank_of, write_secret
from tests.api.offices import Office, open_office

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

PHONE = "+420 601 000 001"
PAID = {"payment_id": str(uuid.uuid4()), "transaction_hash": "0x" + "ab" * 32}
BURST = OF_BANKS.capacity // OF_BANKS.miss


def code_of(response: httpx.Response) -> str:
    return str(response.json()["code"])


async def registered(bank: Bank, alias: str = PHONE, address: bytes = ANNA, **changes: Any) -> str:
    response = await bank.register(alias, address, **changes)
    assert response.status_code == 200, response.text
    return str(response.json()["alias_id"])


async def full_at(office: Office, bank: Bank) -> datetime:
    """When a bank's bucket is full again."""
    moment: datetime = await office.institution.pool.fetchval(
        "SELECT full_at FROM lookup_budgets WHERE holder = $1", f"participant-{bank.participant_id}"
    )
    return moment


async def test_an_alias_is_found_by_every_bank_however_it_is_written(first: Bank, second: Bank) -> None:
    for alias, address in ((PHONE, ANNA), ("Anna@Example.com", CARL), ("@anna", ANNA)):
        await registered(first, alias, address)
    for bank in (first, second):
        for alias, address in (("+420601000001", ANNA), ("anna@EXAMPLE.com", CARL), ("@ANNA", ANNA)):
            found = (await bank.look_up(alias)).json()
            assert found["address"] == address_text(address)
            assert (found["participant_id"], found["masked_name"]) == (1, "A*** N***")
            assert found["name_match"] is None


async def test_a_given_name_is_compared_and_the_whole_one_is_never_told(first: Bank, second: Bank) -> None:
    await registered(first)
    for name, expected in (
        ("Nováková Anna", "match"),
        ("Ana Novakova", "close_match"),
        ("Bob Stranger", "no_match"),
    ):
        response = await second.look_up(PHONE, name)
        assert response.json()["name_match"] == expected
        assert "Nov" not in response.text


async def test_the_owner_can_have_an_alias_pay_another_wallet(first: Bank) -> None:
    alias_id = await registered(first)
    assert await registered(first) == alias_id
    assert await registered(first, address=CARL, name="Carl") == alias_id
    found = (await first.look_up(PHONE, "carl")).json()
    assert (found["address"], found["name_match"]) == (address_text(CARL), "match")


async def test_an_alias_has_one_owner(office: Office, first: Bank, second: Bank) -> None:
    await registered(first)
    other = await first.register(PHONE, CARL, owner="c-2")
    assert (other.status_code, code_of(other)) == (409, "AliasOfAnotherCustomer")
    before = await full_at(office, second) if await second.look_up(PHONE) else None
    assert before is not None
    elsewhere = await second.register(PHONE, BOB)
    assert (elsewhere.status_code, code_of(elsewhere)) == (409, "AliasOfAnotherBank")
    cost = await full_at(office, second) - before
    assert timedelta(seconds=OF_BANKS.miss - 2) < cost <= timedelta(seconds=OF_BANKS.miss)
    assert (await second.look_up(PHONE)).json()["address"] == address_text(ANNA)


async def test_two_banks_that_register_at_once_are_not_both_told_yes(first: Bank, second: Bank) -> None:
    for number in range(10):
        alias = f"+42060100{number:04}"
        answers = await asyncio.gather(
            first.register(alias, ANNA), second.register(alias, BOB), first.register(alias, ANNA)
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses in ([200, 409, 200], [409, 200, 409])


async def test_an_alias_pays_only_wallets_of_its_bank(first: Bank, second: Bank) -> None:
    for bank, address in ((first, BOB), (second, ANNA), (first, b"\x77" * 20)):
        refused = await bank.register(PHONE, address)
        assert (refused.status_code, code_of(refused)) == (422, "AddressNotOfParticipant")


async def test_a_released_alias_is_forgotten(first: Bank, second: Bank) -> None:
    alias_id = await registered(first)
    assert (await second.call("DELETE", f"/aliases/{alias_id}")).status_code == 404
    assert (await first.call("DELETE", f"/aliases/{alias_id}")).status_code == 204
    assert (await first.call("DELETE", f"/aliases/{alias_id}")).status_code == 404
    assert code_of(await second.look_up(PHONE)) == "AliasUnknown"
    await registered(second, address=BOB)


async def test_nothing_personal_is_in_the_database(office: Office, first: Bank, second: Bank) -> None:
    for alias in (PHONE, "anna.n@example.com", "@anna_n"):
        await registered(first, alias, owner="customer-77")
        await second.look_up(alias, "Anna Novakova")
        await second.look_up("+420601999999", "Bob Beran")
    text = repr(await office.state()).lower()
    for secret in ("601000001", "601999999", "anna", "novak", "nováková", "example", "customer-77", "beran"):
        found = [match.start() for match in re.finditer(re.escape(secret), text)]
        assert not found, (secret, text[found[0] - 80 : found[0] + 40])


async def test_a_caller_that_is_no_participant_is_refused(office: Office) -> None:
    stranger = Bank(office, 0, office.key)
    nobody = await bank_of(office, 4)
    for bank in (stranger, nobody):
        for response in (
            await bank.look_up(PHONE), await bank.register(PHONE, ANNA), await bank.call("GET", "/claims"),
        ):  # fmt: skip
            assert (response.status_code, code_of(response)) == (422, "CallerNotParticipant")


async def test_what_is_no_alias_is_refused_without_cost(office: Office, first: Bank) -> None:
    response = await first.look_up("Anna")
    assert (response.status_code, code_of(response)) == (400, "AliasUnreadable")
    assert await full_at(office, first) is None


async def test_a_miss_costs_more_than_a_hit(office: Office, first: Bank) -> None:
    await registered(first)
    costs = []
    for alias, code in ((PHONE, None), ("@nobody", "AliasUnknown")):
        before = max(await full_at(office, first), (await office.institution.pool.fetchval("SELECT now()")))
        response = await first.look_up(alias)
        assert response.json().get("code") == code
        costs.append((await full_at(office, first) - before).total_seconds())
    assert round(costs[0]) == OF_BANKS.hit
    assert round(costs[1]) == OF_BANKS.miss


async def test_as_many_aliases_can_be_tried_as_the_budget_has(
    office: Office, first: Bank, second: Bank
) -> None:
    await registered(second, "@bob", BOB)
    async with open_office(office.database, "central_bank", directory_secret_file=_file_of(office)) as twin:
        twins = [first, Bank(twin, 1, first.key)]
        began = time.monotonic()
        answers: list[httpx.Response] = []
        while not answers or answers[-1].status_code != 429:
            answers += await asyncio.gather(
                *(twins[number % 2].look_up(f"@nobody_{len(answers) + number}") for number in range(20))
            )
            answers.sort(key=lambda answer: answer.status_code)
        took = timedelta(seconds=time.monotonic() - began)
    misses = [answer for answer in answers if answer.status_code == 404]
    assert BURST <= len(misses) <= OF_BANKS.most_misses(took + timedelta(seconds=1))
    refused = answers[-1]
    assert code_of(refused) == "LookupBudgetExhausted"
    assert 0 < refused.json()["retry_after_s"] <= OF_BANKS.miss
    assert refused.headers["retry-after"] == str(refused.json()["retry_after_s"])
    assert (await first.look_up("@bob")).status_code == 429, "a hit is not told either"
    assert (await first.register("@bob", ANNA)).status_code == 429
    assert (await second.look_up("@bob")).status_code == 200, "each bank has its own budget"


def _file_of(office: Office) -> Path:
    return office.institution.settings.directory_secret_file


async def test_a_payment_gives_one_look_up_back_once(office: Office, first: Bank, second: Bank) -> None:
    await registered(first)
    ids = [(await second.look_up(PHONE)).json()["lookup_id"] for _ in range(3)]
    before = await full_at(office, second)
    for _ in range(2):
        response = await second.call("POST", f"/lookups/{ids[0]}/payment", PAID)
        assert response.json() == {"is_refunded": True}
    assert before - await full_at(office, second) == OF_BANKS.hit * OF_BANKS.token_every
    again = await second.call("POST", f"/lookups/{ids[1]}/payment", PAID)
    assert again.json() == {"is_refunded": False}, "the payment has given one back already"
    other = await second.call("POST", f"/lookups/{ids[0]}/payment", PAID | {"payment_id": str(uuid.uuid4())})
    assert other.json() == {"is_refunded": False}
    assert before - await full_at(office, second) == OF_BANKS.hit * OF_BANKS.token_every
    for bank, lookup_id in ((first, ids[2]), (second, str(uuid.uuid4()))):
        assert (await bank.call("POST", f"/lookups/{lookup_id}/payment", PAID)).status_code == 404


async def test_many_refunds_of_one_look_up_at_once_are_one(office: Office, first: Bank) -> None:
    await registered(first)
    lookup_id = (await first.look_up(PHONE)).json()["lookup_id"]
    before = await full_at(office, first)
    answers = await asyncio.gather(
        *(
            first.call("POST", f"/lookups/{lookup_id}/payment", PAID | {"payment_id": str(uuid.uuid4())})
            for _ in range(8)
        )
    )
    assert sorted(answer.json()["is_refunded"] for answer in answers) == [False] * 7 + [True]
    assert before - await full_at(office, first) == OF_BANKS.hit * OF_BANKS.token_every


async def test_the_time_of_a_look_up_tells_nothing(office: Office, first: Bank) -> None:
    await registered(first)
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(160):
        is_hit = number % 2 == 0
        if number % 40 == 0:
            await office.institution.pool.execute("UPDATE lookup_budgets SET full_at = now()")
        began = time.perf_counter()
        response = await first.look_up(PHONE if is_hit else "+420601000002", "Anna Novakova")
        took[is_hit].append(time.perf_counter() - began)
        assert response.status_code == (200 if is_hit else 404)
    slower = sum(hit > miss for hit in took[True] for miss in took[False]) / 80**2
    hit_ms, miss_ms = (statistics.median(took[is_hit]) * 1_000 for is_hit in (True, False))
    print(f"hit {hit_ms:.2f} ms, miss {miss_ms:.2f} ms; the hit is slower in {slower:.0%} of all pairs")
    assert 0.2 < slower < 0.8


async def test_old_aliases_are_found_after_the_secret_is_rotated(
    office: Office, first: Bank, secret_file: Path
) -> None:
    alias_id = await registered(first)
    write_secret(secret_file, "second")
    async with open_office(office.database, "central_bank", directory_secret_file=secret_file) as rotated:
        bank = Bank(rotated, 1, first.key)
        assert (await bank.look_up(PHONE, "Anna Nováková")).json()["name_match"] == "match"
        assert code_of(await bank.register(PHONE, ANNA, owner="c-2")) == "AliasOfAnotherCustomer"
        assert await registered(bank) == alias_id
        assert (await bank.look_up(PHONE, "Anna Nováková")).json()["name_match"] == "match"
    keys = await office.institution.pool.fetch("SELECT key_id FROM directory_aliases")
    assert [row["key_id"] for row in keys] == ["second"]
    assert code_of(await first.look_up(PHONE)) == "AliasUnknown", "the old key alone does not find it"


@pytest.mark.parametrize("content", ["", "first\n", "first abcd\n", "a b\n" * 2, "\xff"])
def test_a_broken_secret_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode("latin-1"))
    file.chmod(0o600)
    with pytest.raises(SecretFileUnusable) as refusal:
        DirectorySecret.load(file)
    assert "abcd" not in refusal.value.sentence


def test_a_secret_that_others_can_read_is_none(tmp_path: Path) -> None:
    file = write_secret(tmp_path / "secret", "first")
    secret = DirectorySecret.load(file)
    assert secret.keys["first"].hex() not in repr(secret)
    file.chmod(0o640)
    with pytest.raises(SecretFileUnusable):
        DirectorySecret.load(file)
    with pytest.raises(SecretFileUnusable):
        DirectorySecret.load(tmp_path / "absent")


async def test_without_a_secret_there_is_no_directory(central_bank: Office) -> None:
    response = await central_bank.post("/v1/directory/lookups", {"alias": PHONE})
    assert (response.status_code, code_of(response)) == (503, "DirectoryNotConfigured")


NOW = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
SMALL = Tariff(capacity=10, token_every=timedelta(seconds=3), hit=1, miss=4)


@pytest.mark.parametrize(("owed", "wait"), [(-1000, None), (0, None), (18, None), (19, 1), (20, 2), (30, 12)])
def test_a_bucket_pays_for_a_miss_or_says_when_it_can(owed: int, wait: int | None) -> None:
    budget = Budget("anybody", NOW + timedelta(seconds=owed), NOW)
    if wait is None:
        budget.require(SMALL)
        assert budget.after(SMALL, 4) - max(NOW, budget.full_at) == timedelta(seconds=12)
        return
    with pytest.raises(LookupBudgetExhausted) as refusal:
        budget.require(SMALL)
    assert refusal.value.values == {"retry_after_s": wait}
    Budget("anybody", budget.full_at, NOW + timedelta(seconds=wait)).require(SMALL)
