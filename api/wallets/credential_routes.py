"""HTTP for a person whose passkey was lost with its device."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.database import transaction
from api.identity.guard import ByPerson, GuardedRoute
from api.institution import Here
from api.wallets import credential_changes
from api.wallets.schemas import CredentialChangeBody, CredentialChangesAnswer

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


@router.post("/credential-changes", status_code=202, response_model=CredentialChangesAnswer)
async def file_changes(here: Here, person: ByPerson, body: CredentialChangeBody) -> Any:
    """Ask for a new passkey to approve for your wallets; the bank's officers decide at the signer."""
    async with transaction(here.pool) as conn:
        return {"changes": await credential_changes.file_credential_changes(conn, person, body.passkey_id)}


@router.get("/credential-changes", response_model=CredentialChangesAnswer)
async def changes(here: Here, person: ByPerson) -> Any:
    """What became of what you asked for."""
    async with here.pool.acquire() as conn:
        return {"changes": await credential_changes.credential_changes(conn, person)}
