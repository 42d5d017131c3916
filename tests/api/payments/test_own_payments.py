"""A person prepares a payment, approves it, and has it made: once, and just this.

Preparing
├── says what would be taken from where, what is required, what is left, and what is signed
│   └── the challenge is the digest of what is shown
├── again under the same key: the same payment, a later end; with other content: ApprovalMismatch
├── what would be refused: every reason, and nothing to approve
└── from another's wallet: not found
Making it
├── with the passkey's yes: accepted, and the yes travels to the signer
├── for a small amount: nothing is required, until the day's share is used up
├── with password and one-time password: within the allowance alone
├── under a mandate: the mandate travels
├── without what it requires: ApprovalRequired, which changes nothing
├── with a yes to something else, of another passkey, or with another end: refused, which changes nothing
├── with another amount, payee, currency, note or wallet than prepared: ApprovalMismatch
├── too late: ApprovalExpired
├── twice: the same answer; with another yes, or none: ApprovalUsed
├── by another person, or of another kind: not found
└── refused by the payment's own rules after it was prepared: recorded, and the approval is used up
A funding requires nothing; a redemption is spending
Races: many submissions of one id are one payment; several small ones at once stay within the day's share
A machine's preflight says what is required as well
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.identity.errors import SessionMissing
from contracts import base64url
from contracts.customer_approvals import payment_approval_digest
from contracts.typed_data import PaymentDomain
from tests.api.offices import BILLER, open_office, payment
from tests.api.passkeys import Passkey
from tests.api.people import Person, sign_in

if TYPE_CHECKING:
    import httpx

    from api.identity.sessions import SignedIn
    from api.institution import Institution

DOMAIN = PaymentDomain("Czech koruna", 31337, bytes.fromhex("02" * 20))
ABOVE, WITHIN, SMALL = 100_000, 40_000, 5_000
QUIET = ["sessions"]


def asked(person: Person, amount_minor: int = ABOVE, **changes: Any) -> dict[str, Any]:
    body = {
        "wallet_id": person.wallet_id,
        "payee": {"biller_reference": "b-1"},
        "amount_minor": amount_minor,
        "currency": "CZK",
        "note": "rent",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


async def prepared(person: Person, body: dict[str, Any], path: str = "/payments") -> dict[str, Any]:
    response = await person.post(f"{path}:prepare", body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def yes(passkey: Passkey, found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The passkey's approval of what was prepared."""
    message = found["to_sign"]["message"]
    return {"expires_at_s": message["expiresAt"], **passkey.assertion(found["challenge"], **changes)}


async def submit(
    person: Person, body: dict[str, Any], found: dict[str, Any], path: str = "/payments", **more: Any
) -> httpx.Response:
    return await person.post(path, body | {"payment_id": found["payment_id"]} | more)


async def test_what_is_prepared_is_what_is_signed(person: Person, passkey: Passkey) -> None:
    before = await person.office.state(without=[*QUIET, "approvals"])
    found = await prepared(person, asked(person))
    assert (found["requirement"], found["ways"], found["reasons"]) == ("passkey", ["passkey"], [])
    assert (found["from_wallet_minor"], found["from_deposit_minor"]) == (0, ABOVE)
    assert found["payee_name"] == "Gas & Water"
    assert found["credential_ids"] == [passkey.credential["credential_id"]]
    assert found["limits"] == {
        "per_payment_minor": 1_500_000,
        "daily_minor": 2_500_000,
        "daily_left_minor": 2_500_000,
        "unasked_left_minor": 5_000,
        "unproved_left_minor": 50_000,
    }
    message = found["to_sign"]["message"]
    assert found["to_sign"]["domain"] == DOMAIN.fields
    assert (message["amount"], message["payee"]) == (ABOVE, "0x" + BILLER.hex())
    digest = payment_approval_digest(
        DOMAIN.separator,
        uuid.UUID(found["payment_id"]).bytes,
        bytes.fromhex(message["payer"][2:]),
        BILLER,
        amount_minor=ABOVE,
        expires_at_s=message["expiresAt"],
    )
    assert found["challenge"] == base64url.encode(digest)
    assert await person.office.state(without=[*QUIET, "approvals"]) == before


async def test_preparing_again_is_the_same_payment(person: Person) -> None:
    first = (await person.post("/payments:prepare", asked(person), key="k")).json()
    again = (await person.post("/payments:prepare", asked(person), key="k")).json()
    assert again["payment_id"] == first["payment_id"]
    for changes in ({"amount_minor": ABOVE + 1}, {"note": "other"}, {"payee": {"wallet_reference": "w-9"}}):
        refused = await person.post("/payments:prepare", asked(person, **changes), key="k")
        assert (refused.status_code, refused.json()["code"]) == (409, "ApprovalMismatch")
    assert (await person.post("/payments:prepare", asked(person), key="other")).json() != first


