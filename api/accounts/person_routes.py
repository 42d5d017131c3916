"""HTTP for a person about their own accounts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.accounts import service
from api.accounts.schemas import OwnAccounts
from api.identity.guard import ByPerson, GuardedRoute
from api.institution import Here

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


@router.get("/accounts", response_model=OwnAccounts)
async def accounts(here: Here, person: ByPerson) -> Any:
    """Their deposit accounts, oldest first."""
    async with here.pool.acquire() as conn:
        return await service.own_accounts(conn, person.customer_id)
