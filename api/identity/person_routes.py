"""HTTP for a person about themselves: who they are here, and where they are signed in."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.database import transaction
from api.identity import password_changing, sessions
from api.identity.guard import ByPerson, GuardedRoute
from api.identity.people_desk import AtDesk
from api.identity.schemas import PersonAnswer, SessionsAnswer
from api.institution import Here

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


@router.get("", response_model=PersonAnswer)
async def me(desk: AtDesk, person: ByPerson) -> Any:
    """Who is signed in, and how they showed it."""
    async with desk.here.pool.acquire() as conn:
        is_password_old = await password_changing.is_password_old(conn, desk, person.customer_id)
    return {
        "customer_id": str(person.customer_id),
        "name": person.name,
        "session_id": str(person.session_id),
        "assurance": person.assurance,
        "is_password_old": is_password_old,
    }


@router.get("/sessions", response_model=SessionsAnswer)
async def open_sessions(here: Here, person: ByPerson) -> Any:
    """Where they are signed in, the session used last first."""
    async with here.pool.acquire() as conn:
        found = await sessions.sessions_of(conn, person)
    return {"sessions": [each.as_json() for each in found]}


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(here: Here, person: ByPerson, session_id: uuid.UUID) -> Response:
    """Sign out there; of this session, here."""
    async with transaction(here.pool) as conn:
        await sessions.close_session(conn, person, session_id)
    return Response(status_code=204)


@router.delete("/sessions", status_code=204)
async def end_other_sessions(here: Here, person: ByPerson) -> Response:
    """Sign out everywhere but here."""
    async with transaction(here.pool) as conn:
        await sessions.close_sessions(conn, person.customer_id, keeping=person.session_id)
    return Response(status_code=204)
