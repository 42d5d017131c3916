"""Customers of the bank under test, as those who are told."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from api.database import transaction
from api.notifications.people import enrol, set_address

if TYPE_CHECKING:
    from api.notifications.kinds import Language
    from tests.api.offices import BankOffice

PAID = {"payment_id": "", "amount_minor": 123_456, "currency": "CZK", "payer_name": "Bob"}


async def customer_id(bank: BankOffice, reference: str = "c-1") -> uuid.UUID:
    """A customer's id."""
    found: uuid.UUID = await bank.institution.pool.fetchval(
        "SELECT id FROM customers WHERE reference = $1", reference
    )
    return found


async def reachable(
    bank: BankOffice,
    reference: str = "c-1",
    *,
    email: str | None = "ann@example.org",
    phone: str | None = None,
    language: Language = "en",
) -> uuid.UUID:
    """A customer who is enrolled, with these addresses."""
    person = await customer_id(bank, reference)
    async with transaction(bank.institution.pool) as conn:
        await enrol(conn, person, language)
        await set_address(conn, person, "email", email)
        await set_address(conn, person, "sms", phone)
    return person