async def test_what_would_be_refused_gives_its_reasons_and_nothing_to_approve(person: Person) -> None:
    found = await prepared(person, asked(person, 1_600_000))
    assert found["requirement"] == "refused"
    assert [each["code"] for each in found["reasons"]] == ["PerPaymentLimitExceeded", "InsufficientFunds"]
    assert (found["challenge"], found["to_sign"], found["credential_ids"]) == (None, None, [])
    assert (await submit(person, asked(person, 1_600_000), found)).status_code == 404
    bare = asked(person, wallet_id=await wallet_without_passkey(person))
    assert [each["code"] for each in (await prepared(person, bare))["reasons"]] == ["PasskeyRequired"]


async def wallet_without_passkey(person: Person) -> str:
    return str(
        await person.office.institution.pool.fetchval("SELECT id FROM wallets WHERE reference = 'w-1'")
    )


async def test_nobody_prepares_for_anothers_wallet(person: Person) -> None:
    await person.office.add_customer(2)
    other = await sign_in(person.office, 2)
    for path in ("/payments", "/fundings", "/redemptions"):
        body = asked(person) if path == "/payments" else {"wallet_id": person.wallet_id, "amount_minor": 1}
        refused = await other.post(f"{path}:prepare", body)
        assert (refused.status_code, refused.json()["code"]) == (404, "NotFound")
    found = await prepared(person, asked(person))
    assert (await submit(other, asked(person), found)).status_code == 404
    assert (await other.get(f"/payments/{found['payment_id']}")).status_code == 404


async def test_an_approved_payment_is_made_and_its_yes_travels(person: Person, passkey: Passkey) -> None:
    found = await prepared(person, asked(person))
    approval = yes(passkey, found)
    made = await submit(person, asked(person), found, approval=approval)
    assert made.status_code == 202, made.text
    assert made.json()["payment_id"] == found["payment_id"]
    proof = await person.office.institution.pool.fetchval(
        "SELECT proof FROM outbox_payments WHERE kind = 'payment'"
    )
    assert json.loads(proof) == {"kind": "assertion", **approval}
    again = await submit(person, asked(person), found, approval=approval)
    assert (again.status_code, again.json()) == (202, made.json())
    for other in ({"approval": yes(passkey, found, more=1)}, {}):
        used = await submit(person, asked(person), found, **other)
        assert (used.status_code, used.json()["code"]) == (409, "ApprovalUsed")
    assert (await person.post("/payments:prepare", asked(person))).json()["limits"]["daily_left_minor"] == (
        2_500_000 - ABOVE
    )


async def test_small_amounts_require_nothing_until_the_days_share_is_used_up(person: Person) -> None:
    for _ in range(3):
        found = await prepared(person, asked(person, SMALL))
        assert found["ways"] == ["nothing", "passkey"]
        assert (await submit(person, asked(person, SMALL), found)).status_code == 202
    found = await prepared(person, asked(person, 1))
    assert (found["requirement"], found["limits"]["unasked_left_minor"]) == ("passkey", 0)
    refused = await submit(person, asked(person, 1), found)
    assert (refused.status_code, refused.json()["code"]) == (422, "ApprovalRequired")
    assert (refused.json()["requirement"], refused.json()["ways"]) == ("passkey", ["passkey"])


class AuthenticatorApp:
    """What another room knows: whose password and code are right. Codes are good once."""

    def __init__(self) -> None:
        self.codes = {"123456", "234567", "345678"}

    async def is_there(self, institution: Institution, person: SignedIn) -> bool:
        return True

    async def require(self, institution: Institution, person: SignedIn, password: str, code: str) -> None:
        if password != "right" or code not in self.codes:
            raise SessionMissing
        self.codes.remove(code)


