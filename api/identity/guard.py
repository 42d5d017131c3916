"""Every route behind the table of scopes: the key is looked at before the body is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from api.errors import UnsupportedMediaType
from api.fields import refuse_duplicate_fields
from api.identity.errors import ScopeMissing
from api.identity.keys import Caller, KeyRing
from api.identity.scopes import PAGE, PUBLIC, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response


class GuardedRoute(APIRoute):
    """A route that the table of scopes knows. Building one that it does not know raises `LookupError`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        (method,) = options["methods"]
        self.scope_needed = scope_of(method, path)
        if self.scope_needed not in {PUBLIC, PAGE}:
            self.openapi_extra = {
                "security": [{"apiKey": [self.scope_needed]}],
                "x-scope": self.scope_needed,
                **(self.openapi_extra or {}),
            }

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if self.scope_needed not in {PUBLIC, PAGE}:
                key_ring: KeyRing = request.app.state.key_ring
                caller = await key_ring.caller_of(request.headers.get("authorization"))
                if self.scope_needed not in caller.scopes:
                    raise ScopeMissing(self.scope_needed)
                request.state.caller = caller
                if self.body_field is not None and (body := await request.body()):
                    _require_json(request)
                    refuse_duplicate_fields(body)
            return await handle(request)

        return guarded


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
