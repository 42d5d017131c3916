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
    MomentInSeconds,
    Note,
    PaymentAmount,
    Reference,
)
from api.proofs import AssertionBody

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
    mandate_id: Identifier | None = None
    proof: AssertionBody | None = None

    @model_validator(mode="after")
    def _require_one_payer(self) -> PaymentBody:
        if (self.payer_wallet_reference is None) == (self.payer_wallet_id is None):
            raise ValueError("give exactly one of payer_wallet_reference and payer_wallet_id")
        if self.mandate_id is not None and self.proof is not None:
            raise ValueError("give a mandate_id or a proof, not both")
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


class RedemptionBody(TransferBody):
    """A redemption is spending: above the low-value allowance the customer approves it."""

    proof: AssertionBody | None = None


class MandateBody(Body):
    """A customer's standing authority: up to `cap_minor` to one payee in each UTC day, ISO week or month.

    `mandate_id` is the customer's own choice, since it is part of what `approval` approves.
    """

    mandate_id: Identifier
    payer_wallet_reference: Reference | None = None
    payer_wallet_id: Identifier | None = None
    payee: PayeeBody
    cap_minor: PaymentAmount
    period: Literal["day", "week", "month"]
    starts_at_s: MomentInSeconds
    expires_at_s: MomentInSeconds
    approval: AssertionBody

    @property
    def reference(self) -> str:
        """What a line of a bulk request is named after."""
        return str(self.mandate_id)

    @model_validator(mode="after")
    def _require_one_payer(self) -> MandateBody:
        if (self.payer_wallet_reference is None) == (self.payer_wallet_id is None):
            raise ValueError("give exactly one of payer_wallet_reference and payer_wallet_id")
        if self.expires_at_s <= self.starts_at_s:
            raise ValueError("expires_at_s is after starts_at_s")
        return self


class MandateAnswer(Answer):
    """A mandate: `active` once the signer holds it. `code` says why the signer refused it."""

    mandate_id: uuid.UUID
    state: Literal["requested", "active", "refused", "revoked"]
    code: str | None
    payer_wallet_id: uuid.UUID
    payee: str
    cap_minor: int
    period: Literal["day", "week", "month"]
    starts_at_s: int
    expires_at_s: int


class MandatesSummary(Answer):
    """Mandates counted by state."""

    states: dict[str, int]


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


class ToApprove(Answer):
    """What a customer's assertion is about (contracts.customer_approvals.PaymentApproval)."""

    payment_id: uuid.UUID
    payer: str
    payee: str
    amount_minor: int


class PreflightAnswer(Answer):
    """What the decision would be at this moment; nothing is held or recorded.

    `requirement` is what the signer will want of the payer, as the bank estimates it: `refused` where there
    is no way. `to_approve` is there where the request carries the key under which the payment will be asked
    for.
    """

    requirement: Literal["nothing", "mandate", "passkey", "totp_password", "refused"]
    would_be_accepted: bool
    reasons: list[dict[str, Any]]
    from_wallet_minor: int
    from_deposit_minor: int
    to_approve: ToApprove | None


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
