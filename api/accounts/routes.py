"""HTTP for deposit accounts."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.accounts import service
from api.accounts.schemas import AccountAnswer, AccountBody, EntriesAnswer
from api.accounts.service import RESERVES_SCOPE
from api.identity.guard import By, GuardedRoute
from api.identity.keys import Caller
from api.identity.making import Make, make_many, make_one
from api.identity.once import IDEMPOTENCY_HEADER
from api.institution import Here
from api.ndjson import bulk_openapi

router = APIRouter(prefix="/v1/accounts", route_class=GuardedRoute, tags=["accounts"])


@router.post("", status_code=201, response_model=AccountAnswer, openapi_extra=IDEMPOTENCY_HEADER)
async def open_account(request: Request, here: Here, by: By, body: AccountBody) -> Response:
    """Open a deposit account for a customer and book what it brings.

    What it brings becomes the bank's reserves: that needs the scope `settlement:write` as well.
    """
    return await make_one(request, here, by, body, _opening_for(by))


@router.post(":bulk", openapi_extra=bulk_openapi(AccountBody, AccountAnswer))
async def open_accounts(request: Request, here: Here, by: By) -> Any:
    """Open many deposit accounts: one JSON object a line, in order; safe to repeat."""
    return make_many(request, here, AccountBody, _opening_for(by))


def _opening_for(caller: Caller) -> Make[AccountBody]:
    may_bring_reserves = RESERVES_SCOPE in caller.scopes
    return partial(service.open_deposit_accounts, may_bring_reserves=may_bring_reserves)


@router.get("/{account_id}", response_model=AccountAnswer)
async def account(here: Here, account_id: uuid.UUID) -> Any:
    """One account with its balance."""
    async with here.pool.acquire() as conn:
        return await service.account(conn, account_id)


@router.get("/{account_id}/entries", response_model=EntriesAnswer)
async def entries(
    here: Here,
    account_id: uuid.UUID,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """An account's entries, newest first."""
    async with here.pool.acquire() as conn:
        return await service.entries(conn, account_id, before, limit)
