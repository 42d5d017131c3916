"""HTTP for payments, fundings, redemptions and billers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from api.addresses import address_text
from api.database import Connection, transaction
from api.errors import FlorinError
from api.idempotency import require_key
from api.identity.guard import By, GuardedRoute
from api.identity.keys import Caller
from api.identity.making import make_many, make_one
from api.identity.once import IDEMPOTENCY_HEADER
from api.institution import Here, Institution
from api.ledger.gathering import Gatherer
from api.ndjson import BulkExchange, bulk_openapi
from api.payments import aliases, billers, mandates, payment_requests, refunds, service
from api.payments.directory_client import FoundPayee
from api.payments.own_payments import requirement_of_machine
from api.payments.pay import Outcome, pay_all, preflight
from api.payments.requests import PaymentRequest, payment_request, transfer_request
from api.payments.schemas import (
    BillerAnswer,
    BillerBody,
    BillersAnswer,
    MandateAnswer,
    MandateBody,
    MandatesSummary,
    PaymentAccepted,
    PaymentAnswer,
    PaymentBody,
    PaymentLine,
    PaymentLineAnswer,
    PaymentsSummary,
    PreflightAnswer,
    ReceiptsAnswer,
    RedemptionBody,
    RefundBody,
    RefundsAnswer,
    TransferBody,
)

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["payments"])


async def _submit(request: Request, make: Callable[[Institution, str, str], PaymentRequest]) -> Response:
    """Have the payment decided together with those that arrive beside it. Raises `PaymentRefused`.

    Looks institution and caller up itself: what FastAPI injects costs more than all the rules.
    """
    key = require_key(request.headers.get("idempotency-key"))
    gatherer: Gatherer[PaymentRequest, Outcome] = request.app.state.payments
    caller: Caller = request.state.caller
    here: Institution = request.app.state.institution
    asked, found = make(here, caller.name, key), None
    if asked.payee.alias is not None:
        asked, found = await aliases.resolve(here, request.app.state.directory, asked)
    if asked.payee.request_token is not None:
        outcome = await payment_requests.pay(here, asked)
    else:
        outcome = await gatherer.submit(asked)
    return await _answered(here, outcome, found)


async def _answered(here: Institution, outcome: Outcome, found: FoundPayee | None = None) -> Response:
    outcome.require_accepted()
    if found is not None:
        async with transaction(here.pool) as conn:
            await aliases.note_payment(conn, found, outcome.payment_id)
    accepted = {
        "payment_id": str(outcome.payment_id),
        "state": outcome.state,
        "from_wallet_minor": outcome.from_wallet_minor,
        "from_deposit_minor": outcome.from_deposit_minor,
    }
    return JSONResponse(accepted, status_code=202)


@router.post("/payments", status_code=202, response_model=PaymentAccepted, openapi_extra=IDEMPOTENCY_HEADER)
async def pay(request: Request, body: PaymentBody) -> Response:
    """Pay from a wallet; what it lacks comes from the linked account. A refusal gives all its reasons."""
    return await _submit(request, lambda here, caller, key: payment_request(here, caller, key, body))


@router.post("/payments:bulk", openapi_extra=bulk_openapi(PaymentLine, PaymentLineAnswer))
async def pay_many(request: Request, here: Here, by: By) -> Any:
    """Pay many: one JSON object a line, decided in their order; safe to repeat."""

    async def decide(lines: Sequence[PaymentLine]) -> list[dict[str, Any] | FlorinError]:
        outcomes = await pay_all(
            here, [payment_request(here, by.name, line.reference, line) for line in lines]
        )
        return [
            outcome
            if isinstance(outcome, FlorinError)
            else {
                "reference": line.reference,
                "payment_id": str(outcome.payment_id),
                "state": outcome.state,
                "reasons": list(outcome.reasons),
            }
            for line, outcome in zip(lines, outcomes, strict=True)
        ]

    return BulkExchange(request, PaymentLine, decide)


@router.post("/payments/preflight", response_model=PreflightAnswer)
async def preflight_payment(request: Request, here: Here, by: By, body: PaymentBody) -> Any:
    """What would be decided about this payment now. Nothing is held or recorded.

    With an `Idempotency-Key`, also what its payer approves to have it made under that key.
    """
    key = request.headers.get("idempotency-key")
    asked = payment_request(here, by.name, "" if key is None else require_key(key), body)
    payee = None
    if asked.payee.alias is not None:
        asked, payee = await aliases.resolve(here, request.app.state.directory, asked, body.payee.payee_name)
    async with here.pool.acquire() as conn:
        if asked.payee.request_token is not None:
            asked = await payment_requests.resolve(conn, asked)
        return await _foreseen(conn, here, asked, payee, has_key=key is not None)


async def _foreseen(
    conn: Connection, here: Institution, asked: PaymentRequest, payee: FoundPayee | None, *, has_key: bool
) -> dict[str, Any]:
    found = await preflight(conn, here, asked)
    required = await requirement_of_machine(conn, here, asked, found)
    to_approve = None
    if has_key and found.payer is not None and found.payee is not None:
        to_approve = {
            "payment_id": str(asked.payment_id),
            "payer": address_text(found.payer),
            "payee": address_text(found.payee),
            "amount_minor": asked.amount_minor,
        }
    return {
        "requirement": "refused" if found.decision.reasons else required.requirement,
        "would_be_accepted": found.decision.is_accepted,
        "reasons": [reason.as_json() for reason in found.decision.reasons],
        "from_wallet_minor": found.decision.from_wallet_minor,
        "from_deposit_minor": found.decision.from_deposit_minor,
        "to_approve": to_approve,
        "payee": None if payee is None else aliases.payee_answer(payee),
    }


@router.get("/payments:summary", response_model=PaymentsSummary)
async def summary(
    here: Here,
    by: By,
    since_reference_prefix: Annotated[str, Query(max_length=100, pattern=r"^[!-~]*$")] = "",
) -> Any:
    """Payments counted by state, and by code where they were refused or failed.

    All of the bank's; with a prefix, those of this caller whose references begin so.
    """
    async with here.pool.acquire() as conn:
        return await service.summary(conn, by.name, since_reference_prefix)


@router.get("/payments/{payment_id}", response_model=PaymentAnswer)
async def payment(here: Here, payment_id: uuid.UUID) -> Any:
    """One payment and how far it has come."""
    async with here.pool.acquire() as conn:
        return await service.payment(conn, payment_id)


@router.post("/fundings", status_code=202, response_model=PaymentAccepted, openapi_extra=IDEMPOTENCY_HEADER)
async def fund(request: Request, body: TransferBody) -> Response:
    """Move money from the linked account into the wallet."""
    return await _submit(
        request, lambda here, caller, key: transfer_request(here, caller, key, "funding", body)
    )


@router.post(
    "/redemptions", status_code=202, response_model=PaymentAccepted, openapi_extra=IDEMPOTENCY_HEADER
)
async def redeem(request: Request, body: RedemptionBody) -> Response:
    """Move money from the wallet back to the linked account."""
    return await _submit(
        request, lambda here, caller, key: transfer_request(here, caller, key, "redemption", body)
    )


@router.post("/refunds", status_code=202, response_model=PaymentAccepted, openapi_extra=IDEMPOTENCY_HEADER)
async def refund(request: Request, here: Here, by: By, body: RefundBody) -> Response:
    """Pay back a part of what a wallet was paid, or all of it, to the wallet that paid."""
    key = require_key(request.headers.get("idempotency-key"))
    return await _answered(here, await refunds.refund(here, by.name, key, body))


@router.post("/refunds/preflight", response_model=PreflightAnswer)
async def preflight_refund(request: Request, here: Here, by: By, body: RefundBody) -> Any:
    """What would be decided about this refund now, and under a key, what its payer approves."""
    key = request.headers.get("idempotency-key")
    async with here.pool.acquire() as conn:
        name = "" if key is None else require_key(key)
        asked, _ = await refunds.request_of(conn, here, by.name, name, body)
        return await _foreseen(conn, here, asked, None, has_key=key is not None)


@router.get("/refunds/{original_id}", response_model=RefundsAnswer)
async def refunds_of(here: Here, original_id: uuid.UUID) -> Any:
    """What was paid back of a payment or a receipt, and what still can be."""
    async with here.pool.acquire() as conn:
        return await refunds.refunds_of(conn, original_id)


@router.get("/receipts", response_model=ReceiptsAnswer)
async def receipts(
    here: Here, wallet_id: uuid.UUID, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Any:
    """What a wallet was paid by customers of other banks, or past this bank."""
    async with here.pool.acquire() as conn:
        return await refunds.receipts_of(conn, wallet_id, limit)


@router.post("/mandates", status_code=202, response_model=MandateAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def give_mandate(request: Request, here: Here, by: By, body: MandateBody) -> Response:
    """Give the signer a customer's standing authority for one payee; it counts once it is active."""
    return await make_one(request, here, by, body, mandates.request_mandates, status=202)


