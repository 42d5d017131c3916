"""A person opens a wallet with a passkey.

Preparing
├── gives WebAuthn's options with a fresh challenge, and names the passkeys that the person has here
├── clears away what nobody used in time
└── with as many wallets as a person gets: refused
Opening what was prepared
├── makes account, wallet and credential together (ES256 or Ed25519, in the signer's form)
│   ├── beside an account of theirs: no other account
│   └── and says when it is ready
├── beside another's account, or after another's question: not found
├── again: the same answer; with another passkey or account: refused
├── too late: refused
├── two at once: one wallet
├── with a passkey for another challenge, origin or relying party, without user verification, inside a frame,
│   of another kind of key, or that is nonsense: refused
└── where the wallet is refused: nothing remains, and it can be tried again
Their wallets and accounts: their own, and nobody else's
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.wallets.opening import MOST_WALLETS
from contracts import base64url
from tests.api.offices import BankOffice, open_office
from tests.api.passkeys import ATTESTED, ED25519, ES256, PRESENT, Passkey
from tests.api.people import Person, sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.conftest import Database

PAGES = {"page_origins": ["http://localhost:8101"]}


@pytest.fixture
async def office(bank: BankOffice) -> AsyncIterator[BankOffice]:
    """A furnished bank whose pages have an origin."""
    async with open_office(bank.database, **PAGES) as opened:
        yield opened


@pytest.fixture
async def person(office: BankOffice) -> Person:
    """Customer 1."""
    return await sign_in(office)


async def prepare(person: Person) -> tuple[str, str]:
    """An opening's id and challenge."""
    response = await person.post("/wallets:prepare")
    assert response.status_code == 200, response.text
    return response.json()["opening_id"], response.json()["options"]["challenge"]


async def body_of(person: Person, passkey: Passkey, **changes: Any) -> dict[str, Any]:
    opening_id, challenge = await prepare(person)
    return {"opening_id": opening_id, "passkey": passkey.registration(challenge, **changes)}


@pytest.mark.parametrize("algorithm", [ES256, ED25519])
async def test_a_wallet_is_opened_with_account_and_credential(person: Person, algorithm: int) -> None:
    passkey = Passkey(algorithm=algorithm)
    response = await person.post("/wallets", await body_of(person, passkey))
    assert response.status_code == 202, response.text
    opened = response.json()
    assert (opened["state"], opened["confirmations"]) == ("requested", 6)
    stored = await person.office.institution.pool.fetchval(
        "SELECT credential FROM outbox_registrations WHERE wallet_id = $1", uuid.UUID(opened["wallet_id"])
    )
    assert json.loads(stored) == passkey.credential
    await person.office.chain.register_requested_wallets()
    wallets = (await person.get("/wallets")).json()["wallets"]
    mine = next(each for each in wallets if each["wallet_id"] == opened["wallet_id"])
    assert (mine["state"], mine["account_id"], mine["tier"]) == ("ready", opened["account_id"], 1)
    assert (await person.get(f"/wallets/{opened['wallet_id']}")).json() == mine
    accounts = (await person.get("/accounts")).json()["accounts"]
    assert [each["account_id"] for each in accounts][-1] == opened["account_id"]
    options = (await person.post("/wallets:prepare")).json()["options"]
    assert options["excludeCredentials"] == [
        {"type": "public-key", "id": passkey.credential["credential_id"]}
    ]
    assert options["authenticatorSelection"]["userVerification"] == "required"


async def test_a_wallet_beside_an_account_that_there_is_makes_no_other(person: Person) -> None:
    (account,) = (await person.get("/accounts")).json()["accounts"]
    body = await body_of(person, Passkey()) | {"account_id": account["account_id"]}
    opened = (await person.post("/wallets", body)).json()
    assert opened["account_id"] == account["account_id"]
    assert len((await person.get("/accounts")).json()["accounts"]) == 1


