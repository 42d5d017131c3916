"""HTTP for the central bank's tiers, participants, reserves, approvals and statements."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from api.database import run_in_transaction
from api.errors import FlorinError
from api.fields import Address
from api.identity.guard import By, GuardedRoute
from api.identity.once import IDEMPOTENCY_HEADER, answer_once, intention_id
from api.institution import Here
from api.settlement import currency, reserves, statements, states
from api.settlement.schemas import (
    ApprovalBody,
    IssuanceAnswer,
    IssuanceStateAnswer,
    ParticipantAnswer,
    ParticipantBody,
    ParticipantsAnswer,
    ReserveDepositAnswer,
    ReserveDepositBody,
    StatementAnswer,
    SupplyAnswer,
    SystemAccountAnswer,
    SystemAccountBody,
    SystemAccountsAnswer,
    TierAnswer,
    TierBody,
    TiersAnswer,
)

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["central bank"])

TierInPath = Annotated[int, Path(ge=0, le=255)]
ParticipantInPath = Annotated[int, Path(ge=1, le=65535)]
Block = Annotated[int | None, Query(ge=0, le=2**62)]


@router.put("/tiers/{tier}", response_model=TierAnswer)
async def set_tier(here: Here, tier: TierInPath, body: TierBody) -> Any:
    """Set a tier's limits; `state` tells whether they are final on chain."""
    return await run_in_transaction(here.pool, lambda conn: currency.set_tier(conn, tier, body))


@router.get("/tiers", response_model=TiersAnswer)
async def tiers(here: Here) -> Any:
    """The tiers that are final on chain."""
    async with here.pool.acquire() as conn:
        return await currency.tiers(conn)


@router.put("/participants/{participant_id}", response_model=ParticipantAnswer)
async def set_participant(here: Here, participant_id: ParticipantInPath, body: ParticipantBody) -> Any:
    """Make a bank a participant, or change it; `state` tells whether that is final on chain."""
    return await run_in_transaction(
        here.pool, lambda conn: currency.set_participant(conn, here, participant_id, body)
    )


@router.get("/participants", response_model=ParticipantsAnswer)
async def participants(here: Here) -> Any:
    """The participants, and whether each is final on chain."""
    async with here.pool.acquire() as conn:
        return await currency.participants(conn)


@router.put("/system-accounts/{address}", response_model=SystemAccountAnswer)
async def set_system_account(here: Here, address: Address, body: SystemAccountBody) -> Any:
    """Make a contract an account of the system, or change its tier; `state` tells whether that is final."""
    return await run_in_transaction(
        here.pool, lambda conn: currency.set_system_account(conn, address, body.tier)
    )


@router.get("/system-accounts", response_model=SystemAccountsAnswer)
async def system_accounts(here: Here) -> Any:
    """The accounts of the system that are final on chain."""
    async with here.pool.acquire() as conn:
        return await currency.system_accounts(conn)


@router.get("/participants/{participant_id}/statement", response_model=StatementAnswer)
async def statement(here: Here, participant_id: ParticipantInPath, block: Block = None) -> Any:
    """A participant's reserves and holdings as of a final block."""
    async with here.pool.acquire() as conn:
        return await statements.statement(conn, here, participant_id, block)


@router.get("/supply", response_model=SupplyAnswer)
async def supply(here: Here, block: Block = None) -> Any:
    """All digital currency as of a final block."""
    async with here.pool.acquire() as conn:
        return await statements.supply(conn, here, block)


@router.post(
    "/reserve-deposits",
    status_code=201,
    response_model=ReserveDepositAnswer,
    openapi_extra=IDEMPOTENCY_HEADER,
)
async def deposit_reserves(request: Request, here: Here, by: By, body: ReserveDepositBody) -> Response:
    """Book reserves that a participant brings."""
    deposit_id = intention_id(request, here, by)

    async def work(conn: Any) -> dict[str, Any] | FlorinError:
        return await reserves.deposit_reserves(conn, here, deposit_id, body.participant_id, body.amount_minor)

    return await answer_once(request, here, by, body, status=201, work=work)


@router.post("/issuances", status_code=202, response_model=IssuanceAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def approve_issuance(request: Request, here: Here, by: By, body: ApprovalBody) -> Response:
    """Let a participant mint against its reserves, which are held for it."""
    issuance_id = intention_id(request, here, by)

    async def work(conn: Any) -> dict[str, Any] | FlorinError:
        return await reserves.approve_issuance(conn, issuance_id, body.participant_id, body.amount_minor)

    return await answer_once(request, here, by, body, status=202, work=work)


@router.get("/issuances/{issuance_id}", response_model=IssuanceStateAnswer)
async def issuance_state(here: Here, issuance_id: uuid.UUID) -> Any:
    """What became of an approval."""
    async with here.pool.acquire() as conn:
        return await states.issuance_state(conn, issuance_id)
