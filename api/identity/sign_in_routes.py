"""HTTP for signing in: with a password and perhaps a second factor, or with a passkey."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.identity import passkeys, signing_in
from api.identity.guard import GuardedRoute
from api.identity.people_desk import AtDesk
from api.identity.people_schemas import (
    PasskeyOptionsAnswer,
    PasskeySignInBody,
    SecondFactorAnswer,
    SecondFactorBody,
    SignedInAnswer,
    SignInBody,
)
from api.identity.registration_routes import whence_of

router = APIRouter(prefix="/v1/sessions", route_class=GuardedRoute, tags=["sessions"])


@router.post("", status_code=201, response_model=SignedInAnswer | SecondFactorAnswer)
async def sign_in(request: Request, response: Response, desk: AtDesk, body: SignInBody) -> Any:
    """Sign in with a contact and the password; 202 where a second factor is to be shown."""
    whence = whence_of(request, body.device_name, body.device_token)
    outcome = await signing_in.sign_in(desk, body.contact, body.password, whence)
    if isinstance(outcome, signing_in.SecondFactorNeeded):
        response.status_code = 202
    return outcome.as_json()


@router.post("/second-factor", status_code=201, response_model=SignedInAnswer)
async def show_second_factor(request: Request, desk: AtDesk, body: SecondFactorBody) -> Any:
    """Finish signing in with a code of the authenticator app, or a recovery code."""
    whence = whence_of(request, body.device_name, body.device_token)
    done = await signing_in.show_second_factor(desk, body.ticket, body.method, body.code, whence)
    return done.as_json()


@router.post("/passkey-options", response_model=PasskeyOptionsAnswer)
async def passkey_options(desk: AtDesk) -> Any:
    """What `navigator.credentials.get` is given; the ticket comes back with its answer."""
    ticket, public_key = await passkeys.passkey_sign_in_options(desk)
    return {"ticket": ticket, "public_key": public_key}


@router.post("/passkey", status_code=201, response_model=SignedInAnswer)
async def sign_in_with_passkey(request: Request, desk: AtDesk, body: PasskeySignInBody) -> Any:
    """Sign in with a passkey; it says itself whose it is."""
    whence = whence_of(request, body.device_name, body.device_token)
    return (await passkeys.sign_in_with_passkey(desk, body.ticket, body.credential, whence)).as_json()
