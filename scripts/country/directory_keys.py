"""The banks' keys at the central bank's alias directory: made once, each in a private file of its bank."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import asyncpg

from api.directory.service import caller_name
from api.identity.keys import create_key, revoke_keys
from contracts.durable import write_durably
from scripts.country.institutions import InstitutionHome

SCOPES = ("directory:read", "directory:write")


def give_directory_keys(central_bank_url: str, homes: Iterable[InstitutionHome]) -> None:
    """Make the keys that are missing. `central_bank_url` names the central bank's migrated database."""
    for home in homes:
        if home.plan.kind == "bank" and not home.directory_key_file.exists():
            key = asyncio.run(_make(central_bank_url, caller_name(home.plan.participant_id)))
            write_durably(home.directory_key_file, key.encode(), mode=0o600)


async def _make(database_url: str, name: str) -> str:
    """A new key; those that were made before a start that was cut short end."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await revoke_keys(connection, name)
            return await create_key(connection, name, SCOPES, "central_bank")
    finally:
        await connection.close()
