"""HTTP for aliases at a bank: its customers' own, and whom another's pays."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.directory.aliases import Alias, read_alias
from api.directory.errors import AliasUnreadable
from api.directory.schemas import AliasText, LookupBody
from api.fields import Answer, Body, Identifier, Reference
from api.identity.customers import customer_ids
from api.identity.errors import UnknownCustomer
from api.identity.guard import ByPerson, GuardedRoute
from api.institution import Here
from api.payments import aliases
from api.payments.directory_client import DirectoryClient
from api.payments.schemas import AliasPayeeAnswer

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["aliases"])


class CustomerAliasBody(Body):
    """An alias that the caller has verified to be the customer's, and the wallet that it pays."""

    customer_reference: Reference
    wallet_id: Identifier
    alias: AliasText


class HandleBody(Body):
    """A handle that a person takes for one of their wallets: `@name`, whoever is first."""

    wallet_id: Identifier
    handle: AliasText


class CustomerAliasAnswer(Answer):
    """A customer's own alias."""

    alias_id: uuid.UUID
    kind: Literal["phone", "email", "handle"]
    alias: str
    wallet_id: uuid.UUID


class CustomerAliasesAnswer(Answer):
    """A person's aliases."""

    aliases: list[CustomerAliasAnswer]


async def _directory_of(request: Request) -> DirectoryClient:
    directory: DirectoryClient = request.app.state.directory
    return directory


Directory = Annotated[DirectoryClient, Depends(_directory_of)]


@router.put("/aliases", response_model=CustomerAliasAnswer)
async def register_alias(here: Here, directory: Directory, body: CustomerAliasBody) -> Any:
    """Register a customer's verified alias in the directory. Safe to repeat."""
    async with here.pool.acquire() as conn:
        known = await customer_ids(conn, [body.customer_reference])
    if body.customer_reference not in known:
        raise UnknownCustomer(body.customer_reference)
    verified = _verified_now(known[body.customer_reference], read_alias(body.alias))
    return await aliases.register(here, directory, verified, body.wallet_id)


@router.get("/me/aliases", response_model=CustomerAliasesAnswer)
async def own_aliases(here: Here, person: ByPerson) -> Any:
    """By what others can pay this person."""
    async with here.pool.acquire() as conn:
        return await aliases.aliases_of(conn, person.customer_id)


@router.put("/me/aliases/handle", response_model=CustomerAliasAnswer)
async def take_handle(here: Here, person: ByPerson, directory: Directory, body: HandleBody) -> Any:
    """Take a handle, or have one's own pay another wallet."""
    alias = read_alias(body.handle)
    if alias.kind != "handle":
        raise AliasUnreadable
    return await aliases.register(here, directory, _verified_now(person.customer_id, alias), body.wallet_id)


@router.delete("/me/aliases/{alias_id}", status_code=204)
async def release_alias(here: Here, person: ByPerson, directory: Directory, alias_id: uuid.UUID) -> Response:
    """Be paid by this alias no more."""
    await aliases.release(here, directory, person.customer_id, alias_id)
    return Response(status_code=204)


@router.post("/me/payees/lookup", response_model=AliasPayeeAnswer)
async def look_up(here: Here, person: ByPerson, directory: Directory, body: LookupBody) -> Any:
    """Whom an alias pays, and whether the name that the person gives is theirs."""
    found = await aliases.look_up(here, directory, person.customer_id, body.alias, body.payee_name)
    return aliases.payee_answer(found)


def _verified_now(customer_id: uuid.UUID, alias: Alias) -> aliases.VerifiedAlias:
    return aliases.VerifiedAlias(customer_id, alias, datetime.now(UTC))
