"""The directory's rows: what stands for an alias and its payee, hashed under one key of the secret."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.directory.names import NameKeys, keys_of, masked

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.directory.aliases import Alias
    from api.directory.schemas import AliasBody
    from api.directory.secret import DirectorySecret


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of an alias: hashes, the payee's address, and the name's first letters."""

    alias_hmac: bytes
    key_id: str
    kind: str
    participant_id: int
    address: bytes
    owner_hmac: bytes
    masked_name: str
    name: NameKeys[bytes]

    @classmethod
    def of(cls, secret: DirectorySecret, participant_id: int, alias: Alias, body: AliasBody) -> Record:
        """The record of what a bank registers, under the present key."""
        key_id = secret.present_key_id
        return cls(
            alias_hmac=secret.of_alias(key_id, alias),
            key_id=key_id,
            kind=alias.kind,
            participant_id=participant_id,
            address=body.address,
            owner_hmac=secret.of_owner(key_id, participant_id, body.owner),
            masked_name=masked(body.name),
            name=secret.of_name(key_id, keys_of(body.name)),
        )

    @classmethod
    def from_json(cls, text: str) -> Record:
        """What `as_json` wrote."""
        values = json.loads(text)
        name = NameKeys(
            bytes.fromhex(values["name_whole"]),
            frozenset(map(bytes.fromhex, values["name_shorter"])),
            frozenset(map(bytes.fromhex, values["name_misspelt"])),
        )
        return cls(
            bytes.fromhex(values["alias_hmac"]),
            values["key_id"],
            values["kind"],
            values["participant_id"],
            bytes.fromhex(values["address"]),
            bytes.fromhex(values["owner_hmac"]),
            values["masked_name"],
            name,
        )

    def as_json(self) -> str:
        """The record while it waits in a claim."""
        return json.dumps(
            {
                "alias_hmac": self.alias_hmac.hex(),
                "key_id": self.key_id,
                "kind": self.kind,
                "participant_id": self.participant_id,
                "address": self.address.hex(),
                "owner_hmac": self.owner_hmac.hex(),
                "masked_name": self.masked_name,
                "name_whole": self.name.whole.hex(),
                "name_shorter": sorted(key.hex() for key in self.name.shorter),
                "name_misspelt": sorted(key.hex() for key in self.name.misspelt),
            }
        )

    def columns(self) -> tuple[Any, ...]:
        """The values in the order of `_COLUMNS`."""
        return (
            self.alias_hmac,
            self.key_id,
            self.kind,
            self.participant_id,
            self.address,
            self.owner_hmac,
            self.masked_name,
            self.name.whole,
            sorted(self.name.shorter),
            sorted(self.name.misspelt),
        )


_COLUMNS = (
    "alias_hmac, key_id, kind, participant_id, address, owner_hmac, masked_name, name_whole, name_shorter, "
    "name_misspelt"
)


async def lock_alias(conn: Connection, secret: DirectorySecret, alias: Alias) -> Any:
    """The row of an alias, or None; nobody else decides about this alias until the transaction ends."""
    hashes = sorted(secret.of_alias_under_each(alias))
    for each in hashes:
        await conn.execute("SELECT pg_advisory_xact_lock($1)", int.from_bytes(each[:8], "big", signed=True))
    return await conn.fetchrow(
        "SELECT * FROM directory_aliases WHERE alias_hmac = ANY($1) FOR UPDATE", hashes
    )


async def find_alias(conn: Connection, secret: DirectorySecret, alias: Alias) -> Any:
    """The row of an alias, or None."""
    return await conn.fetchrow(
        "SELECT * FROM directory_aliases WHERE alias_hmac = ANY($1)", secret.of_alias_under_each(alias)
    )


async def insert_record(conn: Connection, alias_id: uuid.UUID, record: Record) -> Any:
    """A new alias; its row."""
    return await conn.fetchrow(
        f"""INSERT INTO directory_aliases (alias_id, {_COLUMNS})
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING *""",  # noqa: S608 - constants
        alias_id,
        *record.columns(),
    )


async def replace_record(conn: Connection, alias_id: uuid.UUID, record: Record) -> Any:
    """The alias pays somebody else from now on; its row, or None where it was released."""
    return await conn.fetchrow(
        f"""UPDATE directory_aliases SET ({_COLUMNS}) = ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             WHERE alias_id = $1 RETURNING *""",  # noqa: S608 - constants
        alias_id,
        *record.columns(),
    )


def name_of(row: Any) -> NameKeys[bytes]:
    """The hashed name of a row."""
    return NameKeys(row["name_whole"], frozenset(row["name_shorter"]), frozenset(row["name_misspelt"]))
