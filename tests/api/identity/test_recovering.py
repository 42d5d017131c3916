"""A forgotten password, a lost device.

A recovery
├── is answered the same, in the same time, whether the contact is known and the details are right
├── waits after the code; meanwhile the person is told, limits are lowered and the old password is good
├── is completed after the wait with a new password; all sessions end, it is told, and nobody is signed in
│   └── a second factor stays asked for
├── of a device takes passkeys, authenticator app and known devices as well
├── with wrong details or an unknown contact is refused after the code, and its holder alone learns it
├── is cancelled by the person from any session, and by another one that is completed
├── is completed once, with its own token, within a week
└── is not begun again and again
A name is the same whatever its case, spaces and composition
"""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from api.identity.recovering import restricted_until, same_name
from tests.api.identity.passkey import Passkey
from tests.api.identity.people import ANNA, NEW_PASSWORD, PASSWORD, People, open_people

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Database

ASKED = {"lost": "password", **ANNA}


async def begin(people: People, **changes: Any) -> str:
    answer = await people.post("/v1/recoveries", ASKED | changes)
    assert answer.status_code == 202, answer.text
    recovery_id: str = answer.json()["recovery_id"]
    return recovery_id


async def verify(people: People, recovery_id: str, address: str = "anna@mail.test") -> httpx.Response:
    body = {"code": people.courier.code_for(address)}
    return await people.post(f"/v1/recoveries/{recovery_id}/verification", body)


async def complete(
    people: People, recovery_id: str, token: str, password: str = NEW_PASSWORD
) -> httpx.Response:
    return await people.post(
        f"/v1/recoveries/{recovery_id}/completion", {"token": token, "password": password}
    )


async def pass_days(people: People, days: float) -> None:
    by = f"interval '{days * 86_400:.0f} seconds'"
    await people.as_owner(
        f"""UPDATE recoveries SET ready_at = ready_at - {by}, completed_at = completed_at - {by};
            UPDATE people SET restricted_until = restricted_until - {by};
            UPDATE throttles SET blocked_until = blocked_until - {by}"""
    )


async def restricted(people: People, customer_id: uuid.UUID) -> bool:
    async with people.office.institution.pool.acquire() as conn:
        return await restricted_until(conn, customer_id) is not None


async def sign_in(people: People, password: str) -> httpx.Response:
    return await people.post("/v1/sessions", {"contact": "anna@mail.test", "password": password})


@pytest.mark.parametrize(
    ("given", "is_same"),
    [
        ("anna  NOVÁKOVÁ ", True),
        ("Anna Nova\u0301kova\u0301", True),
        ("Ａｎｎａ Nováková", True),
        ("Anna Novakova", False),
        ("Nováková Anna", False),
        ("", False),
    ],
)
def test_a_name_is_the_same_whatever_its_form(given: str, is_same: bool) -> None:
    assert same_name(given, "Anna Nováková") is is_same


