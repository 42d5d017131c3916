"""A central bank with two participants, a secret for its directory, and a key for each bank."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from api.addresses import address_text
from api.database import transaction
from api.identity.keys import create_key
from tests.api.offices import Office, central_bank, open_office
from tests.fakes.final_chain import CUSTOMER_TIER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.api.conftest import Database

__all__ = ["central_bank"]

ANNA, BOB, CARL = (bytes([number]) * 20 for number in (0xA1, 0xB0, 0xCA))


@dataclass
class Bank:
    """A participant that calls the central bank with its own key."""

    office: Office
    participant_id: int
    key: str

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request to the directory."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.office.client.request(method, f"/v1/directory{path}", json=body, headers=headers)

    async def register(self, alias: str, address: bytes, **changes: Any) -> httpx.Response:
        """Register an alias for `c-1`, whose name is Anna Nováková."""
        body = {"alias": alias, "address": address_text(address), "owner": "c-1", "name": "Anna Nováková"}
        return await self.call("PUT", "/aliases", body | changes)

    async def look_up(self, alias: str, payee_name: str | None = None) -> httpx.Response:
        """Ask for an alias."""
        return await self.call("POST", "/lookups", {"alias": alias, "payee_name": payee_name})


def write_secret(path: Path, *key_ids: str) -> Path:
    """A secret's file with new keys in front of those that it has."""
    old = path.read_text() if path.exists() else ""
    path.write_text("".join(f"{key_id} {secrets.token_hex(32)}\n" for key_id in key_ids) + old)
    path.chmod(0o600)
    return path


async def bank_of(office: Office, participant_id: int) -> Bank:
    """A participant of the central bank."""
    async with transaction(office.institution.pool) as conn:
        name = f"participant-{participant_id}"
        key = await create_key(conn, name, ["directory:read", "directory:write"], "central_bank")
    return Bank(office, participant_id, key)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """The directory's secret."""
    return write_secret(tmp_path / "directory-secret", "first")


@pytest.fixture
async def office(database: Database, secret_file: Path) -> AsyncIterator[Office]:
    """The central bank: Anna and Carl are with the first bank, Bob with the second."""
    async with open_office(database, "central_bank", directory_secret_file=secret_file) as opened:
        await opened.chain.begin()
        for participant, name in ((1, "Bank A"), (2, "Bank B"), (3, "Bank C")):
            await opened.institution.pool.execute(
                """WITH account AS (INSERT INTO ledger_accounts (code, kind, class, currency, normal_side)
                                    VALUES ($1, 'reserves_of', 'own', 'CZK', -1) RETURNING id)
                   INSERT INTO participants SELECT $2, $3, $4, 3, 6, id FROM account""",
                f"reserves:{participant}", participant, name, bytes([participant]) * 20,
            )  # fmt: skip
        for address, keeper in ((ANNA, 1), (CARL, 1), (BOB, 2)):
            await opened.chain.register(address, keeper, CUSTOMER_TIER)
        yield opened


@pytest.fixture
async def first(office: Office) -> Bank:
    """The first bank."""
    return await bank_of(office, 1)


@pytest.fixture
async def second(office: Office) -> Bank:
    """The second bank."""
    return await bank_of(office, 2)