async def test_password_and_one_time_password_go_within_the_allowance_alone(person: Person) -> None:
    person.office.app.state.second_factor = AuthenticatorApp()
    typed = {"password": "right", "totp_code": "123456"}
    found = await prepared(person, asked(person, WITHIN))
    assert found["ways"] == ["passkey", "totp_password"]
    wrong = await submit(person, asked(person, WITHIN), found, second_factor=typed | {"password": "wrong"})
    assert wrong.status_code == 401
    assert (await submit(person, asked(person, WITHIN), found)).json()["code"] == "ApprovalRequired"
    made = await submit(person, asked(person, WITHIN), found, second_factor=typed)
    assert made.status_code == 202, made.text
    assert await person.office.institution.pool.fetchval("SELECT count(*) FROM outbox_payments") == 2
    found = await prepared(person, asked(person, ABOVE))
    typed = {"password": "right", "totp_code": "234567"}
    refused = await submit(person, asked(person, ABOVE), found, second_factor=typed)
    assert (refused.json()["code"], refused.json()["requirement"]) == ("ApprovalRequired", "passkey")
    both = await submit(person, asked(person), found, second_factor=typed, approval=yes(Passkey(), found))
    assert both.json()["code"] == "MalformedRequest"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"origin": "http://localhost:9999"}, "OriginNotAllowed"),
        ({"flags": 1}, "UserNotVerified"),
        ({"rp_id": "elsewhere.example"}, "RelyingPartyMismatch"),
    ],
)
async def test_a_yes_that_does_not_hold_changes_nothing(
    person: Person, passkey: Passkey, changes: dict[str, Any], code: str
) -> None:
    found = await prepared(person, asked(person))
    before = await person.office.state(without=QUIET)
    refused = await submit(person, asked(person), found, approval=yes(passkey, found, **changes))
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert await person.office.state(without=QUIET) == before


async def test_a_yes_to_something_else_changes_nothing(person: Person, passkey: Passkey) -> None:
    found, other = await prepared(person, asked(person)), await prepared(person, asked(person))
    before = await person.office.state(without=QUIET)
    for approval, code in (
        (yes(passkey, other), "ChallengeMismatch"),
        (yes(Passkey(2), found), "CredentialUnknown"),
        (yes(passkey, found) | {"expires_at_s": 2_000_000_000}, "ApprovalMismatch"),
    ):
        refused = await submit(person, asked(person), found, approval=approval)
        # two that were prepared within one second end together, so that only the challenge differs
        assert refused.json()["code"] in {code, "ApprovalMismatch"}
    assert await person.office.state(without=QUIET) == before
    assert (await submit(person, asked(person), found, approval=yes(passkey, found))).status_code == 202


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": ABOVE - 1},
        {"payee": {"address": "0x" + "aa" * 20}},
        {"payee": {"wallet_reference": "w-9"}},
        {"currency": "EUR"},
        {"note": None},
        {"mandate_id": str(uuid.UUID(int=1))},
    ],
)
async def test_other_content_than_prepared_is_refused(
    person: Person, passkey: Passkey, changes: dict[str, Any]
) -> None:
    found = await prepared(person, asked(person))
    before = await person.office.state(without=QUIET)
    refused = await submit(person, asked(person, **changes), found, approval=yes(passkey, found))
    assert (refused.status_code, refused.json()["code"]) == (409, "ApprovalMismatch")
    assert await person.office.state(without=QUIET) == before


async def test_another_wallet_than_prepared_is_refused(person: Person, passkey: Passkey) -> None:
    found = await prepared(person, asked(person))
    body = asked(person, wallet_id=await wallet_without_passkey(person))
    refused = await submit(person, body, found, approval=yes(passkey, found))
    assert refused.json()["code"] == "ApprovalMismatch"


async def test_what_comes_too_late_is_refused(person: Person, passkey: Passkey) -> None:
    found = await prepared(person, asked(person))
    pool = person.office.institution.pool
    await pool.execute("UPDATE approvals SET expires_at_s = floor(extract(epoch FROM clock_timestamp()))")
    refused = await submit(person, asked(person), found, approval=yes(passkey, found))
    assert (refused.status_code, refused.json()["code"]) == (409, "ApprovalExpired")
    await pool.execute("UPDATE approvals SET expires_at_s = 1")
    found = await prepared(person, asked(person, 1))
    assert await pool.fetchval("SELECT count(*) FROM approvals") == 1
    assert found["expires_at_s"] > 1


async def test_who_waits_past_the_end_is_too_late(person: Person, passkey: Passkey) -> None:
    """The end is looked at when the row is locked, not when the request came."""
    found = await prepared(person, asked(person))
    async with person.office.institution.pool.acquire() as conn:
        locked = conn.transaction()
        await locked.start()
        await conn.execute("SELECT FROM approvals FOR UPDATE")
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        waiting = asyncio.create_task(submit(person, asked(person), found, approval=yes(passkey, found)))
        while not await conn.fetchval(blocked):  # noqa: ASYNC110 - the database alone knows
            await asyncio.sleep(0)
        await conn.execute("UPDATE approvals SET expires_at_s = floor(extract(epoch FROM clock_timestamp()))")
        await locked.commit()
    assert (await waiting).json()["code"] == "ApprovalExpired"


