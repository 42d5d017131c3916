"""HTTP for a person about their own wallets."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter

from api.database import run_in_transaction, transaction
from api.identity.guard import ByPerson, GuardedRoute
from api.institution import Here
from api.wallets import opening
from api.wallets.schemas import OpeningBody, OpeningPrepared, OwnWallets, WalletAnswer, WalletOpened
from api.wallets.service import wallet_answer

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


@router.post("/wallets:prepare", response_model=OpeningPrepared)
async def prepare_opening(here: Here, person: ByPerson) -> Any:
    """Ask for what a new passkey is made with: it will approve the wallet's payments."""
    async with transaction(here.pool) as conn:
        return await opening.prepare_opening(conn, here, person)


@router.post("/wallets", status_code=202, response_model=WalletOpened)
async def open_wallet(here: Here, person: ByPerson, body: OpeningBody) -> Any:
    """Open the wallet that was prepared, beside an account. Safe to repeat.

    It can be used once it is `ready`: when its registration on chain has as many confirmations as said.
    """
    return await run_in_transaction(
        here.pool, lambda conn: opening.open_with_new_passkey(conn, here, person, body)
    )


@router.get("/wallets", response_model=OwnWallets)
async def wallets(here: Here, person: ByPerson) -> Any:
    """Their wallets."""
    async with here.pool.acquire() as conn:
        return await opening.own_wallets(conn, here, person.customer_id)


@router.get("/wallets/{wallet_id}", response_model=WalletAnswer)
async def wallet(here: Here, person: ByPerson, wallet_id: uuid.UUID) -> Any:
    """One of them with its balance."""
    async with here.pool.acquire() as conn:
        return wallet_answer(await opening.own_wallet(conn, here, person.customer_id, wallet_id))
