"""Institutions as callers meet them: an app over its own database, with a key, and a chain that is final."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from api.addresses import address_text
from api.database import transaction
from api.identity.access import known_scopes
from api.identity.keys import create_key
from api.ledger.chart import BankChart
from api.main import create_app
from api.settings import Settings
from scripts.postgres.server import Server, drop_database
from tests.api.conftest import APP_ROLE, OWNER, Database
from tests.fakes.final_chain import CURRENCY, CUSTOMER_TIER, FinalChain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from fastapi import FastAPI

    from api.institution import Institution

Json = dict[str, Any]
BILLER = bytes.fromhex("c1" * 20)
OPENING_MINOR = 500_000
INVENTORY_MINOR = 5_000_000
_ALL_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"


def settings_for(database_url: str, kind: str = "bank", **changes: Any) -> Settings:
    """Settings of a bank (participant 1) or of the central bank."""
    is_bank = kind == "bank"
    values: Json = {
        "institution": "bank-a" if is_bank else "central-bank",
        "institution_name": "Bank A" if is_bank else "Central Bank",
        "kind": kind,
        "participant_id": 1 if is_bank else 0,
        "database_url": database_url,
        "listen_port": 0,
        "signer_socket": Path("signer.sock"),
        "rpc_url": "http://127.0.0.1:1",
        "manifest_path": Path("manifest.json"),
        "currency": CURRENCY,
        "currency_exponent": 2,
        "is_sandbox": True,
        "people_key": "5e" * 32,
    }
    return Settings.from_mapping(values | changes)


@dataclass
class Office:
    """One institution, called with a key of its own that has every scope."""

    app: FastAPI
    client: httpx.AsyncClient
    database: Database
    key: str

    @property
    def institution(self) -> Institution:
        """What the app works with."""
        institution: Institution = self.app.state.institution
        return institution

    @property
    def chain(self) -> FinalChain:
        """What this institution sees as final."""
        return FinalChain(self.institution.pool)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        """GET with the key."""
        return await self.client.get(path, params=query)

    async def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """POST a JSON body under an idempotency key (default: a new one)."""
        return await self.client.post(path, json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    async def put(self, path: str, body: Any) -> httpx.Response:
        """PUT a JSON body."""
        return await self.client.put(path, json=body)

    async def bulk(self, path: str, lines: Sequence[Any]) -> list[Json]:
        """POST JSON lines (texts as they are) and return the answers."""
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        response = await self.client.post(
            path, content="\n".join(texts) + "\n", headers={"Content-Type": "application/x-ndjson"}
        )
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    async def state(self, *, without: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table (but `without`), to compare before and after."""
        async with self.institution.pool.acquire() as conn:
            tables = [row["tablename"] for row in await conn.fetch(_ALL_TABLES)]
            return {
                table: sorted((tuple(row) for row in await conn.fetch(f"SELECT * FROM {table}")), key=repr)
                for table in tables
                if table not in without
            }


