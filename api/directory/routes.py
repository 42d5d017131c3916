"""HTTP for the alias directory, which banks call with keys of their own (`participant-<number>`).

Nothing here takes an `Idempotency-Key`: what it stores of a request could be guessed back to a phone number.
Everything is safe to repeat by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.database import Connection, run_in_transaction
from api.directory import claims, service
from api.directory.errors import DirectoryNotConfigured
from api.directory.schemas import (
    AliasAnswer,
    AliasBody,
    ClaimAnswer,
    ClaimBody,
    ClaimsAnswer,
    ContestBody,
    LookupAnswer,
    LookupBody,
    PaidAnswer,
    PaidBody,
)
from api.directory.secret import DirectorySecret
from api.errors import FlorinError
from api.identity.guard import By, GuardedRoute
from api.identity.keys import Caller
from api.institution import Here, Institution

router = APIRouter(prefix="/v1/directory", route_class=GuardedRoute, tags=["directory"])


async def _secret_of(request: Request) -> DirectorySecret:
    secret: DirectorySecret | None = request.app.state.directory_secret
    if secret is None:
        raise DirectoryNotConfigured
    return secret


Secret = Annotated[DirectorySecret, Depends(_secret_of)]


async def _for_bank(
    here: Institution, by: Caller, verb: Callable[[Connection, int], Awaitable[dict[str, Any] | FlorinError]]
) -> dict[str, Any]:
    """What a verb answers the calling bank; its refusal is raised once what it cost is recorded."""

    async def work(conn: Connection) -> dict[str, Any] | FlorinError:
        return await verb(conn, await service.participant_of(conn, by.name))

    outcome = await run_in_transaction(here.pool, work)
    if isinstance(outcome, FlorinError):
        raise outcome
    return outcome


@router.put("/aliases", response_model=AliasAnswer)
async def register(here: Here, by: By, secret: Secret, body: AliasBody) -> Any:
    """Register an alias for the bank's customer, or replace the wallet or the name behind it."""
    return await _for_bank(
        here, by, lambda conn, participant: service.register(conn, secret, participant, body)
    )


@router.delete("/aliases/{alias_id}", status_code=204)
async def release(here: Here, by: By, alias_id: uuid.UUID) -> Response:
    """Forget an alias; where another bank claims it, hand it over at once."""

    async def verb(conn: Connection, participant: int) -> dict[str, Any]:
        await service.release(conn, participant, alias_id)
        return {}

    await _for_bank(here, by, verb)
    return Response(status_code=204)


@router.post("/lookups", response_model=LookupAnswer)
async def look_up(here: Here, by: By, secret: Secret, body: LookupBody) -> Any:
    """Whom an alias pays; with a name, whether it is the payee's. A miss is dear."""
    return await _for_bank(
        here, by, lambda conn, participant: service.look_up(conn, secret, participant, body)
    )


@router.post("/lookups/{lookup_id}/payment", response_model=PaidAnswer)
async def paid(here: Here, by: By, lookup_id: uuid.UUID, body: PaidBody) -> Any:
    """Show the payment that a look-up led to, and get its cost back."""
    return await _for_bank(
        here, by, lambda conn, participant: service.refund(conn, participant, lookup_id, body)
    )


@router.put("/claims", response_model=ClaimAnswer)
async def make_claim(here: Here, by: By, secret: Secret, body: ClaimBody) -> Any:
    """Claim an alias of another bank for one's own customer, who has just shown that it is theirs."""
    now = datetime.now(UTC)
    return await _for_bank(
        here, by, lambda conn, participant: service.claim(conn, secret, participant, body, now)
    )


@router.get("/claims", response_model=ClaimsAnswer)
async def list_claims(here: Here, by: By) -> Any:
    """The claims that the bank made, and those that it has to answer."""
    return await _for_bank(here, by, claims.claims_of)


@router.post("/claims/{claim_id}/completion", response_model=ClaimAnswer)
async def complete_claim(here: Here, by: By, claim_id: uuid.UUID) -> Any:
    """Take the alias over, once the former bank has let its time pass."""
    return await _for_bank(here, by, lambda conn, participant: claims.complete(conn, participant, claim_id))


@router.post("/claims/{claim_id}/withdrawal", response_model=ClaimAnswer)
async def withdraw_claim(here: Here, by: By, claim_id: uuid.UUID) -> Any:
    """Take a claim back."""
    return await _for_bank(here, by, lambda conn, participant: claims.withdraw(conn, participant, claim_id))


@router.post("/claims/{claim_id}/contest", response_model=ClaimAnswer)
async def contest_claim(here: Here, by: By, claim_id: uuid.UUID, body: ContestBody) -> Any:
    """Keep the alias: its customer has confirmed, after the claim, that it is theirs."""
    verified_at = claims.require_recent(body.verified_at_s, datetime.now(UTC))
    return await _for_bank(
        here, by, lambda conn, participant: claims.contest(conn, participant, claim_id, verified_at)
    )
