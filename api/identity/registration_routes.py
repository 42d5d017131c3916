"""HTTP for strangers who become people with a login."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.identity import registering
from api.identity.guard import GuardedRoute
from api.identity.people_desk import AtDesk
from api.identity.people_schemas import (
    CodeBody,
    RegistrationAnswer,
    RegistrationBody,
    RegistrationCompletionBody,
    SignedInAnswer,
    StepAnswer,
    day_of,
)
from api.identity.security_log import Whence

router = APIRouter(prefix="/v1/registrations", route_class=GuardedRoute, tags=["registrations"])


def whence_of(request: Request, device_name: str = "", device_token: str = "") -> Whence:
    """Where a request comes from; without a name the device is what its browser calls itself."""
    host = request.client.host if request.client else "unknown"
    return Whence(host, device_name or request.headers.get("user-agent", ""), device_token)


async def _whence(request: Request) -> Whence:
    return whence_of(request)


From = Annotated[Whence, Depends(_whence)]
"""The parameter of a route that only needs to know the address."""


@router.post("", status_code=202, response_model=RegistrationAnswer)
async def register(desk: AtDesk, whence: From, body: RegistrationBody) -> Any:
    """Ask for a login: a code of six digits goes to the contact, with the same answer for a known one."""
    applicant = registering.Applicant(body.name, day_of(body.date_of_birth), body.language)
    registration_id = await registering.begin_registration(desk, body.contact, applicant, whence)
    return {"registration_id": str(registration_id)}


@router.post("/{registration_id}/code", status_code=202)
async def send_code(desk: AtDesk, whence: From, registration_id: uuid.UUID) -> Response:
    """Have another code sent; the one before is good no more."""
    await registering.send_registration_code(desk, registration_id, whence)
    return Response(status_code=202)


@router.post("/{registration_id}/verification", response_model=StepAnswer)
async def verify(desk: AtDesk, registration_id: uuid.UUID, body: CodeBody) -> Any:
    """Show that the contact is yours; the token for the next step."""
    return {"token": await registering.verify_registration(desk, registration_id, body.code)}


@router.post("/{registration_id}/completion", status_code=201, response_model=SignedInAnswer)
async def complete(
    request: Request, desk: AtDesk, registration_id: uuid.UUID, body: RegistrationCompletionBody
) -> Any:
    """Choose a password: you are a customer now, and signed in."""
    whence = whence_of(request, body.device_name, body.device_token)
    done = await registering.complete_registration(desk, registration_id, body.token, body.password, whence)
    return done.as_json()