class BankOffice(Office):
    """A bank with a customer `c-1`, an account `a-1`, a ready wallet `w-1`, a biller `b-1` and inventory."""

    @property
    def chart(self) -> BankChart:
        """The bank's fixed accounts."""
        return self.institution.bank_chart

    async def furnish(self) -> None:
        """Everything that a first payment needs."""
        await self.chain.begin()
        await self.add_customer(1)
        await self.add_customer(9, opening_minor=INVENTORY_MINOR)  # whose deposit backs what the bank mints
        await self.chain.mint(self.chart, INVENTORY_MINOR)
        await self.chain.register(BILLER)
        body = {"reference": "b-1", "name": "Gas & Water", "address": address_text(BILLER)}
        (answer,) = await self.bulk("/v1/billers:bulk", [body])
        assert "biller_id" in answer

    async def add_customer(
        self, number: int, *, opening_minor: int = OPENING_MINOR, is_linked: bool = True
    ) -> None:
        """Another customer with account and ready wallet: `c-2`, `a-2`, `w-2`."""
        customer = {"reference": f"c-{number}", "name": f"Customer {number}"}
        assert (await self.post("/v1/customers", customer)).status_code == 201
        account = {
            "reference": f"a-{number}",
            "customer_reference": f"c-{number}",
            "currency": CURRENCY,
            "opening_deposit_minor": opening_minor,
        }
        assert (await self.post("/v1/accounts", account)).status_code == 201
        wallet = {
            "reference": f"w-{number}",
            "customer_reference": f"c-{number}",
            "account_reference": f"a-{number}" if is_linked else None,
            "tier": CUSTOMER_TIER,
        }
        assert (await self.post("/v1/wallets", wallet)).status_code == 202
        await self.chain.register_requested_wallets()

    async def address_of(self, wallet_reference: str) -> bytes:
        """A wallet's address."""
        address: bytes = await self.institution.pool.fetchval(
            """SELECT r.address FROM wallets w JOIN outbox_registrations r ON r.wallet_id = w.id
                WHERE w.reference = $1""",
            wallet_reference,
        )
        return address

    async def held(self) -> dict[str, int]:
        """ledger account code -> what is held there now, where that is something."""
        rows = await self.institution.pool.fetch(
            """SELECT code, held_minor FROM ledger_accounts JOIN ledger_balances ON account_id = id
                WHERE held_minor > 0"""
        )
        return {row["code"]: row["held_minor"] for row in rows}

    async def intents(self) -> list[tuple[str, int]]:
        """(kind, amount) of the outbox, in its order."""
        rows = await self.institution.pool.fetch(
            "SELECT kind, amount_minor FROM outbox_payments ORDER BY seq"
        )
        return [(row["kind"], row["amount_minor"]) for row in rows]


def payment(amount_minor: Any = 1_000, **changes: Any) -> Json:
    """A payment from `w-1` to `b-1`; None takes a field away."""
    body: Json = {
        "payer_wallet_reference": "w-1",
        "payee": {"biller_reference": "b-1"},
        "amount_minor": amount_minor,
        "currency": CURRENCY,
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


@contextlib.asynccontextmanager
async def open_office(database: Database, kind: str = "bank", **changes: Any) -> AsyncIterator[BankOffice]:
    """An institution's app over `database`; several can be open at once, even over one database."""
    app = create_app(settings_for(database.app_url, kind, **changes))
    async with app.router.lifespan_context(app):
        institution: Institution = app.state.institution
        async with transaction(institution.pool) as conn:
            key = await create_key(conn, "caller-1", known_scopes(kind), kind)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://bank", headers=headers) as client:
            yield BankOffice(app, client, database, key)


@pytest.fixture(scope="session")
def furnished_template(postgres: Server, migrated_template: Database) -> Iterator[Database]:
    """A furnished bank's database that nobody is connected to, so that it can be copied."""
    name = f"florin_test_bank_{uuid.uuid4().hex[:12]}"

    async def furnish() -> Database:
        database = await _copy_database(postgres, migrated_template, name)
        async with open_office(database) as office:
            await office.furnish()
        return database

    yield asyncio.run(furnish())
    drop_database(postgres, name)


@pytest.fixture
async def bank(postgres: Server, furnished_template: Database) -> AsyncIterator[BankOffice]:
    """A furnished bank."""
    name = f"florin_test_bank_{uuid.uuid4().hex[:12]}"
    database = await _copy_database(postgres, furnished_template, name)
    async with open_office(database) as office:
        yield office
    drop_database(postgres, name)


@pytest.fixture
async def central_bank(database: Database) -> AsyncIterator[Office]:
    """A central bank whose database has nothing in it yet."""
    async with open_office(database, "central_bank") as office:
        yield office


async def _copy_database(server: Server, template: Database, name: str) -> Database:
    admin = await asyncpg.connect(server.admin_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template.name} OWNER {OWNER}")
    finally:
        await admin.close()
    return Database(
        name, server.admin_url_for(name), server.uri_for(name, OWNER), server.uri_for(name, APP_ROLE)
    )