async def test_a_forgotten_password_is_set_anew_after_a_wait(people: People) -> None:
    anna = await people.register()
    recovery_id = await begin(people, name="anna nováková")
    assert not await restricted(people, anna.customer_id), "nobody has shown anything yet"
    token = (await verify(people, recovery_id)).json()["token"]
    assert await restricted(people, anna.customer_id)
    assert people.courier.kinds_told(anna.customer_id) == ["recovery_started"]
    early = await complete(people, recovery_id, token)
    assert (early.status_code, early.json()["code"]) == (409, "StillCooling")
    assert (await sign_in(people, PASSWORD)).status_code == 201
    open_ones = (await people.get("/v1/me/recoveries", anna.token)).json()
    assert [each["recovery_id"] for each in open_ones["recoveries"]] == [recovery_id]
    assert open_ones["restricted_until"] is not None

    await pass_days(people, 1)
    weak = await complete(people, recovery_id, token, "Nováková1990")
    assert weak.json()["code"] == "PasswordTooWeak"
    answers = await asyncio.gather(*(complete(people, recovery_id, token) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 409, 409]
    assert (await people.get("/v1/me", anna.token)).status_code == 401
    assert [(await sign_in(people, each)).status_code for each in (PASSWORD, NEW_PASSWORD)] == [403, 201]
    assert people.courier.kinds_told(anna.customer_id)[-2:] == ["recovery_finished", "new_device"]
    assert await restricted(people, anna.customer_id), "as long again after it"
    await pass_days(people, 1.01)
    assert not await restricted(people, anna.customer_id)


async def test_what_is_unknown_or_wrong_is_answered_the_same_until_the_code(people: People) -> None:
    anna = await people.register()
    wrong = ({"contact": "nobody@mail.test"}, {"name": "Eve"}, {"date_of_birth": "1990-05-18"})
    for changes in wrong:
        recovery_id = await begin(people, **changes)
        answer = await verify(people, recovery_id, changes.get("contact", "anna@mail.test"))
        assert (answer.status_code, answer.json()["code"]) == (403, "DetailsDiffer")
        answer = await complete(people, recovery_id, "ft_" + "A" * 43)
        assert answer.json()["code"] == "StepExpired"
        await people.as_owner("UPDATE throttles SET counted = 0, blocked_until = counted_at")
    assert people.courier.told == []
    assert not await restricted(people, anna.customer_id)


async def test_known_and_unknown_contacts_take_the_same_time(people: People) -> None:
    """Medians of interleaved runs: a message that is written for one of them only would show."""
    await people.register()
    taken: dict[str, list[float]] = {"known": [], "unknown": []}
    for number in range(60):
        for name, contact in (("known", "anna@mail.test"), ("unknown", f"n{number}@mail.test")):
            await people.as_owner("UPDATE throttles SET counted = 0, blocked_until = counted_at")
            began = time.perf_counter()
            await begin(people, contact=contact)
            taken[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    print({name: f"{1000 * seconds:.2f} ms" for name, seconds in medians.items()})
    assert max(medians.values()) < 1.5 * min(medians.values())
    sent = [code.address for code in people.courier.codes if code.kind == "recovery_code"]
    assert len(sent) == 120


async def test_a_second_factor_stays_after_a_password_and_goes_with_a_device(people: People) -> None:
    anna = await people.register()
    key = Passkey()
    given = (await people.post("/v1/me/passkeys/options", None, anna.token)).json()
    body = {"ticket": given["ticket"], "credential": key.created(given["public_key"])}
    assert (await people.post("/v1/me/passkeys", body, anna.token)).status_code == 201
    secret = (await people.post("/v1/me/authenticator", None, anna.token)).json()["secret"]
    code = {"code": pyotp.TOTP(secret).now()}
    assert (await people.post("/v1/me/authenticator/verification", code, anna.token)).status_code == 200
    for lost, status, left in (("password", 202, 1), ("device", 201, 0)):
        recovery_id = await begin(people, lost=lost)
        token = (await verify(people, recovery_id)).json()["token"]
        await pass_days(people, 1)
        assert (await complete(people, recovery_id, token)).status_code == 204
        assert (await sign_in(people, NEW_PASSWORD)).status_code == status
        assert await people.office.institution.pool.fetchval("SELECT count(*) FROM passkeys") == left


async def test_the_person_cancels_it_from_any_session(people: People) -> None:
    anna, eve = await people.register(), await people.register(contact="eve@mail.test")
    recovery_id = await begin(people)
    assert (await people.ask("DELETE", "/v1/me/recoveries", None, eve.token)).status_code == 404
    token = (await verify(people, recovery_id)).json()["token"]
    assert (await people.ask("DELETE", "/v1/me/recoveries", None, eve.token)).status_code == 404
    assert (await people.ask("DELETE", "/v1/me/recoveries", None, anna.token)).status_code == 204
    assert not await restricted(people, anna.customer_id)
    await pass_days(people, 1)
    assert (await complete(people, recovery_id, token)).json()["code"] == "RecoveryOver"
    assert (await sign_in(people, PASSWORD)).status_code == 201
    assert people.courier.kinds_told(anna.customer_id)[:2] == ["recovery_started", "recovery_cancelled"]


async def test_one_that_is_completed_ends_the_others(people: People) -> None:
    await people.register()
    ids = [await begin(people), ""]
    tokens = [(await verify(people, ids[0])).json()["token"]]
    ids[1] = await begin(people)
    tokens.append((await verify(people, ids[1])).json()["token"])
    await pass_days(people, 1)
    statuses = [
        (await complete(people, each, token)).status_code for each, token in zip(ids, tokens, strict=True)
    ]
    assert statuses == [204, 409]


async def test_it_is_completed_within_a_week_and_with_its_own_token(people: People) -> None:
    await people.register()
    recovery_id = await begin(people)
    token = (await verify(people, recovery_id)).json()["token"]
    await pass_days(people, 1)
    other = await complete(people, str(uuid.uuid4()), token)
    assert other.json()["code"] == "StepExpired"
    await pass_days(people, 7.01)
    assert (await complete(people, recovery_id, token)).json()["code"] == "StepExpired"


async def test_it_is_not_begun_again_and_again(people: People) -> None:
    await people.register()
    answers = [await people.post("/v1/recoveries", ASKED) for _ in range(5)]
    # one message for the registration, two without delay, and then they wait
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429, 429]


async def test_in_a_sandbox_the_wait_can_be_short(database: Database) -> None:
    async with open_people(database, recovery_cooling_s=0) as people:
        await people.register()
        recovery_id = await begin(people)
        token = (await verify(people, recovery_id)).json()["token"]
        assert (await complete(people, recovery_id, token)).status_code == 204
