"""A person pays, funds and redeems: prepared and looked at first, then approved and decided, once.

load, lock, decide what is required, check what was shown, decide the payment, write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.errors import FlorinError
from api.idempotency import IdempotencyKeyReused
from api.payments import approvals, queries
from api.payments.approvals import SIGNING_GRACE_S, Prepared, Taken
from api.payments.errors import ApprovalMismatch, ApprovalRequired, ApprovalUsed
from api.payments.own_schemas import OwnPaymentBody, OwnTransferBody
from api.payments.pay import Outcome, Preflight, pay_in, preflight
from api.payments.requests import PaymentRequest, payment_request, transfer_request
from api.payments.requirements import Means, Required, Terms, Unproved, Way, require
from api.payments.rules import UNLIMITED_DAILY_MINOR
from api.payments.schemas import PaymentBody, RedemptionBody, TransferBody
from api.wallets.opening import own_wallet
from contracts import base64url
from contracts.customer_approvals import PaymentApproval

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.sessions import SignedIn
    from api.institution import Institution
    from api.payments.own_schemas import ApprovedPaymentBody, ApprovedTransferBody
    from api.payments.rules import Kind
    from api.proofs import AssertionBody

    Asked = OwnPaymentBody | OwnTransferBody
    Approved = ApprovedPaymentBody | ApprovedTransferBody


@dataclass(frozen=True, slots=True)
class TotpStanding:
    """Whether a person has password and one-time password, and whether they showed both just now."""

    has_it: bool = False
    was_shown: bool = False


def caller_of(customer_id: uuid.UUID) -> str:
    """The caller that a person's references belong to; the colon keeps machines from having it."""
    return f"customer:{customer_id}"


async def prepare_payment(
    conn: Connection,
    institution: Institution,
    person: SignedIn,
    asked: Asked,
    *,
    kind: Kind,
    reference: str,
    totp: TotpStanding,
) -> dict[str, Any]:
    """What would be decided about a payment, what it requires, and what there is to approve.

    The same reference with the same content stands for the same payment. Raises `NotFound` (no such wallet of
    theirs), `UnknownCurrency`, `ApprovalMismatch`, `ApprovalUsed` and `DeploymentUnknown`.
    """
    await own_wallet(conn, institution, person.customer_id, asked.wallet_id)
    request = _request_of(institution, person, asked, kind=kind, reference=reference)
    found = await preflight(conn, institution, request)
    required = await _requirement_of(conn, institution, request, asked.wallet_id, totp)
    reasons = [reason.as_json() for reason in (*found.decision.reasons, *required.reasons)]
    answer: dict[str, Any] = {
        "payment_id": str(request.payment_id),
        "requirement": "refused" if reasons else required.requirement,
        "ways": [] if reasons else list(required.ways),
        "reasons": reasons,
        "from_wallet_minor": found.decision.from_wallet_minor,
        "from_deposit_minor": found.decision.from_deposit_minor,
        "payee_name": await _payee_name(conn, asked),
        "limits": _limits_of(found, required),
        "expires_at_s": None,
        "challenge": None,
        "credential_ids": [],
        "to_sign": None,
    }
    if not reasons:
        answer |= await _keep(conn, institution, person, request, found)
    return answer


async def submit_payment(
    conn: Connection,
    institution: Institution,
    person: SignedIn,
    asked: Approved,
    *,
    kind: Kind,
    totp: TotpStanding,
) -> Outcome:
    """Decide a payment that was prepared, with what was shown for it; the same again has the same outcome.

    A refusal by the payment's own rules is an outcome, too: it is recorded, and the approval is used up.
    Raises `NotFound`, `ApprovalMismatch`, `ApprovalExpired`, `ApprovalUsed`, `ApprovalRequired` and
    `AssertionRefused`, which change nothing.
    """
    taken = await approvals.take(conn, person.customer_id, asked.payment_id, kind)
    request = _request_of(institution, person, asked, kind=kind, reference=taken.reference)
    if request.hash != taken.content_hash:
        raise ApprovalMismatch
    if asked.approval is not None:
        request = _request_of(
            institution, person, asked, kind=kind, reference=taken.reference, proof=asked.approval
        )
    if taken.is_used:
        return await _decide(conn, institution, request)
    taken.require_open()
    # what another payment of the wallet spends of the allowance at this instant must be seen
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(asked.wallet_id))
    found = await preflight(conn, institution, request)
    if found.decision.is_accepted:
        if (found.payer, found.payee) != (taken.payer, taken.payee):
            raise ApprovalMismatch
        await _require_way(conn, institution, request, taken=taken, asked=asked, totp=totp)
    outcome = await _decide(conn, institution, request)
    await approvals.mark_used(conn, taken.approval_id)
    return outcome


async def _require_way(
    conn: Connection,
    institution: Institution,
    request: PaymentRequest,
    *,
    taken: Taken,
    asked: Approved,
    totp: TotpStanding,
) -> None:
    """Raise unless what was shown is what the payment requires now."""
    if asked.approval is not None:
        await approvals.require_assertion(conn, institution, asked.wallet_id, taken, asked.approval)
        return
    required = await _requirement_of(conn, institution, request, asked.wallet_id, totp)
    shown: Way = "totp_password" if totp.was_shown else "nothing"
    if request.mandate_id is not None:
        shown = "mandate"
    # who shows more than nothing is not refused where nothing would do
    if shown not in required.ways and not (totp.was_shown and "nothing" in required.ways):
        reasons = [reason.as_json() for reason in required.reasons]
        raise ApprovalRequired(required.requirement, required.ways, reasons)


