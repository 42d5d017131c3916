"""Two people of the sample country beside its book: with money, a wallet, and a passkey that is software's.

Their accounts and wallets go through the same routes as the book's; how they sign in is the bank's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scripts.country.institutions import CURRENCY, PAYING_BANK
from scripts.orders.api_client import ApiClient
from scripts.orders.approvals import Consent

PERSON_TIER: Final = 1
OPENING_MINOR: Final = 5_000_000
"""50,000.00 for each, which the bank's reserves grow by."""


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """Someone who signs in at the paying bank; the reference names customer, account and wallet."""

    reference: str
    name: str
    language: str


SAMPLE_PEOPLE: Final = (
    SamplePerson("person-jana", "Jana Nováková", "en"),
    SamplePerson("person-wei", "陈伟", "zh"),
)


@dataclass(frozen=True, slots=True)
class OpenedPerson:
    """A sample person as the bank knows them."""

    person: SamplePerson
    customer_id: str
    account_id: str
    wallet_id: str


async def open_sample_people(
    central_bank: ApiClient, bank: ApiClient, consent: Consent
) -> list[OpenedPerson]:
    """Make the sample people, their accounts and wallets; what they bring becomes the bank's reserves.

    The wallets are ready once their registration is final. Safe to repeat: each key follows from a reference.
    """
    reserves = {
        "participant_id": PAYING_BANK.participant_id,
        "amount_minor": OPENING_MINOR * len(SAMPLE_PEOPLE),
    }
    await central_bank.post("/v1/reserve-deposits", reserves, key="sample-people-reserves")
    return [await _open(bank, consent, person) for person in SAMPLE_PEOPLE]


async def _open(bank: ApiClient, consent: Consent, person: SamplePerson) -> OpenedPerson:
    customer = await bank.post(
        "/v1/customers",
        {"reference": person.reference, "name": person.name},
        key=f"{person.reference}-customer",
    )
    account = await bank.post(
        "/v1/accounts",
        {
            "reference": person.reference,
            "customer_reference": person.reference,
            "currency": CURRENCY,
            "opening_deposit_minor": OPENING_MINOR,
        },
        key=f"{person.reference}-account",
    )
    wallet = await bank.post(
        "/v1/wallets",
        {
            "reference": person.reference,
            "customer_reference": person.reference,
            "account_reference": person.reference,
            "tier": PERSON_TIER,
            "credential": consent.credential(person.reference),
        },
        key=f"{person.reference}-wallet",
    )
    return OpenedPerson(person, customer["customer_id"], account["account_id"], wallet["wallet_id"])
