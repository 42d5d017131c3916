"""The composition root of an institution's HTTP service.

    python -m api.main --settings FILE                                        serve
    python -m api.main create-key --settings FILE --name NAME --scope SCOPE   print a new API key, once
    python -m api.main revoke-keys --settings FILE --name NAME                revoke every key of that name

`create_app` has no global state: several institutions can live in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI

from api.body_limits import BodyLimits
from api.database import connect_pool, is_migrated, transaction
from api.errors import FlorinError, install_error_handlers
from api.fields import refusal_of
from api.identity.access import access_by_route, known_scopes
from api.identity.courier import courier_of
from api.identity.guard import GuardedRoute
from api.identity.keys import KeyRing, create_key, revoke_keys
from api.identity.people_desk import Courier, PeopleDesk
from api.institution import Institution
from api.ledger.chart import open_chart
from api.ledger.gathering import Gatherer
from api.operations.metrics import MeasureRequests, Metrics
from api.payments.second_factor import PeopleSecondFactor
from api.settings import NO_FILE, Settings
from api.web import pages
from api.web.security_headers import SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from api.directory.secret import DirectorySecret
    from api.payments.directory_client import DirectoryClient
    from api.payments.pay import Outcome
    from api.payments.requests import PaymentRequest

POOL_SIZE = 8


class SchemaNotCurrent(FlorinError):
    """The database's schema is not the one that this version works with."""

    def __init__(self) -> None:
        sentence = "The database is not migrated to this version: run `florin up`, or migrate it, first."
        super().__init__("SchemaNotCurrent", 500, sentence)


def create_app(settings: Settings, courier: Courier | None = None) -> FastAPI:
    """The HTTP service of one institution, with the routes of its kind; `courier` reaches its people.

    Raises what `require_access` does.
    """
    app = FastAPI(
        title=f"Florin: {settings.institution_name}",
        description=_DESCRIPTION,
        version="1",
        lifespan=_lifespan(settings, courier or courier_of(settings)),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        separate_input_output_schemas=False,
    )
    install_error_handlers(app, refusal_of)
    app.state.metrics = Metrics()
    app.state.resources = []
    pages.install(app)
    routers = routers_of(settings.kind)
    require_access(routers, settings.kind)
    for router in routers:
        app.include_router(router)
    app.add_middleware(BodyLimits)
    app.add_middleware(MeasureRequests, metrics=app.state.metrics)
    app.add_middleware(SecurityHeaders)
    return app


_DESCRIPTION = """
Money is whole minor units of the currency. Errors are RFC 9457 problem documents with a stable `code`.
Send `Authorization: Bearer <API key>`; each route names the scope that its key needs (`x-scope`). Routes of
a person under `/v1/me` take the token of their session instead.
POSTs that change something need an `Idempotency-Key`; bulk lines carry a `reference` instead.
"""


def routers_of(kind: str) -> list[APIRouter]:
    """The routes of an institution of this kind, room by room."""
    from api.operations.routes import router as operations_router

    if kind == "central_bank":
        from api.directory.routes import router as directory_router
        from api.settlement.central_bank_routes import router as central_bank_router

        return [operations_router, central_bank_router, directory_router, *pages.page_routers(kind)]
    from api.accounts.person_routes import router as own_accounts_router
    from api.accounts.routes import router as accounts_router
    from api.identity.feed_routes import router as feed_router
    from api.identity.login_routes import router as login_router
    from api.identity.person_routes import router as person_router
    from api.identity.recovery_routes import router as recovery_router
    from api.identity.registration_routes import router as registration_router
    from api.identity.routes import router as identity_router
    from api.identity.sign_in_routes import router as sign_in_router
    from api.payments.alias_routes import router as aliases_router
    from api.payments.order_routes import router as own_orders_router
    from api.payments.person_routes import router as own_payments_router
    from api.payments.request_routes import router as requests_router
    from api.payments.routes import router as payments_router
    from api.settlement.bank_routes import router as settlement_router
    from api.wallets.credential_routes import router as credential_router
    from api.wallets.person_routes import router as own_wallets_router
    from api.wallets.routes import router as wallets_router
    from api.webhooks.routes import router as webhooks_router

    return [  # in the order in which they are tried: the busiest first
        payments_router,
        wallets_router,
        accounts_router,
        identity_router,
        person_router,
        login_router,
        sign_in_router,
        registration_router,
        recovery_router,
        credential_router,
        feed_router,
        own_payments_router,
        own_orders_router,
        own_wallets_router,
        own_accounts_router,
        settlement_router,
        webhooks_router,
        aliases_router,
        requests_router,
        operations_router,
        *pages.page_routers(kind),
    ]


