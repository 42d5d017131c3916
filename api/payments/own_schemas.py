"""What people send and get about their own payments and mandates under /v1/me."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.fields import Answer, Body, CurrencyCode, Identifier, MomentInSeconds, Note, PaymentAmount
from api.payments.schemas import MandateAnswer, PayeeBody, PaymentState
from api.proofs import AssertionBody

Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
"""A calendar day that a bank could mean."""


class OwnPaymentBody(Body):
    """A payment from one of the person's wallets."""

    wallet_id: Identifier
    payee: PayeeBody
    amount_minor: PaymentAmount
    currency: CurrencyCode
    note: Note | None = None
    mandate_id: Identifier | None = None


class OwnTransferBody(Body):
    """A funding of, or a redemption from, one of the person's wallets."""

    wallet_id: Identifier
    amount_minor: PaymentAmount


class SecondFactorBody(Body):
    """Password and the code of the authenticator app, together."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    totp_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6,8}$")]


class _Approved(Body):
    payment_id: Identifier
    approval: AssertionBody | None = None
    second_factor: SecondFactorBody | None = None

    @model_validator(mode="after")
    def _require_one_way(self) -> _Approved:
        if self.approval is not None and self.second_factor is not None:
            raise ValueError("give an approval or a second_factor, not both")
        return self


class ApprovedPaymentBody(OwnPaymentBody, _Approved):
    """The payment that was prepared as `payment_id`, again in full, with what it requires."""


class ApprovedTransferBody(OwnTransferBody, _Approved):
    """The funding or redemption that was prepared as `payment_id`, with what it requires."""


class LimitsAnswer(Answer):
    """What is left for one payment now; null where there is no limit, or no wallet on chain yet.

    `unasked_left_minor` goes without any approval, `unproved_left_minor` with password and one-time password.
    """

    per_payment_minor: int | None
    daily_minor: int | None
    daily_left_minor: int | None
    unasked_left_minor: int
    unproved_left_minor: int


class PreparedPayment(Answer):
    """What would be decided, what it requires, and exactly what is signed.

    `to_sign` is the EIP-712 message whose digest `challenge` is (base64url): a page shows it, and whoever
    wants to recomputes it. Approve before `expires_at_s` with one of `credential_ids`; the assertion's own
    `expires_at_s` is `to_sign.message.expiresAt`. Nothing can be approved while there are `reasons`.
    """

    payment_id: uuid.UUID
    requirement: Literal["nothing", "mandate", "passkey", "totp_password", "refused"]
    ways: list[Literal["nothing", "mandate", "passkey", "totp_password"]]
    reasons: list[dict[str, Any]]
    from_wallet_minor: int
    from_deposit_minor: int
    payee_name: str | None
    limits: LimitsAnswer
    expires_at_s: int | None
    challenge: str | None
    credential_ids: list[str]
    to_sign: dict[str, Any] | None


class OwnPayment(Answer):
    """A payment as one of its sides sees it; `direction` is `between` for one between two own wallets."""

    payment_id: uuid.UUID
    kind: Literal["payment", "funding", "redemption"]
    direction: Literal["out", "in", "between"]
    state: PaymentState
    wallet_id: uuid.UUID
    counterparty_name: str | None
    payee: str | None
    amount_minor: int
    currency: str
    from_wallet_minor: int | None
    from_deposit_minor: int | None
    note: str | None
    mandate_id: uuid.UUID | None
    reasons: list[dict[str, Any]]
    outcome_code: str | None
    created_at: datetime
    final_at: datetime | None


class PaymentsWanted(BaseModel):
    """Which payments: of a state, with `search` in names or note, made on these days of the bank's zone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: PaymentState | None = None
    search: Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\p{Cc}]*$")] = ""
    from_day: Day | None = None
    to_day: Day | None = None
    wallet_id: uuid.UUID | None = None
    before: uuid.UUID | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class OwnPayments(Answer):
    """A page of payments, newest first; ask on with `before` = `next_before`."""

    payments: list[OwnPayment]
    next_before: uuid.UUID | None


class ProofAnswer(Answer):
    """Where on chain a payment can be found, by anyone who can read the chain.

    The transaction calls `contract`; `record_index` is the payment's place in its batch.
    """

    chain_id: int
    contract: str
    payer: str | None
    payee: str | None
    amount_minor: int
    block_number: int | None
    transaction_hash: str | None
    record_index: int | None
    confirmations: int


class OwnPaymentWithProof(OwnPayment):
    """A payment with its place on chain, once it has one."""

    proof: ProofAnswer | None


class OwnMandateBody(Body):
    """A standing authority for one payee: up to `cap_minor` in each UTC day, ISO week or month."""

    wallet_id: Identifier
    payee: PayeeBody
    cap_minor: PaymentAmount
    period: Literal["day", "week", "month"]
    starts_at_s: MomentInSeconds
    expires_at_s: MomentInSeconds

    @model_validator(mode="after")
    def _require_time(self) -> OwnMandateBody:
        if self.expires_at_s <= self.starts_at_s:
            raise ValueError("expires_at_s is after starts_at_s")
        return self


class ApprovedMandateBody(OwnMandateBody):
    """The mandate that was prepared as `mandate_id`, again in full, with the passkey's approval."""

    mandate_id: Identifier
    approval: AssertionBody


class PreparedMandate(Answer):
    """What is signed for a mandate, as with a payment. It always needs a passkey."""

    mandate_id: uuid.UUID
    requirement: Literal["passkey", "refused"]
    reasons: list[dict[str, Any]]
    payee_name: str | None
    expires_at_s: int | None
    challenge: str | None
    credential_ids: list[str]
    to_sign: dict[str, Any] | None


class OwnMandates(Answer):
    """A person's mandates, the newest first."""

    mandates: list[MandateAnswer]
