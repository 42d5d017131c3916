"""Signing in with contact and password.

A sign-in
├── with the right password opens a session
├── with a wrong one, and with a contact that is no login, is answered in the same words and the same time
├── waits longer and longer, for an account and for an address
│   ├── many guesses at once are as many
│   └── a device that the person has used before is not held up by strangers' guesses
├── with an old hash makes a new one
└── says in the security log how many attempts failed before
A device
├── is known by its token, and another's token is none
├── that is not known is told of, but the first is not
└── can be forgotten, and is told of again
Confirming
├── a session of today that is older than ten minutes must show the password before changing logins
├── a sample customer's session confirms nothing
└── another person's objects cannot be touched
A password
├── is changed with the old one; other sessions end, it is told and logged, and only the new one is good
├── is not changed with a wrong one, nor without, nor to one that others would find
└── is called old after so many days, where the settings say so
A contact
├── is added after a code, told to the others, and can be signed in with
├── that is somebody's login is not added
└── is removed, but the last is not
"""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher

from api.database import transaction
from api.identity.sessions import open_session
from tests.api.identity.people import NEW_PASSWORD, PASSWORD, People, open_people
from tests.api.offices import BankOffice

if TYPE_CHECKING:
    from tests.api.conftest import Database

CREDENTIALS = {"contact": "anna@mail.test", "password": PASSWORD}
WRONG = {"contact": "anna@mail.test", "password": "wrong"}
UNKNOWN = {"contact": "nobody@mail.test", "password": "wrong"}


async def sign_in(people: People, body: dict[str, Any] = CREDENTIALS, address: str = "192.0.2.1") -> Any:
    return await people.post("/v1/sessions", body, address=address)


async def age_sessions(people: People) -> None:
    await people.as_owner("UPDATE sessions SET confirmed_at = now() - interval '10 minutes 1 second'")


async def test_the_right_password_opens_a_session(people: People) -> None:
    anna = await people.register()
    answer = await sign_in(people, CREDENTIALS | {"contact": " ANNA@mail.test"})
    assert answer.status_code == 201
    assert answer.json()["outcome"] == "signed_in"
    again = await people.signed(answer)
    assert again.customer_id == anna.customer_id
    assert again.token != anna.token


