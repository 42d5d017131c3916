"""Mandates: a customer's standing authority for one payee, with a cap in each calendar period. Pure rules.

A mandate is registered once, with the customer's assertion over its content (contracts.customer_approvals);
payments under it need no further one. Its periods are UTC days, ISO weeks (from Monday) or months of
max(clock, last seen), so a clock that is set back frees no cap. Revoking needs no proof: it only takes power
away, and an id can be revoked before it was ever registered.
"""

from typing import Annotated

import msgspec

from wallet_node.customer_proof import Approval
from wallet_node.errors import Refusal
from wallet_node.fields import MAXIMUM_BATCH, MAXIMUM_INTEGER, Address, Identifier, Time
from wallet_node.journal.nonces import Content
from wallet_node.journal.periods import Period

# --- as they come -------------------------------------------------------------------------------------------


class MandateRegistration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mandate with the customer's approval. It holds from `starts_at_s` until before `expires_at_s`."""

    mandate_id: Identifier
    payer: Address
    payee: Address
    cap_minor: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_INTEGER)]
    period: Period
    starts_at_s: Time
    expires_at_s: Time
    approval: Approval


class MandateRegistrations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 mandates."""

    mandates: Annotated[tuple[MandateRegistration, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_BATCH)]


class MandateRevocations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 ids, known or not."""

    mandate_ids: Annotated[tuple[Identifier, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_BATCH)]


# --- rules --------------------------------------------------------------------------------------------------


class MandateTerms(msgspec.Struct, frozen=True, gc=False):
    """What a mandate's id is bound to for ever."""

    payer: bytes
    payee: bytes
    cap_minor: int
    period: Period
    starts_at_s: int
    expires_at_s: int


def decide_registration(
    terms: MandateTerms, known: MandateTerms | None, is_revoked: bool, now_s: int
) -> bool | tuple[Refusal, ...]:
    """Whether a mandate is new (True) or the same again (False), or every reason why it cannot be one.

    The same again is answered as before, whatever has become of it since; payments under it will learn that.
    """
    if known is not None:
        if known != terms:
            return (Refusal("MandateIdReused", "this mandate id already stands for other content"),)
        return False
    refusals = []
    if is_revoked:
        refusals.append(Refusal("MandateRevoked", "this mandate was revoked before it came"))
    if terms.starts_at_s >= terms.expires_at_s:
        refusals.append(Refusal("MandateNeverValid", "the mandate ends before it starts"))
    if now_s >= terms.expires_at_s:
        refusals.append(Refusal("MandateExpired", f"the mandate has ended at {terms.expires_at_s}"))
    if terms.payer == terms.payee:
        refusals.append(Refusal("SelfPayment", "payer and payee are the same account"))
    return tuple(refusals) or True


def decide_mandate(
    terms: MandateTerms | None, is_revoked: bool, payment: Content, spent_minor: int, now_s: int
) -> tuple[Refusal, ...]:
    """Every reason why a payment is not covered by a mandate; none if it is.

    `spent_minor` is what the mandate has already paid in the period of `now_s`.
    """
    if terms is None:
        return (Refusal("MandateUnknown", "no mandate of this id was registered"),)
    refusals = []
    if is_revoked:
        refusals.append(Refusal("MandateRevoked", "the mandate was revoked"))
    if now_s < terms.starts_at_s:
        refusals.append(Refusal("MandateNotYetValid", f"the mandate starts at {terms.starts_at_s}"))
    if now_s >= terms.expires_at_s:
        refusals.append(Refusal("MandateExpired", f"the mandate has ended at {terms.expires_at_s}"))
    if payment.signer != terms.payer:
        refusals.append(Refusal("MandatePayerMismatch", "the mandate is of another payer"))
    if payment.counterparty != terms.payee:
        refusals.append(Refusal("MandatePayeeMismatch", "the mandate is for another payee"))
    if spent_minor + payment.amount > terms.cap_minor:
        detail = (
            f"{spent_minor} of {terms.cap_minor} are used this {terms.period};"
            f" {payment.amount} more do not fit"
        )
        refusals.append(Refusal("MandateCapExceeded", detail))
    return tuple(refusals)