async def _requirement_of(
    conn: Connection,
    institution: Institution,
    request: PaymentRequest,
    wallet_id: uuid.UUID,
    totp: TotpStanding,
) -> Required:
    spent = await queries.unproved_spending(conn, wallet_id)
    means = Means(
        has_passkey=bool(await queries.credentials_of_wallet(conn, wallet_id)),
        has_totp=totp.has_it,
        names_mandate=request.mandate_id is not None,
    )
    terms = Terms.of_people(institution.settings)
    return require(request.kind, request.amount_minor, means, Unproved(spent["day"], spent["week"]), terms)


async def requirement_of_machine(
    conn: Connection, institution: Institution, request: PaymentRequest, found: Preflight
) -> Required:
    """What the signer will want of a payer for whom a machine asks."""
    spent = await queries.unproved_spending(conn, found.wallet_id)
    credentials = await queries.credentials_of_wallet(conn, found.wallet_id)
    means = Means(bool(credentials), has_totp=False, names_mandate=request.mandate_id is not None)
    terms = Terms.of_machines(institution.settings)
    return require(found.case.kind, request.amount_minor, means, Unproved(spent["day"], spent["week"]), terms)


async def _keep(
    conn: Connection,
    institution: Institution,
    person: SignedIn,
    request: PaymentRequest,
    found: Preflight,
) -> dict[str, Any]:
    """Keep what can be approved; what the answer says about it."""
    assert found.payer is not None, "nothing without a payer on chain would be accepted"
    assert found.payee is not None, "nothing without a payee on chain would be accepted"
    expires_at_s = approvals.expiry_of(institution)
    message = PaymentApproval(
        request.payment_id.bytes,
        found.payer,
        found.payee,
        request.amount_minor,
        expires_at_s + SIGNING_GRACE_S,
    )
    domain = approvals.domain_of(institution)
    challenge = message.digest(domain.separator)
    prepared = Prepared(
        request.payment_id,
        request.kind,
        request.reference,
        request.hash,
        found.payer,
        found.payee,
        challenge,
        expires_at_s,
    )
    await approvals.keep(conn, person.customer_id, prepared)
    credentials = await approvals.credentials_of(conn, found.wallet_id)
    return {
        "expires_at_s": expires_at_s,
        "challenge": base64url.encode(challenge),
        "credential_ids": [each.credential_id for each in credentials],
        "to_sign": message.typed_data(domain),
    }


def _request_of(
    institution: Institution,
    person: SignedIn,
    asked: Asked,
    *,
    kind: Kind,
    reference: str,
    proof: AssertionBody | None = None,
) -> PaymentRequest:
    """What a person asks for, as the payments room decides it."""
    caller = caller_of(person.customer_id)
    if isinstance(asked, OwnPaymentBody):
        body = PaymentBody(
            payer_wallet_id=asked.wallet_id,
            payee=asked.payee,
            amount_minor=asked.amount_minor,
            currency=asked.currency,
            note=asked.note,
            mandate_id=asked.mandate_id,
            proof=proof,
        )
        return payment_request(institution, caller, reference, body)
    transfer = (
        TransferBody(wallet_id=asked.wallet_id, amount_minor=asked.amount_minor)
        if kind == "funding"
        else RedemptionBody(wallet_id=asked.wallet_id, amount_minor=asked.amount_minor, proof=proof)
    )
    return transfer_request(institution, caller, reference, kind, transfer)


async def _decide(conn: Connection, institution: Institution, request: PaymentRequest) -> Outcome:
    (outcome,) = await pay_in(conn, institution, [request])
    if isinstance(outcome, IdempotencyKeyReused):  # decided before, with another proof or none
        raise ApprovalUsed(request.payment_id)
    if isinstance(outcome, FlorinError):
        raise outcome
    return outcome


async def _payee_name(conn: Connection, asked: Asked) -> str | None:
    """The name of a payee whom this bank knows by it: a biller's."""
    if not isinstance(asked, OwnPaymentBody) or asked.payee.biller_reference is None:
        return None
    billers = await queries.billers_named(conn, [asked.payee.biller_reference])
    row = billers.get(asked.payee.biller_reference)
    return row["name"] if row else None


def _limits_of(found: Preflight, required: Required) -> dict[str, int | None]:
    payer = found.case.payer if found.case.kind != "funding" else None
    left: dict[str, int | None] = {
        "per_payment_minor": None,
        "daily_minor": None,
        "daily_left_minor": None,
        "unasked_left_minor": required.unasked_left_minor,
        "unproved_left_minor": required.unproved_left_minor,
    }
    if payer is not None:
        left["per_payment_minor"] = payer.tier.per_payment_limit_minor
        if payer.tier.daily_limit_minor < UNLIMITED_DAILY_MINOR:
            spent = payer.spent_minor + found.case.unsettled_spending_minor
            left["daily_minor"] = payer.tier.daily_limit_minor
            left["daily_left_minor"] = max(0, payer.tier.daily_limit_minor - spent)
    return left
