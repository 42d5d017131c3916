"""Passkeys.

A passkey is registered
├── by a person who confirmed of late, with an answer to the challenge that they were given
├── not for another origin, another name, another challenge, without the user verified, nor with rubbish
├── not with another person's ticket, nor twice
└── in the form in which the signer binds it, as an independent reader finds its key
A sign-in with a passkey
├── needs no contact and no second factor
├── is good once for its challenge, for five minutes, and told of on a device that is not known
├── is refused to another origin, challenge or handle, a signature over anything else, and once removed
└── is refused when the counter has not grown
A confirmation with a passkey allows a new password without the old one, and is the person's own
A passkey that another person registered stays theirs
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest
from fido2.webauthn import AttestationObject

from api.identity.passkeys import signer_credential
from contracts.base64url import decode
from tests.api.identity.passkey import Passkey
from tests.api.identity.people import NEW_PASSWORD, People, Signed

KEY = Passkey()


async def options_for(people: People, person: Signed) -> dict[str, Any]:
    answer = await people.post("/v1/me/passkeys/options", None, person.token)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def add(people: People, person: Signed, key: Passkey = KEY, **changes: Any) -> Any:
    given = await options_for(people, person)
    body = {
        "ticket": given["ticket"],
        "credential": key.created(given["public_key"], **changes),
        "name": "My phone",
    }
    return await people.post("/v1/me/passkeys", body, person.token)


async def sign_in(people: People, key: Passkey = KEY, handle: bytes | None = None) -> Any:
    given = (await people.post("/v1/sessions/passkey-options")).json()
    body = {"ticket": given["ticket"], "credential": key.asserted(given["public_key"], handle)}
    return await people.post("/v1/sessions/passkey", body)


async def test_a_person_registers_a_passkey_and_signs_in_with_it(people: People) -> None:
    anna = await people.register()
    options = (await options_for(people, anna))["public_key"]
    assert options["rp"] == {"id": "localhost", "name": "Bank A"}
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    added = await add(people, anna)
    assert (added.status_code, added.json()["name"]) == (201, "My phone")
    listed = (await people.get("/v1/me/passkeys", anna.token)).json()["passkeys"]
    assert [each["credential_id"] for each in listed] == [KEY.credential_id]
    excluded = (await options_for(people, anna))["public_key"]["excludeCredentials"]
    assert [each["id"] for each in excluded] == [KEY.credential_id]

    answer = await sign_in(people, handle=anna.customer_id.bytes)
    assert (answer.status_code, answer.json()["assurance"]) == (201, "passkey")
    assert (await people.signed(answer)).customer_id == anna.customer_id
    assert people.courier.kinds_told(anna.customer_id) == ["passkey_added", "new_device"]


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (replace(KEY, origin="http://localhost:1"), {}),
        (replace(KEY, origin="https://evil.test"), {}),
        (replace(KEY, rp_id="evil.test"), {}),
        (replace(KEY, flags=1), {}),
        (KEY, {"challenge": "A" * 43}),
        (KEY, {"type": "webauthn.get"}),
    ],
)
async def test_a_passkey_made_for_anything_else_is_refused(
    people: People, key: Passkey, changes: dict[str, Any]
) -> None:
    anna = await people.register()
    answer = await add(people, anna, key, **changes)
    assert (answer.status_code, answer.json()["code"]) == (403, "PasskeyRefused")
    assert (await people.get("/v1/me/passkeys", anna.token)).json() == {"passkeys": []}


RUBBISH: list[Any] = [
    {},
    {"id": 5, "rawId": [], "response": None, "type": "public-key"},
    {"id": KEY.credential_id, "rawId": KEY.credential_id, "type": "public-key", "response": {}},
    {
        "id": KEY.credential_id,
        "rawId": KEY.credential_id,
        "type": "public-key",
        "response": {
            "clientDataJSON": "AAAA",
            "attestationObject": "o2",
            "authenticatorData": "AA",
            "signature": "AA",
            "userHandle": {"a": 1},
        },
    },
]


async def test_rubbish_is_refused_and_uses_its_ticket_up(people: People) -> None:
    anna = await people.register()
    await add(people, anna)
    for credential in RUBBISH:
        ticket = (await options_for(people, anna))["ticket"]
        body = {"ticket": ticket, "credential": credential}
        assert (await people.post("/v1/me/passkeys", body, anna.token)).json()["code"] == "PasskeyRefused"
        assert (await people.post("/v1/me/passkeys", body, anna.token)).json()["code"] == "StepExpired"
        ticket = (await people.post("/v1/sessions/passkey-options")).json()["ticket"]
        body = {"ticket": ticket, "credential": credential}
        assert (await people.post("/v1/sessions/passkey", body)).json()["code"] == "PasskeyRefused"
        assert (await people.post("/v1/sessions/passkey", body)).json()["code"] == "StepExpired"


async def test_a_passkey_is_not_registered_with_anothers_ticket_nor_twice(people: People) -> None:
    anna, eve = await people.register(), await people.register(contact="eve@mail.test")
    given = await options_for(people, anna)
    body = {"ticket": given["ticket"], "credential": KEY.created(given["public_key"])}
    assert (await people.post("/v1/me/passkeys", body, eve.token)).json()["code"] == "StepExpired"
    assert (await add(people, anna)).status_code == 201
    for person in (anna, eve):
        assert (await add(people, person)).json()["code"] == "PasskeyKnown"


async def test_the_signer_is_given_the_key_that_an_independent_reader_finds(people: People) -> None:
    anna = await people.register()
    given = await options_for(people, anna)
    made = KEY.created(given["public_key"])
    body = {"ticket": given["ticket"], "credential": made}
    assert (await people.post("/v1/me/passkeys", body, anna.token)).status_code == 201
    row = await people.office.institution.pool.fetchrow("SELECT credential_id, public_key FROM passkeys")
    assert row is not None
    read = AttestationObject(decode(made["response"]["attestationObject"])).auth_data.credential_data
    assert read is not None
    fields = signer_credential(row["credential_id"], row["public_key"])
    assert fields == KEY.authenticator.credential_fields("anna")
    assert decode(str(fields["public_key"])) == read.public_key[-2] + read.public_key[-3]


async def test_a_challenge_is_good_for_five_minutes(people: People) -> None:
    await add(people, await people.register())
    for by, status in (("4 minutes 50 seconds", 201), ("5 minutes 1 second", 403)):
        given = (await people.post("/v1/sessions/passkey-options")).json()
        await people.as_owner(f"UPDATE tickets SET expires_at = expires_at - interval '{by}'")
        body = {"ticket": given["ticket"], "credential": KEY.asserted(given["public_key"])}
        assert (await people.post("/v1/sessions/passkey", body)).status_code == status


async def test_a_challenge_is_good_once(people: People) -> None:
    await add(people, await people.register())
    given = (await people.post("/v1/sessions/passkey-options")).json()
    body = {"ticket": given["ticket"], "credential": KEY.asserted(given["public_key"])}
    answers = await asyncio.gather(*(people.post("/v1/sessions/passkey", body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403]


@pytest.mark.parametrize(
    ("key", "handle"),
    [
        (replace(KEY, origin="https://evil.test"), None),
        (replace(KEY, rp_id="evil.test"), None),
        (replace(KEY, name="unregistered"), None),
        (KEY, uuid.UUID(int=1).bytes),
    ],
)
async def test_an_assertion_for_anything_else_is_refused(
    people: People, key: Passkey, handle: bytes | None
) -> None:
    await add(people, await people.register())
    answer = await sign_in(people, key, handle)
    assert (answer.status_code, answer.json()["code"]) == (403, "PasskeyRefused")


async def test_an_assertion_over_another_challenge_or_of_another_key_is_refused(people: People) -> None:
    await add(people, await people.register())
    given = [(await people.post("/v1/sessions/passkey-options")).json() for _ in range(2)]
    body = {"ticket": given[0]["ticket"], "credential": KEY.asserted(given[1]["public_key"])}
    assert (await people.post("/v1/sessions/passkey", body)).json()["code"] == "PasskeyRefused"
    others = replace(KEY, name="eve").asserted(given[1]["public_key"])
    mixed = {**others, "id": KEY.credential_id, "rawId": KEY.credential_id}
    body = {"ticket": given[1]["ticket"], "credential": mixed}
    assert (await people.post("/v1/sessions/passkey", body)).json()["code"] == "PasskeyRefused"


async def test_a_counter_must_grow(people: People) -> None:
    await add(people, await people.register(), replace(KEY, sign_count=7))
    statuses = [
        (await sign_in(people, replace(KEY, sign_count=count))).status_code for count in (7, 8, 8, 0, 9)
    ]
    assert statuses == [403, 201, 403, 403, 201]


async def test_a_removed_passkey_signs_nobody_in(people: People) -> None:
    anna, eve = await people.register(), await people.register(contact="eve@mail.test")
    path = f"/v1/me/passkeys/{(await add(people, anna)).json()['passkey_id']}"
    assert (await people.ask("DELETE", path, None, eve.token)).status_code == 404
    assert (await sign_in(people)).status_code == 201
    assert (await people.ask("DELETE", path, None, anna.token)).status_code == 204
    assert (await sign_in(people)).json()["code"] == "PasskeyRefused"


async def test_a_confirmation_with_a_passkey_allows_a_new_password(people: People) -> None:
    anna, eve = await people.register(), await people.register(contact="eve@mail.test")
    assert (await people.post("/v1/me/confirmation/passkey-options", None, anna.token)).status_code == 404
    await add(people, anna)
    await add(people, eve, replace(KEY, name="eve"))
    await people.as_owner("UPDATE sessions SET confirmed_at = now() - interval '11 minutes'")
    for key, status in ((replace(KEY, name="eve"), 403), (KEY, 204)):
        given = (await people.post("/v1/me/confirmation/passkey-options", None, anna.token)).json()
        body = {"ticket": given["ticket"], "credential": key.asserted(given["public_key"])}
        assert (await people.post("/v1/me/confirmation/passkey", body, eve.token)).json()[
            "code"
        ] == "StepExpired"
        given = (await people.post("/v1/me/confirmation/passkey-options", None, anna.token)).json()
        body = {"ticket": given["ticket"], "credential": key.asserted(given["public_key"])}
        assert (await people.post("/v1/me/confirmation/passkey", body, anna.token)).status_code == status
    changed = await people.post("/v1/me/password", {"new_password": NEW_PASSWORD}, anna.token)
    assert changed.status_code == 204
