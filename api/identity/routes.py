"""HTTP for customers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.database import run_in_transaction
from api.errors import FlorinError
from api.identity import customers
from api.identity.guard import By, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER, answer_once
from api.identity.schemas import CustomerAnswer, CustomerBody
from api.institution import Here
from api.ndjson import BulkExchange, bulk_openapi, require_ndjson

router = APIRouter(prefix="/v1/customers", route_class=GuardedRoute, tags=["customers"])


@router.post("", status_code=201, response_model=CustomerAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def create_customer(request: Request, here: Here, by: By, body: CustomerBody) -> Response:
    """Make a customer known to the bank."""

    async def work(conn: Any) -> dict[str, Any] | FlorinError:
        (outcome,) = await customers.create_customers(conn, here, [body])
        return outcome

    return await answer_once(request, here, by, body, status=201, work=work)


@router.post(":bulk", openapi_extra=bulk_openapi(CustomerBody, CustomerAnswer))
async def create_customers(request: Request, here: Here) -> Any:
    """Make many customers known: one JSON object a line, in order; safe to repeat."""
    require_ndjson(request)

    async def decide(lines: Sequence[CustomerBody]) -> list[dict[str, Any] | FlorinError]:
        return await run_in_transaction(here.pool, lambda conn: customers.create_customers(conn, here, lines))

    return BulkExchange(request, CustomerBody, decide)


@router.get("/{customer_id}", response_model=CustomerAnswer)
async def customer(here: Here, customer_id: uuid.UUID) -> Any:
    """One customer."""
    async with here.pool.acquire() as conn:
        return await customers.customer(conn, customer_id)
