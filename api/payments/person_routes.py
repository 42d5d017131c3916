"""HTTP for a person about their own payments, fundings, redemptions and mandates.

Each is prepared first: the answer says what it requires and exactly what is signed; then it is sent again in
full, with that. What was prepared is good for minutes, and once.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from api.database import run_in_transaction, transaction
from api.idempotency import require_key
from api.identity.guard import ByPerson, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER
from api.identity.sessions import SignedIn
from api.institution import Here, Institution
from api.payments import history, own_mandates
from api.payments.own_payments import TotpStanding, prepare_payment, submit_payment
from api.payments.own_schemas import (
    ApprovedMandateBody,
    ApprovedPaymentBody,
    ApprovedTransferBody,
    OwnMandateBody,
    OwnMandates,
    OwnPaymentBody,
    OwnPayments,
    OwnPaymentWithProof,
    OwnTransferBody,
    PaymentsWanted,
    PreparedMandate,
    PreparedPayment,
)
from api.payments.schemas import MandateAnswer, PaymentAccepted
from api.payments.second_factor import ItsSecondFactor, SecondFactor

if TYPE_CHECKING:
    from api.payments.rules import Kind

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


async def _prepare(
    request: Request,
    here: Institution,
    person: SignedIn,
    factor: SecondFactor,
    *,
    kind: Kind,
    body: OwnPaymentBody | OwnTransferBody,
) -> dict[str, Any]:
    key = require_key(request.headers.get("idempotency-key"))
    totp = TotpStanding(has_it=await factor.is_there(here, person))
    async with transaction(here.pool) as conn:
        return await prepare_payment(conn, here, person, body, kind=kind, reference=key, totp=totp)


async def _submit(
    here: Institution,
    person: SignedIn,
    factor: SecondFactor,
    *,
    kind: Kind,
    body: ApprovedPaymentBody | ApprovedTransferBody,
) -> dict[str, Any]:
    """Decide it. Raises `PaymentRefused` after the refusal is recorded, and what `submit_payment` does."""
    if body.second_factor is not None:
        await factor.require(here, person, body.second_factor.password, body.second_factor.totp_code)
        totp = TotpStanding(has_it=True, was_shown=True)
    else:
        totp = TotpStanding(has_it=await factor.is_there(here, person))
    outcome = await run_in_transaction(
        here.pool, lambda conn: submit_payment(conn, here, person, body, kind=kind, totp=totp)
    )
    outcome.require_accepted()
    return {
        "payment_id": str(outcome.payment_id),
        "state": outcome.state,
        "from_wallet_minor": outcome.from_wallet_minor,
        "from_deposit_minor": outcome.from_deposit_minor,
    }


@router.post("/payments:prepare", response_model=PreparedPayment, openapi_extra=IDEMPOTENCY_HEADER)
async def prepare_own_payment(
    request: Request, here: Here, person: ByPerson, factor: ItsSecondFactor, body: OwnPaymentBody
) -> Any:
    """What a payment would take from where, what it requires, and what is signed. Moves nothing."""
    return await _prepare(request, here, person, factor, kind="payment", body=body)


@router.post("/payments", status_code=202, response_model=PaymentAccepted)
async def pay(here: Here, person: ByPerson, factor: ItsSecondFactor, body: ApprovedPaymentBody) -> Any:
    """Make the payment that was prepared, with what it requires. Safe to repeat."""
    return await _submit(here, person, factor, kind="payment", body=body)


@router.get("/payments", response_model=OwnPayments)
async def payments(here: Here, person: ByPerson, wanted: Annotated[PaymentsWanted, Query()]) -> Any:
    """Their payments, made and received, newest first."""
    async with here.pool.acquire() as conn:
        return await history.own_payments(conn, here, person, wanted)


@router.get("/payments/{payment_id}", response_model=OwnPaymentWithProof)
async def payment(here: Here, person: ByPerson, payment_id: uuid.UUID) -> Any:
    """One of them, how far it has come, and where on chain it can be found."""
    async with here.pool.acquire() as conn:
        return await history.own_payment(conn, here, person, payment_id)


@router.post("/fundings:prepare", response_model=PreparedPayment, openapi_extra=IDEMPOTENCY_HEADER)
async def prepare_own_funding(
    request: Request, here: Here, person: ByPerson, factor: ItsSecondFactor, body: OwnTransferBody
) -> Any:
    """What a funding would take, and whether it could be made."""
    return await _prepare(request, here, person, factor, kind="funding", body=body)


@router.post("/fundings", status_code=202, response_model=PaymentAccepted)
async def fund(here: Here, person: ByPerson, factor: ItsSecondFactor, body: ApprovedTransferBody) -> Any:
    """Move money from the account into the wallet, as it was prepared. It stays theirs."""
    return await _submit(here, person, factor, kind="funding", body=body)


@router.post("/redemptions:prepare", response_model=PreparedPayment, openapi_extra=IDEMPOTENCY_HEADER)
async def prepare_own_redemption(
    request: Request, here: Here, person: ByPerson, factor: ItsSecondFactor, body: OwnTransferBody
) -> Any:
    """What a redemption would take, and what it requires: at the signer it is spending."""
    return await _prepare(request, here, person, factor, kind="redemption", body=body)


@router.post("/redemptions", status_code=202, response_model=PaymentAccepted)
async def redeem(here: Here, person: ByPerson, factor: ItsSecondFactor, body: ApprovedTransferBody) -> Any:
    """Move money from the wallet back to the account, as it was prepared."""
    return await _submit(here, person, factor, kind="redemption", body=body)


@router.post("/mandates:prepare", response_model=PreparedMandate, openapi_extra=IDEMPOTENCY_HEADER)
async def prepare_own_mandate(request: Request, here: Here, person: ByPerson, body: OwnMandateBody) -> Any:
    """What is signed to let one payee be paid up to a cap in each period."""
    key = require_key(request.headers.get("idempotency-key"))
    async with transaction(here.pool) as conn:
        return await own_mandates.prepare_mandate(conn, here, person, key, body)


@router.post("/mandates", status_code=202, response_model=MandateAnswer)
async def give_own_mandate(here: Here, person: ByPerson, body: ApprovedMandateBody) -> Any:
    """Give the mandate that was prepared; it counts once it is `active`. Safe to repeat."""
    return await run_in_transaction(
        here.pool, lambda conn: own_mandates.give_mandate(conn, here, person, body)
    )


@router.get("/mandates", response_model=OwnMandates)
async def mandates(here: Here, person: ByPerson) -> Any:
    """Their mandates, the newest first."""
    async with here.pool.acquire() as conn:
        return await own_mandates.own_mandates(conn, person)


@router.post("/mandates/{mandate_id}/revocation", response_model=MandateAnswer)
async def revoke_own_mandate(here: Here, person: ByPerson, mandate_id: uuid.UUID) -> Any:
    """End one of them. Nothing has to be approved: it only takes authority away. Safe to repeat."""
    async with transaction(here.pool) as conn:
        return await own_mandates.revoke_own(conn, person, mandate_id)
