"""A person's sessions.

A session
├── is what its bearer token or its page's cookie says, and only its hash is kept
├── ends when it was not used for half an hour, and twelve hours after it was opened however much it is used
├── a use within the half hour keeps it open
└── of another institution, or with another letter: nobody's
Where a person is signed in
├── they see their own sessions, the last used first, and which is this one
├── they end one of them, or all the others
└── another's session cannot be ended, nor is told to exist
What a device says of itself is shortened and without what cannot be printed
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from api.database import transaction
from api.identity.sessions import TOKEN_PREFIX, close_sessions, open_session, session_of
from tests.api.offices import BankOffice, open_office

if TYPE_CHECKING:
    from tests.api.conftest import Database


async def customer_id(bank: BankOffice, reference: str) -> uuid.UUID:
    found: uuid.UUID = await bank.institution.pool.fetchval(
        "SELECT id FROM customers WHERE reference = $1", reference
    )
    return found


async def sign_in(bank: BankOffice, reference: str = "c-1", device_name: str = "Firefox") -> str:
    async with transaction(bank.institution.pool) as conn:
        return await open_session(conn, await customer_id(bank, reference), "password", device_name)


async def ask(bank: BankOffice, token: str, path: str = "/v1/me", method: str = "GET") -> Any:
    return await bank.client.request(method, path, headers={"Authorization": f"Bearer {token}"})


async def move_back(bank: BankOffice, column: str, by: str) -> None:
    """Have this been so much earlier; as the owner, since the application cannot."""
    connection = await asyncpg.connect(bank.database.owner_url)
    try:
        await connection.execute(f"UPDATE sessions SET {column} = now() - interval '{by}'")
    finally:
        await connection.close()


async def test_a_session_is_its_token_and_only_a_hash_is_kept(bank: BankOffice) -> None:
    token = await sign_in(bank)
    answer = await ask(bank, token)
    assert (answer.status_code, answer.json()["name"], answer.json()["assurance"]) == (
        200,
        "Customer 1",
        "password",
    )
    assert token.startswith(TOKEN_PREFIX)
    assert token not in repr(await bank.state())


async def test_a_session_that_is_not_used_ends_after_half_an_hour(bank: BankOffice) -> None:
    token = await sign_in(bank)
    await move_back(bank, "last_used_at", "29 minutes")
    assert (await ask(bank, token)).status_code == 200
    await move_back(bank, "last_used_at", "31 minutes")
    assert (await ask(bank, token)).json()["code"] == "SessionMissing"


async def test_a_use_keeps_it_open(bank: BankOffice) -> None:
    token = await sign_in(bank)
    await move_back(bank, "last_used_at", "29 minutes")
    await ask(bank, token)
    age = await bank.institution.pool.fetchval("SELECT now() - last_used_at FROM sessions")
    assert age.total_seconds() < 60


async def test_a_session_ends_after_twelve_hours_however_much_it_is_used(bank: BankOffice) -> None:
    token = await sign_in(bank)
    await move_back(bank, "opened_at", "12 hours 1 second")
    assert (await ask(bank, token)).json()["code"] == "SessionMissing"
    await sign_in(bank, "c-9")
    assert await bank.institution.pool.fetchval("SELECT count(*) FROM sessions") == 1


@pytest.mark.parametrize("change", ["flip", "cut", "prefix", "empty", "long"])
async def test_another_token_is_nobodys(bank: BankOffice, change: str) -> None:
    token = await sign_in(bank)
    wrong = {
        "flip": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "cut": token[:-1],
        "prefix": token.removeprefix(TOKEN_PREFIX),
        "empty": "",
        "long": token + "A" * 200,
    }[change]
    async with bank.institution.pool.acquire() as conn:
        assert await session_of(conn, wrong) is None


async def test_a_session_of_another_bank_is_nobodys(bank: BankOffice, database: Database) -> None:
    token = await sign_in(bank)
    async with open_office(database, institution="bank-b", participant_id=2) as other:
        assert (await ask(other, token)).json()["code"] == "SessionMissing"


async def test_a_person_sees_and_ends_their_own_sessions(bank: BankOffice) -> None:
    first, second, third = [await sign_in(bank, device_name=name) for name in ("Phone", "Desk", "Library")]
    others = await sign_in(bank, "c-9")
    found = (await ask(bank, third, "/v1/me/sessions")).json()["sessions"]
    assert {each["device_name"] for each in found} == {"Phone", "Desk", "Library"}
    assert [each["device_name"] for each in found if each["is_this"]] == ["Library"]

    phone = next(each["session_id"] for each in found if each["device_name"] == "Phone")
    assert (await ask(bank, third, f"/v1/me/sessions/{phone}", "DELETE")).status_code == 204
    assert (await ask(bank, first)).status_code == 401
    assert (await ask(bank, third, f"/v1/me/sessions/{phone}", "DELETE")).status_code == 404

    assert (await ask(bank, third, "/v1/me/sessions", "DELETE")).status_code == 204
    assert [(await ask(bank, token)).status_code for token in (second, third, others)] == [401, 200, 200]


async def test_another_persons_session_cannot_be_ended(bank: BankOffice) -> None:
    mine, theirs = await sign_in(bank), await sign_in(bank, "c-9")
    (session,) = (await ask(bank, theirs, "/v1/me/sessions")).json()["sessions"]
    answer = await ask(bank, mine, f"/v1/me/sessions/{session['session_id']}", "DELETE")
    unknown = await ask(bank, mine, f"/v1/me/sessions/{uuid.uuid4()}", "DELETE")
    assert (answer.status_code, answer.json()) == (404, unknown.json())
    assert (await ask(bank, theirs)).status_code == 200


async def test_all_sessions_of_a_person_can_be_ended(bank: BankOffice) -> None:
    tokens = [await sign_in(bank), await sign_in(bank)]
    async with transaction(bank.institution.pool) as conn:
        assert await close_sessions(conn, await customer_id(bank, "c-1")) == 2
    assert [(await ask(bank, token)).status_code for token in tokens] == [401, 401]


async def test_a_devices_name_is_shortened_and_printable(bank: BankOffice) -> None:
    token = await sign_in(bank, device_name="\x00\x1b[31m" + "n" * 500)
    (session,) = (await ask(bank, token, "/v1/me/sessions")).json()["sessions"]
    assert session["device_name"] == "[31m" + "n" * 196
