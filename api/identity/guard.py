"""Every route behind the table of access: who asks is looked at before what they send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from api.errors import UnsupportedMediaType
from api.fields import refuse_duplicate_fields
from api.identity.access import Access, access_of
from api.identity.errors import ScopeMissing, SessionMissing
from api.identity.keys import Caller, KeyRing
from api.identity.sessions import SignedIn, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response

    from api.institution import Institution


class GuardedRoute(APIRoute):
    """A route that the table of access knows. Building one that it does not know raises `LookupError`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        (method,) = options["methods"]
        self.access = access_of(method, path)
        super().__init__(path, endpoint, **options)
        if self.access.who == "machine":
            described = {"security": [{"apiKey": [self.access.scope]}], "x-scope": self.access.scope}
        elif self.access.who == "person":
            described = {"security": [{"session": []}]}
        else:
            return
        self.openapi_extra = {**described, **(self.openapi_extra or {})}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, access = super().get_route_handler(), self.access

        async def guarded(request: Request) -> Response:
            if access.who == "machine":
                key_ring: KeyRing = request.app.state.key_ring
                caller = await key_ring.caller_of(request.headers.get("authorization"))
                if access.scope not in caller.scopes:
                    raise ScopeMissing(access.scope)
                request.state.caller = caller
            elif access.is_persons:
                request.state.person = await _person_of(request, access)
            if not access.is_page and self.body_field is not None:
                body = await request.body()
                if body:
                    _require_json(request)
                    refuse_duplicate_fields(body)
            return await handle(request)

        return guarded


def session_cookie(institution: Institution) -> str:
    """The session's cookie name: institutions may share a host name, and cookies do not know ports."""
    return f"florin_session_{institution.settings.institution}"


async def _person_of(request: Request, access: Access) -> SignedIn:
    """The person whose session comes with the request. Raises `SessionMissing`."""
    here: Institution = request.app.state.institution
    if access.is_page:
        token = request.cookies.get(session_cookie(here))
    else:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise SessionMissing
    async with here.pool.acquire() as conn:
        person = await session_of(conn, token)
    if person is None:
        raise SessionMissing
    return person


def _require_json(request: Request) -> None:
    """Raises `UnsupportedMediaType` unless the body says that it is JSON."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMediaType("application/json")


async def _caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


By = Annotated[Caller, Depends(_caller_of)]
"""The parameter of a route that acts for a caller."""


async def _signed_in(request: Request) -> SignedIn:
    person: SignedIn = request.state.person
    return person


ByPerson = Annotated[SignedIn, Depends(_signed_in)]
"""The parameter of a route that acts for the person of a session."""
