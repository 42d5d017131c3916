"""HTTP for customers."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.identity import customers
from api.identity.guard import By, GuardedRoute
from api.identity.making import make_many, make_one
from api.identity.once import IDEMPOTENCY_HEADER
from api.identity.schemas import CustomerAnswer, CustomerBody
from api.institution import Here
from api.ndjson import bulk_openapi

router = APIRouter(prefix="/v1/customers", route_class=GuardedRoute, tags=["customers"])


@router.post("", status_code=201, response_model=CustomerAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def create_customer(request: Request, here: Here, by: By, body: CustomerBody) -> Response:
    """Make a customer known to the bank."""
    return await make_one(request, here, by, body, customers.create_customers)


@router.post(":bulk", openapi_extra=bulk_openapi(CustomerBody, CustomerAnswer))
async def create_customers(request: Request, here: Here) -> Any:
    """Make many customers known: one JSON object a line, in order; safe to repeat."""
    return make_many(request, here, CustomerBody, customers.create_customers)


@router.get("/{customer_id}", response_model=CustomerAnswer)
async def customer(here: Here, customer_id: uuid.UUID) -> Any:
    """One customer."""
    async with here.pool.acquire() as conn:
        return await customers.customer(conn, customer_id)
