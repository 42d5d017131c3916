"""A person at a bank: their session, and the calls of `/v1/me` with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.database import transaction
from api.identity.sessions import open_session

if TYPE_CHECKING:
    import httpx

    from tests.api.offices import BankOffice


@dataclass
class Person:
    """Someone who is signed in."""

    office: BankOffice
    customer_id: uuid.UUID
    token: str
    wallet_id: str = ""

    async def get(self, path: str, **query: Any) -> httpx.Response:
        """GET below /v1/me."""
        return await self.office.client.get(f"/v1/me{path}", params=query, headers=self._headers())

    async def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """POST below /v1/me, under an idempotency key (default: a new one)."""
        headers = self._headers() | {"Idempotency-Key": key or str(uuid.uuid4())}
        return await self.office.client.post(f"/v1/me{path}", json=body, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def sign_in(office: BankOffice, number: int = 1) -> Person:
    """Customer `c-{number}`, signed in."""
    async with transaction(office.institution.pool) as conn:
        customer_id = await conn.fetchval("SELECT id FROM customers WHERE reference = $1", f"c-{number}")
        return Person(office, customer_id, await open_session(conn, customer_id, "password"))