async def test_anothers_account_and_anothers_question_are_not_found(person: Person) -> None:
    await person.office.add_customer(2)
    other = await sign_in(person.office, 2)
    (account,) = (await other.get("/accounts")).json()["accounts"]
    body = await body_of(person, Passkey())
    before = await person.office.state(without=["sessions"])
    for refused in (
        await person.post("/wallets", body | {"account_id": account["account_id"]}),
        await other.post("/wallets", body),
        await person.post("/wallets", body | {"opening_id": str(uuid.uuid4())}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (404, "NotFound")
    assert await person.office.state(without=["sessions"]) == before
    wallet_id = (await other.get("/wallets")).json()["wallets"][0]["wallet_id"]
    assert (await person.get(f"/wallets/{wallet_id}")).status_code == 404
    assert (await person.post("/wallets", body)).status_code == 202


async def test_opening_again_gives_the_same_wallet_and_nothing_else(person: Person) -> None:
    body = await body_of(person, Passkey())
    first = await person.post("/wallets", body)
    assert (await person.post("/wallets", body)).json() == first.json()
    challenge = base64url.encode(bytes(32))
    another = body | {"passkey": Passkey(2).registration(challenge)}
    elsewhere = body | {"account_id": str(uuid.uuid4())}
    for changed in (another, elsewhere):
        refused = await person.post("/wallets", changed)
        assert (refused.status_code, refused.json()["code"]) == (409, "OpeningUsed")
    assert len((await person.get("/wallets")).json()["wallets"]) == 2


async def test_a_question_that_is_too_old_is_refused_and_cleared_away(
    person: Person, bank: BankOffice
) -> None:
    body = await body_of(person, Passkey())
    pool = bank.institution.pool
    await backdate(bank.database)
    refused = await person.post("/wallets", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "OpeningExpired")
    await prepare(person)
    assert await pool.fetchval("SELECT count(*) FROM wallet_openings") == 1


async def backdate(database: Database) -> None:
    """Every question was asked an hour earlier."""
    import asyncpg

    owner = await asyncpg.connect(database.superuser_url)
    await owner.execute("UPDATE wallet_openings SET expires_at = expires_at - interval '1 hour'")
    await owner.close()


async def test_two_at_once_open_one_wallet(person: Person) -> None:
    body = await body_of(person, Passkey())
    answers = await asyncio.gather(*(person.post("/wallets", body) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["wallet_id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"challenge": base64url.encode(bytes(32))},
        {"origin": "http://localhost:8102"},
        {"rp_id": "elsewhere.example"},
        {"flags": PRESENT | ATTESTED},
        {"crossOrigin": True},
        {"topOrigin": "https://elsewhere.example"},
        {"type": "webauthn.get"},
        {"cose": {1: 3, 3: -257, -1: b"\x01" * 256, -2: b"\x01\x00\x01"}},
        {"cose": {1: 2, 3: -7, -1: 1, -2: b"\x01" * 32, -3: b"\x01" * 32}},
        {"cose": {1: 2, 3: -7, -1: 2, -2: b"\x01" * 32, -3: b"\x01" * 32}},
        {"cose": {1: 1, 3: -8, -1: 6, -2: b"\x01" * 31}},
        {"cose": {1: 1, 3: -8, -1: 6, -2: "text"}},
        {"cose": []},
    ],
)
async def test_a_passkey_that_was_not_made_as_asked_is_refused(
    person: Person, changes: dict[str, Any]
) -> None:
    opening_id, challenge = await prepare(person)
    before = await person.office.state(without=["sessions"])
    said = dict(changes)
    passkey = Passkey().registration(said.pop("challenge", challenge), **said)
    refused = await person.post("/wallets", {"opening_id": opening_id, "passkey": passkey})
    assert (refused.status_code, refused.json()["code"]) == (422, "PasskeyRefused"), refused.text
    assert await person.office.state(without=["sessions"]) == before


@pytest.mark.parametrize("member", ["credential_id", "client_data_json", "attestation_object"])
async def test_a_passkey_that_is_nonsense_is_refused(person: Person, member: str) -> None:
    body = await body_of(person, Passkey())
    for nonsense in ("AAAA", "A", base64url.encode(b"{}"), base64url.encode(b"\xff" * 40)):
        refused = await person.post("/wallets", body | {"passkey": body["passkey"] | {member: nonsense}})
        assert (refused.status_code, refused.json()["code"]) == (422, "PasskeyRefused"), refused.text


async def test_where_the_wallet_is_refused_nothing_remains(bank: BankOffice) -> None:
    async with open_office(bank.database, **PAGES, person_tier=9) as office:
        person = await sign_in(office)
        body = await body_of(person, Passkey())
        before = await office.state(without=["sessions"])
        refused = await person.post("/wallets", body)
        assert (refused.status_code, refused.json()["code"]) == (422, "UnknownTier")
        assert await office.state(without=["sessions"]) == before
    async with open_office(bank.database, **PAGES) as office:
        person.office = office
        assert (await person.post("/wallets", body)).status_code == 202


async def test_a_person_gets_so_many_wallets_and_no_more(person: Person) -> None:
    bodies = [await body_of(person, Passkey(number)) for number in range(MOST_WALLETS)]
    answers = await asyncio.gather(*(person.post("/wallets", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [202] * (MOST_WALLETS - 1) + [409]
    refused = await person.post("/wallets:prepare")
    assert refused.json()["code"] == "TooManyWallets"