async def test_wrong_and_unknown_are_answered_in_the_same_words(people: People) -> None:
    await people.register()
    answers = [await sign_in(people, body) for body in (WRONG, UNKNOWN)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["code"] == "WrongCredentials"
    assert answers[0].headers.keys() == answers[1].headers.keys()


async def test_wrong_and_unknown_take_the_same_time(people: People) -> None:
    """Medians of interleaved runs: without the hash of nobody's password they differ by a whole hash."""
    await people.register()
    slow = PasswordHasher(time_cost=3, memory_cost=8192, parallelism=1)
    people.desk.passwords._hasher = slow
    people.desk.passwords._nobodys = slow.hash("nobody's")
    kept = slow.hash(PASSWORD)
    await people.as_owner(f"UPDATE passwords SET hash = '{kept}'")
    taken: dict[str, list[float]] = {"wrong": [], "unknown": [], "hash": []}
    for number in range(60):
        for name, contact in (("wrong", "anna@mail.test"), ("unknown", f"n{number}@mail.test")):
            await people.as_owner("UPDATE throttles SET counted = 0, blocked_until = counted_at")
            began = time.perf_counter()
            answer = await sign_in(people, {"contact": contact, "password": "wrong"})
            taken[name].append(time.perf_counter() - began)
            assert answer.json()["code"] == "WrongCredentials"
        taken["hash"].append(_seconds_of(lambda: slow.hash("x")))
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    print({name: f"{1000 * seconds:.2f} ms" for name, seconds in medians.items()})
    assert abs(medians["wrong"] - medians["unknown"]) < medians["hash"] / 2
    assert medians["unknown"] > medians["hash"]


def _seconds_of(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def test_an_account_waits_longer_and_longer_whoever_asks_and_known_or_not(people: People) -> None:
    await people.register()
    for body in (WRONG, UNKNOWN):
        answers = [await sign_in(people, body, f"198.51.100.{number}") for number in range(7)]
        assert [answer.status_code for answer in answers] == [403] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
    assert (await sign_in(people)).json()["code"] == "TooManyAttempts"
    await people.as_owner("UPDATE throttles SET blocked_until = now()")
    assert (await sign_in(people)).status_code == 201
    assert (await sign_in(people, WRONG)).status_code == 403, "the owner came: it begins anew"


async def test_an_address_waits_longer_and_longer_whomever_it_tries(people: People) -> None:
    await people.register()
    bodies = [UNKNOWN | {"contact": f"p{number}@mail.test"} for number in range(33)]
    statuses = [(await sign_in(people, body)).status_code for body in bodies]
    assert statuses == [403] * 31 + [429] * 2
    assert (await sign_in(people, address="198.51.100.1")).status_code == 201


async def test_guesses_at_once_are_as_many(people: People) -> None:
    await people.register()
    answers = await asyncio.gather(*(sign_in(people, WRONG, f"198.51.100.{number}") for number in range(25)))
    assert sorted(answer.status_code for answer in answers) == [403] * 5 + [429] * 20


async def test_a_device_of_the_person_is_not_held_up_by_strangers(people: People) -> None:
    anna = await people.register()
    eve = await people.register(contact="eve@mail.test")
    for number in range(8):
        await sign_in(people, WRONG, f"198.51.100.{number}")
    with_eves = await sign_in(people, CREDENTIALS | {"device_token": eve.device_token})
    with_own = await sign_in(people, CREDENTIALS | {"device_token": anna.device_token})
    assert [with_eves.status_code, with_own.status_code] == [429, 201]
    assert with_own.json()["device_token"] is None


async def test_an_old_hash_is_made_anew(people: People) -> None:
    await people.register()
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    await people.as_owner(f"UPDATE passwords SET hash = '{old}'")
    assert (await sign_in(people)).status_code == 201
    assert await people.office.institution.pool.fetchval("SELECT hash FROM passwords") != old
    assert (await sign_in(people)).status_code == 201


async def test_a_new_device_is_told_of_and_what_failed_before_is_in_the_log(people: People) -> None:
    anna = await people.register()
    for _ in range(3):
        await sign_in(people, WRONG)
    stranger = await people.signed(await sign_in(people, CREDENTIALS | {"device_name": "Desk\x1b[2J"}))
    await sign_in(people, CREDENTIALS | {"device_token": stranger.device_token})
    assert people.courier.kinds_told(anna.customer_id) == ["new_device"]
    assert people.courier.told[0][2] == {"device_name": "Desk[2J"}
    events = (await people.get("/v1/me/security-log", anna.token)).json()["events"]
    assert [event["kind"] for event in events] == [
        "signed_in",
        "signed_in",
        "new_device",
        "signed_in",
        "registered",
    ]
    assert [event["detail"].get("failed_before") for event in events] == [0, 3, None, 0, None]
    assert events[1]["device_name"] == "Desk[2J"
    assert events[1]["from_address"] == "192.0.2.1"
    older = await people.ask("GET", f"/v1/me/security-log?before={events[3]['event_id']}", None, anna.token)
    assert [event["kind"] for event in older.json()["events"]] == ["registered"]


async def test_a_device_can_be_forgotten(people: People) -> None:
    anna = await people.register()
    eve = await people.register(contact="eve@mail.test")
    (device,) = (await people.get("/v1/me/devices", anna.token)).json()["devices"]
    path = f"/v1/me/devices/{device['device_id']}"
    assert (await people.ask("DELETE", path, None, eve.token)).status_code == 404
    assert (await people.ask("DELETE", path, None, anna.token)).status_code == 204
    await sign_in(people, CREDENTIALS | {"device_token": anna.device_token})
    assert people.courier.kinds_told(anna.customer_id) == ["new_device"]


async def test_changes_need_a_confirmation_of_the_last_ten_minutes(people: People) -> None:
    anna = await people.register()
    await age_sessions(people)
    path, body = "/v1/me/contacts", {"contact": "+420601123456"}
    assert (await people.post(path, body, anna.token)).json()["code"] == "ConfirmationNeeded"
    wrong = await people.post("/v1/me/confirmation", {"password": "wrong"}, anna.token)
    assert wrong.json()["code"] == "WrongCredentials"
    assert (await people.post(path, body, anna.token)).json()["code"] == "ConfirmationNeeded"
    assert (await people.post("/v1/me/confirmation", {"password": PASSWORD}, anna.token)).status_code == 204
    assert (await people.post(path, body, anna.token)).status_code == 202


async def test_confirmations_are_throttled(people: People) -> None:
    anna = await people.register()
    answers = await asyncio.gather(
        *(people.post("/v1/me/confirmation", {"password": "wrong"}, anna.token) for _ in range(9))
    )
    assert sorted(answer.status_code for answer in answers) == [403] * 5 + [429] * 4


async def test_a_sample_customers_session_confirms_nothing(bank: BankOffice) -> None:
    pool = bank.institution.pool
    customer_id = await pool.fetchval("SELECT id FROM customers WHERE reference = 'c-1'")
    async with transaction(pool) as conn:
        sandbox = await open_session(conn, customer_id, "sandbox")
        unregistered = await open_session(conn, customer_id, "password")
    for token, code in ((sandbox, "NoLogin"), (unregistered, "NoLogin")):
        headers = {"Authorization": f"Bearer {token}"}
        answer = await bank.client.post("/v1/me/passkeys/options", headers=headers)
        assert answer.json()["code"] == code


async def test_a_password_is_changed_with_the_old_one(people: People) -> None:
    anna = await people.register()
    other = await people.signed(await sign_in(people))
    body = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await people.post("/v1/me/password", body, anna.token)).status_code == 204
    assert (await people.get("/v1/me", anna.token)).status_code == 200
    assert (await people.get("/v1/me", other.token)).status_code == 401
    assert (await sign_in(people)).status_code == 403
    assert (await sign_in(people, CREDENTIALS | {"password": NEW_PASSWORD})).status_code == 201
    assert "password_changed" in people.courier.kinds_told(anna.customer_id)
    events = (await people.get("/v1/me/security-log", anna.token)).json()["events"]
    assert "password_changed" in [event["kind"] for event in events]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("wrong", NEW_PASSWORD, "WrongCredentials"),
        (None, NEW_PASSWORD, "ConfirmationNeeded"),  # the session was opened with the password, just now
        (PASSWORD, "Nováková1990", "PasswordTooWeak"),
        (PASSWORD, "anna@mail.test", "PasswordTooWeak"),
    ],
)
async def test_a_password_is_not_changed(people: People, old: str | None, new: str, code: str) -> None:
    anna = await people.register()
    body = {"old_password": old, "new_password": new}
    assert (await people.post("/v1/me/password", body, anna.token)).json()["code"] == code
    assert (await sign_in(people)).status_code == 201


