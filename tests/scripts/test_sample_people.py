"""The sample people, at a bank and a central bank.

Made: a customer, an account with money and a wallet each, and as much in reserves at the central bank
├── the wallet is bound to their authenticator, which approves a payment above the allowance
└── again: the same, and nothing more
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api.database import transaction
from api.identity.sessions import open_session
from contracts import base64url
from contracts.typed_data import PaymentDomain
from scripts.country.authenticator import SoftwareAuthenticator
from scripts.orders.approvals import Consent
from scripts.orders.sample_people import OPENING_MINOR, SAMPLE_PEOPLE, open_sample_people
from tests.api.conftest import (
    database,
    make_empty_database,
    migrated_template,
)
from tests.api.offices import BankOffice, Office, bank, central_bank, furnished_template, open_office
from tests.api.passkeys import ORIGIN, RP_ID
from tests.api.payments.conftest import MANIFEST
from tests.api.people import Person

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "bank",
    "central_bank",
    "database",
    "furnished_template",
    "make_empty_database",
    "migrated_template",
]


class Client:
    """The import's client, without a network between."""

    def __init__(self, office: Office) -> None:
        self.office = office

    async def post(self, path: str, body: Any, *, key: str) -> Any:
        response = await self.office.post(path, body, key)
        assert response.status_code < 300, response.text
        return response.json()


@pytest.fixture
def consent() -> Consent:
    domain = PaymentDomain("Czech koruna", 31337, bytes.fromhex("02" * 20))
    return Consent(SoftwareAuthenticator(bytes(32)), RP_ID, ORIGIN, domain.separator)


async def test_the_sample_people_have_money_and_approve(
    bank: BankOffice, central_bank: Office, consent: Consent, tmp_path: Path
) -> None:
    participant = {"institution_address": "0x" + "aa" * 20, "name": "A", "tier": 3, "tier_mask": 6}
    tier = {"holding_limit_minor": 10**15, "per_payment_limit_minor": 10**15, "daily_limit_minor": 10**15}
    await central_bank.put("/v1/tiers/3", tier)
    await central_bank.put("/v1/participants/1", participant)
    people = await open_sample_people(Client(central_bank), Client(bank), consent)
    before = await bank.state()
    assert await open_sample_people(Client(central_bank), Client(bank), consent) == people
    assert await bank.state() == before
    assert [each.person for each in people] == list(SAMPLE_PEOPLE)
    brought = await central_bank.institution.pool.fetch("SELECT amount_minor FROM reserve_deposits")
    assert [row["amount_minor"] for row in brought] == [OPENING_MINOR * len(people)]
    await bank.chain.register_requested_wallets()
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(MANIFEST))
    async with open_office(bank.database, page_origins=[ORIGIN], manifest_path=manifest) as office:
        for opened in people:
            await pay(office, consent, opened)


async def pay(office: BankOffice, consent: Consent, opened: Any) -> None:
    """A payment of theirs above the allowance, approved by their authenticator."""
    customer_id = await office.institution.pool.fetchval(
        "SELECT id FROM customers WHERE reference = $1", opened.person.reference
    )
    async with transaction(office.institution.pool) as conn:
        person = Person(office, customer_id, await open_session(conn, customer_id, "password"))
    (account,) = (await person.get("/accounts")).json()["accounts"]
    assert (account["account_id"], account["available_minor"]) == (opened.account_id, OPENING_MINOR)
    body = {
        "wallet_id": opened.wallet_id,
        "payee": {"biller_reference": "b-1"},
        "amount_minor": 100_000,
        "currency": "CZK",
    }
    found = (await person.post("/payments:prepare", body)).json()
    assert found["requirement"] == "passkey", found
    assertion = consent.authenticator.assertion_fields(
        opened.person.reference, base64url.decode(found["challenge"]), consent.rp_id, consent.origin
    )
    approval = {"expires_at_s": found["to_sign"]["message"]["expiresAt"], **assertion}
    made = await person.post("/payments", body | {"payment_id": found["payment_id"], "approval": approval})
    assert made.status_code == 202, made.text