@router.post("/mandates:bulk", openapi_extra=bulk_openapi(MandateBody, MandateAnswer))
async def give_mandates(request: Request, here: Here) -> Any:
    """Give many: one JSON object a line, in order; safe to repeat."""
    return make_many(request, here, MandateBody, mandates.request_mandates)


@router.get("/mandates:summary", response_model=MandatesSummary)
async def mandates_summary(here: Here) -> Any:
    """How many mandates are where."""
    async with here.pool.acquire() as conn:
        return await mandates.summary(conn)


@router.get("/mandates/{mandate_id}", response_model=MandateAnswer)
async def mandate(here: Here, mandate_id: uuid.UUID) -> Any:
    """One mandate."""
    async with here.pool.acquire() as conn:
        return await mandates.mandate(conn, mandate_id)


@router.post("/mandates/{mandate_id}/revocation", response_model=MandateAnswer)
async def revoke_mandate(here: Here, mandate_id: uuid.UUID) -> Any:
    """End a mandate. Nobody has to approve that: it only takes authority away. Safe to repeat."""
    async with transaction(here.pool) as conn:
        return await mandates.revoke(conn, mandate_id)


@router.post("/billers", status_code=201, response_model=BillerAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def introduce_biller(request: Request, here: Here, by: By, body: BillerBody) -> Response:
    """Make a biller known to this bank's customers."""
    return await make_one(request, here, by, body, billers.introduce_billers)


@router.post("/billers:bulk", openapi_extra=bulk_openapi(BillerBody, BillerAnswer))
async def introduce_billers(request: Request, here: Here) -> Any:
    """Make many billers known: one JSON object a line, in order; safe to repeat."""
    return make_many(request, here, BillerBody, billers.introduce_billers)


@router.get("/billers", response_model=BillersAnswer)
async def list_billers(
    here: Here,
    search: Annotated[str, Query(max_length=100, pattern=r"^[^\p{Cc}]*$")] = "",
    after: Annotated[str, Query(max_length=100, pattern=r"^[!-~]*$")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Any:
    """Billers in the order of their references."""
    async with here.pool.acquire() as conn:
        return await billers.billers(conn, after, search, limit)
