"""HTTP for a person about what they sign in with, and what happened to it."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.identity import (
    adding_contacts,
    authenticator_apps,
    confirming,
    devices,
    passkeys,
    password_changing,
    security_log,
)
from api.identity.contacts import contacts_of
from api.identity.guard import ByPerson, GuardedRoute
from api.identity.people_desk import AtDesk
from api.identity.people_schemas import (
    AuthenticatorAnswer,
    CodeBody,
    ContactAnswer,
    ContactBody,
    ContactsAnswer,
    DevicesAnswer,
    PasskeyAnswer,
    PasskeyBody,
    PasskeyConfirmationBody,
    PasskeyOptionsAnswer,
    PasskeysAnswer,
    PasswordBody,
    PasswordChangeBody,
    RecoveryCodesAnswer,
    SecurityLogAnswer,
)
from api.identity.registration_routes import From
from api.institution import Here

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


@router.post("/confirmation", status_code=204)
async def confirm(desk: AtDesk, person: ByPerson, body: PasswordBody) -> Response:
    """Show the password again: for ten minutes this session may change what you sign in with."""
    await confirming.confirm_by_password(desk, person, body.password)
    return Response(status_code=204)


@router.post("/confirmation/passkey-options", response_model=PasskeyOptionsAnswer)
async def confirmation_options(desk: AtDesk, person: ByPerson) -> Any:
    """What `navigator.credentials.get` is given to confirm with a passkey."""
    ticket, public_key = await passkeys.passkey_confirmation_options(desk, person)
    return {"ticket": ticket, "public_key": public_key}


@router.post("/confirmation/passkey", status_code=204)
async def confirm_by_passkey(desk: AtDesk, person: ByPerson, body: PasskeyConfirmationBody) -> Response:
    """The same as a confirmation with the password, with a passkey."""
    await passkeys.confirm_by_passkey(desk, person, body.ticket, body.credential)
    return Response(status_code=204)


@router.post("/password", status_code=204)
async def change_password(desk: AtDesk, person: ByPerson, whence: From, body: PasswordChangeBody) -> Response:
    """Choose a new password: with the old one, or without it after a confirmation with a passkey."""
    await password_changing.change_password(desk, person, body.old_password, body.new_password, whence)
    return Response(status_code=204)


@router.get("/contacts", response_model=ContactsAnswer)
async def contacts(here: Here, person: ByPerson) -> Any:
    """Where you are reached."""
    async with here.pool.acquire() as conn:
        found = await contacts_of(conn, person.customer_id)
    listed = [
        {"contact_id": str(each), "kind": contact.kind, "address": contact.address} for each, contact in found
    ]
    return {"contacts": listed}


@router.post("/contacts", status_code=202, response_model=ContactAnswer)
async def add_contact(desk: AtDesk, person: ByPerson, whence: From, body: ContactBody) -> Any:
    """Add a contact: a code goes there."""
    return {"contact_id": str(await adding_contacts.begin_contact(desk, person, body.contact, whence))}


@router.post("/contacts/{contact_id}/verification", status_code=204)
async def verify_contact(
    desk: AtDesk, person: ByPerson, whence: From, contact_id: uuid.UUID, body: CodeBody
) -> Response:
    """Show that the contact is yours."""
    await adding_contacts.verify_contact(desk, person, contact_id, body.code, whence)
    return Response(status_code=204)


@router.delete("/contacts/{contact_id}", status_code=204)
async def remove_contact(desk: AtDesk, person: ByPerson, whence: From, contact_id: uuid.UUID) -> Response:
    """Remove a contact, but the last."""
    await adding_contacts.remove_contact(desk, person, contact_id, whence)
    return Response(status_code=204)


@router.post("/authenticator", status_code=201, response_model=AuthenticatorAnswer)
async def begin_authenticator(desk: AtDesk, person: ByPerson) -> Any:
    """Set up an authenticator app: its secret, shown once; nothing changes before a code of it is shown."""
    secret, uri = await authenticator_apps.begin_authenticator(desk, person)
    return {"secret": secret, "uri": uri}


@router.post("/authenticator/verification", response_model=RecoveryCodesAnswer)
async def confirm_authenticator(desk: AtDesk, person: ByPerson, whence: From, body: CodeBody) -> Any:
    """Show a code of the app: it is asked for from now on. The recovery codes are shown once."""
    codes = await authenticator_apps.confirm_authenticator(desk, person, body.code, whence)
    return {"recovery_codes": codes}


@router.post("/authenticator/recovery-codes", response_model=RecoveryCodesAnswer)
async def renew_recovery_codes(desk: AtDesk, person: ByPerson) -> Any:
    """New recovery codes; the ones before are good no more."""
    return {"recovery_codes": await authenticator_apps.renew_recovery_codes(desk, person)}


@router.delete("/authenticator", status_code=204)
async def remove_authenticator(desk: AtDesk, person: ByPerson, whence: From) -> Response:
    """Sign in without the app from now on."""
    await authenticator_apps.remove_authenticator(desk, person, whence)
    return Response(status_code=204)


@router.get("/passkeys", response_model=PasskeysAnswer)
async def passkeys_of(here: Here, person: ByPerson) -> Any:
    """Your passkeys."""
    async with here.pool.acquire() as conn:
        return {"passkeys": await passkeys.passkeys_of(conn, person.customer_id)}


@router.post("/passkeys/options", response_model=PasskeyOptionsAnswer)
async def passkey_options(desk: AtDesk, person: ByPerson) -> Any:
    """What `navigator.credentials.create` is given; the ticket comes back with its answer."""
    ticket, public_key = await passkeys.passkey_creation_options(desk, person)
    return {"ticket": ticket, "public_key": public_key}


@router.post("/passkeys", status_code=201, response_model=PasskeyAnswer)
async def add_passkey(desk: AtDesk, person: ByPerson, whence: From, body: PasskeyBody) -> Any:
    """Register a passkey that was just made."""
    return await passkeys.add_passkey(
        desk, person, body.ticket, body.credential, name=body.name, whence=whence
    )


@router.delete("/passkeys/{passkey_id}", status_code=204)
async def remove_passkey(desk: AtDesk, person: ByPerson, whence: From, passkey_id: uuid.UUID) -> Response:
    """Not sign in with this passkey any more."""
    await passkeys.remove_passkey(desk, person, passkey_id, whence)
    return Response(status_code=204)


@router.get("/devices", response_model=DevicesAnswer)
async def known_devices(here: Here, person: ByPerson) -> Any:
    """Devices that you signed in from."""
    async with here.pool.acquire() as conn:
        return {"devices": await devices.devices_of(conn, person.customer_id)}


@router.delete("/devices/{device_id}", status_code=204)
async def forget_device(here: Here, person: ByPerson, device_id: uuid.UUID) -> Response:
    """Forget a device: when somebody signs in from it again, you are told."""
    async with here.pool.acquire() as conn:
        await devices.forget_device(conn, person.customer_id, device_id)
    return Response(status_code=204)


@router.get("/security-log", response_model=SecurityLogAnswer)
async def log(
    here: Here, person: ByPerson, before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None
) -> Any:
    """What happened to your login, the newest first; `before` an event goes on from it."""
    async with here.pool.acquire() as conn:
        return {"events": await security_log.security_log(conn, person.customer_id, before)}