def _lifespan(settings: Settings, courier: Courier) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool = await connect_pool(settings.database_url, max_size=POOL_SIZE)
            stack.push_async_callback(pool.close)
            async with transaction(pool) as conn:
                if not await is_migrated(conn):
                    raise SchemaNotCurrent
                chart = await open_chart(conn, settings.kind, settings.currency)
            institution = Institution(settings, pool, chart)
            app.state.institution = institution
            app.state.key_ring = KeyRing(pool)
            if settings.kind == "central_bank":
                app.state.directory_secret = _directory_secret(settings)
            if settings.kind == "bank":
                app.state.people = PeopleDesk.open(institution, courier)
                app.state.directory = await stack.enter_async_context(_directory(settings))
                app.state.second_factor = PeopleSecondFactor(app.state.people)
                app.state.payments = await stack.enter_async_context(_gatherer(institution))
            for resource in app.state.resources:
                await stack.enter_async_context(resource(institution))
            yield

    return lifespan


def _directory_secret(settings: Settings) -> DirectorySecret | None:
    """The secret of the alias directory, where there is one. Raises `SecretFileUnusable`."""
    from api.directory.secret import DirectorySecret

    path = settings.directory_secret_file
    return None if path == NO_FILE else DirectorySecret.load(path)


def _directory(settings: Settings) -> DirectoryClient:
    from api.payments.directory_client import DirectoryClient

    return DirectoryClient.of(settings)


def _gatherer(institution: Institution) -> Gatherer[PaymentRequest, Outcome]:
    from api.payments.pay import pay_all

    async def run_batch(requests: list[PaymentRequest]) -> Sequence[Outcome | Exception]:
        return await pay_all(institution, requests)

    return Gatherer(run_batch)


def require_access(routers: Sequence[APIRouter], kind: str) -> None:
    """Raises unless every route is guarded by the table of access, and every line of the table has its route.

    `TypeError` names a route that is not guarded, `LookupError` the lines that one side has alone.
    """
    served = set()
    for route in (route for router in routers for route in router.routes):
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} is not behind the table of access")
        served |= {(method, route.path) for method in route.methods or ()}
    listed = set(access_by_route(kind))
    if served != listed:
        raise LookupError(f"routes and the table of access differ: {sorted(served ^ listed)}")


async def _create_key(settings: Settings, name: str, scopes: Sequence[str]) -> str:
    pool = await connect_pool(settings.database_url)
    try:
        async with transaction(pool) as conn:
            return await create_key(conn, name, scopes, settings.kind)
    finally:
        await pool.close()


async def _revoke_keys(settings: Settings, name: str) -> int:
    pool = await connect_pool(settings.database_url)
    try:
        async with transaction(pool) as conn:
            return await revoke_keys(conn, name)
    finally:
        await pool.close()


def _serve(settings: Settings) -> None:
    import uvicorn

    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.listen_host,
        port=settings.listen_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    app.state.news.is_stopping = lambda: server.should_exit  # open pages would keep the process alive
    server.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api.main", description="An institution's HTTP service.")
    parser.add_argument("command", nargs="?", choices=["serve", "create-key", "revoke-keys"], default="serve")
    parser.add_argument("--settings", type=Path, required=True, help="the institution's settings file")
    parser.add_argument("--name", help="whom the key is for; keys of one name are one caller")
    parser.add_argument("--scope", action="append", default=[], help="create-key: a scope (repeat), or 'all'")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the process's exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        settings = Settings.load(given.settings)
        if given.command == "serve":
            _serve(settings)
            return 0
        if given.command == "revoke-keys":
            if not given.name:
                parser.error("revoke-keys needs --name")
            print(f"revoked: {asyncio.run(_revoke_keys(settings, given.name))}")
            return 0
        if not given.name or not given.scope:
            parser.error("create-key needs --name and at least one --scope")
        scopes = known_scopes(settings.kind) if given.scope == ["all"] else given.scope
        print(asyncio.run(_create_key(settings, given.name, scopes)))
    except FlorinError as refusal:
        print(f"{refusal.code}: {refusal.sentence}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
