"""People at a bank whose hasher is quick and whose messages stay in memory."""

from __future__ import annotations

import dataclasses
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
from argon2 import PasswordHasher

from api.identity.passwords import Passwords
from tests.api.offices import BankOffice, open_office
from tests.fakes.courier import MemoryCourier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.identity.people_desk import PeopleDesk
    from tests.api.conftest import Database

PASSWORD = "vexing-Plumb-47-orchard"
NEW_PASSWORD = "quiet-Lantern-93-gravel"
ANNA = {"contact": "anna@mail.test", "name": "Anna Nováková", "date_of_birth": "1990-05-17"}


def quick_passwords() -> Passwords:
    """argon2id at the least cost that it takes."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass
class Signed:
    """A person who is signed in."""

    token: str
    device_token: str
    customer_id: uuid.UUID


@dataclass
class People:
    """A bank's office, its courier, and what people do there, each from an address of their own."""

    office: BankOffice
    courier: MemoryCourier

    @property
    def desk(self) -> PeopleDesk:
        """What the verbs are given."""
        desk: PeopleDesk = self.office.app.state.people
        return desk

    async def post(
        self, path: str, body: Any = None, token: str = "", address: str = "192.0.2.1"
    ) -> httpx.Response:
        """POST as a person, from an address."""
        return await self.ask("POST", path, body, token, address)

    async def get(self, path: str, token: str) -> httpx.Response:
        """GET as a person."""
        return await self.ask("GET", path, None, token)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "", address: str = "192.0.2.1"
    ) -> httpx.Response:
        """Any request of a person."""
        transport = httpx.ASGITransport(self.office.app, raise_app_exceptions=False, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://bank") as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return await client.request(
                method, path, json=body, headers={"User-Agent": "Test browser", **headers}
            )

    async def begin(self, **changes: Any) -> str:
        """Begin a registration; its id."""
        answer = await self.post("/v1/registrations", ANNA | changes)
        assert answer.status_code == 202, answer.text
        registration_id: str = answer.json()["registration_id"]
        return registration_id

    async def verified(self, registration_id: str, address: str) -> str:
        """Verify with the code that was sent; the token."""
        answer = await self.post(
            f"/v1/registrations/{registration_id}/verification", {"code": self.courier.code_for(address)}
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["token"]
        return token

    async def register(self, **changes: Any) -> Signed:
        """Somebody new, signed in."""
        asked = ANNA | changes
        registration_id = await self.begin(**changes)
        token = await self.verified(registration_id, asked["contact"])
        answer = await self.post(
            f"/v1/registrations/{registration_id}/completion",
            {"token": token, "password": PASSWORD, "device_name": "Phone"},
        )
        assert answer.status_code == 201, answer.text
        return await self.signed(answer)

    async def signed(self, answer: httpx.Response) -> Signed:
        """Who an answer signed in."""
        body = answer.json()
        me = (await self.get("/v1/me", body["token"])).json()
        return Signed(body["token"], body["device_token"] or "", uuid.UUID(me["customer_id"]))

    async def as_owner(self, statement: str) -> None:
        """Change what the application cannot, such as the past."""
        connection = await asyncpg.connect(self.office.database.owner_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def open_people(database: Database, **changes: Any) -> AsyncIterator[People]:
    """A bank with an empty database, for people."""
    async with open_office(database, **changes) as office:
        courier = MemoryCourier()
        state = office.app.state
        state.people = dataclasses.replace(state.people, courier=courier, passwords=quick_passwords())
        yield People(office, courier)
