"""HTTP for a bank's minting and returning."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.errors import FlorinError
from api.identity.guard import By, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER, answer_once, intention_id
from api.institution import Here
from api.settlement import issuance, states
from api.settlement.schemas import AllowanceAnswer, IssuanceAnswer, IssuanceBody, IssuanceStateAnswer

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["issuance"])


@router.post("/issuances", status_code=202, response_model=IssuanceAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def mint(request: Request, here: Here, by: By, body: IssuanceBody) -> Response:
    """Mint digital currency within the allowance, against the bank's reserves."""
    issuance_id = intention_id(request, here, by)

    async def work(conn: Any) -> dict[str, Any] | FlorinError:
        return await issuance.mint(conn, here, issuance_id, body.amount_minor)

    return await answer_once(request, here, by, body, status=202, work=work)


@router.post("/returns", status_code=202, response_model=IssuanceAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def return_to_central_bank(request: Request, here: Here, by: By, body: IssuanceBody) -> Response:
    """Return digital currency to the central bank: it is burnt, and becomes reserves again."""
    issuance_id = intention_id(request, here, by)

    async def work(conn: Any) -> dict[str, Any] | FlorinError:
        return await issuance.return_to_central_bank(conn, here, issuance_id, body.amount_minor)

    return await answer_once(request, here, by, body, status=202, work=work)


@router.get("/issuances", response_model=AllowanceAnswer)
async def allowance(here: Here) -> Any:
    """What the bank may still mint."""
    async with here.pool.acquire() as conn:
        return await issuance.allowance(conn, here)


@router.get("/issuances/{issuance_id}", response_model=IssuanceStateAnswer)
async def issuance_state(here: Here, issuance_id: uuid.UUID) -> Any:
    """What became of a minting or a return."""
    async with here.pool.acquire() as conn:
        return await states.issuance_state(conn, issuance_id)
