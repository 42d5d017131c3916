"""What callers send and get about payments, fundings, redemptions and billers."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import model_validator

from api.fields import (
    Address,
    Answer,
    Body,
    CurrencyCode,
    DisplayName,
    Identifier,
    Note,
    PaymentAmount,
    Reference,
)

PaymentState = Literal["refused", "accepted", "submitted", "included", "final", "failed"]


class PayeeBody(Body):
    """Who is paid: exactly one of a biller, a wallet of this bank, or any registered address."""

    biller_reference: Reference | None = None
    wallet_reference: Reference | None = None
    address: Address | None = None

    @model_validator(mode="after")
    def _require_one(self) -> PayeeBody:
        given = (self.biller_reference, self.wallet_reference, self.address)
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of biller_reference, wallet_reference and address")
        return self


class PaymentBody(Body):
    """A payment from a wallet of this bank, named by its reference or its id."""

    payer_wallet_reference: Reference | None = None
    payer_wallet_id: Identifier | None = None
    payee: PayeeBody
    amount_minor: PaymentAmount
    currency: CurrencyCode
    note: Note | None = None

    @model_validator(mode="after")
    def _require_one_payer(self) -> PaymentBody:
        if (self.payer_wallet_reference is None) == (self.payer_wallet_id is None):
            raise ValueError("give exactly one of payer_wallet_reference and payer_wallet_id")
        return self


class PaymentLine(PaymentBody):
    """A line of a bulk request. `reference` is the line's idempotency key."""

    reference: Reference


class TransferBody(Body):
    """A funding (deposit to wallet) or a redemption (wallet to deposit) of one wallet."""

    wallet_id: Identifier | None = None
    wallet_reference: Reference | None = None
    amount_minor: PaymentAmount

    @model_validator(mode="after")
    def _require_one_wallet(self) -> TransferBody:
        if (self.wallet_reference is None) == (self.wallet_id is None):
            raise ValueError("give exactly one of wallet_reference and wallet_id")
        return self


class BillerBody(Body):
    """A payee that customers find by name, at this or another bank."""

    reference: Reference
    name: DisplayName
    address: Address


class ReasonAnswer(Answer):
    """Why a payment is refused: a stable word, a sentence, and values beside them."""

    code: str
    detail: str


class PaymentAccepted(Answer):
    """A payment that was accepted: its money is held and it is on its way."""

    payment_id: uuid.UUID
    state: Literal["accepted"]
    from_wallet_minor: int
    from_deposit_minor: int


class PaymentLineAnswer(Answer):
    """The decision about one line."""

    reference: str
    payment_id: uuid.UUID
    state: Literal["accepted", "refused"]
    reasons: list[ReasonAnswer]


class PreflightAnswer(Answer):
    """What the decision would be at this moment; nothing is held or recorded."""

    would_be_accepted: bool
    reasons: list[dict[str, Any]]
    from_wallet_minor: int
    from_deposit_minor: int


class PaymentAnswer(Answer):
    """A payment and how far it has come."""

    payment_id: uuid.UUID
    reference: str | None
    kind: Literal["payment", "funding", "redemption"]
    state: PaymentState
    payer_wallet_id: uuid.UUID | None
    payee: str | None
    biller_reference: str | None
    amount_minor: int
    currency: str
    from_wallet_minor: int
    from_deposit_minor: int
    note: str | None
    reasons: list[dict[str, Any]]
    outcome_code: str | None
    block_number: int | None
    transaction_hash: str | None
    record_index: int | None
    created_at: datetime
    final_at: datetime | None


class PaymentsSummary(Answer):
    """Payments counted by state, refused ones by their first reason, failed ones by the chain's."""

    states: dict[str, int]
    refusals: dict[str, int]
    failures: dict[str, int]
    amount_final_minor: int
    first_accepted_at: datetime | None
    last_final_at: datetime | None


class BillerAnswer(Answer):
    """A biller."""

    biller_id: uuid.UUID
    reference: str
    name: str
    address: str


class BillersAnswer(Answer):
    """A page of billers in the order of their references; ask on with `after` = `next_after`."""

    billers: list[BillerAnswer]
    next_after: str | None
