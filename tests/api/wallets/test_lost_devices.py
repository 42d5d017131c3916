"""After a lost device a person asks for another passkey for their wallets.

A change
├── is asked for each wallet, in the place of the credential that is bound, and once for a recovery
│   └── again after it was refused, and never for the passkey that is bound already
├── is not asked for without a completed recovery of a lost device, nor for another's passkey
└── needs a confirmation of the last ten minutes, and another person does not see it
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.api.identity.passkey import Passkey
from tests.api.identity.people import NEW_PASSWORD, People, Signed
from tests.api.identity.test_recovering import begin, complete, verify
from tests.fakes.final_chain import CUSTOMER_TIER

if TYPE_CHECKING:
    from asyncpg import Record

OLD = Passkey("old phone").credential_id


async def with_wallet(people: People, person: Signed) -> None:
    """A wallet with a credential that is registered on chain."""
    await people.office.chain.begin()
    reference = await people.office.institution.pool.fetchval(
        "SELECT reference FROM customers WHERE id = $1", person.customer_id
    )
    body = {
        "reference": "w-1",
        "customer_reference": reference,
        "tier": CUSTOMER_TIER,
        "credential": Passkey("old phone").authenticator.credential_fields("old phone"),
    }
    assert (await people.office.post("/v1/wallets", body)).status_code == 202
    await people.office.chain.register_requested_wallets()


async def recover(people: People, lost: str) -> Signed:
    """The person, signed in after a recovery."""
    await people.as_owner("UPDATE throttles SET counted = 0, blocked_until = counted_at")
    recovery_id = await begin(people, lost=lost)
    token = (await verify(people, recovery_id)).json()["token"]
    await people.as_owner("UPDATE recoveries SET ready_at = now()")
    assert (await complete(people, recovery_id, token)).status_code == 204
    body = {"contact": "anna@mail.test", "password": NEW_PASSWORD}
    return await people.signed(await people.post("/v1/sessions", body))


async def add_passkey(people: People, person: Signed, name: str) -> str:
    given = (await people.post("/v1/me/passkeys/options", None, person.token)).json()
    body = {"ticket": given["ticket"], "credential": Passkey(name).created(given["public_key"])}
    added = await people.post("/v1/me/passkeys", body, person.token)
    assert added.status_code == 201, added.text
    passkey_id: str = added.json()["passkey_id"]
    return passkey_id


async def ask(people: People, person: Signed, passkey_id: str) -> Any:
    return await people.post("/v1/me/credential-changes", {"passkey_id": passkey_id}, person.token)


async def filed(people: People) -> list[Record]:
    return await people.office.institution.pool.fetch(
        "SELECT address, bind ->> 'credential_id' AS bind, unbind FROM outbox_credential_changes ORDER BY seq"
    )


async def test_a_change_is_asked_once_for_a_recovery_and_again_after_a_refusal(people: People) -> None:
    await with_wallet(people, await people.register())
    anna = await recover(people, "device")
    passkey_id = await add_passkey(people, anna, "new phone")
    for _ in range(2):
        answer = await ask(people, anna, passkey_id)
        assert answer.status_code == 202, answer.text
    (change,) = answer.json()["changes"]
    assert (change["state"], change["credential_id"]) == ("queued", Passkey("new phone").credential_id)
    new = Passkey("new phone").credential_id
    assert [tuple(row) for row in await filed(people)] == [(await people.office.address_of("w-1"), new, OLD)]

    await people.as_owner("UPDATE outbox_credential_changes SET state = 'refused'")
    assert len((await ask(people, anna, passkey_id)).json()["changes"]) == 2
    await people.as_owner("UPDATE outbox_credential_changes SET state = 'done' WHERE state = 'queued'")

    anna = await recover(people, "device")
    await people.as_owner("DELETE FROM passkeys")
    same, newest = [await add_passkey(people, anna, name) for name in ("new phone", "newest phone")]
    assert len((await ask(people, anna, same)).json()["changes"]) == 2, "it is bound already"
    await ask(people, anna, newest)
    assert (await filed(people))[-1]["unbind"] == new


async def test_without_a_recovered_device_nothing_is_asked(people: People) -> None:
    anna = await people.register()
    await with_wallet(people, anna)
    passkey_id = await add_passkey(people, anna, "phone")
    assert (await ask(people, anna, passkey_id)).json()["code"] == "NoDeviceLost"
    anna = await recover(people, "password")
    assert (await ask(people, anna, passkey_id)).json()["code"] == "NoDeviceLost"
    assert await filed(people) == []


async def test_it_is_the_persons_own_and_needs_a_confirmation(people: People) -> None:
    await with_wallet(people, await people.register())
    eve = await people.register(contact="eve@mail.test")
    eves = await add_passkey(people, eve, "eve")
    anna = await recover(people, "device")
    for passkey_id in (eves, str(uuid.uuid4())):
        assert (await ask(people, anna, passkey_id)).status_code == 404
    await ask(people, anna, await add_passkey(people, anna, "new phone"))
    assert (await people.get("/v1/me/credential-changes", eve.token)).json() == {"changes": []}
    assert len((await people.get("/v1/me/credential-changes", anna.token)).json()["changes"]) == 1
    await people.as_owner("UPDATE sessions SET confirmed_at = now() - interval '11 minutes'")
    assert (await ask(people, anna, eves)).json()["code"] == "ConfirmationNeeded"
