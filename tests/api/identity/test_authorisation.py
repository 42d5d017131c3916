"""Every route of both kinds of institution, against every wrong caller.

A route with a scope
├── without key, or with a bad one: 401
├── with a key that has every scope but the one: 403
└── with a key that has only the one: something else
    and the body is not even looked at before
A route of a person, on their own objects
├── without session, with an ended or unknown one, or with an API key that has every scope: 401
│   └── with the session in a cookie too: there only pages look
├── a page of a person without session: the way in
└── with a session: something else
A public route: answers without key
A route without a line in the table, or a line without a route: the app is not built
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter

from api import main
from api.database import transaction
from api.identity import sessions
from api.identity.access import access_by_route, known_scopes
from api.identity.guard import GuardedRoute
from api.identity.keys import create_key
from tests.api.offices import Office, open_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.conftest import Database


@pytest.fixture(params=["bank", "central_bank"])
async def office(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Office]:
    """Each kind of institution in turn, with an empty database."""
    async with open_office(database, request.param) as opened:
        yield opened


def path_of(template: str) -> str:
    return re.sub(r"\{[a-z_]*_id\}", str(uuid.uuid4()), template.replace("{participant_id}", "1")).replace(
        "{tier}", "1"
    )


async def test_every_route_against_every_wrong_caller(office: Office) -> None:
    kind = office.institution.settings.kind
    async with transaction(office.institution.pool) as conn:
        with_only = {s: await create_key(conn, "with-only", [s], kind) for s in known_scopes(kind)}
        without = {
            s: await create_key(conn, "without", set(known_scopes(kind)) - {s}, kind)
            for s in known_scopes(kind)
        }
    before = await office.state()
    tried = 0
    for (method, template), access in access_by_route(kind).items():
        if access.who != "machine":
            continue
        statuses = []
        for key in (None, "florin_wrong", without[access.scope], with_only[access.scope]):
            headers = {"Authorization": f"Bearer {key}" if key else "", "Idempotency-Key": "k"}
            response = await office.client.request(method, path_of(template), headers=headers, content=b"{")
            statuses.append(response.status_code)
        assert statuses[:3] == [401, 401, 403], (method, template)
        assert statuses[3] not in {401, 403}, (method, template)
        tried += 1
    assert tried >= 9
    assert await office.state() == before


async def test_every_route_of_a_person_against_everybody_else(office: Office) -> None:
    kind = office.institution.settings.kind
    ended = sessions.TOKEN_PREFIX + "A" * 43
    cookie = {"Cookie": f"florin_session_{office.institution.settings.institution}={ended}"}
    wrong: list[dict[str, str]] = [
        {"Authorization": ""},
        {"Authorization": f"Bearer {ended}"},
        {"Authorization": f"Bearer {office.key}"},
        {"Authorization": "", **cookie},
    ]
    before = await office.state()
    for (method, template), access in access_by_route(kind).items():
        if not access.is_persons:
            continue
        for headers in wrong:
            response = await office.client.request(method, path_of(template), headers=headers, content=b"{")
            if access.is_page:
                assert (response.status_code, response.headers["location"]) == (303, "/"), (method, template)
            else:
                assert response.json()["code"] == "SessionMissing", (method, template)
    assert await office.state() == before


async def test_public_routes_need_no_key(office: Office) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        response = await office.client.get(path, headers={"Authorization": ""})
        assert response.status_code in {200, 503}, path


async def test_a_bank_has_no_routes_of_a_central_bank(office: Office) -> None:
    others = set(access_by_route("bank")) ^ set(access_by_route("central_bank"))
    absent = others - set(access_by_route(office.institution.settings.kind))
    for method, template in absent:
        response = await office.client.request(method, path_of(template))
        assert response.status_code in {404, 405}, (method, template)


def test_a_route_that_the_table_does_not_know_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)
    with pytest.raises(LookupError):
        router.get("/v1/secrets")(lambda: None)


KINDS = pytest.mark.parametrize("kind", ["bank", "central_bank"])


@KINDS
def test_an_app_with_an_unguarded_route_is_not_built(kind: str) -> None:
    stray = APIRouter()
    stray.get("/v1/customers")(lambda: None)
    with pytest.raises(TypeError):
        main.require_access([*main.routers_of(kind), stray], kind)


@KINDS
def test_an_app_that_lacks_a_route_of_the_table_is_not_built(kind: str) -> None:
    with pytest.raises(LookupError):
        main.require_access(main.routers_of(kind)[:-1], kind)


@KINDS
def test_an_app_with_just_the_routes_of_the_table_is_built(kind: str) -> None:
    main.require_access(main.routers_of(kind), kind)
