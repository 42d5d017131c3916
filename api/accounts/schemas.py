"""What callers send and get about deposit accounts."""

from __future__ import annotations

import uuid
from datetime import datetime

from api.fields import Answer, Body, BookAmountOrZero, CurrencyCode, Reference


class AccountBody(Body):
    """A deposit account to be opened for a customer, with the reserves that it brings."""

    reference: Reference
    customer_reference: Reference
    currency: CurrencyCode
    opening_deposit_minor: BookAmountOrZero = 0


class AccountAnswer(Answer):
    """A deposit account; `available_minor` is what no pending payment holds."""

    account_id: uuid.UUID
    reference: str
    customer_id: uuid.UUID
    currency: str
    opening_deposit_minor: int
    posted_minor: int
    available_minor: int


class OwnAccounts(Answer):
    """A person's deposit accounts."""

    accounts: list[AccountAnswer]


class EntryAnswer(Answer):
    """One entry on an account: positive raises the balance, negative lowers it."""

    entry_id: int
    kind: str
    business_id: uuid.UUID | None
    amount_minor: int
    booked_at: datetime


class EntriesAnswer(Answer):
    """A page of entries, newest first; ask on with `before` = `next_before`."""

    entries: list[EntryAnswer]
    next_before: int | None
