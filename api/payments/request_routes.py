"""HTTP for payment requests: a bank's own systems, and a person about theirs."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from api.database import run_in_transaction, transaction
from api.idempotency import require_key
from api.identity.customers import customer_ids
from api.identity.errors import UnknownCustomer
from api.identity.guard import By, ByPerson, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER
from api.institution import Here
from api.payments import aliases, payment_requests, queries
from api.payments.alias_routes import Directory
from api.payments.errors import PayerElsewhere
from api.payments.payment_requests import Wanted
from api.payments.schemas import AskBody, AskedAnswer, AskedsAnswer, OwnAskBody

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["payment requests"])

Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22}$")]


@router.post(
    "/payment-requests", status_code=201, response_model=AskedAnswer, openapi_extra=IDEMPOTENCY_HEADER
)
async def ask(request: Request, here: Here, by: By, body: AskBody) -> Any:
    """Ask to be paid into a wallet: by one customer of this bank, or by whoever has the link or code."""
    key = require_key(request.headers.get("idempotency-key"))
    async with transaction(here.pool) as conn:
        payer_id = None
        if body.payer_customer_reference is not None:
            known = await customer_ids(conn, [body.payer_customer_reference])
            payer_id = known.get(body.payer_customer_reference)
            if payer_id is None:
                raise UnknownCustomer(body.payer_customer_reference)
        wanted = Wanted(body.payee_wallet_id, payer_id, body.amount_minor, body.note, body.expires_at_s)
        return await payment_requests.ask(conn, here, by.name, key, wanted)


@router.get("/payment-requests/{request_id}", response_model=AskedAnswer)
async def payment_request(here: Here, request_id: uuid.UUID) -> Any:
    """One payment request."""
    async with here.pool.acquire() as conn:
        return await payment_requests.by_id(conn, request_id)


@router.post("/payment-requests/{request_id}/cancellation", response_model=AskedAnswer)
async def cancel(here: Here, request_id: uuid.UUID) -> Any:
    """Take a request back. Safe to repeat."""
    return await run_in_transaction(here.pool, lambda conn: payment_requests.cancel(conn, request_id))


@router.post(
    "/me/payment-requests", status_code=201, response_model=AskedAnswer, openapi_extra=IDEMPOTENCY_HEADER
)
async def ask_for_oneself(
    request: Request, here: Here, person: ByPerson, directory: Directory, body: OwnAskBody
) -> Any:
    """Ask somebody of this bank by their alias, or whoever gets the link or code."""
    key = require_key(request.headers.get("idempotency-key"))
    payer_id = None
    if body.payer_alias is not None:
        found = await aliases.look_up(here, directory, person.customer_id, body.payer_alias, None)
        async with here.pool.acquire() as conn:
            wallets = await queries.wallets_at(conn, [found.address])
        if not wallets:
            raise PayerElsewhere
        payer_id = wallets[0]["customer_id"]
    wanted = Wanted(body.wallet_id, payer_id, body.amount_minor, body.note, body.expires_at_s)
    caller = f"customer:{person.customer_id}"
    async with transaction(here.pool) as conn:
        return await payment_requests.ask(conn, here, caller, key, wanted, customer_id=person.customer_id)


@router.get("/me/payment-requests", response_model=AskedsAnswer)
async def own_requests(here: Here, person: ByPerson, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Any:
    """What this person asked for, and what was asked of them."""
    async with here.pool.acquire() as conn:
        return await payment_requests.requests_of(conn, person.customer_id, limit)


@router.get("/me/payment-requests/{token}", response_model=AskedAnswer)
async def request_of_link(here: Here, person: ByPerson, token: Token) -> Any:
    """The request of a link or code."""
    del person  # whoever has the token may see it
    async with here.pool.acquire() as conn:
        return await payment_requests.by_token(conn, token)


@router.post("/me/payment-requests/{request_id}/cancellation", response_model=AskedAnswer)
async def cancel_own(here: Here, person: ByPerson, request_id: uuid.UUID) -> Any:
    """Take one's own request back. Safe to repeat."""
    return await run_in_transaction(
        here.pool, lambda conn: payment_requests.cancel(conn, request_id, person.customer_id)
    )


@router.post("/me/payment-requests/{request_id}/decline", response_model=AskedAnswer)
async def decline(here: Here, person: ByPerson, request_id: uuid.UUID) -> Any:
    """Say no to a request. Safe to repeat."""
    return await run_in_transaction(
        here.pool, lambda conn: payment_requests.decline(conn, request_id, person.customer_id)
    )