async def test_a_payment_under_a_mandate_carries_it(person: Person, passkey: Passkey) -> None:
    mandate_id = await give_mandate(person, passkey)
    body = asked(person, mandate_id=mandate_id)
    assert (await prepared(person, body))["reasons"][0]["code"] == "MandateNotReady"
    await person.office.institution.pool.execute("UPDATE outbox_mandates SET state = 'active'")
    found = await prepared(person, body)
    assert found["requirement"] == "mandate"
    assert (await submit(person, body, found)).status_code == 202
    proof = await person.office.institution.pool.fetchval(
        "SELECT proof FROM outbox_payments WHERE kind = 'payment'"
    )
    assert json.loads(proof) == {"kind": "mandate", "mandate_id": mandate_id}


async def give_mandate(person: Person, passkey: Passkey) -> str:
    body = {
        "wallet_id": person.wallet_id,
        "payee": {"biller_reference": "b-1"},
        "cap_minor": ABOVE,
        "period": "month",
        "starts_at_s": 1_000_000_000,
        "expires_at_s": 4_000_000_000,
    }
    found = (await person.post("/mandates:prepare", body)).json()
    approval = {
        "expires_at_s": found["to_sign"]["message"]["approvalExpiresAt"],
        **passkey.assertion(found["challenge"]),
    }
    given = await person.post("/mandates", body | {"mandate_id": found["mandate_id"], "approval": approval})
    assert given.status_code == 202, given.text
    return str(found["mandate_id"])


async def test_what_rules_refuse_after_it_was_prepared_is_recorded(person: Person, passkey: Passkey) -> None:
    found = await prepared(person, asked(person, 300_000))
    rival = await prepared(person, asked(person, 400_000))
    body = asked(person, 400_000)
    assert (await submit(person, body, rival, approval=yes(passkey, rival))).status_code == 202
    approval = yes(passkey, found)
    for _ in range(2):
        refused = await submit(person, asked(person, 300_000), found, approval=approval)
        assert (refused.status_code, refused.json()["code"]) == (422, "InsufficientFunds")
    one = (await person.get(f"/payments/{found['payment_id']}")).json()
    assert (one["state"], one["proof"]) == ("refused", None)


async def test_a_funding_requires_nothing_and_a_redemption_is_spending(
    person: Person, passkey: Passkey
) -> None:
    body = {"wallet_id": person.wallet_id, "amount_minor": ABOVE}
    found = await prepared(person, body, "/fundings")
    assert found["requirement"] == "nothing"
    assert (await submit(person, body, found, "/redemptions")).status_code == 404
    assert (await submit(person, body, found, "/fundings")).status_code == 202
    reference = "wallet-of-person:1"
    await person.office.chain.fund(person.office.chart, reference, ABOVE)
    found = await prepared(person, body, "/redemptions")
    assert found["requirement"] == "passkey"
    assert (await submit(person, body, found, "/redemptions")).json()["code"] == "ApprovalRequired"
    approved = yes(passkey, found)
    made = await submit(person, body, found, "/redemptions", approval=approved)
    assert made.status_code == 202, made.text


async def test_many_submissions_of_one_id_are_one_payment(person: Person, passkey: Passkey) -> None:
    settings = person.office.institution.settings
    async with open_office(
        person.office.database, page_origins=settings.page_origins, manifest_path=settings.manifest_path
    ) as twin:
        both = (person, Person(twin, person.customer_id, person.token, person.wallet_id))
        for _ in range(5):
            found = await prepared(person, asked(person, 60_000))
            approval = yes(passkey, found)
            answers = await asyncio.gather(
                *(submit(each, asked(person, 60_000), found, approval=approval) for each in both * 3)
            )
            assert {answer.status_code for answer in answers} == {202}
            assert len({answer.content for answer in answers}) == 1
    assert await person.office.institution.pool.fetchval("SELECT count(*) FROM payments") == 5
    assert (await person.office.held())["deposit:a-1"] == 300_000


async def test_small_payments_at_once_stay_within_the_days_share(person: Person) -> None:
    found = [await prepared(person, asked(person, 4_000)) for _ in range(6)]
    answers = await asyncio.gather(*(submit(person, asked(person, 4_000), each) for each in found))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [422] * 3


async def test_a_machines_preflight_says_what_is_required(person: Person) -> None:
    bank = person.office
    for amount, wallet, requirement in (
        (50_000, "w-1", "nothing"),
        (50_001, "w-1", "refused"),
        (50_001, "wallet-of-person:1", "passkey"),
        (2_000_000, "wallet-of-person:1", "refused"),
    ):
        answer = await bank.post("/v1/payments/preflight", payment(amount, payer_wallet_reference=wallet))
        assert answer.json()["requirement"] == requirement, (amount, wallet)
