"""HTTP for webhooks."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.database import transaction
from api.identity.guard import By, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER, intention_id
from api.institution import Here
from api.webhooks import endpoints
from api.webhooks.schemas import (
    DeliveriesAnswer,
    WebhookAnswer,
    WebhookBody,
    WebhooksAnswer,
    WebhookWithSecret,
)

router = APIRouter(prefix="/v1/webhooks", route_class=GuardedRoute, tags=["webhooks"])

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.post("", status_code=201, response_model=WebhookWithSecret, openapi_extra=IDEMPOTENCY_HEADER)
async def create_webhook(request: Request, here: Here, by: By, body: WebhookBody) -> Any:
    """Have events posted to a url, signed as Standard Webhooks says. The secret is shown here only."""
    webhook_id = intention_id(request, here, by)
    async with transaction(here.pool) as conn:
        return await endpoints.create(
            conn,
            here,
            webhook_id,
            url=body.url,
            events=body.events,
            description=body.description,
            caller=by.name,
        )


@router.get("", response_model=WebhooksAnswer)
async def webhooks(here: Here) -> Any:
    """Every webhook of the institution."""
    async with here.pool.acquire() as conn:
        return {"webhooks": await endpoints.all_webhooks(conn)}


@router.get("/{webhook_id}", response_model=WebhookAnswer)
async def webhook(here: Here, webhook_id: uuid.UUID) -> Any:
    """One webhook."""
    async with here.pool.acquire() as conn:
        return await endpoints.webhook(conn, webhook_id)


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(here: Here, webhook_id: uuid.UUID) -> Response:
    """Send nothing there any more; what waits is dropped, and the log goes with it."""
    async with transaction(here.pool) as conn:
        await endpoints.delete(conn, webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/secret", response_model=WebhookWithSecret, openapi_extra=IDEMPOTENCY_HEADER)
async def replace_secret(request: Request, here: Here, by: By, webhook_id: uuid.UUID) -> Any:
    """Another secret, shown in this answer only. For a day messages are signed by both."""
    secret_id = intention_id(request, here, by)
    async with transaction(here.pool) as conn:
        return await endpoints.replace_secret(conn, webhook_id, secret_id)


@router.post("/{webhook_id}/activation", response_model=WebhookAnswer)
async def activate_webhook(here: Here, webhook_id: uuid.UUID) -> Any:
    """Send to a disabled webhook again, from now on; what it missed can be redelivered."""
    async with transaction(here.pool) as conn:
        return await endpoints.activate(conn, webhook_id)


@router.get("/{webhook_id}/deliveries", response_model=DeliveriesAnswer)
async def deliveries(here: Here, webhook_id: uuid.UUID, before: Before = None, limit: Limit = 50) -> Any:
    """What was sent, the newest first; kept for 30 days."""
    async with here.pool.acquire() as conn:
        found = await endpoints.deliveries_of(conn, webhook_id, before_seq=before, limit=limit)
    return {"deliveries": found}


@router.post("/{webhook_id}/deliveries/{delivery_id}/redelivery", status_code=202)
async def redeliver(here: Here, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
    """Send it again, under the id that it had: receivers know it by that."""
    async with transaction(here.pool) as conn:
        await endpoints.redeliver(conn, webhook_id, delivery_id)
    return Response(status_code=202)
