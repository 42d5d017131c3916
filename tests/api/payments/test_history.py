"""A person's payments and mandates: their own, from their own side.

A page: newest first, asked on with `before`; filtered by state, text (wildcards are letters), day and wallet
One payment: with its place on chain; the payee sees what was paid, not how
Another's, and one that was refused before it reached them: not found
Mandates: prepared, given, listed and revoked by their person alone; without a passkey, refused
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.api.payments.test_own_payments import asked, give_mandate, prepared, submit
from tests.api.people import Person, sign_in

if TYPE_CHECKING:
    from tests.api.passkeys import Passkey


async def small(person: Person, amount: int, note: str | None = None, **changes: Any) -> str:
    """A payment that requires nothing; its id."""
    body = asked(person, amount, note=note, **changes)
    made = await submit(person, body, await prepared(person, body))
    assert made.status_code == 202, made.text
    return str(made.json()["payment_id"])


async def ids(person: Person, **query: Any) -> list[str]:
    response = await person.get("/payments", **query)
    assert response.status_code == 200, response.text
    return [each["payment_id"] for each in response.json()["payments"]]


async def test_pages_and_filters(person: Person) -> None:
    made = [await small(person, amount, note) for amount, note in ((1, "100% rent"), (2, "gift"), (3, None))]
    assert await ids(person) == made[::-1]
    first = (await person.get("/payments", limit=2)).json()
    assert first["next_before"] == made[1]
    rest = (await person.get("/payments", limit=2, before=made[1])).json()
    assert ([each["payment_id"] for each in rest["payments"]], rest["next_before"]) == ([made[0]], None)
    assert await ids(person, search="100%") == made[:1]
    assert await ids(person, search="_ift") == []
    assert await ids(person, search="gas") == made[::-1]
    assert await ids(person, state="accepted") == made[::-1]
    assert await ids(person, state="final") == []
    assert await ids(person, from_day="2999-01-01") == []
    assert await ids(person, from_day="2020-01-01", to_day="2999-12-31") == made[::-1]
    assert await ids(person, wallet_id=str(uuid.uuid4())) == []
    for wrong in ({"state": "lost"}, {"from_day": "9999-12-31"}, {"limit": 0}, {"sort": "x"}):
        assert (await person.get("/payments", **wrong)).status_code == 400, wrong


async def test_each_side_sees_its_own(person: Person) -> None:
    await person.office.add_customer(2)
    other = await sign_in(person.office, 2)
    payment_id = await small(person, 7, "for you", payee={"wallet_reference": "w-2"})
    mine = (await person.get(f"/payments/{payment_id}")).json()
    theirs = (await other.get(f"/payments/{payment_id}")).json()
    assert (mine["direction"], mine["counterparty_name"], mine["from_deposit_minor"]) == (
        "out",
        "Customer 2",
        7,
    )
    assert (theirs["direction"], theirs["counterparty_name"]) == ("in", "Customer 1")
    assert (theirs["from_deposit_minor"], theirs["from_wallet_minor"]) == (None, None)
    assert theirs["proof"] == mine["proof"]
    assert (mine["proof"]["contract"], mine["proof"]["block_number"]) == ("0x" + "02" * 20, None)
    assert await ids(other, search="customer 1") == [payment_id]
    unrelated = await small(person, 8)
    for path in (f"/payments/{unrelated}", f"/payments/{uuid.uuid4()}"):
        assert (await other.get(path)).status_code == 404
    assert (await other.get("/payments", before=unrelated)).status_code == 404


async def test_mandates_are_their_persons_alone(person: Person, passkey: Passkey) -> None:
    mandate_id = await give_mandate(person, passkey)
    await person.office.add_customer(2)
    other = await sign_in(person.office, 2)
    listed = (await person.get("/mandates")).json()["mandates"]
    assert [(each["mandate_id"], each["state"]) for each in listed] == [(mandate_id, "requested")]
    assert (await other.get("/mandates")).json() == {"mandates": []}
    path = f"/mandates/{mandate_id}/revocation"
    assert (await other.post(path)).status_code == 404
    assert (await person.post(path)).json()["state"] == "revoked"
    assert (await person.post(path)).json()["state"] == "revoked"


async def test_a_mandate_needs_the_passkeys_yes_to_just_this(person: Person, passkey: Passkey) -> None:
    body = {
        "wallet_id": person.wallet_id,
        "payee": {"biller_reference": "b-1"},
        "cap_minor": 10,
        "period": "month",
        "starts_at_s": 1_000_000_000,
        "expires_at_s": 4_000_000_000,
    }
    found = (await person.post("/mandates:prepare", body)).json()
    approval = {
        "expires_at_s": found["to_sign"]["message"]["approvalExpiresAt"],
        **passkey.assertion(found["challenge"]),
    }
    given = body | {"mandate_id": found["mandate_id"], "approval": approval}
    for changes in ({"cap_minor": 11}, {"period": "day"}, {"payee": {"wallet_reference": "w-1"}}):
        assert (await person.post("/mandates", given | changes)).json()["code"] == "ApprovalMismatch"
    forged = given | {"approval": approval | {"signature": "AAAA"}}
    assert (await person.post("/mandates", forged)).json()["code"] == "SignatureInvalid"
    assert (await person.get("/mandates")).json() == {"mandates": []}
    first = await person.post("/mandates", given)
    assert (first.status_code, (await person.post("/mandates", given)).json()) == (202, first.json())
    bare = await person.office.institution.pool.fetchval("SELECT id FROM wallets WHERE reference = 'w-1'")
    refused = (await person.post("/mandates:prepare", body | {"wallet_id": str(bare)})).json()
    assert (refused["requirement"], refused["reasons"][0]["code"]) == ("refused", "PasskeyRequired")
