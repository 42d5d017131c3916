"""HTTP for people who forgot their password or lost their device, and for those who object."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.identity import recovering
from api.identity.guard import ByPerson, GuardedRoute
from api.identity.people_desk import AtDesk
from api.identity.people_schemas import (
    CodeBody,
    OpenRecoveriesAnswer,
    RecoveryAnswer,
    RecoveryBody,
    RecoveryCompletionBody,
    RecoveryStepAnswer,
    day_of,
)
from api.identity.registration_routes import From

router = APIRouter(route_class=GuardedRoute, tags=["recoveries"])


@router.post("/v1/recoveries", status_code=202, response_model=RecoveryAnswer)
async def begin(desk: AtDesk, whence: From, body: RecoveryBody) -> Any:
    """Recover a login: a code goes to the contact, the same answer whether it is known or not."""
    recovery_id = await recovering.begin_recovery(
        desk,
        body.lost,
        body.contact,
        body.name,
        day_of(body.date_of_birth),
        language=body.language,
        whence=whence,
    )
    return {"recovery_id": str(recovery_id)}


@router.post("/v1/recoveries/{recovery_id}/verification", response_model=RecoveryStepAnswer)
async def verify(desk: AtDesk, whence: From, recovery_id: uuid.UUID, body: CodeBody) -> Any:
    """Show that the contact is yours: the recovery waits until `ready_at`, and your contacts are told."""
    token, ready_at = await recovering.verify_recovery(desk, recovery_id, body.code, whence)
    return {"token": token, "ready_at": ready_at.isoformat()}


@router.post("/v1/recoveries/{recovery_id}/completion", status_code=204)
async def complete(
    desk: AtDesk, whence: From, recovery_id: uuid.UUID, body: RecoveryCompletionBody
) -> Response:
    """Choose a new password, after the wait: all sessions end; sign in with it then."""
    await recovering.complete_recovery(desk, recovery_id, body.token, body.password, whence)
    return Response(status_code=204)


@router.get("/v1/me/recoveries", response_model=OpenRecoveriesAnswer)
async def open_recoveries(desk: AtDesk, person: ByPerson) -> Any:
    """Recoveries of your login that somebody has begun, and until when your limits are lowered."""
    async with desk.here.pool.acquire() as conn:
        found = await recovering.open_recoveries(conn, person.customer_id)
        until = await recovering.restricted_until(conn, person.customer_id)
    return {"recoveries": found, "restricted_until": until and until.isoformat()}


@router.delete("/v1/me/recoveries", status_code=204)
async def cancel(desk: AtDesk, person: ByPerson, whence: From) -> Response:
    """Stop them: you are here, and have lost nothing."""
    await recovering.cancel_recoveries(desk, person, whence)
    return Response(status_code=204)
