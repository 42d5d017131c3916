"""Every route of a person that names an object, against another person's object of that kind.

Another's object is answered like one that does not exist, and nothing changes. A route whose object this file
cannot make fails, until somebody writes down how.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from api.identity.access import PERSON, access_by_route
from tests.api.identity.passkey import Passkey

if TYPE_CHECKING:
    from tests.api.identity.people import People, Signed

BODIES: dict[str, Any] = {
    "/v1/me/contacts/{contact_id}/verification": {"code": "123456"},
}
"""What a route wants besides, of those of this room."""

ROOM = ("session_id", "contact_id", "passkey_id", "device_id")
"""Objects of the identity room; other rooms' routes are tested where their objects are made."""


async def objects_of(people: People, person: Signed) -> dict[str, str]:
    """One of each kind that belongs to a person."""
    given = (await people.post("/v1/me/passkeys/options", None, person.token)).json()
    made = {"ticket": given["ticket"], "credential": Passkey().created(given["public_key"])}
    passkey = (await people.post("/v1/me/passkeys", made, person.token)).json()
    (session,) = (await people.get("/v1/me/sessions", person.token)).json()["sessions"]
    (device,) = (await people.get("/v1/me/devices", person.token)).json()["devices"]
    contact = await people.post("/v1/me/contacts", {"contact": "+420601123456"}, person.token)
    return {
        "session_id": session["session_id"],
        "device_id": device["device_id"],
        "passkey_id": passkey["passkey_id"],
        "contact_id": contact.json()["contact_id"],
    }


async def test_anothers_object_is_as_good_as_none(people: People) -> None:
    anna, eve = await people.register(), await people.register(contact="eve@mail.test")
    annas = await objects_of(people, anna)
    before = await people.office.state()
    tried = 0
    for (method, template), access in access_by_route("bank").items():
        named = re.findall(r"\{([a-z_]+)\}", template)
        if access != PERSON or not named or not set(named) <= set(ROOM):
            continue
        answers = []
        for value in (annas[named[0]], str(uuid.uuid4())):
            path = template.replace("{" + named[0] + "}", value)
            answers.append(await people.ask(method, path, BODIES.get(template), eve.token))
        assert answers[0].status_code == 404, (method, template, answers[0].text)
        assert answers[0].json() == answers[1].json(), (method, template)
        tried += 1
    assert tried == 5
    assert await people.office.state() == before


async def test_lists_are_a_persons_own(people: People) -> None:
    anna, eve = await people.register(), await people.register(contact="eve@mail.test")
    annas = set((await objects_of(people, anna)).values())
    for (method, template), access in access_by_route("bank").items():
        if method == "GET" and access == PERSON and "{" not in template:
            answer = await people.get(template, eve.token)
            assert answer.status_code == 200, (template, answer.text)
            assert not any(each in answer.text for each in annas), template
            assert "anna@mail.test" not in answer.text, template


async def test_no_secret_of_a_person_is_in_what_a_route_lists(people: People) -> None:
    anna = await people.register()
    await objects_of(people, anna)
    secret = (await people.post("/v1/me/authenticator", None, anna.token)).json()["secret"]
    for (method, template), access in access_by_route("bank").items():
        if method == "GET" and access == PERSON and "{" not in template:
            text = (await people.get(template, anna.token)).text
            assert not any(each in text for each in (anna.token, anna.device_token, secret, "$argon2"))
