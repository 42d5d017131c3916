"""HTTP for wallets."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.identity.guard import By, GuardedRoute
from api.identity.making import make_many, make_one
from api.identity.once import IDEMPOTENCY_HEADER
from api.institution import Here
from api.ndjson import bulk_openapi
from api.wallets import service
from api.wallets.schemas import (
    WalletAnswer,
    WalletBody,
    WalletRequested,
    WalletsAnswer,
    WalletsSummary,
    WalletState,
)

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["wallets"])


@router.post("/wallets", status_code=202, response_model=WalletRequested, openapi_extra=IDEMPOTENCY_HEADER)
async def request_wallet(request: Request, here: Here, by: By, body: WalletBody) -> Response:
    """Request a wallet; it is ready once its registration on chain is final."""
    return await make_one(request, here, by, body, service.request_wallets, status=202)


@router.post("/wallets:bulk", openapi_extra=bulk_openapi(WalletBody, WalletRequested))
async def request_wallets(request: Request, here: Here) -> Any:
    """Request many wallets: one JSON object a line, in order; safe to repeat."""
    return make_many(request, here, WalletBody, service.request_wallets)


@router.get("/wallets:summary", response_model=WalletsSummary)
async def summary(here: Here) -> Any:
    """How many wallets wait for their registration, are ready, and are with another participant."""
    async with here.pool.acquire() as conn:
        return await service.summary(conn, here)


@router.get("/wallets", response_model=WalletsAnswer)
async def wallets(
    here: Here,
    state: WalletState | None = None,
    after: uuid.UUID | Literal[""] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Any:
    """Wallets in the order of their ids; ask on with `after` = the last one's id."""
    async with here.pool.acquire() as conn:
        return await service.wallets(conn, here, after or None, state, limit)


@router.get("/wallets/{wallet_id}", response_model=WalletAnswer)
async def wallet(here: Here, wallet_id: uuid.UUID) -> Any:
    """One wallet with its balance."""
    async with here.pool.acquire() as conn:
        return await service.wallet(conn, here, wallet_id)
