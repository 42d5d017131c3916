"""HTTP for a person about their own standing orders."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request

from api.database import run_in_transaction, transaction
from api.idempotency import require_key
from api.identity.guard import ByPerson, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER
from api.institution import Here
from api.payments import standing_orders
from api.payments.order_schemas import (
    ApprovedOrderBody,
    OrderAnswer,
    OrdersAnswer,
    PreparedOrder,
    SkipBody,
    StandingOrderBody,
)

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


@router.post("/standing-orders:prepare", response_model=PreparedOrder, openapi_extra=IDEMPOTENCY_HEADER)
async def prepare_order(request: Request, here: Here, person: ByPerson, body: StandingOrderBody) -> Any:
    """What is signed to have a payment made again and again, and its first days."""
    key = require_key(request.headers.get("idempotency-key"))
    async with transaction(here.pool) as conn:
        return await standing_orders.prepare_order(conn, here, person, key, body)


@router.post("/standing-orders", status_code=202, response_model=OrderAnswer)
async def give_order(here: Here, person: ByPerson, body: ApprovedOrderBody) -> Any:
    """Give the order that was prepared; it runs once its mandate is active. Safe to repeat."""
    return await run_in_transaction(
        here.pool, lambda conn: standing_orders.give_order(conn, here, person, body)
    )


@router.get("/standing-orders", response_model=OrdersAnswer)
async def orders(here: Here, person: ByPerson) -> Any:
    """Their standing orders, the newest first."""
    async with here.pool.acquire() as conn:
        return await standing_orders.own_orders(conn, person)


@router.get("/standing-orders/{order_id}", response_model=OrderAnswer)
async def order(here: Here, person: ByPerson, order_id: uuid.UUID) -> Any:
    """One of them with its next days and latest runs."""
    async with here.pool.acquire() as conn:
        return await standing_orders.own_order(conn, person, order_id)


@router.post("/standing-orders/{order_id}/pause", response_model=OrderAnswer)
async def pause_order(here: Here, person: ByPerson, order_id: uuid.UUID) -> Any:
    """Make no runs until it is resumed. Safe to repeat."""
    async with transaction(here.pool) as conn:
        return await standing_orders.pause(conn, person, order_id)


@router.post("/standing-orders/{order_id}/resumption", response_model=OrderAnswer)
async def resume_order(here: Here, person: ByPerson, order_id: uuid.UUID) -> Any:
    """Make runs again, from the next day on; what came in the pause is not made up for. Safe to repeat."""
    async with transaction(here.pool) as conn:
        return await standing_orders.resume(conn, here, person, order_id)


@router.post("/standing-orders/{order_id}/skip", response_model=OrderAnswer)
async def skip_run(here: Here, person: ByPerson, order_id: uuid.UUID, body: SkipBody) -> Any:
    """Leave the next run out. Safe to repeat."""
    async with transaction(here.pool) as conn:
        return await standing_orders.skip(conn, here, person, order_id, body.due_on)


@router.post("/standing-orders/{order_id}/end", response_model=OrderAnswer)
async def end_order(here: Here, person: ByPerson, order_id: uuid.UUID) -> Any:
    """End it and the mandate behind it. Nothing has to be approved. Safe to repeat."""
    async with transaction(here.pool) as conn:
        return await standing_orders.end(conn, person, order_id)