@pytest.mark.parametrize(("days", "is_old"), [(0, False), (29, True), (31, False)])
async def test_a_password_is_called_old_after_so_many_days(
    database: Database, days: int, is_old: bool
) -> None:
    async with open_people(database, password_reminder_days=days) as people:
        anna = await people.register()
        await people.as_owner("UPDATE passwords SET set_at = now() - interval '30 days'")
        assert (await people.get("/v1/me", anna.token)).json()["is_password_old"] is is_old


async def test_a_contact_is_added_after_a_code_and_removed_but_the_last(people: People) -> None:
    anna = await people.register()
    eve = await people.register(contact="eve@mail.test")
    added = await people.post("/v1/me/contacts", {"contact": "+420 601 123 456"}, anna.token)
    contact_id = added.json()["contact_id"]
    assert len((await people.get("/v1/me/contacts", anna.token)).json()["contacts"]) == 1
    with_phone = CREDENTIALS | {"contact": "+420601123456"}
    assert (await sign_in(people, with_phone)).status_code == 403
    path = f"/v1/me/contacts/{contact_id}/verification"
    code = {"code": people.courier.code_for("+420601123456")}
    assert (await people.post(path, code, eve.token)).status_code == 404
    assert (await people.post(path, {"code": "x"}, anna.token)).json()["code"] == "CodeRefused"
    assert (await people.post(path, code, anna.token)).status_code == 204
    assert (await people.post(path, code, anna.token)).status_code == 404
    assert (await sign_in(people, with_phone)).status_code == 201
    assert ("contact_added", {"contact": "+42…56"}) in [each[1:] for each in people.courier.told]

    listed = (await people.get("/v1/me/contacts", anna.token)).json()["contacts"]
    paths = [f"/v1/me/contacts/{each['contact_id']}" for each in listed]
    assert (await people.ask("DELETE", paths[0], None, eve.token)).status_code == 404
    assert (await people.ask("DELETE", paths[0], None, anna.token)).status_code == 204
    last = await people.ask("DELETE", paths[1], None, anna.token)
    assert (last.status_code, last.json()["code"]) == (409, "LastContact")
    assert people.courier.reached[anna.customer_id] == ["+420601123456"]
    assert (await sign_in(people)).status_code == 403, "the first contact is a login no more"


async def test_a_contact_that_is_a_login_is_not_added(people: People) -> None:
    anna = await people.register()
    await people.register(contact="eve@mail.test")
    added = await people.post("/v1/me/contacts", {"contact": "eve@mail.test"}, anna.token)
    assert added.status_code == 202, "whether it is known is told to its holder alone"
    path = f"/v1/me/contacts/{added.json()['contact_id']}/verification"
    answer = await people.post(path, {"code": people.courier.code_for("eve@mail.test")}, anna.token)
    assert (answer.status_code, answer.json()["code"]) == (409, "ContactTaken")
    assert (
        await people.post(f"/v1/me/contacts/{uuid.uuid4()}/verification", {"code": "1"}, anna.token)
    ).status_code == 404
