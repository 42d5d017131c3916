"""What callers send and get about payments, fundings, redemptions and billers."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, model_validator

from api.directory.schemas import AliasText, NameMatchWord
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


RequestToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}$")]
"""What a link or a code carries of a payment request."""


class PayeeBody(Body):
    """Who is paid: exactly one of a biller, a wallet of this bank, any registered address, an alias, or
    whoever made a payment request.

    `payee_name` is whom the payer takes an alias for; a preflight says whether that is its owner.
    """

    biller_reference: Reference | None = None
    wallet_reference: Reference | None = None
    address: Address | None = None
    alias: AliasText | None = None
    request_token: RequestToken | None = None
    payee_name: DisplayName | None = None

    @model_validator(mode="after")
    def _require_one(self) -> PayeeBody:
        given = (self.biller_reference, self.wallet_reference, self.address, self.alias, self.request_token)
        if sum(value is not None for value in given) != 1:
            names = "biller_reference, wallet_reference, address, alias and request_token"
            raise ValueError(f"give exactly one of {names}")
        if self.payee_name is not None and self.alias is None:
            raise ValueError("give a payee_name with an alias only")
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

    @model_validator(mode="after")
    def _require_plain_payee(self) -> PaymentLine:
        if self.payee.alias is not None or self.payee.request_token is not None:
            raise ValueError("an alias or a request is paid alone: send it to /v1/payments")
        return self


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


class RefundBody(Body):
    """A refund of a payment (its `payment_id`) or of what came from another bank (its `receipt_id`)."""

    original_id: Identifier
    amount_minor: PaymentAmount
    note: Note | None = None
    proof: AssertionBody | None = None


class RefundLine(Answer):
    """One refund. One that failed on chain does not count."""

    payment_id: uuid.UUID
    amount_minor: int
    has_failed: bool


class RefundsAnswer(Answer):
    """What was paid back of a payment, and what still can be."""

    original_id: uuid.UUID
    amount_minor: int
    refundable_minor: int
    refunds: list[RefundLine]


class ReceiptAnswer(Answer):
    """Money that a wallet was paid by another bank's customer, or past this bank."""

    receipt_id: uuid.UUID
    payer: str
    amount_minor: int
    transaction_hash: str
    block_number: int


class ReceiptsAnswer(Answer):
    """A wallet's receipts."""

    receipts: list[ReceiptAnswer]


class AskBody(Body):
    """A request to be paid into a wallet. `payer_customer_reference`: of one customer of this bank alone."""

    payee_wallet_id: Identifier
    payer_customer_reference: Reference | None = None
    amount_minor: PaymentAmount
    note: Note | None = None
    expires_at_s: MomentInSeconds


class OwnAskBody(Body):
    """A person's request to be paid into their wallet. `payer_alias`: of whom; they must bank here."""

    wallet_id: Identifier
    payer_alias: AliasText | None = None
    amount_minor: PaymentAmount
    note: Note | None = None
    expires_at_s: MomentInSeconds


class AskedAnswer(Answer):
    """A payment request. `payment_id` is there once it is paid."""

    request_id: uuid.UUID
    token: str
    state: Literal["open", "paid", "declined", "cancelled", "expired"]
    payee_name: str
    payee: str
    amount_minor: int
    currency: str
    note: str | None
    expires_at: datetime
    created_at: datetime
    payment_id: uuid.UUID | None


class AskedsAnswer(Answer):
    """A person's requests: those that they made, and those that were made of them."""

    made: list[AskedAnswer]
    received: list[AskedAnswer]


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
        if self.payee.alias is not None or self.payee.request_token is not None:
            raise ValueError("name a mandate's payee by what does not change: look the alias up first")
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


class AliasPayeeAnswer(Answer):
    """Whom an alias pays, as far as a stranger is told; `name_match` is null without a name to compare."""

    address: str
    participant_id: int
    masked_name: str
    name_match: NameMatchWord | None


class PreflightAnswer(Answer):
    """What the decision would be at this moment; nothing is held or recorded.

    `requirement` is what the signer will want of the payer, as the bank estimates it: `refused` where there
    is no way. `to_approve` is there where the request carries the key under which the payment will be asked
    for, and `payee` where it names an alias.
    """

    requirement: Literal["nothing", "mandate", "passkey", "totp_password", "refused"]
    would_be_accepted: bool
    reasons: list[dict[str, Any]]
    from_wallet_minor: int
    from_deposit_minor: int
    to_approve: ToApprove | None
    payee: AliasPayeeAnswer | None


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
